# SPDX-License-Identifier: Apache-2.0
"""The outside client: completion requests, one after another over one TCP connection, a JSON line for each token.

usage: python3 -m demo.client ADDRESS PORT REQUESTS    REQUESTS: the fields of demo.models.Requests as JSON
{"connected":LOCAL_PORT}, then {"request":NUMBER,"prompt":TEXT} before the tokens of each request,
{"t":CLOCK_REALTIME in ns,"id":TOKEN_ID,"text":WORD} as they arrive, and last {"end":REASON}.
It never connects a second time: what breaks the connection ends it."""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any, Iterator

from demo.models import Requests


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def request(host: str, fields: dict[str, Any]) -> bytes:
    body = json.dumps(fields).encode()
    head = (f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def lines(connection: socket.socket) -> Iterator[tuple[int, str]]:
    """Each line with the time at which it was complete."""
    rest = b""
    while data := connection.recv(65536):
        now = time.time_ns()
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield now, line.strip().decode()


def answer(incoming: Iterator[tuple[int, str]]) -> str:
    """Reports the tokens of one request; '' when it came to its end, else why it did not."""
    for now, line in incoming:
        if line.startswith("HTTP/1.") and " 200 " not in line + " ":
            return f"the server answered {line}"
        if line == "data: [DONE]":
            return ""
        if line.startswith("data: "):
            choice = json.loads(line[6:])["choices"][0]
            say(t=now, id=choice["token_id"], text=choice["text"])
    return "the connection was closed"


def converse(connection: socket.socket, host: str, requests: Requests) -> str:
    """Request after request; why it ended."""
    incoming, number, end = lines(connection), 0, ""
    while not end:
        fields = requests.body(number)
        say(request=number, prompt=fields["prompt"])
        connection.sendall(request(host, fields))
        end = answer(incoming)
        number += 1
    return end


def main() -> None:
    host, port, fields = sys.argv[1:]
    try:
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            say(connected=connection.getsockname()[1])
            end = converse(connection, host, Requests(**json.loads(fields)))
    except (OSError, ValueError, KeyError) as e:
        end = str(e)
    say(end=end)


if __name__ == "__main__":
    main()
