"""Reads the YAML files under `deploy`, and compares the options in all files there with those of the program."""

import pathlib
import re
import subprocess
import sys

import yaml

known = set(re.findall(r"--[a-z-]+", subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True, check=True).stdout))
for path in sorted(pathlib.Path("deploy").rglob("*")):
    if not path.is_file() or path.suffix == ".md":
        continue
    text = path.read_text()
    if path.suffix in (".yml", ".yaml"):
        # A file of GitLab has a header and a body.
        documents = list(yaml.safe_load_all(text.replace("$[[", "[[").replace("tags: [\"[[", "tags: [\"x[[")))
        assert all(documents), path
    lines = [line for line in text.splitlines() if re.search(r"options\+?=|exec runner|\brunner \"|args: \[", line)]
    used = set(re.findall(r"(?<![\w-])--[a-z-]+", "\n".join(lines)))
    assert used and used <= known, f"{path}: {used - known}"
    print(f"{path}: {', '.join(sorted(used))}")
