"""Compares the CSV files of stored runs with the files that Locust itself writes, and with the reports of these runs.

Usage: read_csv.py RUNNER FOLDER...
"""

import collections
import csv
import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

KINDS = {"stats": "stats", "stats-history": "stats_history", "failures": "failures", "exceptions": "exceptions"}
LOCUSTFILE = """
from locust import HttpUser, constant, task

class Reader(HttpUser):
    wait_time = constant(0.05)

    @task
    def found(self):
        self.client.get("/found")

    @task
    def refused(self):
        self.client.get("/refused")

    @task
    def fault(self):
        raise RuntimeError("a fault of the locustfile")
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200 if self.path == "/found" else 503)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def files_of_locust(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "locustfile.py").write_text(LOCUSTFILE)
    command = [sys.executable, "-m", "locust", "-f", "locustfile.py", "--headless", "--only-summary", "-u", "2", "-r", "2"]
    command += ["-t", "3s", "--csv", "l", "--csv-full-history", "--json-file", "l"]
    command += ["--host", f"http://127.0.0.1:{server.server_port}"]
    ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    # The exit code of a run with failures.
    assert ended.returncode == 1, ended.stdout
    server.shutdown()
    counted = sum(entry["num_requests"] for entry in json.loads((folder / "l.json").read_text()))
    return counted, {name: (folder / f"l_{name}.csv").read_bytes() for name in KINDS.values()}


def files_of_runner(runner, run, folder):
    asked = [f"--write={kind}={folder / name}.csv" for kind, name in KINDS.items()]
    report = subprocess.run([runner, "report", run, "--format", "json", *asked], stdout=subprocess.PIPE)
    return json.loads(report.stdout), {name: (folder / f"{name}.csv").read_bytes() for name in KINDS.values()}


def rows(file):
    return list(csv.DictReader(file.decode().splitlines(keepends=True), strict=True))


def shape(cell):
    """The form of a cell: a reader of Locust's files depends on it."""
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", cell):
        return "time"
    if re.fullmatch(r"\d+(\.\d+)?", cell):
        return "number"
    return cell if cell in ("", "N/A") else "text"


def shapes(files):
    found = collections.defaultdict(set)
    for name, file in files.items():
        for row in rows(file):
            for column, cell in row.items():
                found[name, column].add(shape(cell))
    return found


def is_sorted(names):
    return names[-1] == "Aggregated" and names[:-1] == sorted(names[:-1])


def check_order(files):
    """Operations are sorted by name, the sum of all follows, and each line ends with CR and LF."""
    assert is_sorted([row["Name"] for row in rows(files["stats"])])
    groups = []
    for row in rows(files["stats_history"]):
        if not groups or groups[-1][-1] == "Aggregated":
            groups.append([])
        groups[-1].append(row["Name"])
    assert all(map(is_sorted, groups)), groups
    for file in files.values():
        assert file.endswith(b"\r\n"), file[-100:]
    for name in ("stats", "stats_history"):
        assert files[name].count(b"\n") == files[name].count(b"\r\n") == 1 + len(rows(files[name]))


def check_peer(counted, files):
    """The rules of Locust that the page about these files states."""
    first = rows(files["stats_history"])[0]
    assert first["Name"] == "Aggregated" and first["Total Request Count"] == "0", first
    cells = [first[column] for column in first if column.endswith("%")]
    assert len(cells) == 11 and set(cells) == {"N/A"}, first
    assert {float(first[column]) for column in first if column.startswith("Total ")} == {0.0}, first
    # It also writes 0 as a percentile of requests that have times, where it has no old enough copy of them.
    is_zero = [row for row in rows(files["stats_history"]) if row["100%"] == "0" and float(row["Total Min Response Time"])]
    last = rows(files["stats"])[-1]
    missing = counted - int(last["Request Count"])
    assert missing >= 0, (counted, last)
    print(f"locust: {counted} requests, {missing} of them not in its CSV files; ", end="")
    print(f"{len(is_zero)} rows of history with 0 as a percentile")


def check_report(report, files):
    """The numbers are those of the report."""
    want = {"Aggregated": collections.Counter()}
    for operation in (it for phase in report["phases"] for it in phase["operations"]):
        numbers = {"requests": operation["requests"], "errors": operation["errors"], "bytes": operation["received_bytes"]}
        for name in (operation["name"], "Aggregated"):
            want.setdefault(name, collections.Counter()).update(numbers)
    stats = {row["Name"]: row for row in rows(files["stats"])}
    assert stats.keys() == want.keys(), (stats, want)
    last = {row["Name"]: row for row in rows(files["stats_history"])}
    failures = collections.Counter()
    for row in rows(files["failures"]):
        assert row["Method"] == stats[row["Name"]]["Type"] and row["First Seen"] <= row["Last Seen"], row
        failures.update({name: int(row["Occurrences"]) for name in (row["Name"], "Aggregated")})
    for name, numbers in want.items():
        row = stats[name]
        counts = [row["Request Count"], row["Failure Count"]]
        assert counts == [str(numbers["requests"]), str(numbers["errors"])], (name, row, numbers)
        assert counts == [last[name]["Total Request Count"], last[name]["Total Failure Count"]], (name, row, last[name])
        assert failures[name] == numbers["errors"], (name, failures, numbers)
        assert abs(float(row["Average Content Size"]) * numbers["requests"] - numbers["bytes"]) < 1, (name, row)
    if len(report["phases"]) == 1:
        for operation in report["phases"][0]["operations"]:
            row, times = stats[operation["name"]], operation["response_ms"]
            columns = {"p50": "50%", "p90": "90%", "p95": "95%", "p99": "99%", "p999": "99.9%", "max": "100%"}
            columns |= {"mean": "Average Response Time"}
            for key, column in columns.items():
                found = None if row[column] == "N/A" else float(row[column])
                assert found == times[key], (row, column, times)
    errors = [error for phase in report["phases"] for error in phase["errors_by_kind"] if error["kind"] == "local"]
    assert sum(int(row["Count"]) for row in rows(files["exceptions"])) == sum(error["count"] for error in errors)


def main(runner, *runs):
    with tempfile.TemporaryDirectory() as folder:
        counted, locust = files_of_locust(pathlib.Path(folder))
        check_order(locust)
        check_peer(counted, locust)
        known, without_data = shapes(locust), 0
        for run in runs:
            report, ours = files_of_runner(runner, run, pathlib.Path(folder))
            for name, file in ours.items():
                head = [text.split(b"\n", 1)[0] for text in (file, locust[name])]
                assert head[0] == head[1], head
            check_order(ours)
            for place, found in shapes(ours).items():
                assert found <= known[place] | {"N/A"}, (run, place, found, known[place])
            without_data += ours["stats_history"].count(b",N/A,")
            check_report(report, ours)
            print(f"{run}: {ours['stats_history'].count(b',Aggregated,')} intervals, columns as in Locust's files")
        assert without_data > 0, "no run has an interval without a time"


main(*sys.argv[1:])
