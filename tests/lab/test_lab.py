# SPDX-License-Identifier: Apache-2.0
"""The lab itself: its networks, its limits and cuts, and that nothing stays behind. Needs root."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from lab import control, lifecycle, model, netns, process

NAME = f"test-lab-{os.getpid()}"
BLAST = str(Path(__file__).with_name("blast.py"))


def in_host(lab: model.Lab, host: str, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["nsenter", "-t", str(lab.namespace(host).pid), "-n", "--", sys.executable, BLAST, *argv],
                            stdout=subprocess.PIPE, text=True)


def namespaces() -> set[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            pass
    return found


@unittest.skipUnless(os.geteuid() == 0, "needs root for network namespaces")
class LabTest(unittest.TestCase):
    def setUp(self) -> None:
        self.children: list[subprocess.Popen[str]] = []
        self.lab = lifecycle.up(NAME, hosts=2, mtu=9000, daemons=False)

    def tearDown(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
            assert child.stdout
            child.stdout.close()
        lifecycle.down(NAME)

    def start(self, host: str, *argv: str) -> subprocess.Popen[str]:
        child = in_host(self.lab, host, *argv)
        self.children.append(child)
        return child

    def line(self, child: subprocess.Popen[str]) -> str:
        assert child.stdout
        return child.stdout.readline()

    def measure(self, sender: str, receiver: str) -> float:
        """Bits per second of one TCP connection."""
        address = f"10.98.0.{self.lab.host(receiver).index}"
        server = self.start(receiver, "serve", address)
        self.assertEqual(self.line(server), "ready\n")
        self.start(sender, "send", address, "1.5")
        total, seconds = self.line(server).split()
        return int(total) * 8 / float(seconds)

    def test_rate_is_what_was_asked_in_both_directions(self) -> None:
        control.set_rate(self.lab, "500mbit")
        if self.lab.rate_method != "tbf":
            self.skipTest("this kernel has no token bucket")
        for sender, receiver in (("a", "b"), ("b", "a")):
            # A busy machine can make one run slow, nothing can make it fast: the best of three counts.
            rate = max(self.measure(sender, receiver) for _ in range(3))
            self.assertAlmostEqual(rate / 500e6, 1, delta=0.15)

    def test_no_limit_is_faster_than_the_limit(self) -> None:
        control.set_rate(self.lab, "500mbit")
        control.set_rate(self.lab, None)
        self.assertGreater(max(self.measure("a", "b") for _ in range(3)), 700e6)

    def answers(self, ticker: subprocess.Popen[str], seconds: float) -> int:
        """How many answers the ticker got in this time."""
        self.read_now(ticker)
        time.sleep(seconds)
        return self.read_now(ticker).count(b"\n")

    @staticmethod
    def read_now(child: subprocess.Popen[str]) -> bytes:
        assert child.stdout
        os.set_blocking(child.stdout.fileno(), False)
        try:
            return os.read(child.stdout.fileno(), 1 << 20)
        except BlockingIOError:
            return b""

    def established(self) -> subprocess.Popen[str]:
        echo = self.start("b", "echo", "10.98.0.2")
        self.assertEqual(self.line(echo), "ready\n")
        ticker = self.start("a", "tick", "10.98.0.2")
        self.line(ticker)
        return ticker

    def wait_for_answers(self, ticker: subprocess.Popen[str], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.answers(ticker, 0.3) > 0:
                return
        self.fail("the connection did not come back after heal")

    def test_cut_stops_an_established_connection_and_heal_brings_it_back(self) -> None:
        ticker = self.established()
        for one_way, a, b in ((False, "a", "b"), (True, "a", "b"), (True, "b", "a")):
            self.wait_for_answers(ticker, 10)
            control.cut(self.lab, a, b, one_way)
            self.assertLessEqual(self.answers(ticker, 0.8), 2)
            self.assertEqual(self.answers(ticker, 0.3), 0)
            control.heal(self.lab, a, b)
            self.wait_for_answers(ticker, 10)

    def test_one_way_cut_leaves_the_other_direction(self) -> None:
        """A datagram from b still reaches a while a's do not reach b."""
        control.cut(self.lab, "a", "b", one_way=True)
        script = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(3)\n"
                  "s.bind((sys.argv[1],7))\nprint('ready',flush=True)\nprint(s.recv(9).decode())")
        send = "import socket,sys;socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'hello',(sys.argv[1],7))"
        for sender, receiver, arrives in (("b", "a", True), ("a", "b", False)):
            address = f"10.98.0.{self.lab.host(receiver).index}"
            enter = ["nsenter", "-t", str(self.lab.host(receiver).supervisor.pid), "-n", "--"]
            listener = subprocess.Popen([*enter, sys.executable, "-c", script, address], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
            self.children.append(listener)
            self.assertEqual(self.line(listener), "ready\n")
            netns.run(self.lab.host(sender).supervisor.pid, sys.executable, "-c", send, address)
            self.assertEqual(self.line(listener), "hello\n" if arrives else "")

    def test_up_twice_says_so(self) -> None:
        with self.assertRaisesRegex(model.LabError, "up already"):
            lifecycle.up(NAME, 2, 9000, daemons=False)

    def test_down_leaves_nothing_also_of_a_lab_that_died_half_way(self) -> None:
        lab = model.load_up(NAME)
        inside = {os.readlink(f"/proc/{lab.namespace(n).pid}/ns/net") for n in ("client", "a", "b")}
        stray = self.start("a", "echo", "10.98.0.1")  # not marked: only what the lab started is the lab's
        stray.kill()
        stray.wait()
        marked = subprocess.Popen(["sleep", "600"], env={**os.environ, **lab.environment("a")})
        lab.host("a").supervisor.kill(signal.SIGKILL)
        with self.assertRaisesRegex(model.LabError, "died half way"):
            lab.host("a").supervisor.wait(5)
            model.load_up(NAME)
        lifecycle.down(NAME)
        self.assertEqual(marked.wait(5), -signal.SIGKILL)
        self.assertEqual(process.with_environment({"FERRY_LAB_FOLDER": str(lab.folder)}), [])
        self.assertFalse(inside & namespaces())
        self.assertIsNone(model.load(NAME))
        lifecycle.down(NAME)

    def test_two_labs_stand_side_by_side(self) -> None:
        other = NAME + "-2"
        lifecycle.up(other, 1, 1500, daemons=False)
        try:
            lifecycle.down(other)
            self.assertTrue(model.load_up(NAME))
        finally:
            lifecycle.down(other)


if __name__ == "__main__":
    unittest.main()
