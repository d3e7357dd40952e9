# SPDX-License-Identifier: BSD-2-Clause
"""A service manager's ear, for service.sh: service.py SOCKET FILE

Prints `listening', then for each message one line: the sender's pid and the
assignments, between bars. With READY=1 FILE is read at once, and `usable' or
why not is printed. Ends with STOPPING=1, or with the message `end'.
"""
import socket
import struct
import sys


def sender(ancillary):
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return struct.unpack("3i", data)[0]
    return 0


def usable(path):
    try:
        with open(path, "rb") as file:
            return "usable" if file.read() else "empty"
    except OSError as err:
        return f"not usable: {err}"


ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
ear.bind(sys.argv[1])
print("listening", flush=True)
while True:
    message, ancillary, _, _ = ear.recvmsg(4096, 256)
    found = usable(sys.argv[2])
    words = message.decode().split("\n")
    print(sender(ancillary), "|".join(words), flush=True)
    if "READY=1" in words:
        print(found, flush=True)
    if "STOPPING=1" in words or words == ["end"]:
        break
