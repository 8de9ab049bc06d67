# SPDX-License-Identifier: Apache-2.0
"""ferryd's API from Python: HTTP over a unix socket (docs/interfaces.md section 7)."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Iterator


class ApiError(Exception):
    """What ferryd refused, with its code, its remedies and the exit status it asks for."""

    def __init__(self, status: int, body: Any) -> None:
        error = body.get("error", {}) if isinstance(body, dict) else {}
        self.status = status
        self.code = error.get("code", "")
        self.message = error.get("message", f"HTTP status {status}")
        self.remedies = error.get("remedies", [])
        self.exit = body.get("exit", 1) if isinstance(body, dict) else 1
        super().__init__(self.message)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, path: str, timeout: float | None = 30) -> None:
        self.path = path
        self.timeout = timeout

    def _request(self, method: str, path: str, body: Any) -> http.client.HTTPResponse:
        connection = _UnixConnection(self.path, self.timeout)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        response = connection.getresponse()
        if response.status >= 400:
            text = response.read()
            try:
                raise ApiError(response.status, json.loads(text))
            except ValueError:
                raise ApiError(response.status, None) from None
        return response

    def call(self, method: str, path: str, body: Any = None) -> Any:
        with self._request(method, path, body) as response:
            text = response.read()
        return json.loads(text) if text.strip() else None

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def stream(self, method: str, path: str, body: Any = None) -> Iterator[Any]:
        """The lines of a long answer as they come; the result is the last."""
        with self._request(method, path, body) as response:
            for line in response:
                if line.strip():
                    yield json.loads(line)
