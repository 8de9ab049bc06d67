# SPDX-License-Identifier: Apache-2.0
"""Several real ferry-vgpus that share a device, without ferryd, and programs on them."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any

# src/vgpu/tokens/memory.h
MAGIC, BYTES, SEALS = 0x59524546, 8192, 0x7
POLICIES = ("best-effort", "equal-share", "fixed-share")
POLICY_AT, HOLDER_AT, WAITING_AT, BUSY_AT = 4, 64, 80, 88
SLOTS_AT, SLOT_BYTES = 128, 64
F_ADD_SEALS = 1033


class Turns:
    """The memory that ferryd would make, and a view of it."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("turns", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, BYTES)
        os.pwrite(self.fd, struct.pack("<I", MAGIC), 0)
        fcntl.fcntl(self.fd, F_ADD_SEALS, SEALS)
        self.memory = mmap.mmap(self.fd, BYTES)

    def set_policy(self, name: str) -> None:
        self.memory[POLICY_AT:POLICY_AT + 4] = struct.pack("<I", POLICIES.index(name))

    def word(self, at: int) -> int:
        value: int = struct.unpack("<Q", self.memory[at:at + 8])[0]
        return value

    def used_ms(self, slot: int) -> float:
        """What a vGPU was charged of the device's time; the first that started has slot 0."""
        return self.word(SLOTS_AT + slot * SLOT_BYTES) / 1e6

    def hands(self) -> int:
        """How often the turn has changed hands."""
        return self.word(HOLDER_AT) >> 8

    def close(self) -> None:
        self.memory.close()
        os.close(self.fd)


class Vgpu:
    """One ferry-vgpu. `turns` None: it shares nothing."""

    def __init__(self, build: Path, folder: Path, name: str, turns: Turns | None, share: int = 0,
                 memory: int = 64 << 20) -> None:
        self.build, self.folder, self.path = build, folder, folder / name
        command = [str(build / "src/vgpu/ferry-vgpu"), "--memory", str(memory), "--serve", str(self.path),
                   "--control", str(self.path) + ".control"]
        if turns:
            command += ["--tokens", str(turns.fd), "--share", str(share)]
        (folder / "vendors").mkdir(exist_ok=True)
        (folder / "vendors/ferry.icd").write_text(str((build / "src/guest/libferry-cl.so").resolve()))
        self.log = (folder / f"{name}.log").open("w")
        self.process = subprocess.Popen(command, pass_fds=[turns.fd] if turns else [], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log,
                                        env={**os.environ, "POCL_CACHE_DIR": str(folder / "cache")})
        deadline = time.monotonic() + 30
        while not self.path.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.path
            time.sleep(0.02)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "OCL_ICD_VENDORS": str(self.folder / "vendors"), "FERRY_VGPU": f"unix:{self.path}"}

    def ask(self, op: str) -> Any:
        """One request on the control socket; its answer and how long that took, in seconds."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.path) + ".control")
            text = json.dumps({"id": 1, "op": op, "args": {}}).encode()
            start = time.monotonic()
            s.sendall(struct.pack("<I", len(text)) + text)
            with s.makefile("rb") as answers:
                while True:
                    (length,) = struct.unpack("<I", answers.read(4))
                    answer = json.loads(answers.read(length))
                    if answer.get("id") == 1:
                        return answer["ok"], time.monotonic() - start

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self.log.close()
        assert self.process.returncode in (0, -signal.SIGKILL), Path(self.log.name).read_text()


def calibrate(v: Vgpu) -> float:
    """Iterations of the kernel of work.c that take a millisecond here."""
    out = subprocess.run([v.build / "tests/fair/fair-work", "calibrate"], env=v.environment(), check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return float(out)


class Program:
    """A program of work.c on a vGPU, ready to work for as long as it is told."""

    def __init__(self, v: Vgpu, *arguments: str) -> None:
        self.process = subprocess.Popen([v.build / "tests/fair/fair-work", *arguments], env=v.environment(),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=v.log, text=True)
        assert self.process.stdout and self.process.stdin
        self.into, self.out = self.process.stdin, self.process.stdout
        assert self.out.readline() == "ready\n"

    def begin(self, seconds: float) -> None:
        self.into.write(f"{seconds}\n")
        self.into.flush()

    def result(self) -> dict[str, float]:
        got: dict[str, float] = json.loads(self.out.readline())
        return got

    def run(self, seconds: float) -> dict[str, float]:
        self.begin(seconds)
        return self.result()

    def close(self) -> None:
        self.into.close()
        self.process.kill()
        self.process.wait()
        self.out.close()


class Work(Program):
    """Launches kernels of one length."""

    def __init__(self, v: Vgpu, iterations: float, depth: int) -> None:
        super().__init__(v, str(max(1, int(iterations))), str(depth))


class Churn(Program):
    """Makes a buffer, fills it and frees it, again and again."""

    def __init__(self, v: Vgpu, mebibytes: int) -> None:
        super().__init__(v, "churn", str(mebibytes))


def together(seconds: float, *works: Program) -> list[dict[str, float]]:
    for w in works:
        w.begin(seconds)
    return [w.result() for w in works]
