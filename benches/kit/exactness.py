"""Accuracy: when requests are sent, and whether reported times are the true ones."""

import json
import time

from . import places, tools
from .processes import Server

RATES = [1000, 5000, 20_000]
DELAY_MS = 5.0
# The server stalls in one second of every five. A fifth of the arrivals at a constant rate fall into it and wait for
# its end. So a share q of all arrivals, at most a fifth, wait longer than 1 − 5 q seconds.
STALL_MS = {"p90": 500.0, "p99": 950.0}
STALL_EVERY_S = 5


def report():
    """The report of the last run."""
    return json.loads((places.CACHE / "runs" / "latest" / "report.json").read_text())


def oha_times(output):
    """The percentiles that oha reports, in milliseconds."""
    found = json.loads(output.read_text())["latencyPercentiles"]
    return {name: 1000 * found[name] for name in ("p50", "p90", "p99")}


def runner_times():
    operation = report()["phases"][0]["operations"][0]
    return {"service_p50": operation["service_ms"]["p50"], **operation["response_ms"]}


def at_rate(name, plan, url, rate, seconds, binary):
    if name == "runner":
        return tools.runner(binary, plan, url, seconds, "--set", f"phases.load.arrivals={rate}/s")
    return tools.oha("get", url, seconds, "-q", str(rate), "--latency-correction", "--output-format", "json")


def lag_once(name, rate, seconds, binary):
    with Server("--lag", str(rate)) as server:
        with at_rate(name, "arrivals", server.url, rate, seconds, binary) as running:
            server.await_count(1)
            # The processor time of a process is lost when it ends, so it is read before.
            cpu, count, began = running.cpu_s(), server.count(), time.monotonic()
            time.sleep(max(seconds - 2, 1))
            cpu, count, took = running.cpu_s() - cpu, server.count() - count, time.monotonic() - began
            running.wait()
        seen = json.loads(server.ask("/lag"))
    own = None
    if name == "runner":
        own = report()["phases"][0]["generator"]["send_lag_ms"]
    return {
        "own_us": own and {key: 1000 * value for key, value in own.items()},
        "server_us": seen, "sent_per_s": count / took, "cpu_percent": 100 * cpu / took,
    }


def measure_lag(options, missing):
    names, left_out = tools.available(["runner", "oha"], missing)
    rows = []
    for rate in RATES:
        for name in names:
            print(f"lag: {tools.NAMES[name][0]} at {rate}/s", flush=True)
            rows.append({"tool": name, "rate": rate, **lag_once(name, rate, options.seconds + 3, options.runner)})
    return {"rows": rows, "left_out": left_out, "seconds": options.seconds + 3}


def times_once(name, plan, server_options, seconds, binary):
    with Server(*server_options) as server:
        with at_rate(name, plan, server.url, 1000, seconds, binary) as running:
            running.wait()
        return runner_times() if name == "runner" else oha_times(running.output)


def measure_truth(options, missing):
    """Compares reported times with known ones. oha runs with its correction for coordinated omission."""
    names, left_out = tools.available(["runner", "oha"], missing)
    stalled_s = STALL_EVERY_S * max(round(options.seconds * 4 / STALL_EVERY_S), 1)
    rows = []
    for name in names:
        print(f"truth: {tools.NAMES[name][0]}", flush=True)
        delay = times_once(name, "delay", ["--delay", f"{DELAY_MS:g}ms"], options.seconds + 3, options.runner)
        stall_options = ["--stall", "1s", "--every", f"{STALL_EVERY_S}s"]
        stall = times_once(name, "stall", stall_options, stalled_s, options.runner)
        rows.append({
            "tool": name,
            "delay_ms": delay,
            "delay_off_ms": delay["p50"] - DELAY_MS,
            "stall_ms": stall,
            "stall_off_percent": {key: 100 * (stall[key] / true - 1) for key, true in STALL_MS.items()},
        })
    return {"rows": rows, "left_out": left_out}
