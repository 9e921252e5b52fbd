"""Runs the server on one core and a load generator on another, and measures their resource usage."""

import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from . import places

TICKS = os.sysconf("SC_CLK_TCK")
# The longest time to wait for requests of a generator.
PATIENCE_S = 60


def cores():
    """Returns a core for the server and another for the generator."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("two cores are needed: one for the server, one for the load generator")
    return allowed[0], allowed[1]


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Server:
    """The responder; runs until the end of the `with` block."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        command = ["taskset", "-c", str(cores()[0]), str(places.RESPONDER), "--port", "0", *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = "http://" + self.process.stdout.readline().split()[-1]
        return self

    def __exit__(self, *_):
        stop(self.process)

    def ask(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def count(self):
        return int(self.ask("/count"))

    def await_count(self, least):
        """Waits until this number of requests has been served."""
        deadline = time.monotonic() + PATIENCE_S
        while (count := self.count()) < least:
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {count} of {least} requests after {PATIENCE_S} s")
            time.sleep(0.05)


class Generator:
    """A load generator on its core; runs until the end of the `with` block. Its output goes to a log."""

    def __init__(self, name, command, environment=None):
        self.name, self.command = name, command
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        places.LOGS.mkdir(parents=True, exist_ok=True)
        self.output = places.LOGS / f"{self.name}.txt"
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(cores()[1]), *map(str, self.command)],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=self.environment, cwd=places.CACHE,
            )
        return self

    def __exit__(self, *_):
        for pid in self.tree()[1:]:
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                pass
        stop(self.process)

    def wait(self):
        """Waits for its end and returns its exit code. A failure is no error here, because a gate may fail."""
        return self.process.wait(timeout=600)

    def tree(self):
        """Its process tree, the process itself first."""
        children = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            children.setdefault(parent, []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_s(self):
        """Processor time of its process tree in seconds, user and system."""
        total = 0
        for pid in self.tree():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_kib(self, key="VmRSS"):
        """The resident memory of its process tree in KiB; with `VmHWM` the peak."""
        total = 0
        for pid in self.tree():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith(key)), 0)
        return total


def runs_folder():
    """Returns the folder for the reports of the runner, after removing its content."""
    folder = places.CACHE / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
