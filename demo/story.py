# SPDX-License-Identifier: Apache-2.0
"""The demo's acts, in order. Every number in the result is measured here, in this run."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from demo import hashcat, models, preflight
from demo.display import Display, migration_lines, spark
from demo.models import Model
from demo.preflight import Plan
from demo.reference import Reference
from demo.result import ms, rounds
from demo.stream import NS, Stream, Streams, Window
from demo.words import Words, across
from lab import control, lifecycle, model
from lab.ferry import Answer, Ferry, Running
from lab.process import Process

LINK = "1gbit"
ROUNDS_SHOWN = 3
PANE_WIDTH, PANE_LINES = 100, 3
BEFORE_S, AFTER_S = 8, 8  # of the stream, around the pre-copy migration
LOG_LINE = "vGPU Page Transfer Start"
HOLD = "dest.before-sealed"  # the stun, after the pages and before the destination's word


class DemoError(Exception):
    """The demo cannot go on; one line."""


class Story:
    """One run. `result` grows act by act, so that a run that breaks still says what it saw."""

    def __init__(self, lab: model.Lab, display: Display, folder: Path, plan: Plan) -> None:
        self.lab, self.display, self.folder, self.plan = lab, display, folder, plan
        self.ferry = Ferry(lab)
        self.models: tuple[Model, ...] = (models.READABLE, models.synthetic(plan.model))
        self.streams = Streams()
        self.words: list[Words] = []
        self.progress: dict[str, Any] = {}
        self.windows: dict[str, Window] = {}  # of each migration
        self.result: dict[str, Any] = {
            "schema": 1, "link": LINK, "accel": "", "tracker": "", "migrations": [], "tokens_identical": False,
            "connection_survived": False, "client_gap_ms": None,
            "tokens_per_s": {"before": 0.0, "during": 0.0, "after": 0.0}, "stop_copy_stun_ms": None,
            "precopy_stun_ms": None, "no_vgpu_stun_ms": None, "hashcat_found": False, "leftovers": [],
            "hashcat_password": hashcat.PASSWORD, "tokens_compared": 0, "running_after_kill": None,
            "log_lines": {"precopy": 0, "stop-copy": 0}, "stream": [], "model": plan.model, "models": [],
            "machine": preflight.machine(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
        display.status = self.status

    # ---- what is shown while it runs ----

    def status(self) -> list[str]:
        lines = [self.stream_line(s) for s in self.streams if s.times and s.alive]
        for words in self.words:
            shown = words.pane(PANE_WIDTH, PANE_LINES) if self.display.live else words.fresh(PANE_WIDTH)
            lines += [f"    │ {line}" for line in shown]
        return lines + migration_lines(self.progress)

    @staticmethod
    def stream_line(s: Stream) -> str:
        now = time.time_ns()
        history = [s.rate((now - (i + 1) * NS, now - i * NS)) for i in range(39, -1, -1)]
        silence = (now - s.times[-1]) / 1e6
        return (f"  {s.model.name:<9} {history[-1]:5.1f} tokens/s  {spark(history)}  {len(s.times)} in all"
                + (f", silent for {ms(silence)}" if silence > 400 else ""))

    def on_line(self, line: dict[str, Any]) -> None:
        if isinstance(line.get("progress"), dict):
            self.progress = {**self.progress, **line["progress"]}

    # ---- migrations ----

    def log_count(self, host: str, vm: str) -> int:
        path = self.lab.host(host).state / "vms" / vm / "vm.log"
        return path.read_text(errors="replace").count(LOG_LINE) if path.exists() else 0

    def begin(self, vm: str, a: str, b: str, *options: str) -> Running:
        self.display.event(f"$ ferry migrate {vm} --to {b} {' '.join(options)}".rstrip())
        return self.ferry.start(a, "migrate", vm, "--to", b, *options, on_line=self.on_line)

    def end(self, running: Running, name: str, started_ns: int) -> dict[str, Any]:
        answer = running.wait(240)
        self.progress = {}
        result = answer.result
        if not isinstance(result, dict) or "outcome" not in result:
            raise DemoError(f"ferry migrate ({name}): {self.why(answer)}")
        self.windows[name] = (started_ns, time.time_ns())
        result["demo"] = name
        self.result["migrations"].append(result)
        self.describe(result)
        return result

    @staticmethod
    def why(answer: Answer) -> str:
        result = answer.result if isinstance(answer.result, dict) else {}
        error = result.get("error") or {}
        return error.get("message") or answer.errors or f"exit status {answer.exit}"

    def describe(self, m: dict[str, Any]) -> None:
        each = rounds(m)
        for r in each[:ROUNDS_SHOWN]:
            self.display.event(f"round {r['n']}: {r['bytes'] / 1e6:.1f} MB in {ms(r['ms'])}, then {r['dirty_bytes'] / 1e6:.1f} "
                               "MB dirty")
        if rest := each[ROUNDS_SHOWN:]:
            self.display.event(f"{len(rest)} more rounds while the RAM went, {sum(r['bytes'] for r in rest) / 1e6:.1f} MB "
                               "together")
        if m["outcome"] == "completed":
            self.display.event(f"paused {ms(m['stun_ms'])}, forecast {ms(m.get('forecast_at_switchover_ms'))}; "
                               f"{ms(m['total_ms'])} in all")
        else:
            self.display.event(f"{m['outcome']} in {m.get('phase')}: {(m.get('reason') or {}).get('message', '')}")

    def migrate(self, vm: str, a: str, b: str, name: str, *options: str) -> dict[str, Any]:
        started = time.time_ns()
        return self.end(self.begin(vm, a, b, *options), name, started)

    # ---- acts ----

    def start_vm(self, name: str, *options: str) -> dict[str, Any]:
        started = time.monotonic()
        self.display.event(f"$ ferry vm create {name} {' '.join(options)}")
        self.ferry.must("a", "vm", "create", name, *options)
        self.ferry.must("a", "vm", "start", name, timeout=120)
        self.display.event(f"VM {name} has booted, {time.monotonic() - started:.1f} s")
        vm: dict[str, Any] = self.ferry.must("a", "vm", "show", name)
        return vm

    def bring_up(self) -> None:
        said = control.set_rate(self.lab, LINK)
        self.display.event(f"hosts a and b are up; migration link: {said}")
        facts = control.api(self.lab, "a").get("/v1/host")
        self.result["accel"] = facts.get("accelerator", "")
        self.display.event(f"accelerator: {facts.get('accelerator')} ({facts.get('accelerator_reason')})")

    def serve(self) -> None:
        vm = self.start_vm("llm", "--profile", self.plan.profile, "--memory", self.plan.memory, "--vcpus", "1",
                           "--overlay", str(models.overlay(self.folder, self.models)))
        self.result["tracker"] = (vm.get("vgpu_processes") or [{}])[0].get("tracker", "")
        self.display.event(f"tracker of dirty pages: {self.result['tracker']}")
        for m in self.models:
            self.await_server(vm["ip"], m)
        self.streams = Streams.outside(self.lab, self.models, vm["ip"])
        if not self.streams.wait_for(20, 60):
            raise DemoError("no tokens: " + ", ".join(s.ended or f"{s.model.name}: {len(s.ids)}" for s in self.streams))
        self.words = [Words(s) for s in self.streams if s.model.readable]
        self.display.event("a client of each streams")

    def await_server(self, address: str, m: Model) -> None:
        """Asks for /health from the client's side until the model is loaded."""
        started = time.monotonic()
        script = ("import sys,urllib.request as u\n"
                  "print(u.urlopen(f'http://{sys.argv[1]}:{sys.argv[2]}/health', timeout=3).status)")
        enter = ["nsenter", "-t", str(self.lab.namespace("client").pid), "-n", "--", "python3", "-c", script]
        while time.monotonic() - started < 120:
            try:
                done = subprocess.run([*enter, address, str(m.port)], capture_output=True, text=True, timeout=10)
                if done.stdout.strip() == "200":
                    self.display.event(f"{m.title()} is in vGPU memory, {time.monotonic() - started:.1f} s")
                    return
            except subprocess.TimeoutExpired:
                pass
            time.sleep(0.3)
        raise DemoError("the model server in the guest does not answer; see build/lab/demo/a/state/vms/llm/console.log")

    def pause(self, seconds: float) -> Window:
        """Lets the stream run; the interval."""
        start = time.time_ns()
        time.sleep(seconds)
        return start, time.time_ns()

    def noticed(self, m: dict[str, Any]) -> None:
        """What the clients noticed of a migration: the longest wait, and the words on both sides of it."""
        window = self.windows[m["demo"]]
        m["client_gap_ms"] = self.streams.gap_ms(window)
        m["reader"] = [across(w.stream, window) for w in self.words]
        for line in m["reader"]:
            self.display.event(f"what the reader saw: {line}")

    def precopy(self) -> None:
        before = self.pause(BEFORE_S)
        lines = self.log_count("b", "llm")
        m = self.migrate("llm", "a", "b", "precopy", "--verify")
        if m["outcome"] != "completed":
            raise DemoError(f"the migration {m['outcome']}: {(m.get('reason') or {}).get('message')}")
        after = self.pause(AFTER_S)
        self.noticed(m)
        self.result["client_gap_ms"] = m["client_gap_ms"]
        self.result["precopy_stun_ms"] = m["stun_ms"]
        self.result["log_lines"]["precopy"] = self.log_count("b", "llm") - lines
        windows = {"before": before, "during": self.windows["precopy"], "after": after}
        self.result["tokens_per_s"] = {k: round(self.streams.rate(w), 2) for k, w in windows.items()}
        self.result["models"] = [{"name": s.model.name, "tokens_per_s": {k: round(s.rate(w), 2) for k, w in windows.items()}}
                                 for s in self.streams]

    def kill_in_stun(self) -> None:
        control.fault(self.lab, "a", f"{HOLD}:hold")
        started = time.time_ns()
        running = self.begin("llm", "b", "a")
        if not control.wait_held(self.lab, "a", HOLD, 90):
            running.wait(1)
            raise DemoError("the migration did not come to its stun")
        doomed = [d.process for d in control.daemons(self.lab, self.lab.host("a"))
                  if d.kind == "ferryd" or d.vm == "llm"]
        self.display.event(f"the guest is stunned: SIGKILL to the destination's ferryd, QEMU, ferry-vgpu and relay "
                           f"({', '.join(str(p.pid) for p in doomed)})")
        self.kill(doomed)
        m = self.end(running, "killed", started)
        alive = self.streams.wait_for(10, 30)
        self.noticed(m)
        states = {h: self.state_of(h, "llm") for h in ("a", "b")}
        owner = [h for h, s in states.items() if s == "running"]
        self.result["running_after_kill"] = owner[0] if alive and len(owner) == 1 else None
        self.display.event(f"the VM runs on {' and '.join(owner) or 'no host'}; the streams {'go on' if alive else 'broke'}")

    @staticmethod
    def kill(processes: list[Process]) -> None:
        for p in processes:
            p.kill(9)
        for p in processes:
            p.wait(5)

    def state_of(self, host: str, vm: str) -> str | None:
        lifecycle.wait_for_daemon(self.lab.host(host))
        return self.ferry.state(host, vm)

    def stop_copy(self) -> None:
        lines = self.log_count("a", "llm")
        m = self.migrate("llm", "b", "a", "stop-copy", "--mode", "stop-copy", "--verify")
        if m["outcome"] != "completed":
            raise DemoError(f"the migration {m['outcome']}: {(m.get('reason') or {}).get('message')}")
        self.pause(3)
        self.noticed(m)
        self.result["stop_copy_stun_ms"] = m["stun_ms"]
        self.result["log_lines"]["stop-copy"] = self.log_count("a", "llm") - lines

    def hang_up(self) -> None:
        """Ends the streams from our side; whether they lasted is decided here."""
        self.result["connection_survived"] = self.streams.alive and all(s.connections == 1 for s in self.streams)
        for s in self.streams:
            if s.ended:
                self.display.event(f"the {s.model.name} model's stream had ended: {s.ended}")
        self.streams.stop()
        self.words = []
        self.result["stream"] = self.streams.history()
        start = self.streams.start_ns()
        for m in self.result["migrations"]:
            if m["demo"] in self.windows:
                m["window_s"] = [round((t - start) / NS, 3) for t in self.windows[m["demo"]]]
                m["stun_s"] = [round((m[k] - start) / NS, 3) if m.get(k) else None for k in ("stop_at_ns", "resume_at_ns")]
        self.ferry.must("a", "vm", "stop", "llm", timeout=60)

    def compare(self) -> None:
        """Both models' tokens with those of servers that never moved."""
        self.result["tokens_identical"] = bool(self.streams)
        for s, row in zip(self.streams, self.result["models"]):
            row["tokens_compared"], row["identical"] = self.compare_stream(s)
            self.result["tokens_compared"] += row["tokens_compared"]
            self.result["tokens_identical"] &= row["identical"]

    def compare_stream(self, s: Stream) -> tuple[int, bool]:
        wanted = len(s.ids)
        self.display.event(f"{s.model.name}: an unmoved run of {wanted} tokens for comparison")
        reference = Reference(s.model, self.folder)
        self.display.status = lambda: [f"  reference: {reference.count} of {wanted} tokens"]
        try:
            ids = reference.ids(wanted, 240)
        finally:
            reference.stop()
            self.display.status = self.status
        same = next((i for i, (x, y) in enumerate(zip(ids, s.ids)) if x != y), min(len(ids), wanted))
        if same < wanted:
            self.display.event(f"the streams differ from token {same} on (of {wanted}; {len(ids)} in the comparison)")
        return len(ids), 0 < wanted == same

    def without_vgpu(self) -> None:
        self.start_vm("plain", "--profile", "none", "--memory", self.plan.memory, "--vcpus", "1")
        self.pause(2)  # the guest has done with its start
        m = self.migrate("plain", "a", "b", "no-vgpu")
        if m["outcome"] == "completed":
            self.result["no_vgpu_stun_ms"] = m["stun_ms"]
        self.ferry.must("b" if m["outcome"] == "completed" else "a", "vm", "stop", "plain", timeout=60)

    def hashcat(self) -> None:
        try:
            disk = self.folder / "hashcat.img"
            shutil.copy(hashcat.image(model.ROOT / "build/hashcat"), disk)
        except hashcat.Unavailable as e:
            self.display.event(f"no hashcat: {e}")
            return
        self.start_vm("hashcat", "--profile", "ferry_cpu-05q", "--memory", "1G", "--vcpus", "1",
                      "--disk", str(disk))
        started = time.monotonic()
        while self.ferry.guest("a", "hashcat", "test", "-x", hashcat.PROGRAM)[0] != 0:
            if time.monotonic() - started > 30:
                raise DemoError("the guest did not mount the disk with hashcat")
            time.sleep(0.3)
        self.ferry.guest("a", "hashcat", "sh", "-c", hashcat.command())
        if not self.hashcat_until("a", lambda log: 0 < hashcat.progress(log) < 60, 150, "compiles its kernels"):
            return
        m = self.migrate("hashcat", "a", "b", "hashcat")
        host = "b" if m["outcome"] == "completed" else "a"
        _, log = self.ferry.guest(host, "hashcat", "cat", hashcat.LOG)
        if hashcat.found(log):
            self.display.event("hashcat was done before it had moved: this shows nothing")
            return
        self.result["hashcat_found"] = self.hashcat_until(host, hashcat.found, 240, "runs on") and host == "b"
        disk.unlink()

    def hashcat_until(self, host: str, done: Any, seconds: float, doing: str) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            _, log = self.ferry.guest(host, "hashcat", "cat", hashcat.LOG)
            percent = hashcat.progress(log)
            self.display.status = lambda: [f"  hashcat on {host}: {percent:.0f}% of the candidates"
                                           if percent else f"  hashcat on {host} {doing}"]
            if done(log):
                self.display.event(f"hashcat on {host}: {percent:.0f}% of the candidates"
                                   + (f", found {hashcat.PASSWORD}" if hashcat.found(log) else ""))
                self.display.status = self.status
                return True
            if "Stopped:" in log:
                break
            time.sleep(0.5)
        self.display.event("hashcat: " + " / ".join(log.strip().splitlines()[-3:]))
        self.display.status = self.status
        return False
