"""Installs and builds the tools to measure. The results leave out a tool that is not available, and name the reason."""

import os
import re
import shutil
import subprocess

from . import places

OHA_VERSION = "1.16.0"
# Peers that cannot be compared, with the reason.
NOT_TO_BE_HAD = {
    "k6": "not in the registries that the benchmark installs from",
    "vegeta, wrk2": "not in Debian 12",
}


def told(command, **options):
    """Runs a command and returns its output. Raises with the last line of the output if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or [f"exit {done.returncode}"]
        raise RuntimeError(f"`{command[0]} {command[1]}` failed: {last[0]}")
    return done.stdout


def build(manifest, target=None, profile="release"):
    environment = dict(os.environ)
    if target is not None:
        environment["CARGO_TARGET_DIR"] = str(target)
    told(["nice", "cargo", "build", "--profile", profile, "--locked", "--manifest-path", str(manifest)], env=environment)


def from_debian(package):
    if shutil.which(package):
        return
    if not shutil.which("apt-get"):
        raise RuntimeError("it is a Debian package, and there is no apt-get")
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    told([*as_root, "apt-get", "update", "-q"])
    told([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y",
          "--no-install-recommends", package])


def oha():
    if not places.OHA.exists() or OHA_VERSION not in told([str(places.OHA), "--version"]):
        environment = dict(os.environ, CARGO_TARGET_DIR=str(places.TARGETS / "oha"))
        told(["nice", "cargo", "install", "--locked", "--root", str(places.CACHE / "oha"),
              "--version", OHA_VERSION, "oha"], env=environment)


def goose():
    build(places.BENCHES / "goose" / "Cargo.toml", places.TARGETS / "goose")


def locust():
    if not places.LOCUST.exists():
        told(["python3", "-m", "venv", str(places.CACHE / "venv")])
    told([str(places.CACHE / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
          "--requirement", str(places.BENCHES / "requirements.txt")])


PEERS = {
    "wrk": lambda: from_debian("wrk"),
    "hey": lambda: from_debian("hey"),
    "oha": oha,
    "goose": goose,
    "locust": locust,
    "valgrind": lambda: from_debian("valgrind"),
}


def install(wanted, runner):
    """Builds the responder, and the runner unless a binary is given; then installs the peers. Returns the missing peers
    with the reason."""
    places.CACHE.mkdir(exist_ok=True)
    build(places.BENCHES / "responder" / "Cargo.toml", places.TARGETS / "responder")
    if runner is None:
        build(places.ROOT / "Cargo.toml", profile="dist")
    missing = {}
    for peer in wanted:
        try:
            PEERS[peer]()
        except (RuntimeError, OSError) as error:
            missing[peer] = str(error)
    return missing


def checkout():
    """The commit from which the runner was built, and whether its sources have changes."""
    def git(*words):
        return subprocess.run(["git", "-C", str(places.ROOT), *words], capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock")
    return git("rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def versions(runner, given):
    """The versions of the installed tools."""
    def first(command, pattern):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return None
        found = re.search(pattern, done.stdout + done.stderr)
        return found.group(1) if found else None

    lock = (places.BENCHES / "goose" / "Cargo.lock").read_text()
    built_from = "a binary that was given" if given else checkout()
    found = {
        "runner": f"{first([str(runner), '--version'], r'([0-9.]+)')} ({built_from})",
        "wrk": first(["wrk", "-v"], r"(\d+\.\d+\.\d+)"),
        "oha": first([str(places.OHA), "--version"], r"([0-9.]+)"),
        "hey": first(["dpkg-query", "-W", "-f", "${Version}", "hey"], r"([0-9.]+)"),
        "goose": re.search(r'name = "goose"\nversion = "([^"]+)"', lock).group(1),
        "locust": first([str(places.LOCUST), "--version"], r"locust ([0-9.]+)"),
        "valgrind": first(["valgrind", "--version"], r"([0-9.]+)"),
    }
    return {name: version for name, version in found.items() if version}
