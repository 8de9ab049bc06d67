# SPDX-License-Identifier: Apache-2.0
"""The demo's acts, in order. Every number in the result is measured here, in this run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from demo import hashcat, models, preflight
from demo.display import Display, migration_lines
from demo.preflight import Plan
from demo.result import ms, rounds
from demo.serving import Serving
from demo.times import NS, Window
from lab import control, lifecycle, model
from lab.ferry import Answer, Ferry, Running
from lab.process import Process

LINK = "1gbit"
ROUNDS_SHOWN = 3
BEFORE_S, AFTER_S = 8, 8  # of the streams, around the pre-copy migration
TURNS_BEFORE, TURNS_AFTER = 3, 1  # of the conversation
LOG_LINE = "vGPU Page Transfer Start"
HOLD = "dest.before-sealed"  # the stun, after the pages and before the destination's word


class DemoError(Exception):
    """The demo cannot go on; one line."""


class Story:
    """One run. `result` grows act by act, so that a run that breaks still says what it saw."""

    def __init__(self, lab: model.Lab, display: Display, folder: Path, plan: Plan) -> None:
        self.lab, self.display, self.folder, self.plan = lab, display, folder, plan
        self.ferry = Ferry(lab)
        self.serving = Serving(plan.models, display)
        self.progress: dict[str, Any] = {}
        self.windows: dict[str, Window] = {}  # of each migration
        self.result: dict[str, Any] = {
            "schema": 1, "link": LINK, "accel": "", "tracker": "", "migrations": [], "tokens_identical": False,
            "connection_survived": False, "client_gap_ms": None,
            "tokens_per_s": {"before": 0.0, "during": 0.0, "after": 0.0}, "stop_copy_stun_ms": None,
            "precopy_stun_ms": None, "no_vgpu_stun_ms": None, "hashcat_found": False, "leftovers": [],
            "hashcat_password": hashcat.PASSWORD, "tokens_compared": 0, "running_after_kill": None,
            "log_lines": {"precopy": 0, "stop-copy": 0}, "stream": [], "model": plan.model, "models": [],
            "conversation": None,
            "machine": preflight.machine(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
        display.status = self.status

    @property
    def what(self) -> str:
        """What the VM serves."""
        names = [m.file.name for m in self.plan.models if m.on_disk and m.file]
        return names[0] if names else "two language models"

    # ---- what is shown while it runs ----

    def status(self) -> list[str]:
        return self.serving.status() + migration_lines(self.progress)

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
        disk = models.guest_disk(self.folder, self.plan.models)
        vm = self.start_vm("llm", "--profile", self.plan.profile, "--memory", self.plan.memory, "--vcpus", "1",
                           "--overlay", str(models.guest_files(self.folder, self.plan.models)),
                           *(["--disk", str(disk)] if disk else []))
        self.result["tracker"] = (vm.get("vgpu_processes") or [{}])[0].get("tracker", "")
        self.display.event(f"tracker of dirty pages: {self.result['tracker']}")
        self.serving.connect(self.lab, vm["ip"])

    def pause(self, seconds: float) -> Window:
        """Lets the stream run; the interval."""
        start = time.time_ns()
        time.sleep(seconds)
        return start, time.time_ns()

    def precopy(self) -> None:
        self.serving.talk(TURNS_BEFORE)
        before = self.pause(BEFORE_S)
        lines = self.log_count("b", "llm")
        m = self.migrate("llm", "a", "b", "precopy", "--verify")
        if m["outcome"] != "completed":
            raise DemoError(f"the migration {m['outcome']}: {(m.get('reason') or {}).get('message')}")
        after = self.pause(AFTER_S)
        self.serving.noticed(m, self.windows["precopy"])
        self.serving.talk(TURNS_AFTER)
        self.result["client_gap_ms"] = m["client_gap_ms"]
        self.result["precopy_stun_ms"] = m["stun_ms"]
        self.result["log_lines"]["precopy"] = self.log_count("b", "llm") - lines
        windows = {"before": before, "during": self.windows["precopy"], "after": after}
        self.result["tokens_per_s"] = {k: round(self.serving.streams.rate(w), 2) for k, w in windows.items()}
        self.result["models"] = self.serving.rows(windows)

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
        alive = self.serving.streams.wait_for(10, 30)
        self.serving.noticed(m, self.windows["killed"])
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
        self.serving.noticed(m, self.windows["stop-copy"])
        self.result["stop_copy_stun_ms"] = m["stun_ms"]
        self.result["log_lines"]["stop-copy"] = self.log_count("a", "llm") - lines

    def hang_up(self) -> None:
        self.result["connection_survived"] = self.serving.hang_up()
        self.result["stream"] = self.serving.streams.history()
        start = self.serving.streams.start_ns()
        for m in self.result["migrations"]:
            if m["demo"] in self.windows:
                m["window_s"] = [round((t - start) / NS, 3) for t in self.windows[m["demo"]]]
                m["stun_s"] = [round((m[k] - start) / NS, 3) if m.get(k) else None for k in ("stop_at_ns", "resume_at_ns")]
        self.ferry.must("a", "vm", "stop", "llm", timeout=60)

    def compare(self) -> None:
        for s, row in zip(self.serving.streams, self.result["models"]):
            row.update(self.serving.compare(s, self.folder))
            self.result["tokens_compared"] += row["tokens_compared"]
            self.result["conversation"] = row.pop("conversation") or self.result["conversation"]
        self.result["tokens_identical"] = all(row["identical"] for row in self.result["models"])

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
        if not self.hashcat_until("a", lambda log: 0 < hashcat.progress(log) < 60, 300, "compiles its kernels"):
            return
        m = self.migrate("hashcat", "a", "b", "hashcat")
        host = "b" if m["outcome"] == "completed" else "a"
        _, log = self.ferry.guest(host, "hashcat", "cat", hashcat.LOG)
        if hashcat.found(log):
            self.display.event("hashcat was done before it had moved: this shows nothing")
            return
        self.result["hashcat_found"] = self.hashcat_until(host, hashcat.found, 240, "runs on") and host == "b"

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
