"""Reads `metrics.txt` with promtool and with the parsers of prometheus_client, and compares it with the report.

Arguments: folders with `metrics.txt`, `load-performance.json` and `report.json`. The latter two are compared as the load
performance widget of GitLab does it.
"""

import json
import pathlib
import subprocess
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

SUFFIXES = ("_bucket", "_sum", "_count")


def families(text):
    """Name, type and samples of all families, which both parsers must find alike."""
    found = [
        {
            family.name: (family.type, [(it.name, tuple(sorted(it.labels.items())), it.value) for it in family.samples])
            for family in parser(text)
        }
        for parser in (openmetrics, prometheus)
    ]
    assert found[0] == found[1], "the two formats differ"
    return found[0]


def check_histogram(samples):
    """promtool does not check buckets: they ascend, none is missing, and the last one has all."""
    series = {}
    for name, labels, value in samples:
        rest = tuple(it for it in labels if it[0] != "le")
        kind = next(suffix for suffix in SUFFIXES if name.endswith(suffix))
        series.setdefault(rest, {}).setdefault(kind, []).append((dict(labels).get("le"), value))
    bounds = set()
    for labels, parts in series.items():
        spellings = [le for le, _ in parts["_bucket"]]
        counts = [count for _, count in parts["_bucket"]]
        assert sorted(spellings, key=float) == spellings and spellings[-1] == "+Inf", spellings
        assert sorted(counts) == counts and counts[-1] == parts["_count"][0][1] > 0, (labels, counts)
        assert 0 < parts["_sum"][0][1] <= parts["_count"][0][1] * 3600, labels
        bounds.add(tuple(spellings))
    assert len(bounds) <= 1, "all histograms have the same buckets"
    return {labels: parts["_count"][0][1] for labels, parts in series.items()}


def check_metrics(folder, report):
    text = (folder / "metrics.txt").read_bytes().decode()
    assert text.endswith("\n# EOF\n"), text[-20:]
    subprocess.run(["promtool", "check", "metrics"], input=text.encode(), check=True)
    found = families(text)
    assert {kind for kind, _ in found.values()} <= {"gauge", "histogram"}
    for name, (kind, samples) in found.items():
        assert len({(sample, labels) for sample, labels, _ in samples}) == len(samples), f"{name} has a series twice"
        if kind == "histogram":
            check_histogram(samples)
    gauges = {
        (name, *(text for label, text in sorted(labels) if label != "plan")): value
        for name, (kind, samples) in found.items() if kind == "gauge"
        for _, labels, value in samples
    }
    assert gauges[("runner_run_verdict", report["verdict"])] == 1
    assert gauges[("runner_run_exit_code",)] == report["exit_code"]
    for phase in report["phases"]:
        for operation in phase["operations"]:
            key = (operation["name"], phase["name"])
            assert gauges[("runner_requests", *key)] == operation["requests"], key
            assert gauges[("runner_failed_requests", *key)] == operation["errors"], key
            p95 = operation["response_ms"]["p95"]
            assert p95 is None or abs(gauges[("runner_response_time_statistic_seconds", *key, "p95")] - p95 / 1000) < 1e-9
    met = [labels for labels, value in gauges.items() if labels[0] == "runner_objective_verdict" and "met" in labels and value]
    assert len(met) == sum(it["verdict"] == "met" for it in report["objectives"]), met
    return len(found)


def widget(document):
    """The numbers that GitLab reads, as its page computes them."""
    metrics, found = document["metrics"], {}
    if "http_reqs" in metrics:
        found["RPS"] = metrics["http_reqs"]["rate"]
    if "http_req_waiting" in metrics:
        found["TTFB P90"] = metrics["http_req_waiting"]["p(90)"]
        found["TTFB P95"] = metrics["http_req_waiting"]["p(95)"]
    if "checks" in metrics:
        passes, fails = metrics["checks"]["passes"], metrics["checks"]["fails"]
        found["Checks"] = f"{passes / (passes + fails) * 100:.2f}%"
    return found


def check_load_performance(folder, report):
    document = json.loads((folder / "load-performance.json").read_text())
    shown = widget(document)
    metrics = document["metrics"]
    requests = sum(phase["requests"] for phase in report["phases"])
    assert metrics["http_reqs"]["count"] == requests
    assert "RPS" in shown and all(isinstance(value, (int, float, str)) for value in shown.values()), shown
    gated = [it["verdict"] for it in report["objectives"] if it["gated"] and it["verdict"] != "not assessed"]
    assert ("Checks" in shown) == bool(gated)
    assert not gated or metrics["checks"]["passes"] == gated.count("met")
    if requests:
        assert 0 <= metrics["http_req_failed"]["value"] <= 1
    return shown


for argument in sys.argv[1:]:
    path = pathlib.Path(argument)
    its_report = json.loads((path / "report.json").read_text())
    count = check_metrics(path, its_report)
    print(f"{path}: {count} families, GitLab reads {check_load_performance(path, its_report)}")
