#!/usr/bin/env python3
"""How often verdicts are wrong next to busy processes.

A scripted server answers a known share of requests late, and logs how long each took. Runs against it are judged next to
0, 2, 4 and 8 processes that use all the processor time they get. The server's log is the truth: a pass is false if more
requests were slow than the objective allows, a breach is false if fewer were.

    benches/neighbours.py RUNNER [--peer OTHER_RUNNER] [--results FILE] [--runs 20] [--peer-runs 5]

Results are appended to FILE, one JSON line per run, so an interrupted series continues where it stopped. `--table` only
prints the table.
"""

import argparse
import asyncio
import collections
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_MS = 200
ALLOWED = 0.05
RATE = 400
SECONDS = 8
NEIGHBOURS = (0, 2, 4, 8)
SHARES = (0, 0.5, 1, 2)
OPEN = f"""
name = "open"
thresholds = ["objectives.toml"]
[target]
url = "URL"
[[phases]]
name = "load"
duration = "{SECONDS}s"
users = 300
arrivals = "{RATE}/s"
mix = {{ any = 1 }}
[[users.any.tasks]]
operation = "get"
request = "GET /"
"""
FAST = f"""
[[response_time]]
name = "Fast"
operations = ["get"]
maximum = "{LIMIT_MS}ms"
"""
CLOSED = f"""
name = "closed"
thresholds = ["objectives.toml"]
[target]
url = "URL"
[[phases]]
name = "load"
duration = "{SECONDS}s"
users = 10
mix = {{ any = 1 }}
[users.any]
wait = "5ms"
[[users.any.tasks]]
operation = "get"
request = "GET /"
"""
FAILED = """
[[error_rate]]
name = "Failed"
operations = ["*"]
maximum = "1%"
"""


class ScriptedServer:
    """Answers a share of the requests after three times the limit and the others after a tenth of it; or all of them
    with status 500 at once. `times` has the milliseconds from each request's last byte to its answer."""

    def __init__(self, share, status, seed):
        self.share, self.status, self.random, self.times = share, status, random.Random(seed), []
        ready = threading.Event()

        async def main():
            self.loop = asyncio.get_running_loop()
            server = await self.loop.create_server(lambda: Answering(self), "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await server.serve_forever()

        threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
        ready.wait()


class Answering(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.received = server, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        while b"\r\n\r\n" in self.received:
            self.received = self.received.split(b"\r\n\r\n", 1)[1]
            self.answer(time.monotonic())

    def answer(self, began):
        server = self.server
        if server.status != 200:
            return self.send(began)
        slow = server.random.random() < server.share
        delay = LIMIT_MS * (3 if slow else 0.1) / 1000
        server.loop.call_later(delay, self.send, began)

    def send(self, began):
        if not self.transport.is_closing():
            self.transport.write(f"HTTP/1.1 {self.server.status} X\r\nContent-Length: 2\r\n\r\nok".encode())
            self.server.times.append(1000 * (time.monotonic() - began))


def serve(share, status, seed, pipe):
    try:
        os.nice(-15)  # The truth is the server's log, which is exact only if the server is not late itself.
    except OSError:
        pass
    server = ScriptedServer(share, status, seed)
    pipe.send(server.port)
    pipe.recv()
    slow = sum(took > LIMIT_MS for took in server.times)
    pipe.send((len(server.times), slow))


def spin():
    while True:
        pass


def run(binary, kind, neighbours, share, seed):
    ours, theirs = multiprocessing.Pipe()
    status = 200 if kind == "open" else 500
    server = multiprocessing.Process(target=serve, args=(share * ALLOWED, status, seed, theirs), daemon=True)
    server.start()
    port = ours.recv()
    busy = [multiprocessing.Process(target=spin, daemon=True) for _ in range(neighbours)]
    for process in busy:
        process.start()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        plan, objectives = (OPEN, FAST) if kind == "open" else (CLOSED, FAILED)
        (folder / "plan.toml").write_text(plan.replace("URL", f"http://127.0.0.1:{port}"))
        (folder / "objectives.toml").write_text(objectives)
        command = [binary, "plan.toml", "--out", "out", "--seed", str(seed), "--quiet"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        tail = done.stdout.strip().splitlines()[-4:]
    for process in busy:
        process.kill()
    ours.send("end")
    requests, slow = ours.recv()
    server.kill()
    return {"exit": done.returncode, "requests": requests, "slow": slow, "end": tail}


def cells(options):
    """Every run that is due, in an order that interleaves the cells and both programs."""
    for number in range(max(options.runs, options.peer_runs)):
        for neighbours in NEIGHBOURS:
            for kind, share in [*(("open", share) for share in SHARES), ("closed", 0)]:
                for program in ("runner", "peer"):
                    due = options.runs if program == "runner" else options.peer_runs
                    if number < due and (program == "runner" or options.peer):
                        yield program, kind, neighbours, share, number


def load(file):
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def table(found):
    grouped = collections.defaultdict(list)
    for result in found:
        grouped[result["program"], result["kind"], result["share"], result["neighbours"]].append(result)
    print("| program | plan | slow, of the allowed share | busy processes | runs | 0 | 1 | 3 | 4 | false pass | false breach |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (program, kind, share, neighbours), results in sorted(grouped.items(), reverse=True):
        exits = collections.Counter(result["exit"] for result in results)
        over = lambda result: kind == "closed" or result["slow"] > ALLOWED * result["requests"]
        false_pass = sum(result["exit"] == 0 and over(result) for result in results)
        false_breach = sum(result["exit"] == 1 and not over(result) for result in results)
        shown = f"{share}" if kind == "open" else "all fail"
        counts = " | ".join(str(exits[code]) for code in (0, 1, 3, 4))
        print(f"| {program} | {kind} | {shown} | {neighbours} | {len(results)} | {counts} | {false_pass} | {false_breach} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runner", type=pathlib.Path)
    parser.add_argument("--peer", type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("neighbours.jsonl"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--peer-runs", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    key = lambda result: tuple(result[name] for name in ("program", "kind", "neighbours", "share", "number"))
    done = {key(result) for result in load(options.results)}
    for cell in () if options.table else cells(options):
        if cell in done:
            continue
        program, kind, neighbours, share, number = cell
        binary = (options.runner if program == "runner" else options.peer).resolve()
        result = run(binary, kind, neighbours, share, number)
        names = ("program", "kind", "neighbours", "share", "number")
        with options.results.open("a") as file:
            file.write(json.dumps({**dict(zip(names, cell)), **result}) + "\n")
    table(load(options.results))


if __name__ == "__main__":
    sys.exit(main())
