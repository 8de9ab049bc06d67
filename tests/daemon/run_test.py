#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_test.py FERRY ALLOCATE WORK: `ferry run` gives a program a private vGPU, keeps it within its
profile, passes on its streams, signals and exit status, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

FERRY, ALLOCATE, WORK = sys.argv[1:4]
PROFILE, HALF = "ferry_cpu-05q", "ferry_cpu-4-2q"
CLONE_NEWNET = 0x40000000
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CL_MEM_OBJECT_ALLOCATION_FAILURE = -4
CL_INVALID_BUFFER_SIZE = -61


def heed_signals() -> None:
    """A shell cannot trap what is ignored when it starts, as SIGINT is in the background of another."""
    for signo in SIGNALS:
        signal.signal(signo, signal.SIG_DFL)


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        # Where that is allowed: processors are held by names that end with this network namespace.
        ctypes.CDLL(None).unshare(CLONE_NEWNET)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="fr-")
        self.addCleanup(folder.cleanup)
        self.tmp = Path(folder.name)
        self.env = {**os.environ, "TMPDIR": str(self.tmp)}

    def start(self, *argv: str, profile: str = PROFILE, processors: set[int] | None = None) -> subprocess.Popen[str]:
        def prepare() -> None:
            heed_signals()
            if processors:
                os.sched_setaffinity(0, processors)
        return subprocess.Popen([FERRY, "run", "--profile", profile, "--", *argv], env=self.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=prepare)

    def run_it(self, *argv: str, text: str = "", profile: str = PROFILE) -> tuple[int, str, str]:
        run = self.start(*argv, profile=profile)
        out, err = run.communicate(text, timeout=60)
        self.assert_nothing_left()
        return run.returncode, out, err

    def assert_nothing_left(self) -> None:
        self.assertEqual(list(self.tmp.iterdir()), [])
        self.assertEqual(self.vgpus(), [])

    def vgpus(self) -> list[int]:
        """ferry-vgpu processes of this test: those with our temporary folder on their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if words.split(b"\0")[0].endswith(b"ferry-vgpu") and str(self.tmp).encode() in words:
                found.append(int(entry.name))
        return found

    def test_streams_environment_and_status(self) -> None:
        script = 'cat; echo "$FERRY_VGPU" >&2; exit 7'
        status, out, err = self.run_it("sh", "-c", script, text="to and fro")
        self.assertEqual((status, out), (7, "to and fro"))
        self.assertRegex(err, rf"^unix:{self.tmp}/ferry-run\.\w+/vgpu\.sock$")
        self.assertEqual(self.run_it("sh", "-c", "kill -SEGV $$")[0], 128 + signal.SIGSEGV)
        self.assertEqual(self.run_it("/nonexistent/program")[0], 127)
        self.assertEqual(self.run_it(str(self.tmp))[0], 126)

    def test_the_profile_is_enforced(self) -> None:
        status, out, err = self.run_it(ALLOCATE, "300", "300", "200", "600")
        self.assertEqual(status, 0, err)
        refused = CL_MEM_OBJECT_ALLOCATION_FAILURE
        self.assertEqual(out.splitlines()[:4], ["memory 536870912", "300 MiB ok", f"300 MiB {refused}",
                                                "200 MiB ok"])
        self.assertIn(out.splitlines()[4], (f"600 MiB {refused}", f"600 MiB {CL_INVALID_BUFFER_SIZE}"))

    def test_a_partition_has_its_own_units(self) -> None:
        _, whole, _ = self.run_it(ALLOCATE, "1")
        units = int(whole.split()[-1])
        if units < 2:
            self.skipTest("one compute unit cannot be divided")
        status, out, err = self.run_it(ALLOCATE, "1", profile=HALF)
        self.assertEqual((status, out.splitlines()), (0, ["memory 2147483648", "1 MiB ok", f"units {units // 2}"]), err)

    def part(self, processors: set[int] | None = None) -> set[int] | None:
        """The processors of one more half of the device, once it has computed; it stays. None: refused."""
        known = self.vgpus()
        run = self.start("sh", "-c", f"{WORK} calibrate && read line", profile=HALF, processors=processors)
        self.addCleanup(run.communicate)
        assert run.stdout and run.stderr
        if not run.stdout.readline():
            self.assertEqual(run.wait(10), 3)
            self.assertRegex(run.stderr.read(), "that this program may use, not .* are free for ferry_cpu-4-2q")
            return None
        [vgpu] = set(self.vgpus()) - set(known)
        tasks = list(Path(f"/proc/{vgpu}/task").iterdir())
        self.assertGreater(len(tasks), 2)
        mask = os.sched_getaffinity(vgpu)
        for task in tasks:
            self.assertEqual(os.sched_getaffinity(int(task.name)), mask)
            last = int((task / "stat").read_text().rsplit(")", 1)[1].split()[36])  # where it ran; proc(5), field 39
            self.assertIn(last, mask)
        return mask

    def units(self) -> list[int]:
        """Processors of the device, of which a part has half."""
        units = sorted(os.sched_getaffinity(0))
        if len(units) < 2:
            self.skipTest("one compute unit cannot be divided")
        return units

    def test_a_partition_computes_on_processors_of_its_own(self) -> None:
        units = self.units()
        half, had = len(units) // 2, set[int]()
        self.env["POCL_AFFINITY"] = "1"  # would be the first ones for each
        for _ in range(len(units) // half):
            got = self.part()
            assert got is not None
            self.assertEqual((len(got), got & had), (half, set()))
            had |= got
        self.assertIsNone(self.part())

    def test_a_partition_is_of_the_processors_that_its_caller_may_use(self) -> None:
        units = self.units()
        mine = set(units[:len(units) // 2])
        self.assertEqual(self.part(mine), mine)
        self.assertIsNone(self.part(mine))
        run = self.start("grep", "Cpus_allowed_list", "/proc/self/status", profile=HALF)
        out, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, err)
        with Path("/proc/self/status").open() as status:  # the program itself is nobody's partition
            self.assertIn(out, status.read())

    def test_a_partition_is_not_on_a_vms_processors(self) -> None:
        units = self.units()
        vms = set(range(len(units) // 2))
        if units != list(range(len(units))):
            self.skipTest("a VM's first processors are not all here")
        # As ferryd starts it, src/host/vm_start.c.
        vgpu = subprocess.Popen([Path(FERRY).parent.parent / "vgpu/ferry-vgpu", "--memory", str(1 << 20), "--slices", "0:4",
                                 "--serve", self.tmp / "vms"], env={**self.env, "POCL_AFFINITY": "1"},
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end() -> None:
            vgpu.terminate()
            vgpu.wait(20)
        self.addCleanup(end)
        while not (self.tmp / "vms").exists():
            self.assertIsNone(vgpu.poll())
            time.sleep(0.02)
        self.assertIsNone(self.part(vms))
        got = self.part()
        assert got is not None
        self.assertEqual(got & vms, set())

    def test_signals_reach_the_program(self) -> None:
        for signo in SIGNALS:
            run = self.start("sh", "-c", f"trap 'echo caught; exit 3' {signo.value}; echo up; while :; do sleep 0.05; done")
            assert run.stdout
            self.assertEqual(run.stdout.readline(), "up\n")
            run.send_signal(signo)
            self.assertEqual(run.stdout.readline(), "caught\n")
            self.assertEqual(run.wait(10), 3)
            run.communicate()
            self.assert_nothing_left()

    def test_a_program_that_a_signal_ends(self) -> None:
        run = self.start("sh", "-c", "echo up; exec sleep 60")
        assert run.stdout
        self.assertEqual(run.stdout.readline(), "up\n")
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(10), 128 + signal.SIGTERM)
        run.communicate()
        self.assert_nothing_left()

    def test_what_a_killed_ferry_leaves_goes(self) -> None:
        run = self.start("sh", "-c", "echo $$; exec sleep 60")
        assert run.stdout
        program = int(run.stdout.readline())
        self.addCleanup(os.kill, program, signal.SIGKILL)  # it is the user's, and goes on
        self.assertEqual(len(self.vgpus()), 1)
        run.kill()
        run.wait(10)
        deadline = time.monotonic() + 5
        while self.vgpus() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.vgpus(), [])
        for pipe in (run.stdin, run.stdout, run.stderr):
            if pipe:
                pipe.close()
        for folder in self.tmp.iterdir():  # as it is a minute later, when the next one looks
            os.utime(folder, (1, 1))
        self.assertEqual(self.run_it("true")[0], 0)

    def test_a_killed_vgpu_does_not_hang_the_program(self) -> None:
        run = self.start("sh", "-c", f"echo up; read line; {ALLOCATE} 1; echo status $?")
        assert run.stdout and run.stdin
        self.assertEqual(run.stdout.readline(), "up\n")
        for pid in self.vgpus():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        out, _ = run.communicate("go\n", timeout=30)
        self.assertRegex(out.splitlines()[-1], r"status [1-9]")
        self.assert_nothing_left()

    def test_what_is_refused(self) -> None:
        for options in ((), ("--profile", "none"), ("--profile", "ferry_cpu-passthrough"), ("--profile", "huge"), ("--profile",)):
            done = subprocess.run([FERRY, "run", *options, "--", "true"], env=self.env, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)
            self.assertTrue(done.stderr)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
