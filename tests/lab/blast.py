# SPDX-License-Identifier: Apache-2.0
"""A tiny TCP load for the lab's tests: `blast.py serve ADDRESS` counts what it gets and prints a line
of "bytes seconds" per connection; `blast.py send ADDRESS SECONDS` sends as fast as it can;
`blast.py echo ADDRESS` and `blast.py tick ADDRESS` answer and ask ten times a second, and tick prints
the number of answers so far on each line."""

from __future__ import annotations

import socket
import sys
import time

PORT = 5201


def listen(address: str) -> socket.socket:
    server = socket.create_server((address, PORT))
    print("ready", flush=True)
    return server.accept()[0]


def serve(address: str) -> None:
    connection = listen(address)
    view = memoryview(bytearray(1 << 20))
    total, start = 0, time.monotonic()
    while n := connection.recv_into(view):
        total += n
    print(total, time.monotonic() - start, flush=True)


def send(address: str, seconds: float) -> None:
    connection = socket.create_connection((address, PORT), timeout=10)
    block = bytes(1 << 18)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(block)


def echo(address: str) -> None:
    connection = listen(address)
    while data := connection.recv(4096):
        connection.sendall(data)


def tick(address: str) -> None:
    connection = socket.create_connection((address, PORT), timeout=60)
    answers = 0
    while True:
        connection.sendall(b"x")
        answers += len(connection.recv(4096))
        print(answers, flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    role, where, *rest = sys.argv[1:]
    {"serve": serve, "echo": echo, "tick": tick, "send": lambda a: send(a, float(rest[0]))}[role](where)
