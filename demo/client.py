# SPDX-License-Identifier: Apache-2.0
"""The outside client: one completion request over one TCP connection, a JSON line for each token.

usage: python3 -m demo.client ADDRESS PORT TOKENS PROMPT
{"connected":LOCAL_PORT}, then {"t":CLOCK_REALTIME in ns,"id":TOKEN_ID,"text":WORD} as they arrive, and
last {"end":"done"|REASON}. It never connects a second time: what breaks the connection ends it."""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any, Iterator


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def request(host: str, tokens: int, prompt: str) -> bytes:
    body = json.dumps({"prompt": prompt, "max_tokens": tokens, "stream": True, "temperature": 0}).encode()
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


def stream(connection: socket.socket) -> str:
    """Reports tokens until the stream ends; how it ended."""
    for now, line in lines(connection):
        if line.startswith("HTTP/1.") and " 200 " not in line + " ":
            return f"the server answered {line}"
        if line == "data: [DONE]":
            return "done"
        if line.startswith("data: "):
            choice = json.loads(line[6:])["choices"][0]
            say(t=now, id=choice["token_id"], text=choice["text"])
    return "the connection was closed"


def main() -> None:
    host, port, tokens, prompt = sys.argv[1:]
    try:
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            say(connected=connection.getsockname()[1])
            connection.sendall(request(host, int(tokens), prompt))
            end = stream(connection)
    except (OSError, ValueError, KeyError) as e:
        end = str(e)
    say(end=end)


if __name__ == "__main__":
    main()
