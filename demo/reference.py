# SPDX-License-Identifier: Apache-2.0
"""What a client would have got had nothing moved: the same model, server and requests without a VM, on this
machine's own OpenCL device."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from pathlib import Path

from demo.models import Model, server_program
from demo.stream import Stream


class Reference:
    """A server on a port of its own and a client that asks what the moved one asked."""

    def __init__(self, model: Model, folder: Path) -> None:
        argv = model.argv(str(server_program()), str(model.file), "127.0.0.1:0")
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "POCL_CACHE_DIR": str(folder / "cl-cache")}
        self.server = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.stream: Stream | None = None
        self.model = model

    @property
    def count(self) -> int:
        return len(self.stream.ids) if self.stream else 0

    def ids(self, tokens: int, seconds: float) -> list[int]:
        """The first so many tokens; fewer when they do not come in time."""
        deadline = time.monotonic() + seconds
        assert self.server.stdout
        port = int(self.server.stdout.readline().rpartition(":")[2] or 0)  # "listening on ADDRESS:PORT"
        while port and not self._ready(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.stream = Stream(self.model, "127.0.0.1", port)
        self.stream.wait_for(tokens, deadline - time.monotonic())
        self.stream.stop()
        return self.stream.ids[:tokens]

    @staticmethod
    def _ready(port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()
        if self.server.stdout:
            self.server.stdout.close()
