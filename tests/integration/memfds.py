# SPDX-License-Identifier: BSD-2-Clause
"""memfds.py PID END - the most memory behind the memfds of the daemon PID

Looks every 50 ms until the file END is there, and then prints bytes. A page that
moves from one to the other between two looks counts twice or not at all: so each
time all are looked at in this order and in the other, and the smaller sum counts.
"""
import os
import sys
import time

pid, end = sys.argv[1:]


def memfds():
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            if os.readlink(path).startswith("/memfd:pagefs"):
                found[os.stat(path).st_ino] = path
        except OSError:
            pass
    return list(found.values())


def total(paths):
    bytes_ = 0
    for path in paths:
        try:
            bytes_ += os.stat(path).st_blocks * 512
        except OSError:
            pass
    return bytes_


most = 0
while not os.path.exists(end):
    paths = memfds()
    most = max(most, min(total(paths), total(reversed(paths))))
    time.sleep(0.05)
print(most)
