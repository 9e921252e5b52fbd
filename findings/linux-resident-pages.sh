#!/usr/bin/env bash
# Linux 6.18 (since 6.2), resident memory of a process that has just started, in /proc/PID/stat.
# Guess: a process whose program is running has resident pages, so 0 of them means that it is ending.
# Behaviour: the kernel counts the pages per core and adds them up in steps (`mm: convert mm's rss stats into
#   percpu_counter`), so a small live process often has 0 resident pages, although its address space is not empty.
# Seen: "of 400 live processes 105 had 0 resident pages, 0 an empty address space"
# Needs Python 3 and a kernel of 6.2 or later. Reads only the processes that it starts.
set -euo pipefail
seen=$(python3 - <<'PYTHON'
import subprocess

pages = sizes = 0
for _ in range(400):
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    sizes += int(fields[20]) == 0
    pages += int(fields[21]) <= 0
    process.kill()
    process.wait()
print(f"of 400 live processes {pages} had 0 resident pages, {sizes} an empty address space")
PYTHON
)
echo "$seen"
[[ $seen =~ processes\ [1-9][0-9]*\ had.*,\ 0\ an ]]
