# SPDX-License-Identifier: Apache-2.0
"""A VM boots, runs an OpenCL program, and moves there and back with every bit of its memory."""

from __future__ import annotations

import base64
import re
import signal
import time
from pathlib import Path

from lab import control
from lab.ferry import Answer
from tests.e2e.machine import VM, VmTest


class MoveTest(VmTest):
    ports = 34  # more than there are where nobody asks

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot(options=("--ports", str(cls.ports)))

    def test_1_clinfo_sees_the_vgpu(self) -> None:
        status, text = self.ferry.guest("a", VM, "clinfo", "-l")
        self.assertEqual(status, 0, text)
        self.assertIn("Device #0", text)

    def test_1_its_process_is_confined(self) -> None:
        vgpu = next(p for p in self.processes("a") if p.kind == "vgpu")
        status = Path(f"/proc/{vgpu.process.pid}/status").read_text()
        user = int(re.findall(r"^Uid:\t(\d+)", status, re.M)[0])
        self.assertTrue(61184 <= user <= 65519, status)
        log = (self.lab.host("a").state / "vms" / VM / "vgpu0.log").read_text()
        filtered = "built with sanitizers" not in log  # those trace their own process
        for line in (f"Uid:\t{user}\t{user}\t{user}\t{user}", f"Gid:\t{user}\t{user}\t{user}\t{user}", f"Seccomp:\t{2 if filtered else 0}",
                     "NoNewPrivs:\t1", "CapEff:\t0000000000000000"):
            self.assertIn(line, status)
        pids = re.findall(r"^NSpid:\t(.*)", status, re.M)[0].split()
        self.assertEqual(pids, [str(vgpu.process.pid)] + ["1"] * filtered)  # the init of a namespace of its own

    def test_2_a_program_computes_what_it_should(self) -> None:
        status, text = self.ferry.guest("a", VM, "pattern", "8", "--steps", "100")
        self.assertEqual((status, text.splitlines()[-1]), (0, "pattern ok 100"), text)

    def test_3_there_by_precopy_and_back_by_stop_copy(self) -> None:
        self.start_pattern("a", 64)
        there = self.migrate("a", "b", "--verify")
        self.assert_goes_on("b")
        self.assertTrue(there["verified"])
        self.assertGreaterEqual(len(there["vgpus"][0]["rounds"]), 2)
        self.assertGreater(there["vgpus"][0]["sent_bytes"], 64 << 20)
        self.assertEqual(self.log_lines("b"), len(there["vgpus"][0]["rounds"]) + 1)
        self.assert_runs_only_on("b")
        self.assertEqual(self.state("a"), "released")

        before = {h: self.log_lines(h) for h in ("a", "b")}
        back = self.migrate("b", "a", "--mode", "stop-copy", "--verify")
        self.assert_goes_on("a")
        self.assertTrue(back["verified"])
        self.assertEqual(back["vgpus"][0]["rounds"], [])
        for h in ("a", "b"):
            self.assertEqual(self.log_lines(h) - before[h], 1)
        self.assert_runs_only_on("a")
        self.assertRegex(self.finish_pattern("a"), r"pattern ok \d+")

    def test_4_programs_side_by_side_move_together(self) -> None:
        self.start_pattern("a", 8)
        second = "pattern 4 --idle-us 3000 >/tmp/second 2>&1 & echo $! >/tmp/second.pid"
        self.ferry.guest("a", VM, "sh", "-c", second)
        answer = self.begin("a", "b").wait(90)
        self.assertEqual(answer.exit, 0, self.describe(answer))
        built = [p["destination_programs"] for line in answer.lines if "destination_programs" in (p := line.get("progress", {}))]
        self.assertEqual(built[-1]["done"], built[-1]["total"], answer.lines)
        self.assertGreaterEqual(built[-1]["total"], 2, answer.lines)  # a launch in the midst of it makes a better binary, which counts again
        self.assert_goes_on("b")
        self.ferry.guest("b", VM, "sh", "-c", "kill -TERM $(cat /tmp/second.pid); sleep 1")
        self.assertRegex(self.ferry.guest("b", VM, "tail", "-n", "1", "/tmp/second")[1], r"pattern ok \d+")
        self.assertRegex(self.finish_pattern("b"), r"pattern ok \d+")
        self.migrate("b", "a")


    def test_5_vgpu_and_ram_share_one_bandwidth(self) -> None:
        """Rounds of a busy workload and the RAM's passes go side by side; together they keep to the cap."""
        self.start_pattern("a", 16)
        cap = 20e6
        there = self.migrate("a", "b", "--bandwidth", "20MB/s")
        self.assertGreater(there["vgpus"][0]["sent_bytes"], 16 << 20)
        self.assertGreater(there["ram"]["bytes"], 16 << 20)
        self.assertLess(there["throughput_bytes_per_s"], cap * 1.05)
        self.assertGreater(there["throughput_bytes_per_s"], cap * 0.5)
        self.assertRegex(self.finish_pattern("b"), r"pattern ok \d+")
        self.migrate("b", "a")

    def test_6_a_killed_program_gives_its_memory_back(self) -> None:
        self.start_pattern("a", 64)
        self.assertGreaterEqual(self.memory("a"), 64 << 20)
        self.ferry.guest("a", VM, "sh", "-c", "kill -KILL $(cat /tmp/pid)")
        self.wait("the killed program's memory", lambda: self.memory("a") == 0, 3)

    def test_7_programs_that_open_a_port_at_once_keep_it(self) -> None:
        """One is killed and the next runs, on the same port, while ferryd hears of the first one's end;
        and the VM moves meanwhile."""
        script = ("i=0; while [ $i -lt 12 ]; do i=$((i+1)); pattern 1 --idle-us 1000 >/dev/null & p=$!; "
                  "sleep 0.$((i % 4 + 1)); kill -KILL $p; wait $p; "
                  "pattern 1 --steps 150 --idle-us 5000 | tail -n 1; done >/tmp/many 2>/dev/null; echo end >>/tmp/many")
        self.ferry.guest("a", VM, "sh", "-c", f"({script}) >/dev/null 2>&1 &")
        for source, destination in (("a", "b"), ("b", "a")) * 2:
            self.migrate(source, destination)

        def lines() -> list[str]:
            return self.ferry.guest("a", VM, "cat", "/tmp/many")[1].splitlines()

        self.wait("the last program", lambda: "end" in lines(), 60)
        self.assertEqual(lines(), ["pattern ok 150"] * 12 + ["end"])
        self.wait("the memory of all of them", lambda: self.memory("a") == 0, 3)


    def test_7_what_ended_while_ferryd_was_away_gives_its_memory_back(self) -> None:
        self.start_pattern("a", 32)
        self.ferry.guest("a", VM, "sh", "-c", "(sleep 2; kill -KILL $(cat /tmp/pid)) >/dev/null 2>&1 &")
        a = self.lab.host("a")
        control.send(self.lab, a, "kill", "ferryd", None, stay_down=True)
        time.sleep(4)
        control.send(self.lab, a, "restart", "ferryd", None)
        self.wait("the dead program's memory", lambda: self.memory("a") == 0, 5)

    def test_7_as_many_programs_as_ports_compute_and_the_next_is_told_why_not(self) -> None:
        ports = int(re.findall(r"\d+$", self.ferry.guest("a", VM, "sh", "-c", "ls -d /dev/virtio-ports/ferry.gpu0.* | wc -l")[1])[0])
        self.assertEqual(ports, self.ports)
        script = (f"i=0; while [ $i -lt {ports} ]; do i=$((i+1)); pattern 1 --idle-us 300000 >/tmp/of.$i 2>&1 & "
                  "echo $! >>/tmp/of.pids; done")
        self.ferry.guest("a", VM, "sh", "-c", f"({script}) </dev/null >/dev/null 2>&1")

        def said(what: str) -> int:
            return int(self.ferry.guest("a", VM, "sh", "-c", f"tail -qn 1 /tmp/of.[0-9]* | grep -c '{what}'")[1] or 0)

        self.wait("all programs' steps", lambda: said("^step") == ports, 90)
        status, text = self.ferry.guest("a", VM, "pattern", "1", "--steps", "1")
        self.assertNotEqual(status, 0)
        self.assertIn("each port to the vGPU is in use", text)
        self.assertIn("-> end one of the programs", text)
        self.assertIn("-1001", text)  # CL_PLATFORM_NOT_FOUND_KHR
        self.ferry.guest("a", VM, "sh", "-c", "kill -TERM $(cat /tmp/of.pids)")
        self.wait("all programs' verdicts", lambda: said("^pattern ok") == ports, 60)
        self.assertEqual(self.ferry.guest("a", VM, "pattern", "1", "--steps", "1")[0], 0)
        self.wait("the memory of all of them", lambda: self.memory("a") == 0, 3)

    def test_8_images_and_samplers_move(self) -> None:
        """Images that kernels step into one another, a sampler, and a region that stays mapped."""
        self.goes_there_and_back("frames")

    def test_8_shared_virtual_memory_moves(self) -> None:
        """A list that kernels walk and the host has linked: its pointers are right wherever it is. And mapped memory."""
        self.goes_there_and_back("lists")

    def goes_there_and_back(self, program: str) -> None:
        self.ferry.guest("a", VM, "sh", "-c", f"{program} --idle-us 3000 >/tmp/{program} 2>&1 & echo $! >/tmp/{program}.pid")

        def last(host: str) -> str:
            return self.ferry.guest(host, VM, "tail", "-n", "1", f"/tmp/{program}")[1].strip()

        self.wait("the first step", lambda: last("a").startswith("step"), 60)
        for source, destination in (("a", "b"), ("b", "a")):
            self.assertTrue(self.migrate(source, destination, "--verify")["verified"])
            before = last(destination)
            self.wait("the next step", lambda at=destination, was=before: last(at) != was, 30)
        self.ferry.guest("a", VM, "sh", "-c", f"kill -TERM $(cat /tmp/{program}.pid)")
        self.wait("the verdict", lambda: last("a").startswith(program), 60)
        self.assertRegex(last("a"), rf"{program} ok \d+")


class PlainVmTest(VmTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.boot(profile="none")

    def test_a_vm_without_a_vgpu_moves(self) -> None:
        result = self.migrate("a", "b")
        self.assertEqual(result["vgpus"], [])
        self.assertEqual(self.ferry.guest("b", VM, "echo", "here"), (0, "here\n"))
        self.assert_runs_only_on("b")

    def whereabouts(self) -> tuple[str, str]:
        return ("a", "b") if self.state("a") == "running" else ("b", "a")

    def start_memory(self, host: str, mebibytes: int) -> None:
        """A program that writes so much of the guest's memory again and again."""
        script = (f"memory {mebibytes} >/tmp/memory 2>&1 & echo $! >/tmp/memory.pid; "
                  "while ! grep -q counting /tmp/memory; do sleep 0.1; done")
        self.ferry.guest(host, VM, "sh", "-c", script)

    def finish_memory(self, host: str) -> str:
        """Ends it; its verdict."""
        self.ferry.guest(host, VM, "sh", "-c", "kill -TERM $(cat /tmp/memory.pid)")

        def verdict() -> str:
            return self.ferry.guest(host, VM, "tail", "-n", "1", "/tmp/memory")[1].strip()

        self.wait("the verdict", lambda: verdict().startswith("memory"), 60)
        return verdict()

    def test_ram_that_does_not_converge(self) -> None:
        """The guest writes 32 MiB of its memory faster than the link carries it: each pass has as much to send as the one
        before. 100 Mbit/s take 2.7 s for that, which is over a stun limit of 1 s and within one of 60 s."""
        away, back = self.whereabouts()
        self.start_memory(away, 32)
        stayed = self.begin(away, back, "--bandwidth", "100mbit", "--stun-limit", "1").wait(60)
        self.assertEqual((stayed.exit, stayed.code), (1, "not-converging"), self.describe(stayed))
        self.assertEqual(stayed.result["outcome"], "aborted")
        self.assertEqual(stayed.result["phase"], "flowing")
        self.assertIn("RAM", stayed.result["reason"]["message"])
        self.assertEqual(len(stayed.result["reason"]["remedies"]), 2, stayed.result)
        self.assertEqual(stayed.result["stop_at_ns"], 0)
        self.assert_runs_only_on(away)

        moved = self.migrate(away, back, "--bandwidth", "100mbit", "--stun-limit", "60")
        self.assertEqual(moved["policy"], "limit")
        self.assertLess(moved["stun_ms"], 10000)
        self.assert_runs_only_on(back)
        self.assertRegex(self.finish_memory(back), r"memory ok \d+")

    def test_every_byte_of_the_guests_memory_comes_along(self) -> None:
        """Pages that were written while they were copied, and not again afterwards."""
        away, back = self.whereabouts()
        self.start_memory(away, 64)
        for _ in range(2):
            # So slow that QEMU needs several passes: what is written between two of them counts.
            moved = self.migrate(away, back, "--bandwidth", "100MB/s", "--target-stun", "20")
            self.assertGreater(moved["ram"]["rounds"], 2)
            away, back = back, away
        self.assertRegex(self.finish_memory(away), r"memory ok \d+")

    def test_what_runs_in_it_is_heard_on_both_hosts(self) -> None:
        """`ferry vm exec` follows the VM there and back: all of the output, in order, once, and the status."""
        script = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; echo e$i >&2; sleep 0.02; done; exit 7"
        away, back = self.whereabouts()
        running = self.ferry.start(away, "vm", "exec", VM, "--", "sh", "-c", script)
        for source, destination in ((away, back), (back, away)):
            said = len(running.answer.lines)
            self.wait("output before the move", lambda: len(running.answer.lines) > said, 20)
            self.migrate(source, destination)
        ended = running.wait(60)
        self.assertEqual(ended.exit, 7, self.describe(ended))
        self.assertEqual(self.output(ended, "stdout").split(), [str(i) for i in range(1, 401)])
        self.assertEqual(self.output(ended, "stderr").split(), [f"e{i}" for i in range(1, 401)])

    def test_an_interrupted_command_ends_its_program_wherever_it_is(self) -> None:
        away, back = self.whereabouts()
        for host in (away, back):  # silent programs: nothing would be noticed by writing
            running = self.ferry.start(away, "vm", "exec", VM, "--", "sh", "-c", "echo $$ >/tmp/silent; exec sleep 600")
            self.wait("the program", lambda: self.ferry.guest(away, VM, "test", "-s", "/tmp/silent")[0] == 0, 20)
            alive = ("sh", "-c", "kill -0 $(cat /tmp/silent)")
            if host == back:
                self.migrate(away, back)
            self.assertEqual(self.ferry.guest(host, VM, *alive)[0], 0)
            running.process.send_signal(signal.SIGINT)
            running.wait(10)
            self.wait("the program's end", lambda: self.ferry.guest(host, VM, *alive)[0] != 0, 10)
            self.ferry.guest(host, VM, "rm", "/tmp/silent")

    def test_where_the_hosts_lose_each_other_the_command_says_how_to_go_on(self) -> None:
        away, back = self.whereabouts()
        script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.1; done; exit 5"
        running = self.ferry.start(away, "vm", "exec", VM, "--", "sh", "-c", script)
        self.migrate(away, back)
        said = len(running.answer.lines)
        self.wait("output from there", lambda: len(running.answer.lines) > said, 20)
        control.cut(self.lab, "a", "b", one_way=False)
        try:
            lost = running.wait(60)
        finally:
            control.heal(self.lab, "a", "b")
        self.assertEqual((lost.exit, lost.code), (1, "peer-unreachable"), self.describe(lost))
        remedy = lost.result["error"]["remedies"][0]
        found = re.search(rf"on host {back}: ferry vm exec {VM} --attach (\S+)$", remedy)
        assert found, remedy
        rest = self.ferry.run(back, "vm", "exec", VM, "--attach", found[1])
        self.assertEqual(rest.exit, 5, self.describe(rest))
        self.assertEqual((self.output(lost, "stdout") + self.output(rest, "stdout")).split(),
                         [str(i) for i in range(1, 301)])

    @staticmethod
    def output(answer: Answer, stream: str) -> str:
        return b"".join(base64.b64decode(line[stream]) for line in answer.lines if stream in line).decode()
