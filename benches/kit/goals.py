"""Goals of the benchmark, with every feature on: a minimum and an ambition per figure."""

from typing import NamedTuple


class Goal(NamedTuple):
    figure: str
    least: float
    ambition: float
    # Whether more is better.
    more: bool
    measured: float | None


def ratio(sections, load, peer):
    found = sections.get(load, {}).get("data", {}).get("figures", {}).get(peer)
    return found and found["ratio"][0]


def waiting(sections, key):
    rows = sections.get("waiting", {}).get("data", {}).get("rows", [])
    return next((row[key] for row in rows if row["tool"] == "runner"), None)


def lag(sections, key):
    """The worst value at rates up to 5000/s."""
    rows = sections.get("lag", {}).get("data", {}).get("rows", [])
    found = [row["own_us"][key] for row in rows if row["tool"] == "runner" and row["rate"] <= 5000]
    return max(found, default=None)


def truth(sections, key):
    rows = sections.get("truth", {}).get("data", {}).get("rows", [])
    row = next((row for row in rows if row["tool"] == "runner"), None)
    if row is None:
        return None
    if key == "delay":
        return abs(row["delay_off_ms"])
    return max(abs(off) for off in row["stall_off_percent"].values())


def instructions(sections):
    loads = sections.get("instructions", {}).get("data", {}).get("loads", {})
    return loads.get("get", {}).get("per_request")


def growth(sections):
    """The growth of memory between the two readings, in percent."""
    seen = sections.get("memory", {}).get("data", {}).get("seen")
    return seen and 100 * (seen[1]["rss_kib"] / seen[0]["rss_kib"] - 1)


def start(sections, key):
    found = sections.get("start", {}).get("data", {}).get(key)
    return found and found[0]


def goals(sections):
    more, less = True, False
    return [
        Goal("GET, requests/s against wrk", 0.65, 0.85, more, ratio(sections, "get", "wrk")),
        Goal("GET, against oha", 1.25, 1.6, more, ratio(sections, "get", "oha")),
        Goal("GET, against Goose", 4.5, 6, more, ratio(sections, "get", "goose")),
        Goal("GET, against k6", 7, 10, more, ratio(sections, "get", "k6")),
        Goal("GET, against Locust, FastHttpUser", 20, 27, more, ratio(sections, "get", "locust")),
        Goal("POST, against wrk with Lua", 1.0, 1.25, more, ratio(sections, "post", "wrk")),
        Goal("POST, against oha with lines", 1.0, 1.3, more, ratio(sections, "post", "oha")),
        Goal("user instructions per GET", 18_000, 16_000, less, instructions(sections)),
        Goal("KiB per waiting user", 4, 2, less, waiting(sections, "kib_per_user")),
        Goal("waiting users, % of a core", 2, 1.5, less, waiting(sections, "cpu_percent")),
        Goal("send lag p50 at 1000 to 5000/s, µs", 50, 20, less, lag(sections, "p50")),
        Goal("send lag p99 at 1000 to 5000/s, µs", 500, 400, less, lag(sections, "p99")),
        Goal("server of 5 ms: p50 off by, ms", 0.2, 0.1, less, truth(sections, "delay")),
        Goal("server that stalls: p90 or p99 off by, %", 3, 2, less, truth(sections, "stall")),
        # The limits allow for the rounding of the allocator.
        Goal("growth of memory in saturation, %", 2, 1, less, growth(sections)),
        Goal("`check` of the plan of a day, ms", 50, 20, less, start(sections, "check_ms")),
        Goal("start to first request, ms", 50, 20, less, start(sections, "first_request_ms")),
    ]


def reached(goal):
    if goal.measured is None:
        return "not measured"
    def holds(limit):
        return goal.measured >= limit if goal.more else goal.measured <= limit
    return "ambition" if holds(goal.ambition) else "yes" if holds(goal.least) else "no"
