"""Reads OpenSLO documents with a YAML reader that is not ours, by the rules of OpenSLO's own Go SDK (version 0.9.2).

The JSON Schema in OpenSLO's repository cannot be used: it requires a property without a name in every SLO. promtool parses
the queries.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def queries(slo):
    """Checks an SLO and returns its queries."""
    spec = slo["spec"]
    ratio = spec["indicator"]["spec"]["ratioMetric"]
    assert set(spec) == {"description", "service", "indicator", "timeWindow", "budgetingMethod", "objectives"}, spec
    assert len(spec["description"]) <= 1050 and len(slo["metadata"]["displayName"]) <= 63
    assert ratio["counter"] is False and "total" in ratio and ("good" in ratio) != ("bad" in ratio), ratio
    assert spec["budgetingMethod"] == "Occurrences"
    assert [re.fullmatch(r"\d+[mhdwMQY]", it["duration"]) and it["isRolling"] for it in spec["timeWindow"]] == [True]
    [objective] = spec["objectives"]
    assert isinstance(objective["target"], float) and 0 <= objective["target"] < 1, objective
    return [part["metricSource"]["spec"]["query"] for part in ratio.values() if isinstance(part, dict)]


def check(path):
    service, *slos = yaml.safe_load_all(path.read_text())
    names = [document["metadata"]["name"] for document in (service, *slos)]
    assert all(DNS_LABEL.fullmatch(name) for name in names) and len(set(names)) == len(names), names
    assert all(document["apiVersion"] == "openslo/v1" for document in (service, *slos))
    assert service["kind"] == "Service" and slos and all(slo["kind"] == "SLO" for slo in slos)
    assert all(slo["spec"]["service"] == names[0] for slo in slos)
    rules = [{"record": f"query:{number}", "expr": query}
             for number, query in enumerate(sorted({query for slo in slos for query in queries(slo)}))]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, file)
        file.flush()
        subprocess.run(["promtool", "check", "rules", file.name], check=True, stdout=subprocess.DEVNULL)
    print(f"{path}: {len(slos)} SLOs, {len(rules)} queries")


for argument in sys.argv[1:]:
    check(pathlib.Path(argument))
