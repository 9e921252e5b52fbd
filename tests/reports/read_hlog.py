"""Reads interval logs with readers that are not ours: those of Python, JavaScript and Java.

Arguments: the folder of the npm package `hdr-histogram-js`, the jar of Java's HdrHistogram, and folders with the files
of a run: `latency.hlog`, `timeseries.csv` and `report.json`. Each reader must find the same lines and counts, and the
percentiles of the report.
"""

import csv
import datetime
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

PARTS = (50, 95, 99)
HIGHEST_NS = 7_200_000_000_000
# Buckets are 0.1 % wide, and Java prints milliseconds with three decimals.
TOLERANCE = 0.001
MILLIS_OF_JAVA = 0.0005


def python_lines(path):
    """Tag, start in milliseconds, and histogram of each line."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, HIGHEST_NS, 3))
    while histogram := reader.get_next_interval_histogram():
        yield histogram.get_tag(), round(histogram.get_start_time_stamp()), histogram


def merged(histograms):
    total = HdrHistogram(1, HIGHEST_NS, 3)
    for histogram in histograms:
        total.add(histogram)
    return total


def at_ranks(histogram, part):
    """The values at the rank of a percentile, rounded up as in the report, and to the nearest as in Python."""
    exact = part / 100 * histogram.get_total_count()
    ranks = max(1, math.ceil(exact - 1e-9)), max(1, int(exact + 0.5))
    return [next(item.value_iterated_to for item in histogram.get_recorded_iterator()
                 if item.total_count_to_this_value >= rank) for rank in ranks]


def close(found, wanted, slack=0.0):
    return abs(found - wanted) <= wanted * TOLERANCE + slack


def java(jar, *arguments):
    command = ["java", "-cp", jar, "org.HdrHistogram.HistogramLogProcessor", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def java_percentiles(jar, path, tag):
    """Count and percentiles of a tag, in milliseconds as the processor prints them: it takes values for nanoseconds."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        java(jar, "-i", path, "-tag", tag, "-csv", "-o", out)
        # The last interval, with the totals up to it: count, 50 %, 90 %, 99 %, 99.9 %, 99.99 % and the maximum.
        totals = list(csv.reader(out.open()))[-1][5:]
        rows = csv.reader(pathlib.Path(f"{out}.hgrm").open())
        # A distribution of few values ends before 95 %, with its maximum.
        p95 = next(float(row[0]) for row in rows if len(row) > 1 and row[1][:1].isdigit() and float(row[1]) >= 0.95)
    return [int(totals[0]), float(totals[1]), p95, float(totals[3])]


def compare_with_rows(lines, folder):
    """Compares the lines with the rows of operations, which have the same starts and counts."""
    rows = [row for row in csv.DictReader((folder / "timeseries.csv").open()) if row["scope"] == "operation"]
    expected = []
    for row in rows:
        if row["response_times"] != "0":
            operation = row["operation"].removeprefix("'")
            start = datetime.datetime.fromisoformat(row["started_at"]).timestamp()
            expected.append((operation, round(start * 1000), int(row["response_times"])))
    found = [(urllib.parse.unquote(tag), start, it.get_total_count()) for tag, start, it in lines]
    assert len(found) == len(expected), (len(found), len(expected))
    for one, other in zip(sorted(found), sorted(expected)):
        # Both are rounded to milliseconds: the row its time, and the line the difference of two times.
        assert one[0] == other[0] and abs(one[1] - other[1]) <= 2 and one[2] == other[2], (one, other)
    return rows


def compare_with_report(lines, rows, folder):
    """Compares the lines of judged periods with the percentiles of the report. Returns the number of operations."""
    compared = 0
    for phase in json.loads((folder / "report.json").read_text())["phases"]:
        # The slices of a judged period are known if it takes whole seconds up to the end of the phase.
        first = phase["ran_s"] - phase["judged_s"]
        if first != int(first) or phase["ran_s"] != int(phase["ran_s"]):
            continue
        start = datetime.datetime.fromisoformat(phase["started_at"]).timestamp()
        for operation in phase["operations"]:
            name = operation["name"]
            of = [row for row in rows if row["phase"].removeprefix("'") == phase["name"]
                  and row["operation"].removeprefix("'") == name and int(row["elapsed_s"]) >= first]
            assert sum(int(row["requests"]) for row in of) == operation["judged"], (phase["name"], operation)
            judged = merged(it for tag, at, it in lines if urllib.parse.unquote(tag) == name
                            and first <= at / 1000 - start + 0.01 < phase["ran_s"])
            assert judged.get_total_count() == sum(int(row["response_times"]) for row in of)
            if judged.get_total_count():
                for part in PARTS:
                    wanted = operation["response_ms"][f"p{part}"]
                    assert close(at_ranks(judged, part)[0] / 1e6, wanted), (phase["name"], name, part, wanted)
                compared += 1
    return compared


def check(folder, of_node, jar):
    path = folder / "latency.hlog"
    lines = list(python_lines(path))
    rows = compare_with_rows(lines, folder)
    compared = compare_with_report(lines, rows, folder)
    found = [[tag, start, it.get_total_count()] for tag, start, it in lines]
    assert of_node["lines"] == found, (of_node["lines"][:3], found[:3])
    tags = {tag: merged(it for of, _, it in lines if of == tag) for tag, _, _ in lines}
    assert set(java(jar, "-i", path, "-listtags").split("\n")[1:]) - {""} == set(tags) == set(of_node["tags"])
    many = 0
    for tag, total in tags.items():
        of_java, of_js = java_percentiles(jar, path, tag), of_node["tags"][tag]
        assert of_java[0] == of_js[0] == total.get_total_count(), (tag, of_java, of_js)
        for index, part in enumerate(PARTS, 1):
            wanted, nearest = at_ranks(total, part)
            own, java_ns = total.get_value_at_percentile(part), of_java[index] * 1e6
            assert close(own, nearest), (tag, part, own, nearest)
            assert close(of_js[index], wanted), (tag, part, of_js[index], wanted)
            assert close(java_ns, wanted, MILLIS_OF_JAVA * 1e6), (tag, part, java_ns, wanted)
        many += total.get_total_count() >= 1000
    count = sum(it.get_total_count() for it in tags.values())
    print(f"{path}: {len(lines)} lines, {count} response times, {len(tags)} tags of which {many} with 1000 or more, "
          f"{compared} operations as in the report")
    return many, compared


node_folder, jar, *folders = sys.argv[1:]
folders = [pathlib.Path(folder) for folder in folders]
node = ["node", str(pathlib.Path(__file__).with_name("read_hlog.mjs")), node_folder]
logs = [str(folder / "latency.hlog") for folder in folders]
printed = subprocess.run([*node, *logs], check=True, capture_output=True, text=True).stdout
results = [check(folder, json.loads(line), jar) for folder, line in zip(folders, printed.splitlines(), strict=True)]
assert any(many for many, _ in results), "no log has a tag with 1000 response times"
assert any(compared for _, compared in results), "no log could be compared with its report"
