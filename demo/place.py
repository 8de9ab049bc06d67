# SPDX-License-Identifier: Apache-2.0
"""Where a model's server is, and from where it is asked.

usage: python3 -m demo.place ADDRESS PORT PATH [BODY]    one request; prints the answer's body, exits 1 if it is no 200"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from lab.model import ROOT, Lab

ASK_S = 180


class NoAnswer(Exception):
    """What came instead of an answer."""


@dataclass(frozen=True)
class Place:
    address: str
    port: int
    enter: tuple[str, ...] = ()  # a command prefix that enters the network from which it is asked
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def outside(cls, lab: Lab, address: str, port: int) -> Place:
        """A guest's server, asked from the lab's outside network."""
        return cls(address, port, ("nsenter", "-t", str(lab.namespace("client").pid), "-n", "--"), lab.environment("client"))

    def popen(self, module: str, *args: str, **options: Any) -> subprocess.Popen[str]:
        """A Python module of ours that is told address and port, run where the server can be reached."""
        return subprocess.Popen([*self.enter, sys.executable, "-m", module, self.address, str(self.port), *args],
                                env={**os.environ, **self.env}, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, **options)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> str:
        """GET, or POST when there is a body. NoAnswer when it is not answered with 200."""
        with self.popen("demo.place", path, *([json.dumps(body)] if body else []),
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asking:
            try:
                said, _ = asking.communicate(timeout=ASK_S)
            except subprocess.TimeoutExpired:
                asking.kill()
                said = f"no answer within {ASK_S} s"
        if asking.returncode != 0:
            raise NoAnswer(f"{path}: {said.strip()}")
        return said

    def wait_ready(self, seconds: float) -> bool:
        """True once the model is loaded."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.ask("/health")
                return True
            except NoAnswer:
                time.sleep(0.3)
        return False


def main() -> int:
    address, port, path, *body = sys.argv[1:]
    connection = http.client.HTTPConnection(address, int(port), timeout=ASK_S)
    try:
        connection.request("POST" if body else "GET", path, body[0] if body else None)
        answer = connection.getresponse()
        print(answer.read().decode())
    except (OSError, http.client.HTTPException) as e:
        print(e)
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
