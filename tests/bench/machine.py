# SPDX-License-Identifier: Apache-2.0
"""Two hosts and a VM on one of them, with the workloads in it, for the benches that need one."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any

from demo import preflight
from lab import control, lifecycle, overlay
from lab.ferry import Ferry
from tests.bench.ticks import Place, Ticks, steps, tokens

NAME = "bench"  # the next run begins with an empty folder
SERVER, TRAINER = "workloads/llm/llm-server", "workloads/train/llm-train"
SERVER_PORT, TRAINER_PORT = 8000, 9000
PROMPT = "the ferry leaves at noon and the"


class BenchError(Exception):
    """A bench cannot go on; one line."""


def say(text: str) -> None:
    """Progress, with the time of day."""
    print(f"  {time.strftime('%H:%M:%S')}  {text}", flush=True)


class Machine:
    """`with Machine(...) as m`: a lab of two hosts and a running VM on host a; nothing is left afterwards."""

    def __init__(self, profile: str, memory: str, programs: tuple[str, ...] = (SERVER, TRAINER)) -> None:
        self.profile, self.memory, self.programs = profile, memory, programs

    def __enter__(self) -> Machine:
        if os.geteuid() != 0:
            raise BenchError("needs root for network namespaces")
        self.lab = lifecycle.up(NAME, hosts=2, mtu=9000, daemons=True)
        self.ferry = Ferry(self.lab)
        try:
            files = overlay.build(self.lab.folder, self.programs)
            self.ferry.must("a", "vm", "create", "vm", "--profile", self.profile, "--memory", self.memory, "--overlay", str(files))
            self.ferry.must("a", "vm", "start", "vm", timeout=120)
            self.vm: dict[str, Any] = self.ferry.must("a", "vm", "show", "vm")
        except BaseException:
            lifecycle.down(NAME)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        lifecycle.down(NAME)

    def place(self, port: int) -> Place:
        return Place(self.vm["ip"], port, self.lab.namespace("client").pid)

    def guest(self, host: str, command: str, timeout: float = 60) -> str:
        """A shell command in the guest that must work; its output."""
        status, text = self.ferry.guest(host, "vm", "sh", "-c", command, timeout=timeout)
        if status != 0:
            raise BenchError(f"in the guest: {command}: {text.strip()[-300:]}")
        return text

    def start_server(self, arguments: str) -> None:
        """Returns when the model is loaded."""
        self.guest("a", f"llm-server {arguments} --listen 0.0.0.0:{SERVER_PORT} >/tmp/server 2>&1 &")
        await_server(self.place(SERVER_PORT), 180)

    def start_trainer(self, arguments: str) -> Ticks:
        """It runs behind a port of the guest: its output goes to the one client, without whom it ends."""
        self.guest("a", f"nc -l -p {TRAINER_PORT} -e llm-train {arguments} >/dev/null 2>&1 &")
        time.sleep(1)  # busybox's nc says nothing when it listens
        return steps(self.place(TRAINER_PORT))

    def tokens(self) -> Ticks:
        return tokens(self.place(SERVER_PORT), PROMPT)


def _healthy(place: Place) -> bool:
    """In a thread of its own: connecting may leave it in another network namespace."""
    said: list[bytes] = []

    def ask() -> None:
        try:
            with place.connect(2) as s:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                said.append(s.recv(64))
        except OSError:
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return bool(said) and b" 200 " in said[0]


def await_server(place: Place, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _healthy(place):
        if time.monotonic() > deadline:
            raise BenchError(f"the server at {place.address}:{place.port} does not answer")
        time.sleep(0.3)


def facts(machine: Machine) -> dict[str, Any]:
    """What a result must say about where it was measured."""
    host = control.api(machine.lab, "a").get("/v1/host")
    return {"machine": preflight.machine(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "accel": host.get("accelerator", ""), "load": os.getloadavg()[0],
            "tracker": (machine.vm.get("vgpu_processes") or [{}])[0].get("tracker", "")}
