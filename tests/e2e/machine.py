# SPDX-License-Identifier: Apache-2.0
"""A lab of two hosts and a VM with a workload that has a right answer: what the tests on real VMs share."""

from __future__ import annotations

import os
import re
import time
import unittest
from pathlib import Path
from typing import Any, Callable

from lab import control, lifecycle, model, overlay
from lab.api import ApiError
from lab.ferry import Answer, Ferry, Running

LOG_LINE = "vGPU Page Transfer Start"
VM = "vm"
OVERLAY_PROGRAMS = ("tests/e2e/pattern", "tests/e2e/frames", "tests/e2e/lists", "tests/e2e/memory", "workloads/train/llm-train")


@unittest.skipUnless(os.geteuid() == 0, "needs root for network namespaces")
class VmTest(unittest.TestCase):
    """One lab for a class of tests. Subclasses start the VM that they need."""

    hosts = 2
    lab: model.Lab
    ferry: Ferry

    @classmethod
    def setUpClass(cls) -> None:
        name = f"test-{cls.__name__.lower()}-{os.getpid()}"
        cls.addClassCleanup(lifecycle.down, name)
        cls.lab = lifecycle.up(name, hosts=cls.hosts, mtu=9000, daemons=True)
        cls.ferry = Ferry(cls.lab)

    @classmethod
    def boot(cls, host: str = "a", profile: str = "ferry_cpu-05q", memory: str = "192M",
             programs: tuple[str, ...] = OVERLAY_PROGRAMS, files: dict[str, Path] | None = None,
             options: tuple[str, ...] = ()) -> None:
        cls.ferry.must(host, "vm", "create", VM, "--profile", profile, "--memory", memory,
                       "--overlay", str(overlay.build(cls.lab.folder, programs, files)), *options)
        cls.ferry.must(host, "vm", "start", VM, timeout=90)

    # ---- the workload ----

    @classmethod
    def start_pattern(cls, host: str, mebibytes: int, idle_us: int = 2000, options: str = "") -> None:
        status, text = cls.ferry.guest(host, VM, "sh", "-c",
                                       f"pattern {mebibytes} --idle-us {idle_us} {options} >/tmp/pattern 2>&1 & echo $! >/tmp/pid")
        assert status == 0, text
        cls.wait("the workload's first step", lambda: cls.steps(host) > 0, 60)

    @classmethod
    def steps(cls, host: str) -> int:
        """Steps so far, as the workload last said."""
        _, text = cls.ferry.guest(host, VM, "tail", "-n", "1", "/tmp/pattern")
        found = re.fullmatch(r"step (\d+)", text.strip())
        return int(found[1]) if found else 0

    @classmethod
    def finish_pattern(cls, host: str) -> str:
        """Ends the workload; its verdict."""
        cls.ferry.guest(host, VM, "sh", "-c", "kill -TERM $(cat /tmp/pid)")
        verdict = ""

        def ended() -> bool:
            nonlocal verdict
            verdict = cls.ferry.guest(host, VM, "tail", "-n", "1", "/tmp/pattern")[1].strip()
            return verdict.startswith("pattern")

        cls.wait("the workload's verdict", ended, 60)
        return verdict

    def assert_goes_on(self, host: str) -> None:
        """The workload makes steps on this host."""
        before = self.steps(host)
        self.wait(f"the workload to go on on {host}", lambda: self.steps(host) > before, 30)

    # ---- looking ----

    @staticmethod
    def wait(what: str, condition: Callable[[], Any], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.1)

    @classmethod
    def processes(cls, host: str) -> list[control.Daemon]:
        """What runs of the VM on a host: QEMU, ferry-vgpu, relays."""
        return [d for d in control.daemons(cls.lab, cls.lab.host(host)) if d.vm == VM]

    def state(self, host: str) -> str | None:
        lifecycle.wait_for_daemon(self.lab.host(host))
        return self.ferry.state(host, VM)

    def memory(self, host: str) -> int:
        """Framebuffer bytes that programs of the VM's first vGPU hold."""
        vm = self.ferry.must(host, "vm", "show", VM)
        allocated: int = vm["vgpu_processes"][0]["allocated_bytes"]
        return allocated

    def log_lines(self, host: str) -> int:
        path = self.lab.host(host).state / "vms" / VM / "vm.log"
        return path.read_text(errors="replace").count(LOG_LINE) if path.exists() else 0

    def assert_runs_only_on(self, host: str) -> None:
        """The VM runs on this host, and within seconds nothing of it is left on the other."""
        other = "b" if host == "a" else "a"
        self.wait(f"the VM to run on {host}", lambda: self.state(host) == "running", 20)
        self.wait(f"{other} to be rid of the VM", lambda: not self.processes(other), 20)
        self.assertNotEqual(self.state(other), "running")
        kinds = sorted(d.kind for d in self.processes(host))
        self.assertEqual(kinds.count("qemu"), 1, kinds)
        self.wait(f"no relay on {host}", lambda: all(d.kind != "relay" for d in self.processes(host)), 10)

    # ---- moving ----

    def begin(self, a: str, b: str, *options: str) -> Running:
        return self.ferry.start(a, "migrate", VM, "--to", b, *options)

    def migrate(self, a: str, b: str, *options: str) -> dict[str, Any]:
        """A migration that must work; its result."""
        answer = self.begin(a, b, *options).wait(90)
        self.assertEqual(answer.exit, 0, self.describe(answer))
        self.assertEqual(answer.result["outcome"], "completed")
        result: dict[str, Any] = answer.result
        return result

    @staticmethod
    def describe(answer: Answer) -> str:
        return f"{answer.errors} {answer.result}"

    def hold(self, host: str, point: str) -> None:
        control.fault(self.lab, host, f"{point}:hold")

    def release(self, host: str) -> None:
        """Clears all fault points; a host whose ferryd was killed has none."""
        try:
            control.fault(self.lab, host, "clear")
        except (OSError, ApiError):
            pass

    def wait_held(self, host: str, point: str, running: Running) -> None:
        """Waits until a step of this migration stands at the point; fails at once when it ends before."""
        deadline = time.monotonic() + 30
        while not control.wait_held(self.lab, host, point, 0.3):
            ended = running.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.fail(f"{host} did not come to {point}: {self.describe(running.wait(1))}")

    def kill(self, host: str, *kinds: str) -> None:
        """SIGKILL to the VM's processes of these kinds, and to ferryd where it is named."""
        doomed = [d for d in control.daemons(self.lab, self.lab.host(host))
                  if d.kind in kinds and d.vm in (VM, None)]
        self.assertEqual({d.kind for d in doomed}, set(kinds))
        for d in doomed:
            d.process.kill(9)
        for d in doomed:
            d.process.wait(5)
