"""A datagram socket like systemd's: each message is printed as a line of JSON, a list of its assignments.

Descriptors that come along are closed, which is what systemd-notify waits for before it ends.
"""
import array
import json
import os
import socket
import sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, ancillary, _, _ = server.recvmsg(4096, socket.CMSG_SPACE(16 * array.array("i").itemsize))
    print(json.dumps(data.decode().rstrip("\n").split("\n")), flush=True)
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
            for descriptor in descriptors:
                os.close(descriptor)
