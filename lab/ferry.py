# SPDX-License-Identifier: Apache-2.0
"""The `ferry` CLI from Python, for those who script a lab: the demo and the tests on real VMs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any, Callable

from lab.model import Lab

Line = Callable[[dict[str, Any]], None]


@dataclass
class Answer:
    """What one command said: its exit status, its JSON lines, the last of them being the result."""
    exit: int
    lines: list[Any] = field(default_factory=list)
    errors: str = ""

    @property
    def result(self) -> Any:
        return self.lines[-1] if self.lines else None

    @property
    def code(self) -> str:
        """The reason's or the error's word for scripts; '' when there is none."""
        result = self.result if isinstance(self.result, dict) else {}
        return (result.get("reason") or result.get("error") or {}).get("code", "")


class FerryError(Exception):
    """A command that had to succeed did not."""


class Running:
    """A command in progress; its lines arrive in a thread of their own."""

    def __init__(self, argv: list[str], env: dict[str, str], on_line: Line | None) -> None:
        self.on_line = on_line
        self.answer = Answer(exit=-1)
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._read, self._read_errors)]
        for t in self.threads:
            t.start()

    def _read(self) -> None:
        assert self.process.stdout
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                document = json.loads(text)  # a single document may span lines
            except ValueError:
                continue
            text = ""
            self.answer.lines.append(document)
            if self.on_line and isinstance(document, dict):
                self.on_line(document)

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.answer.errors = self.process.stderr.read().strip()

    def wait(self, timeout: float) -> Answer:
        try:
            self.answer.exit = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.answer.errors += f" (no end after {timeout:.0f} s)"
        for t in self.threads:
            t.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        return self.answer


class Ferry:
    """The CLI against the hosts of a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.program = str(lab.folder / "programs" / "ferry")

    def start(self, host: str, *args: str, on_line: Line | None = None) -> Running:
        env = {**os.environ, "FERRY_SOCKET": self.lab.host(host).socket}
        return Running([self.program, *args, "--json"] if "--" not in args else self._exec_argv(args), env, on_line)

    def _exec_argv(self, args: tuple[str, ...]) -> list[str]:
        """--json goes before the `--` after which all belongs to the guest's command."""
        at = args.index("--")
        return [self.program, *args[:at], "--json", *args[at:]]

    def run(self, host: str, *args: str, timeout: float = 60, on_line: Line | None = None) -> Answer:
        return self.start(host, *args, on_line=on_line).wait(timeout)

    def must(self, host: str, *args: str, timeout: float = 60, on_line: Line | None = None) -> Any:
        answer = self.run(host, *args, timeout=timeout, on_line=on_line)
        if answer.exit != 0:
            raise FerryError(f"ferry {' '.join(args)} on {host}: {self._why(answer)}")
        return answer.result

    @staticmethod
    def _why(answer: Answer) -> str:
        result = answer.result if isinstance(answer.result, dict) else {}
        error = result.get("error") or result.get("reason") or {}
        return answer.errors or error.get("message") or f"exit status {answer.exit}"

    def guest(self, host: str, vm: str, *argv: str, timeout: float = 60) -> tuple[int, str]:
        """Runs a command in the guest; its exit status and output, both streams together."""
        env = {**os.environ, "FERRY_SOCKET": self.lab.host(host).socket}
        done = subprocess.run([self.program, "vm", "exec", vm, "--", *argv], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        return done.returncode, done.stdout

    def state(self, host: str, vm: str) -> str | None:
        """The VM's state as this host sees it; None when the host does not know it."""
        answer = self.run(host, "vm", "show", vm)
        return answer.result.get("state") if answer.exit == 0 and isinstance(answer.result, dict) else None
