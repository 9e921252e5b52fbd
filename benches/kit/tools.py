"""The command line of each load generator."""

import random

from . import places
from .processes import Generator, runs_folder

USERS = 64
WORDS = ["printer", "password", "backup", "login", "sound", "network", "screen", "mail"]
# Names in the tables, and the program that must be installed.
NAMES = {
    "runner": ("runner", None),
    "wrk": ("wrk", "wrk"),
    "oha": ("oha", "oha"),
    "hey": ("hey", "hey"),
    "goose": ("Goose", "goose"),
    "locust": ("Locust, FastHttpUser", "locust"),
    "locust-plain": ("Locust, HttpUser", "locust"),
}


def runner(binary, plan, url, seconds, *options):
    """Runs a plan of `benches/plans`. Its report is in `processes.runs_folder()`."""
    return Generator("runner", [
        binary, places.PLANS / f"{plan}.toml", "--target", url, "--quiet", "--out", runs_folder(),
        "--set", f"phases.load.duration={seconds}s", *options,
    ])


def wrk(load, url, seconds):
    script = ["-s", places.BENCHES / "post.lua"] if load == "post" else []
    return Generator("wrk", ["wrk", "-t1", f"-c{USERS}", f"-d{seconds}s", *script, url + "/health"])


def oha(load, url, seconds, *options):
    body = ["-m", "POST", "-T", "application/json", "-Z", bodies()] if load == "post" else []
    path = "/search" if load == "post" else "/health"
    return Generator("oha", [
        places.OHA, "-z", f"{seconds}s", "-c", str(USERS), "--no-tui", *body, *options, url + path,
    ])


def hey(_load, url, seconds):
    return Generator("hey", ["hey", "-z", f"{seconds}s", "-c", str(USERS), "-cpus", "1", url + "/health"])


def goose(load, url, seconds, users=USERS, per_second=USERS):
    command = [
        places.GOOSE, "--host", url, "--users", str(users), "--increase-rate", str(per_second),
        "--run-time", f"{seconds}s", "--no-telnet", "--no-reset-metrics",
    ]
    return Generator("goose", command, {"BENCH_LOAD": load})


def locust(user, url, seconds, users=USERS, per_second=USERS):
    return Generator("locust", [
        places.LOCUST, "-f", places.BENCHES / "locust" / "locustfile.py", "--headless", "--only-summary",
        "--host", url, "-u", str(users), "-r", str(per_second), "-t", f"{seconds}s", user,
    ])


def saturating(name, load, url, seconds, binary):
    """64 users without a wait. `load` is `get` or `post`."""
    match name:
        case "runner":
            return runner(binary, load, url, seconds)
        case "locust":
            return locust("Fast" + load.capitalize(), url, seconds)
        case "locust-plain":
            return locust("Plain" + load.capitalize(), url, seconds)
        case _:
            return {"wrk": wrk, "oha": oha, "hey": hey, "goose": goose}[name](load, url, seconds)


def bodies():
    """Returns a file of bodies with three random values, one per line."""
    path = places.CACHE / "bodies.txt"
    if not path.exists():
        drawn = random.Random(1)
        path.write_text("".join(
            f'{{"query":"{drawn.choice(WORDS)}","top_k":{drawn.randint(5, 15)},'
            f'"number":{drawn.randint(0, 999_999)}}}\n' for _ in range(10_000)
        ))
    return path


def available(names, missing):
    """Returns the tools that can be measured, and the reasons for the others."""
    needed = {name: NAMES[name][1] for name in names}
    left_out = {NAMES[name][0]: missing[need] for name, need in needed.items() if need in missing}
    return [name for name in names if needed[name] not in missing], left_out
