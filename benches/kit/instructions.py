"""User instructions per request, by callgrind. Unlike times, they do not depend on other load of the machine."""

import re
import subprocess

from . import places, tools
from .processes import Server

PROFILE = places.CACHE / "profile.txt"
COUNTS = places.CACHE / "callgrind.out"


def counted(load, seconds, binary):
    """The instructions and requests of a run of this length."""
    with Server() as server:
        running = tools.runner(binary, load, server.url, seconds, "--workers", "1")
        running.command[:0] = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={COUNTS}"]
        with running:
            running.wait()
        found = re.search(r"^(?:summary|totals): (\d+)", COUNTS.read_text(), re.MULTILINE)
        return int(found.group(1)), server.count()


def profile():
    """Writes the most expensive functions of the last run to `PROFILE`."""
    done = subprocess.run(
        ["callgrind_annotate", "--auto=no", "--threshold=95", str(COUNTS)], capture_output=True, text=True, check=False,
    )
    PROFILE.write_text(done.stdout)


def measure(options, missing):
    """Instructions per request by the difference of two runs, which excludes the start and the end of a run. Work done
    once a second is included, and weighs more than without valgrind, under which a second has far fewer requests."""
    if "valgrind" in missing:
        return {"loads": {}, "left_out": {"valgrind": missing["valgrind"]}}
    short, long = options.counted
    loads = {}
    for load in ("post", "get"):
        print(f"instructions: {load}", flush=True)
        (fewer, few), (more, many) = (counted(load, seconds, options.runner) for seconds in (short, long))
        if few == 0 or many <= few:
            raise RuntimeError(f"{few} and {many} requests under valgrind; see {places.LOGS / 'runner.txt'}")
        loads[load] = {"per_request": (more - fewer) / (many - few), "requests": [few, many]}
    profile()
    return {"loads": loads, "left_out": {}}
