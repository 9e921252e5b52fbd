"""The results as pages: benches/results.md, and the short table in the README."""

import platform
from pathlib import Path

from . import places
from .goals import goals, ratio, reached
from .install import NOT_TO_BE_HAD
from .tools import NAMES

# The goals whose figures are in the README.
FACTS = ("user instructions", "KiB per", "send lag", "server of 5 ms")
README_BEGIN, README_END = "<!-- speed -->", "<!-- /speed -->"


def number(value):
    """Formats with three significant digits, or as an integer from 100 on."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine():
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    count = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return f"{count} cores, {model}, Linux {platform.release()}"


def spread(values):
    middle, least, most = map(number, values)
    return f"{middle} ({least} to {most})"


def saturation(data):
    rows = [
        [NAMES[name][0], number(one["per_s"]), number(one["cpu_us"]), number(one["peak_mib"]),
         "1" if name == "runner" else spread(one["ratio"])]
        for name, one in data["figures"].items()
    ]
    head = ["", "requests/s", "µs CPU per request", "peak memory, MiB", "runner against it"]
    return f"Medians of {len(data['rounds'])} rounds of {data['seconds']} s.\n\n" + table(head, rows)


def waiting(data):
    rows = [
        [NAMES[row["tool"]][0], str(row["users"]), number(row["memory_kib"] / 1024), number(row["kib_per_user"]),
         number(row["kib_per_user_later"]), number(row["cpu_percent"]), number(row["per_s"])]
        for row in data["rows"]
    ]
    head = ["", "users", "memory, MiB", "KiB per user", "at the end", "% of a core", "requests/s"]
    return (
        "Memory after each user's first request, and at the end; processor time and requests of "
        f"{data['watched']} s, from when half of the users have made their second.\n\n" + table(head, rows)
    )


def lag(data):
    def both(times, suffix=""):
        return "–" if times is None else f"{number(times['p50' + suffix])} · {number(times['p99' + suffix])}"

    rows = [
        [f"{NAMES[row['tool']][0]}, {row['rate']}/s", number(row["sent_per_s"]), both(row["own_us"]),
         both(row["server_us"], "_us"), number(row["cpu_percent"])]
        for row in data["rows"]
    ]
    head = ["", "sent per s", "its own clock, µs: p50 · p99", "the server's clock, µs: p50 · p99", "% of a core"]
    return (
        "By its own clock a request is late against its intended start; by the server's against the request that was "
        "earliest on the grid.\n\n" + table(head, rows)
    )


def truth(data):
    rows = [
        [NAMES[row["tool"]][0], number(row["delay_ms"]["p50"]), number(row["delay_off_ms"]),
         *(f"{number(row['stall_ms'][key])} ({row['stall_off_percent'][key]:+.1f} %)" for key in ("p90", "p99"))]
        for row in data["rows"]
    ]
    head = ["", "5 ms: p50, ms", "off by, ms", "stalls: p90, ms (truth 500)", "stalls: p99, ms (truth 950)"]
    return (
        "1000 requests/s to a server that takes exactly 5 ms, and to one that answers nothing in one second of every "
        "five. oha runs with its correction of latencies.\n\n" + table(head, rows)
    )


def memory(data):
    rows = [[f"{one['at_s']} s", number(one["requests"]), number(one["rss_kib"] / 1024)] for one in data["seen"]]
    equal = "the same" if data["reported"] == data["served"] else "NOT the same"
    return (
        table(["after", "requests", "memory, MiB"], rows)
        + f"\nAt the end the server had served {number(data['served'])} requests, and the report has {equal}"
        + ("" if equal == "the same" else f": {number(data['reported'])}") + ".\n"
    )


def start(data):
    rows = [
        ["`runner check plans/daily.toml`", spread(data["check_ms"])],
        ["start of the process to the first request", spread(data["first_request_ms"])],
    ]
    return table([f"median of {data['starts']} (least to most)", "ms"], rows)


def build(data):
    rows = [
        [name, number(data[name]["build_s"]), number(data[name]["binary_bytes"] / 1e6)] for name in ("release", "dist")
    ]
    return table(["profile, built from nothing with all cores", "s", "MB of binary"], rows)


def instructions(data):
    rows = [
        [load.upper(), number(one["per_request"]), " · ".join(map(number, one["requests"]))]
        for load, one in sorted(data["loads"].items())
    ]
    return table(["", "user instructions per request", "requests of the two runs"], rows)


SECTIONS = {
    "get": ("GET", saturation),
    "post": ("POST with a random body", saturation),
    "waiting": ("Users who wait", waiting),
    "lag": ("Send lag", lag),
    "truth": ("Truth", truth),
    "memory": ("Memory in a longer run", memory),
    "start": ("Start", start),
    "instructions": ("Instructions", instructions),
    "build": ("Build", build),
}


def goal_table(sections):
    rows = [
        [goal.figure, number(goal.least), number(goal.ambition), number(goal.measured), reached(goal)]
        for goal in goals(sections)
    ]
    return table(["figure", "at least", "ambition", "measured", "reached"], rows)


def compact(sections):
    """The short version for the README."""
    def against(peer):
        found = [ratio(sections, load, peer) for load in ("get", "post")]
        return [NAMES[peer][0], *map(number, found)] if any(found) else None

    rows = [row for peer in NAMES if peer != "runner" and (row := against(peer))]
    facts = [
        f"- {goal.figure}: {number(goal.measured)}"
        for goal in goals(sections)
        if goal.measured is not None and goal.figure.startswith(FACTS)
    ]
    parts = []
    if rows:
        head = ["requests per second, as a multiple of those of", "GET", "POST with three drawn values"]
        parts.append(table(head, rows))
    if facts:
        parts.append("\n".join(facts) + "\n")
    if sections:
        date = max(section["date"] for section in sections.values())
        parts.append(f"Measured {date} by `just bench`; all results: [benches/results.md](benches/results.md).\n")
    return "\n".join(parts)


def body(rendered, data):
    """Renders a section. Data of an older version of `benches/run` may lack fields."""
    try:
        return rendered(data)
    except (KeyError, TypeError):
        return "Measured by an older version of `benches/run`: measure this section again.\n"


def page(sections):
    absent = "; ".join(f"{tool} ({why})" for tool, why in NOT_TO_BE_HAD.items())
    parts = [
        "# Results\n\nWritten by `benches/run`; for the method see the [README](README.md). "
        f"Not available for comparison: {absent}.\n",
        "## Goals\n\n" + goal_table(sections),
    ]
    for name, (title, rendered) in SECTIONS.items():
        if name not in sections:
            continue
        section = sections[name]
        versions = ", ".join(f"{tool} {version}" for tool, version in section["versions"].items())
        left_out = "".join(
            f"\nNot measured: {tool} ({why}).\n" for tool, why in section["data"].get("left_out", {}).items()
        )
        parts.append(
            f"## {title}\n\n{body(rendered, section['data'])}{left_out}\n"
            f"{section['date']}, `{section['command']}`, on {section['machine']}. Versions: {versions}.\n"
        )
    return "\n".join(parts)


def write(sections):
    places.RESULTS.write_text(page(sections))
    readme = places.ROOT / "README.md"
    before, begin, rest = readme.read_text().partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if begin and end:
        readme.write_text(f"{before}{begin}\n{compact(sections)}{end}{after}")
