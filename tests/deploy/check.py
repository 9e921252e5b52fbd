"""Checks the files under `deploy/ci`: keys, options and shell scripts.

The options of the runner in all files must be those of the program. The YAML files must have the keys and values below
and no others; they were compared with the resource definitions of Argo Rollouts 1.9.1, Flagger 1.44.0 and the lifecycle
operator 2.0.0 of Keptn. The shell scripts run with a program in the place of `runner`, which notes its arguments and fails.
Needs Python 3.11 and the packages `jsonschema` and `PyYAML`; runs in the root of the repository with the path of the
program as its argument.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml
from jsonschema import Draft202012Validator

ROOT = pathlib.Path("deploy/ci")


def table(optional=(), **keys):
    """The schema of a table with these keys and no others."""
    return {
        "type": "object",
        "properties": keys,
        "required": [key for key in keys if key not in optional],
        "additionalProperties": False,
    }


def is_list(item, least=1):
    return {"type": "array", "items": item, "minItems": least}


TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "integer", "minimum": 0}
DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
ZERO, ONE = {"const": 0}, {"const": 1}


def resource(version, kind, spec):
    """A Kubernetes resource."""
    versions = {"apiVersion": {"const": version}, "kind": {"const": kind}}
    return table(**versions, metadata=table(name=TEXT), spec=spec)


def analysis(provider, **keys):
    """An analysis of Argo Rollouts with one measurement, which is never repeated."""
    argument = table(name=TEXT, value=TEXT, optional=["value"])
    metric = table(name=TEXT, count=ONE, failureLimit=ZERO, provider=provider, **keys)
    spec = table(args=is_list(argument), metrics=is_list(metric))
    return resource("argoproj.io/v1alpha1", "AnalysisTemplate", spec)


POD = table(
    restartPolicy={"const": "Never"},
    containers=is_list(table(name=TEXT, image=TEXT, args=is_list(TEXT))),
)
JOB = table(job=table(spec=table(backoffLimit=ZERO, template=table(spec=POD))))
WEB = table(web=table(url={"type": "string", "pattern": "/api/verdict$"}, timeoutSeconds=NUMBER))
WEBHOOK = table(
    name=TEXT,
    type={"const": "pre-rollout"},
    url=TEXT,
    timeout=DURATION,
    retries=ZERO,
    metadata=table(type={"const": "bash"}, cmd=TEXT),
)
CANARY = table(
    targetRef=table(apiVersion=TEXT, kind=TEXT, name=TEXT),
    service=table(port=NUMBER),
    analysis=table(
        interval=DURATION, threshold=ONE, stepWeight=NUMBER, maxWeight=NUMBER, webhooks=is_list(WEBHOOK)
    ),
)
TASK = table(
    retries=ZERO,
    timeout=DURATION,
    ttlSecondsAfterFinished=NUMBER,
    container=table(
        name=TEXT,
        image=TEXT,
        env=is_list(table(name=TEXT, value=TEXT)),
        command=is_list(TEXT),
        args=is_list(TEXT),
        volumeMounts=is_list(table(name=TEXT, mountPath=TEXT)),
    ),
)
ACTION_STEP = table(
    optional=["id", "shell", "env", "run", "if", "uses", "with"],
    id=TEXT,
    shell={"const": "bash"},
    env={"type": "object"},
    run=TEXT,
    uses=TEXT,
    **{"if": TEXT, "with": {"type": "object"}},
)
INPUT = table(description=TEXT, default={"type": "string"}, required={"const": True}, optional=["default", "required"])
ACTION = table(
    name=TEXT,
    description=TEXT,
    inputs={"type": "object", "additionalProperties": INPUT},
    outputs={"type": "object", "additionalProperties": table(description=TEXT, value=TEXT)},
    runs=table(using={"const": "composite"}, steps=is_list(ACTION_STEP)),
)
COMPONENT_INPUT = table(description=TEXT, default=TEXT, optional=["description", "default"])
COMPONENT = [
    table(spec=table(inputs={"type": "object", "additionalProperties": COMPONENT_INPUT})),
    {
        "type": "object",
        "additionalProperties": table(
            stage=TEXT,
            tags=is_list(TEXT),
            timeout=TEXT,
            resource_group=TEXT,
            retry=ZERO,
            script=is_list(TEXT),
            allow_failure=table(exit_codes={"const": [3]}),
            artifacts=table(
                when={"const": "always"},
                expire_in=TEXT,
                expose_as=TEXT,
                paths=is_list({"type": "string", "pattern": "/$"}),
                reports=table(junit=TEXT, load_performance=TEXT),
            ),
        ),
    },
]
UNDECIDED = {"inconclusiveLimit": ZERO, "initialDelay": TEXT, "successCondition": TEXT, "failureCondition": TEXT}
SCHEMAS = {
    "argo-rollouts/analysis-template.yaml": [analysis(JOB)],
    "argo-rollouts/verdict-analysis.yaml": [analysis(WEB, **UNDECIDED)],
    "flagger/canary.yaml": [resource("flagger.app/v1beta1", "Canary", CANARY)],
    "github/action.yml": [ACTION],
    "gitlab/load-gate.yml": COMPONENT,
    "keptn/task-definition.yaml": [resource("lifecycle.keptn.sh/v1", "KeptnTaskDefinition", TASK)],
}

scratch = pathlib.Path(tempfile.mkdtemp())


def documents(name):
    """The YAML documents of a file."""
    return list(yaml.safe_load_all((ROOT / name).read_text()))


def check_options(known):
    for path in sorted(ROOT.rglob("*")):
        if not path.is_file() or path.suffix == ".md" or path.name == "verdict-analysis.yaml":
            continue
        lines = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith(("#", "//")))
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", lines))
        assert used and used <= known, f"{path}: {used - known}"
        print(f"{path}: {', '.join(sorted(used))}")


def check_keys():
    found = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.y*ml")}
    assert found == set(SCHEMAS), found ^ set(SCHEMAS)
    for name, schemas in SCHEMAS.items():
        for document, schema in zip(documents(name), schemas, strict=True):
            errors = Draft202012Validator(schema).iter_errors(document)
            problems = [f"{'/'.join(map(str, it.path))}: {it.message}" for it in errors]
            assert not problems, f"{name}: {problems}"


def check_verdicts(verdicts):
    """A verdict passes, fails or leaves the analysis undecided, as the conditions of Argo Rollouts say."""
    metric = documents("argo-rollouts/verdict-analysis.yaml")[0]["spec"]["metrics"][0]
    named = {}
    for key in ["successCondition", "failureCondition"]:
        condition = re.fullmatch(r'result\.verdict == "([a-z]+)"', metric[key])
        assert condition and condition[1] in verdicts, metric[key]
        named[key] = condition[1]
    assert named == {"successCondition": "passed", "failureCondition": "breached"}, named
    assert "inconclusive" in verdicts


def run(script, code, **variables):
    """Runs a script with a `runner` that ends with this code. Returns the code of the script and all arguments."""
    calls = scratch / "calls"
    calls.unlink(missing_ok=True)
    program = scratch / "runner"
    program.write_text(f'#!/usr/bin/env bash\nprintf "%s\\n" "$(printf "%s|" "$@")" >>"{calls}"\nexit {code}\n')
    program.chmod(0o755)
    environment = {"PATH": f"{scratch}:{os.environ['PATH']}", **variables}
    ended = subprocess.run(["bash", "-eo", "pipefail", "-c", script], env=environment, capture_output=True, text=True)
    said = calls.read_text().splitlines() if calls.exists() else []
    return ended.returncode, [line.rstrip("|").split("|") for line in said]


def check_github():
    action = documents("github/action.yml")[0]
    gate, keep = action["runs"]["steps"]
    variables = {"PLAN": "p q.toml", "TARGET": "", "OUT": "reports", "ON_INCONCLUSIVE": "fail", "OPTIONS": ""}
    assert set(gate["env"]) == set(variables)
    variables |= {"GITHUB_SHA": "1a2b", "GITHUB_RUN_ID": "7"}
    labels = ["--label", "commit=1a2b", "--label", "run=7"]
    assert run(gate["run"], 1, **variables) == (1, [["p q.toml", "--out", "reports", *labels]])
    variables |= {"TARGET": "http://t:1/", "ON_INCONCLUSIVE": "warn", "OPTIONS": "--quiet --seed 7"}
    warn = ["--target", "http://t:1/", "--exit-zero-on", "inconclusive", "--quiet", "--seed", "7"]
    assert run(gate["run"], 0, **variables) == (0, [["p q.toml", "--out", "reports", *warn, *labels]])
    assert run(gate["run"], 0, **variables | {"ON_INCONCLUSIVE": "pass"}) == (2, [])
    assert keep["if"].startswith("always()") and keep["with"]["path"] == "${{ inputs.out }}/*-*/"
    assert set(re.findall(r"inputs\.([a-z-]+)", json.dumps(action))) == set(action["inputs"])


def check_gitlab():
    header, body = documents("gitlab/load-gate.yml")
    job = body["load-gate"]
    assert set(re.findall(r"inputs\.([a-z-]+)", json.dumps(body))) == set(header["spec"]["inputs"])
    (script,) = job["script"]
    script = script.replace("$[[ inputs.plan ]]", "p.toml").replace("$[[ inputs.target ]]", "http://t:1/")
    code, (call,) = run(script, 3, CI_COMMIT_SHA="1a2b")
    assert code == 3 and call[:5] == ["p.toml", "--target", "http://t:1/", "--out", "reports"], (code, call)
    assert call[-2:] == ["--write", f"load-performance={job['artifacts']['reports']['load_performance']}"], call
    assert job["artifacts"]["paths"] == ["reports/"]


def check_jenkins():
    text = (ROOT / "jenkins/Jenkinsfile").read_text()
    (script,) = re.findall(r"^ *sh '(.*)'$", text, re.MULTILINE)
    code, (call,) = run(script, 4, PLAN="p.toml", TARGET="http://t:1/", BUILD_NUMBER="9")
    assert code == 4 and call == ["p.toml", "--target", "http://t:1/", "--out", "reports", "--label", "build=9"], call
    assert "archiveArtifacts artifacts: 'reports/*-*/**'" in text and "retry(" not in text


def check_clusters():
    webhook = documents("flagger/canary.yaml")[0]["spec"]["analysis"]["webhooks"][0]
    assert run(webhook["metadata"]["cmd"], 3)[0] == 3
    container = documents("keptn/task-definition.yaml")[0]["spec"]["container"]
    assert container["command"] == ["sh", "-c"]
    (command,) = container["args"]
    folder = scratch / "volume"
    folder.mkdir()
    command = command.replace(container["volumeMounts"][0]["mountPath"], str(folder))
    code, (call,) = run(command, 3, TARGET="http://t:1/")
    assert code == 3 and call[1:3] == ["--target", "http://t:1/"], (code, call)
    # The restarted container sends nothing.
    assert run(command, 0, TARGET="http://t:1/") == (1, [])


help_text = subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True, check=True).stdout
check_options(set(re.findall(r"--[a-z][a-z-]*", help_text)))
check_keys()
verdicts = json.load(open("docs/reference/report.schema.json"))["$defs"]["RunVerdict"]
check_verdicts(json.dumps(verdicts))
check_github()
check_gitlab()
check_jenkins()
check_clusters()
print(f"{len(SCHEMAS)} YAML files and their scripts: ok")
