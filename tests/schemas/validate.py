#!/usr/bin/env python3
"""Checks the JSON Schemas with an independent validator.

Every shipped file and every file under `tests/schemas/right` must be valid by the schema in its first line. Every file
under `tests/schemas/wrong` must be refused at the place in its second line and at no other place. The files under `right`
must use every key. The patterns of quantities must accept and refuse the texts of `tests/schemas/quantities.toml`.
Reports named as arguments must be valid by their schema and have no key that it lacks.
Needs Python 3.11 and the package `jsonschema`; runs in any folder.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/schemas"
SCHEMAS = ["plans/plan.schema.json", "plans/users.schema.json", "thresholds/thresholds.schema.json"]
REPORT = "docs/reference/report.schema.json"
SHIPPED = ["plans/*.toml", "plans/users/*.toml", "thresholds/*.toml"]
# A key that holds a quantity of each kind.
QUANTITIES = {
    "duration": ("plans/plan.schema.json", "Phase", "duration"),
    "rate": ("thresholds/thresholds.schema.json", "Throughput", "minimum"),
    "share": ("thresholds/thresholds.schema.json", "ErrorRate", "maximum"),
    "size": ("plans/users.schema.json", "Expect", "max_bytes"),
}

passed, failed = 0, 0


def check(name, problems):
    """Counts a check, and prints it if it failed."""
    global passed, failed
    if problems:
        failed += 1
        print(f"FAILED {name}")
        for problem in problems:
            print(f"    {problem}")
    else:
        passed += 1


def read(path):
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def named_schema(path):
    """Loads the schema that the first line of a file names."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    found = re.fullmatch(r"#:schema (\S+)", first)
    if found is None:
        raise ValueError("the first line does not name a schema")
    return json.loads((path.parent / found[1]).read_text(encoding="utf-8"))


def errors(path):
    """Returns place and message of every error of a file."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    found = Draft202012Validator(named_schema(path)).iter_errors(document)
    return [("".join(f"/{part}" for part in error.absolute_path), error.message) for error in found]


def right(path):
    try:
        return [f"{place or '/'}: {message}" for place, message in errors(path)]
    except (OSError, ValueError) as problem:
        return [str(problem)]


def wrong(path):
    """Checks that a file has an error, and errors only at the place in its second line."""
    second = path.read_text(encoding="utf-8").split("\n")[1]
    said = re.fullmatch(r"# at (\S+|the top): .+", second)
    if said is None:
        return ["the second line does not say `# at PLACE: what is wrong`"]
    meant = "" if said[1] == "the top" else said[1]
    try:
        found = errors(path)
    except (OSError, ValueError) as problem:
        return [str(problem)]
    elsewhere = [f"{place or '/'}: {message}" for place, message in found if place != meant]
    return elsewhere if found else ["it is not refused"]


def keys_used(schema, node, value, used):
    """Adds table and key of every key of a valid value to `used`."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        node = schema["$defs"][name]
        if isinstance(value, dict):
            used.update((name, key) for key in value)
    for key, item in value.items() if isinstance(value, dict) else []:
        inner = node.get("properties", {}).get(key, node.get("additionalProperties"))
        if isinstance(inner, dict):
            keys_used(schema, inner, item, used)
    for item in value if isinstance(value, list) and "items" in node else []:
        keys_used(schema, node["items"], item, used)
    # At most one of several forms is a table, and at most one an array.
    kind = {dict: "$ref", list: "items"}.get(type(value))
    for form in node.get("anyOf", []):
        if kind in form:
            keys_used(schema, form, value, used)


def unused_keys(name):
    """Returns the keys of a schema that its file under `right` does not use."""
    schema, used = read(name), set()
    path = HERE / "right" / Path(name).name.replace(".schema.json", ".toml")
    keys_used(schema, schema, tomllib.loads(path.read_text(encoding="utf-8")), used)
    every = {(name, key) for name, table in schema["$defs"].items() for key in table["properties"]}
    return [f"{name}.{key} is in no right file" for name, key in sorted(every - used)]


def patterns(kind, texts):
    file, table, key = QUANTITIES[kind]
    validator = Draft202012Validator(read(file)["$defs"][table]["properties"][key])
    refused = [f"`{text}` is refused" for text in texts["right"] if not validator.is_valid(text)]
    taken = [f"`{text}` is taken" for text in texts["wrong"] if validator.is_valid(text)]
    return refused + taken


def check_schemas():
    for name in [*SCHEMAS, REPORT]:
        found = Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(read(name))
        check(f"{name} is a schema", [error.message for error in found])


def check_files():
    for path in sorted(path for pattern in SHIPPED for path in ROOT.glob(pattern)):
        check(f"{path.relative_to(ROOT)} is valid", right(path))
    for path in sorted((HERE / "right").glob("*.toml")):
        check(f"{path.relative_to(ROOT)} is valid", right(path))
    for path in sorted((HERE / "wrong").glob("*.toml")):
        check(f"{path.relative_to(ROOT)} is refused", wrong(path))
    wrong_files = len(list((HERE / "wrong").glob("*.toml")))
    check("there are wrong files", [] if wrong_files >= 10 else [f"only {wrong_files}"])


def check_coverage():
    plan, users, thresholds = (unused_keys(schema) for schema in SCHEMAS)
    # A plan may contain the tables of a users file; it is enough that the users file uses all their keys.
    tables_of_users = set(read(SCHEMAS[1])["$defs"])
    plan = [key for key in plan if key.partition(".")[0] not in tables_of_users]
    check("every key is in a right file", plan + users + thresholds)
    for kind, texts in tomllib.loads((HERE / "quantities.toml").read_text(encoding="utf-8")).items():
        check(f"the pattern of a {kind}", patterns(kind, texts))


def closed(schema):
    """Returns a schema whose tables allow no other keys."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    extra = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {key: closed(value) for key, value in schema.items()} | extra


def refused(validator, report):
    """Returns the changes of a report that its schema does not refuse."""
    without = {f"without {key}": {k: v for k, v in report.items() if k != key} for key in report}
    other = {f"{key} = true": report | {key: True} for key in ("schema", "verdict", "gate", "phases", "seed")}
    phase = report["phases"][0] if report["phases"] else {}
    changed = {f"phases/0 without {key}": report | {"phases": [{k: v for k, v in phase.items() if k != key}]} for key in phase}
    return [name for name, value in (without | other | changed).items() if validator.is_valid(value)]


def check_reports(paths):
    validator = Draft202012Validator(closed(read(REPORT)))
    for path in paths:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        found = validator.iter_errors(report)
        check(path, [f"{error.json_path}: {error.message}" for error in found])
        check(f"{path}: changes are refused", refused(validator, report))


def main():
    check_schemas()
    # An invalid schema cannot validate files.
    if not failed:
        check_files()
        check_coverage()
        check_reports(sys.argv[1:])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
