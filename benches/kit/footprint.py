"""Footprint of the runner: memory over time, start-up time and build time."""

import os
import shutil
import socket
import subprocess
import time
from statistics import median

from . import places, tools
from .exactness import report
from .processes import Generator, Server, cores, runs_folder

STARTS = 15


def measure_memory(options, _missing):
    first, last = options.memory
    print(f"memory: {last} s", flush=True)
    with Server() as server:
        with tools.runner(options.runner, "get", server.url, last + 2) as running:
            server.await_count(1)
            began, seen = time.monotonic(), []
            for moment in (first, last):
                time.sleep(max(began + moment - time.monotonic(), 0))
                seen.append({"at_s": moment, "rss_kib": running.memory_kib(), "requests": server.count()})
            running.wait()
        served = server.count()
    reported = report()["phases"][0]["requests"]
    return {"seen": seen, "reported": reported, "served": served}


def check_ms(binary):
    """The time of `runner check plans/daily.toml`, in ms."""
    began = time.monotonic()
    subprocess.run(
        ["taskset", "-c", str(cores()[1]), str(binary), "check", "plans/daily.toml"],
        cwd=places.ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return 1000 * (time.monotonic() - began)


def first_request_ms(binary):
    """The time from the start of the process to the first byte of its first request, in ms."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [
            binary, places.PLANS / "get.toml", "--target", url, "--quiet", "--out", runs_folder(),
            "--set", "phases.load.users=1",
        ]
        began = time.monotonic()
        with Generator("start", command):
            while True:
                # A connection without a request is the readiness check.
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    if connection.recv(1):
                        return 1000 * (time.monotonic() - began)


def measure_start(options, _missing):
    print(f"start: {STARTS} times", flush=True)
    checks = [check_ms(options.runner) for _ in range(STARTS)]
    firsts = [first_request_ms(options.runner) for _ in range(STARTS)]
    return {
        "starts": STARTS,
        "check_ms": [median(checks), min(checks), max(checks)],
        "first_request_ms": [median(firsts), min(firsts), max(firsts)],
    }


def measure_build(_options, _missing):
    """Clean builds with all cores: the default release profile, and the profile of published binaries."""
    target = places.TARGETS / "clean"
    built = {}
    for profile in ("release", "dist"):
        print(f"build: {profile}, from nothing", flush=True)
        shutil.rmtree(target, ignore_errors=True)
        began = time.monotonic()
        subprocess.run(
            ["cargo", "build", "--profile", profile, "--locked"], cwd=places.ROOT, check=True,
            env=dict(os.environ, CARGO_TARGET_DIR=str(target)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        taken = time.monotonic() - began
        built[profile] = {"build_s": taken, "binary_bytes": (target / profile / "runner").stat().st_size}
    shutil.rmtree(target)
    return built
