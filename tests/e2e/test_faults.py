# SPDX-License-Identifier: Apache-2.0
"""What breaks in the middle of a migration. Before COMMIT the VM must go on on its source, whatever
happened; after COMMIT it must run on the destination. In no case does it run twice, and nothing stays."""

from __future__ import annotations

import time

from lab import control
from lab.ferry import Answer
from tests.e2e.machine import VM, VmTest

ALL = ("ferryd", "qemu", "vgpu")


class FaultTest(VmTest):
    """One VM with a workload on a; every test leaves it there, and at the end its memory must be right."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot()
        cls.start_pattern("a", 16)

    def setUp(self) -> None:
        shown = self.ferry.run("a", "vm", "show", VM).result
        if shown.get("state") != "running" or shown.get("migrating"):
            self.skipTest(f"an earlier test left the VM {shown.get('state')}, migrating: {shown.get('migrating')}")

    def tearDown(self) -> None:
        for h in ("a", "b"):
            self.release(h)

    def assert_stayed(self, answer: Answer, *outcomes: str) -> None:
        """The migration ended without moving, and its result says why."""
        self.assertEqual(answer.exit, 1, self.describe(answer))
        self.assertIn(answer.result["outcome"], outcomes or ("failed",))
        self.assertTrue(answer.code, answer.result)
        self.assert_runs_only_on("a")
        self.assert_goes_on("a")

    def break_destination(self, holder: str, point: str, *kinds: str) -> None:
        """Migrates to b, and kills these of b's processes while `holder` stands at the point."""
        self.hold(holder, point)
        running = self.begin("a", "b")
        self.wait_held(holder, point, running)
        self.kill("b", *kinds)
        self.release(holder)
        self.assert_stayed(running.wait(30))

    def test_destination_ferryd_killed_during_precopy(self) -> None:
        self.break_destination("a", "source.round", "ferryd")

    def test_destination_qemu_killed_during_precopy(self) -> None:
        self.break_destination("a", "source.round", "qemu")

    def test_destination_vgpu_killed_during_precopy(self) -> None:
        self.break_destination("a", "source.round", "vgpu")

    def test_destination_killed_in_the_stun_before_sealed(self) -> None:
        self.break_destination("b", "dest.before-sealed", *ALL)

    def test_destination_qemu_killed_in_the_stun_before_sealed(self) -> None:
        self.break_destination("b", "dest.before-sealed", "qemu")

    def test_destination_killed_between_sealed_and_committed(self) -> None:
        self.break_destination("a", "source.sealed-received", *ALL)

    def test_source_relay_killed_while_its_qemu_is_in_device(self) -> None:
        self.hold("a", "source.before-continue")
        running = self.begin("a", "b")
        self.wait_held("a", "source.before-continue", running)
        # A stopped relay keeps QEMU there: its last bytes, and the destination's word, do not pass.
        control.send(self.lab, self.lab.host("a"), "stop", "relay", VM)
        self.release("a")
        time.sleep(1)
        self.kill("a", "relay")
        self.assert_stayed(running.wait(30))

    def test_cancelled_by_the_operator(self) -> None:
        self.hold("a", "source.round")
        running = self.begin("a", "b")
        self.wait_held("a", "source.round", running)
        cancel = self.ferry.run("a", "cancel", VM)
        self.release("a")
        self.assertEqual(cancel.exit, 0, self.describe(cancel))
        answer = running.wait(30)
        self.assert_stayed(answer, "aborted")
        self.assertEqual(answer.code, "cancelled")

    def test_stun_limit_aborts_and_the_source_goes_on(self) -> None:
        self.hold("b", "dest.before-sealed")
        answer = self.begin("a", "b", "--stun-limit", "2").wait(30)
        self.release("b")
        self.assert_stayed(answer, "aborted")
        self.assertEqual(answer.code, "stun-limit")

    def test_link_cut_during_precopy(self) -> None:
        self.hold("a", "source.round")
        running = self.begin("a", "b")
        self.wait_held("a", "source.round", running)
        control.cut(self.lab, "a", "b", one_way=False)
        try:
            self.release("a")
            answer = running.wait(60)
        finally:
            control.heal(self.lab, "a", "b")
        self.assertEqual(answer.exit, 1, self.describe(answer))
        self.assert_runs_only_on("a")
        self.assert_goes_on("a")

    def test_source_ferryd_killed_during_precopy(self) -> None:
        self.hold("a", "source.round")
        running = self.begin("a", "b")
        self.wait_held("a", "source.round", running)
        self.kill("a", "ferryd")
        self.assertEqual(running.wait(30).exit, 1)
        self.assert_runs_only_on("a")
        self.assert_goes_on("a")

    def test_source_ferryd_killed_in_the_stun(self) -> None:
        self.hold("b", "dest.before-sealed")
        running = self.begin("a", "b")
        self.wait_held("b", "dest.before-sealed", running)
        self.kill("a", "ferryd")
        self.release("b")
        self.assertEqual(running.wait(30).exit, 1)
        self.assert_runs_only_on("a")
        self.assert_goes_on("a")

    def test_destination_ferryd_killed_after_sealed_was_written(self) -> None:
        """The source never heard SEALED: it gives up, and the sealed copy must hear of it and go."""
        self.hold("b", "dest.sealed")
        running = self.begin("a", "b")
        self.wait_held("b", "dest.sealed", running)
        self.kill("b", "ferryd")
        self.assert_stayed(running.wait(30))

    def test_zz_the_memory_is_right_after_all_of_it_and_the_vm_can_still_move(self) -> None:
        self.migrate("a", "b", "--verify")
        self.assert_runs_only_on("b")
        self.migrate("b", "a", "--verify")
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")


class AfterCommitTest(VmTest):
    """From COMMITTED on the VM belongs to the destination; daemons that die are asked again when back."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot()
        cls.start_pattern("a", 8)

    def move_with(self, a: str, b: str, holder: str, point: str) -> None:
        """Moves a to b; the holder's ferryd is killed at the point and comes back."""
        self.hold(holder, point)
        running = self.begin(a, b)
        self.wait_held(holder, point, running)
        self.kill(holder, "ferryd")
        running.wait(30)
        self.assert_runs_only_on(b)
        self.assert_goes_on(b)

    def test_1_source_ferryd_killed_after_committed_was_written(self) -> None:
        self.move_with("a", "b", "a", "source.committed")

    def test_2_destination_ferryd_killed_before_owned(self) -> None:
        self.move_with("b", "a", "a", "dest.before-owned")

    def test_3_destination_ferryd_killed_before_cont(self) -> None:
        self.move_with("a", "b", "b", "dest.before-cont")

    def test_4_the_memory_is_right(self) -> None:
        self.assertRegex(self.finish_pattern("b"), r"pattern ok \d+")


class ThirdHostTest(VmTest):
    hosts = 3

    def test_a_sealed_copy_hears_of_its_end_when_the_vm_has_moved_elsewhere_meanwhile(self) -> None:
        """The source has aborted, and its record is that of a later migration by the time it is asked."""
        self.boot()
        self.hold("b", "dest.sealed")
        running = self.begin("a", "b")
        self.wait_held("b", "dest.sealed", running)
        b = self.lab.host("b")
        control.send(self.lab, b, "kill", "ferryd", None, stay_down=True)
        self.assertEqual(running.wait(30).exit, 1)
        self.assertEqual(self.state("a"), "running")
        self.migrate("a", "c")
        self.assertTrue(self.processes("b"), "the sealed copy is there")
        control.send(self.lab, b, "restart", "ferryd", None)
        self.wait("b to be rid of its copy", lambda: not self.processes("b"), 20)
        self.wait("b to forget it", lambda: self.state("b") is None, 5)
        self.assertEqual(self.state("c"), "running")
        self.assertEqual(self.ferry.guest("c", VM, "echo", "here"), (0, "here\n"))


class SourceVgpuTest(VmTest):
    def test_source_vgpu_killed_during_precopy(self) -> None:
        """The guest's OpenCL is lost with its process; the VM itself and both hosts must come out clean."""
        self.boot()
        self.start_pattern("a", 16)
        self.hold("a", "source.round")
        running = self.begin("a", "b")
        self.wait_held("a", "source.round", running)
        self.kill("a", "vgpu")
        self.release("a")
        answer = running.wait(30)
        self.assertEqual(answer.exit, 1, self.describe(answer))
        self.assertTrue(answer.code, answer.result)
        self.wait("b to be rid of the VM", lambda: not self.processes("b"), 20)
        self.assertNotEqual(self.state("b"), "running")


class RefusedTest(VmTest):
    """Refused before anything starts: exit status, code and a remedy, and the VM runs on."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot()

    def refused(self, status: int, *args: str) -> Answer:
        answer = self.ferry.run("a", *args)
        self.assertEqual(answer.exit, status, self.describe(answer))
        self.assertTrue(answer.errors or answer.result, "it says why")
        self.assertEqual(self.state("a"), "running")
        self.assertEqual(self.processes("b"), [])
        return answer

    def test_unknown_host(self) -> None:
        self.refused(3, "migrate", VM, "--to", "nowhere")

    def test_unknown_vm(self) -> None:
        self.refused(2, "migrate", "nobody", "--to", "b")

    def test_bad_mode(self) -> None:
        self.refused(2, "migrate", VM, "--to", "b", "--mode", "sideways")

    def test_hot_migration_switched_off(self) -> None:
        self.ferry.must("a", "vm", "set", VM, "vgpu.hotmigrate.enabled=false")
        try:
            self.refused(3, "migrate", VM, "--to", "b")
        finally:
            self.ferry.must("a", "vm", "set", VM, "vgpu.hotmigrate.enabled=true")

    def test_destination_down(self) -> None:
        control.send(self.lab, self.lab.host("b"), "kill", "ferryd", None, stay_down=True)
        try:
            answer = self.ferry.run("a", "migrate", VM, "--to", "b")
            self.assertEqual(answer.exit, 3, self.describe(answer))
            self.assertEqual(self.state("a"), "running")
        finally:
            control.send(self.lab, self.lab.host("b"), "restart", "ferryd", None)

    def test_a_destination_without_room(self) -> None:
        b = self.lab.host("b")
        control.set_memory(self.lab, b, "600M")
        try:
            for command in (("check", VM, "--to", "b"), ("migrate", VM, "--to", "b")):
                answer = self.refused(3, *command)
                [finding] = [f for f in answer.result["findings"] if f["severity"] == "refuse"]
                self.assertEqual(finding["code"], "no-memory")
                self.assertIn("needs 704 MiB, host b has 600 MiB left of the 600 MiB", finding["cause"])
                self.assertIn("host b", finding["remedy"])
            self.assertEqual(self.ferry.guest("a", VM, "echo", "runs on"), (0, "runs on\n"))
            self.assertEqual(self.ferry.must("b", "vm", "list"), [])
        finally:
            control.set_memory(self.lab, b, None)
        self.assertEqual(self.ferry.run("a", "check", VM, "--to", "b").exit, 0)

    def test_name_taken_at_the_destination(self) -> None:
        self.ferry.must("b", "vm", "create", VM, "--profile", "ferry_cpu-05q", "--memory", "128M")
        try:
            self.refused(3, "migrate", VM, "--to", "b")
        finally:
            self.ferry.must("b", "vm", "rm", VM)
