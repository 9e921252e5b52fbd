"""Reads JUnit files with a reader that is not ours, and compares them with the report next to each."""

import json
import pathlib
import sys

from junitparser import Error, Failure, JUnitXml, Skipped

WORDS = {Failure: "failure", Error: "error", Skipped: "skipped"}


def results(objective, exit_code):
    """The results that an objective may have in the file."""
    verdict, gated = objective["verdict"], objective["gated"]
    if verdict == "met":
        return None
    if verdict in ("not assessed", "not judged") or not gated:
        return "skipped"
    if verdict == "missed":
        return "failure"
    return "skipped" if exit_code == 0 else "error"


def check(path):
    report = json.loads(path.with_name("report.json").read_text())
    suites = list(JUnitXml.fromfile(str(path)))
    assert suites[0].name == report["plan"]["name"], suites[0].name
    run = [WORDS[type(result)] for case in suites[0] for result in case.result]
    assert bool(run) == (report["exit_code"] != 0), run
    phases = report["phases"] + report["not_run"]
    assert [suite.name for suite in suites[1:]] == [phase["name"] for phase in phases]
    for suite, phase in zip(suites[1:], phases):
        cases = list(suite)
        assert abs(sum(case.time for case in cases) - phase.get("ran_s", 0)) < 0.002, (suite.name, phase)
        objectives = [it for it in report["objectives"] if it["phase"] == phase["name"]]
        found = [next((WORDS[type(result)] for result in case.result), None) for case in cases]
        assert found == ([results(it, report["exit_code"]) for it in objectives] or ["skipped"]), (suite.name, found)
        counts = [suite.tests, suite.failures, suite.errors, suite.skipped]
        assert counts == [len(cases)] + [found.count(word) for word in ("failure", "error", "skipped")], counts
    print(f"{path}: {sum(suite.tests for suite in suites)} cases")


for argument in sys.argv[1:]:
    check(pathlib.Path(argument))
