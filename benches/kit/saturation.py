"""Saturation: the throughput of GET and POST with 64 users without a wait, on one core."""

import time
from statistics import median

from . import tools
from .processes import Server

ORDER = {
    "get": ["runner", "wrk", "oha", "hey", "goose", "locust", "locust-plain"],
    "post": ["runner", "wrk", "oha", "goose", "locust", "locust-plain"],
}
SETTLED_S = 1


def once(name, load, seconds, binary):
    """Measures from `SETTLED_S` after the first request on, so that the start of a tool does not count."""
    with Server() as server:
        # Longer than needed; the generator is stopped after the measurement.
        generator = tools.saturating(name, load, server.url, seconds + SETTLED_S + 5, binary)
        with generator:
            server.await_count(1)
            time.sleep(SETTLED_S)
            count, cpu, began = server.count(), generator.cpu_s(), time.monotonic()
            time.sleep(seconds)
            count, cpu, took = server.count() - count, generator.cpu_s() - cpu, time.monotonic() - began
            memory = generator.memory_kib("VmHWM")
    if count == 0:
        raise RuntimeError(f"{name} sent nothing; see {generator.output}")
    return {"per_s": count / took, "cpu_us": 1e6 * cpu / count, "peak_mib": memory / 1024}


def measure(load, options, missing):
    """Runs all tools in turn for several rounds. A ratio compares two runs of the same round."""
    names, left_out = tools.available(ORDER[load], missing)
    rounds = []
    for number in range(options.rounds):
        print(f"{load}: round {number + 1} of {options.rounds}", flush=True)
        # Each round starts with another tool, to vary the order.
        turn = names[number % len(names):] + names[:number % len(names)]
        rounds.append({})
        for name in turn:
            try:
                rounds[-1][name] = once(name, load, options.seconds, options.runner)
            except (RuntimeError, OSError) as error:
                if name == "runner":
                    raise
                names.remove(name)
                left_out[tools.NAMES[name][0]] = str(error)
                continue
            print(f"  {tools.NAMES[name][0]}: {rounds[-1][name]['per_s']:.0f}/s", flush=True)
    figures = {}
    for name in names:
        ratios = [one["runner"]["per_s"] / one[name]["per_s"] for one in rounds]
        middle = {key: median(one[name][key] for one in rounds) for key in rounds[0][name]}
        figures[name] = {**middle, "ratio": [median(ratios), min(ratios), max(ratios)]}
    return {"figures": figures, "left_out": left_out, "rounds": rounds, "seconds": options.seconds}
