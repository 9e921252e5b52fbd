"""The cost of many connected users who wait 30 to 40 seconds between two requests."""

import time

from . import tools
from .processes import Server

USERS = 10_000
MOST_USERS = 18_000
PER_SECOND = 1000
# Time after the last user's first request, for the end of the ramp's work.
SETTLED_S = 2


def generator(name, url, users, seconds, binary):
    match name:
        case "runner":
            return tools.runner(binary, "waiting", url, seconds, "--set", f"phases.load.users={users}")
        case "goose":
            return tools.goose("waiting", url, seconds, users, PER_SECOND)
        case "locust":
            return tools.locust("FastWaiting", url, seconds, users, PER_SECOND)


def once(name, users, watched, binary):
    with Server() as server, generator(name, server.url, users, 600, binary) as running:
        server.await_count(users)
        time.sleep(SETTLED_S)
        memory = running.memory_kib()
        # In the first 30 s after the ramp all users wait. Once half of them have sent their second request, each
        # following mean wait has as many requests as there are users.
        server.await_count(users + users // 2)
        cpu, count, began = running.cpu_s(), server.count(), time.monotonic()
        time.sleep(watched)
        cpu, count, took = running.cpu_s() - cpu, server.count() - count, time.monotonic() - began
        later = running.memory_kib()
        return {
            "users": users,
            "memory_kib": memory,
            "kib_per_user": memory / users,
            "kib_per_user_later": later / users,
            "cpu_percent": 100 * cpu / took,
            "per_s": count / took,
        }


def measure(options, missing):
    names, left_out = tools.available(["runner", "goose", "locust"], missing)
    rows = []
    for name, users in [*((name, USERS) for name in names), ("runner", MOST_USERS)]:
        print(f"waiting: {tools.NAMES[name][0]}, {users} users", flush=True)
        try:
            rows.append({"tool": name, **once(name, users, options.watched, options.runner)})
        except RuntimeError as error:
            left_out[f"{tools.NAMES[name][0]}, {users} users"] = str(error)
    return {"rows": rows, "left_out": left_out, "watched": options.watched}
