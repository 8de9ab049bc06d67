# SPDX-License-Identifier: Apache-2.0
"""What a client would have got had nothing moved: the same model, server and requests without a VM, on this
machine's own OpenCL device."""

from __future__ import annotations

import subprocess
from pathlib import Path

from demo.models import Model, server_program
from demo.place import Place


class Reference:
    """A server on a free port, as long as the `with` lasts."""

    def __init__(self, model: Model, folder: Path) -> None:
        argv = model.argv(str(server_program()), str(model.file), "127.0.0.1:0")
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "POCL_CACHE_DIR": str(folder / "cl-cache")}
        self.server = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self) -> Place:
        assert self.server.stdout
        port = self.server.stdout.readline().rpartition(":")[2]  # "listening on ADDRESS:PORT"; "" if it could not start
        place = Place("127.0.0.1", int(port or 0))
        place.wait_ready(120)
        return place

    def __exit__(self, *_: object) -> None:
        self.server.terminate()
        self.server.wait()
        if self.server.stdout:
            self.server.stdout.close()
