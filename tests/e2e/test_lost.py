# SPDX-License-Identifier: Apache-2.0
"""A VM outlives its vGPU: one that ends by itself is replaced, its programs are told, and the next ones compute."""

from __future__ import annotations

import re
import time
from typing import Any

from lab import control, lifecycle
from tests.e2e.machine import OVERLAY_PROGRAMS, VM, VmTest

NOT_AVAILABLE = "clFinish: error -2"  # CL_DEVICE_NOT_AVAILABLE


class LostVgpuTest(VmTest):
    """One VM for all; every test leaves it running on a with a vGPU that works."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot(programs=(*OVERLAY_PROGRAMS, "tests/api/api-lost"))

    def tearDown(self) -> None:
        for h in ("a", "b"):
            self.release(h)

    # ---- looking ----

    def shown(self, host: str = "a") -> dict[str, Any]:
        [vgpu] = self.ferry.must(host, "vm", "show", VM)["vgpu_processes"]
        return dict(vgpu)

    def log(self, host: str = "a") -> str:
        return (self.lab.host(host).state / "vms" / VM / "vm.log").read_text(errors="replace")

    def events(self, name: str, host: str = "a") -> list[dict[str, Any]]:
        return [e["data"] for e in self.ferry.must(host, "events") if e["event"] == name]

    def qemu(self) -> int:
        [pid] = [d.process.pid for d in self.processes("a") if d.kind == "qemu"]
        return pid

    def wait_back(self, host: str = "a", seconds: float = 30) -> None:
        lifecycle.wait_for_daemon(self.lab.host(host))
        self.wait("the vGPU to be back", lambda: self.shown(host)["connected"] and not self.shown(host)["away"], seconds)

    def lose(self) -> None:
        """Ends it; ferryd knows."""
        before = self.shown()["lost"]
        self.kill("a", "vgpu")
        self.wait("ferryd to notice", lambda: self.shown()["lost"] > before, 20)

    def assert_computes(self, host: str = "a") -> None:
        """A program that starts now gets right results."""
        self.start_pattern(host, 8)
        self.assert_goes_on(host)
        self.assertRegex(self.finish_pattern(host), r"pattern ok \d+")

    def last_line(self, host: str = "a") -> str:
        return self.ferry.guest(host, VM, "tail", "-n", "1", "/tmp/pattern")[1].strip()

    # ---- the tests, in the order of their names ----

    def test_1_a_kernel_that_ends_its_vgpu_ends_its_programs_and_not_the_vm(self) -> None:
        """By a fault of its own, and by the driver's abort(3), which the first process of a PID namespace would ignore."""
        before = self.qemu()
        for n, how in enumerate(("null", "undefined"), start=1):
            self.start_pattern("a", 8)
            answer = self.ferry.run("a", "vm", "exec", VM, "--", "api-lost", how)
            self.assertEqual(answer.exit, 0, self.describe(answer))
            self.wait("the other program to be told", lambda: self.last_line() == NOT_AVAILABLE, 20)
            self.assertEqual(self.ferry.guest("a", VM, "echo", "here"), (0, "here\n"))
            self.wait_back()
            self.assertEqual(self.shown()["lost"], n)
            self.assertEqual(len(re.findall(r"ferry-vgpu 0 ended by itself \(signal \d+", self.log())), n)
            [lost, back] = self.events("vm.vgpu-lost")[-1], self.events("vm.vgpu-back")[-1]
            self.assertEqual((lost["index"], lost["lost"], back["lost"]), (0, n, n))
            self.assertIn("signal", lost["status"])
            self.assert_computes()
        self.assertEqual(self.qemu(), before)
        self.wait("its memory to be free", lambda: self.memory("a") == 0, 10)

    def test_2_it_moves_afterwards_as_any_other(self) -> None:
        self.start_pattern("a", 16)
        for source, destination, mode in (("a", "b", "precopy"), ("b", "a", "stop-copy")):
            self.assertTrue(self.migrate(source, destination, "--verify", "--mode", mode)["verified"])
            self.assertEqual(self.shown(destination)["lost"], 0)  # of this host's starts
            self.assert_goes_on(destination)
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")

    def test_3_programs_that_did_not_look_meanwhile_are_told_too(self) -> None:
        """They sleep while the device goes and comes."""
        self.start_pattern("a", 8, idle_us=4000000)
        self.kill("a", "vgpu")
        self.wait_back()
        self.wait("the program that slept to be told", lambda: self.last_line() == NOT_AVAILABLE, 20)
        self.assert_computes()

    def test_3_programs_that_come_while_it_is_away_wait_and_go_on(self) -> None:
        """Also when ferryd then looks which ports are closed: QEMU's word alone is not enough here."""
        self.lose()
        self.start_pattern("a", 8)
        self.wait_back()
        control.send(self.lab, self.lab.host("a"), "restart", "ferryd", None)
        time.sleep(1)
        self.assert_goes_on("a")
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")
        self.wait("its memory to be free", lambda: self.memory("a") == 0, 10)

    def test_4_nothing_moves_while_it_is_away(self) -> None:
        control.send(self.lab, self.lab.host("a"), "stop", "qemu", VM)  # it takes no ports now
        try:
            self.lose()
            self.refused_while_away()
        finally:
            control.send(self.lab, self.lab.host("a"), "cont", "qemu", VM)
        self.wait_back()
        self.assertEqual(self.ferry.run("a", "check", VM, "--to", "b").exit, 0)
        self.assert_computes()

    def refused_while_away(self) -> None:
        for command in ("check", "migrate"):
            answer = self.ferry.run("a", command, VM, "--to", "b")
            self.assertEqual(answer.exit, 3, self.describe(answer))
            [finding] = [f for f in answer.result["findings"] if f["severity"] == "refuse"]
            self.assertEqual(finding["code"], "vgpu-away")
            self.assertTrue(finding["remedy"])

    def test_5_ferryd_that_comes_back_replaces_what_is_gone(self) -> None:
        a, before = self.lab.host("a"), self.qemu()
        control.send(self.lab, a, "kill", "ferryd", None, stay_down=True)
        control.send(self.lab, a, "kill", "vgpu", VM)
        control.send(self.lab, a, "restart", "ferryd", None)
        self.wait_back()
        self.assertEqual((self.state("a"), self.qemu()), ("running", before))
        self.assert_computes()

    def test_6_ferryd_that_dies_half_way_begins_again(self) -> None:
        before = self.qemu()
        self.kill("a", "vgpu")
        self.wait("another process", lambda: any(d.kind == "vgpu" for d in self.processes("a")), 20)
        self.kill("a", "ferryd")
        self.wait_back()
        self.assertEqual((self.state("a"), self.qemu()), ("running", before))
        self.assert_computes()

    def test_7_a_migration_that_loses_it_ends_and_the_vm_gets_another(self) -> None:
        """In pre-copy and in the stun: the VM stays where it is, with an empty vGPU."""
        before = self.qemu()
        for holder, point in (("a", "source.round"), ("a", "source.before-continue")):
            self.start_pattern("a", 16)
            self.hold(holder, point)
            running = self.begin("a", "b")
            self.wait_held(holder, point, running)
            self.kill("a", "vgpu")
            self.release(holder)
            answer = running.wait(30)
            self.assertEqual(answer.exit, 1, self.describe(answer))
            self.assertTrue(answer.code, answer.result)
            self.assert_runs_only_on("a")
            self.wait_back()
            self.assertEqual(self.qemu(), before)
            self.assertEqual(self.last_line(), NOT_AVAILABLE)
            self.assert_computes()
        self.migrate("a", "b", "--verify")
        self.migrate("b", "a", "--verify")

    def test_8_the_vm_can_be_stopped_while_it_is_away(self) -> None:
        self.kill("a", "vgpu")
        self.ferry.must("a", "vm", "stop", VM)
        self.assertEqual((self.state("a"), self.processes("a")), ("stopped", []))
        self.ferry.must("a", "vm", "start", VM, timeout=90)
        self.assertEqual(self.shown()["lost"], 0)
        self.assert_computes()


class OneOfTwoTest(VmTest):
    def test_only_the_one_that_ended_is_replaced(self) -> None:
        self.boot(options=("--vgpus", "2", "--ports", "4"))

        def shown() -> list[dict[str, Any]]:
            return list(self.ferry.must("a", "vm", "show", VM)["vgpu_processes"])

        pids = [g["pid"] for g in shown()]
        self.start_pattern("a", 8)
        status, text = self.ferry.guest("a", VM, "sh", "-c", "FERRY_VGPU=port:/dev/virtio-ports/ferry.gpu1.0 pattern 8 >/tmp/other 2>&1 & sleep 2; tail -n 1 /tmp/other")
        self.assertRegex(text, r"step \d+", status)
        [doomed] = [d for d in self.processes("a") if d.process.pid == pids[1]]
        doomed.process.kill(9)
        self.wait("the second one to be back", lambda: shown()[1]["connected"] and not shown()[1]["away"], 20)
        self.assertEqual([g["lost"] for g in shown()], [0, 1])
        self.assertEqual(shown()[0]["pid"], pids[0])
        self.assertEqual(self.ferry.guest("a", VM, "tail", "-n", "1", "/tmp/other")[1].strip(), NOT_AVAILABLE)
        self.assert_goes_on("a")
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")
        _, text = self.ferry.guest("a", VM, "sh", "-c", "FERRY_VGPU=port:/dev/virtio-ports/ferry.gpu1.0 pattern 8 >/tmp/other 2>&1 & sleep 2; kill $!; sleep 1; tail -n 1 /tmp/other")
        self.assertRegex(text, r"pattern ok \d+")
