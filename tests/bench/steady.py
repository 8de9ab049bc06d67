# SPDX-License-Identifier: Apache-2.0
"""What a workload loses in steady state: native, `ferry run`, VM, and VM with the tracker armed.

All of them run at once and all but one stand still, by SIGSTOP; whose turn it is changes every second or so,
for a shared machine's speed drifts. Speed is ticks in all turns by their time. Beside it stands the processor
time of a tick (the program and its ferry-vgpu, or the VM's QEMU and ferry-vgpu), which does not care who
else is busy. The tracker is armed by `ferry estimate`, again and again: each arms every page, waits half a
second and scans. Environment: TURNS (default 15), SECONDS of each (default 2). Writes steady.json and
steady.svg. A missed target is said and is no failure."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from demo import figures, plots
from demo.times import NS
from lab import control
from tests.bench.machine import PROMPT, SERVER, TRAINER, BenchError, Machine, await_server, facts, say
from tests.bench.ticks import Place, Ticks, steps_of, tokens

TURNS = int(os.environ.get("TURNS", "15"))
SECONDS = float(os.environ.get("SECONDS", "2"))
WARM_UP = 3  # ticks
SETTLE_S = 10.0  # and then: ferry-vgpu makes huge pages of what has been there for a while
# Kernels of a millisecond and more: the widths of Llama 3.1 8B, two layers.
LLM = "--synthetic 512M --shape llama-3.1-8b --context 512 --seed 7"
TRAIN = ("--dim 512 --layers 1 --heads 8 --kv-heads 4 --hidden 1536 --vocab 2048 --context 128 --batch 2 "
         "--steps 1000000 --warmup 20")
ARMED = "VM, tracker armed"
KINDS = ("native", "ferry run", "VM", ARMED)
TARGETS = {"ferry run": 0.95, "VM": 0.90, ARMED: 0.85}


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{name}/stat").read_text()
        except OSError:
            continue
        parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found = [pid]
    for p in found:
        found += parents.get(p, [])
    return found


def processor_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Running:
    """One that has its turn now and then. `held` are the processes that stand still meanwhile."""
    ticks: Ticks
    held: list[int]
    counted: list[int]

    def hold(self) -> None:
        for pid in self.held:
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self.held:
            os.kill(pid, signal.SIGCONT)


@dataclass
class Sum:
    """What one kind did in all its turns."""
    ticks: int = 0
    seconds: float = 0.0
    processor: float = 0.0
    turns: list[float] = field(default_factory=list)  # ticks a second

    def add(self, r: Running) -> None:
        start, before = time.time_ns(), processor_seconds(r.counted)
        time.sleep(SECONDS)
        window = (start, time.time_ns())
        if not r.ticks.alive:
            raise BenchError(f"a workload ended: {r.ticks.ended}")
        self.processor += processor_seconds(r.counted) - before
        self.ticks += r.ticks.count(window)
        self.seconds += (window[1] - window[0]) / NS
        self.turns.append(r.ticks.rate(window))


@contextmanager
def program(build: Path, kind: str, argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A workload outside of VMs, ended with everything that it started."""
    prefix = [] if kind == "native" else [str(build / "src/cli/ferry"), "run", "--profile", "ferry_cpu-1q", "--"]
    process = subprocess.Popen([*prefix, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        for pid in reversed(descendants(process.pid)):
            os.kill(pid, signal.SIGCONT)
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def armed(machine: Machine) -> Iterator[None]:
    ended = threading.Event()

    def estimate() -> None:
        while not ended.is_set():
            machine.ferry.run("a", "estimate", "vm", "--to", "b")

    thread = threading.Thread(target=estimate)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def in_turns(machine: Machine, name: str, running: dict[str, Running]) -> dict[str, Sum]:
    """Starts with all of them held."""
    sums = {kind: Sum() for kind in KINDS}
    for i in range(TURNS):
        for kind in KINDS if i % 2 == 0 else reversed(KINDS):
            r = running["VM" if kind == ARMED else kind]
            r.go_on()
            with armed(machine) if kind == ARMED else nullcontext():
                time.sleep(0.1)
                sums[kind].add(r)
            r.hold()
        if i % 5 == 4:
            say(f"{name}, turn {i + 1} of {TURNS}: " + ", ".join(f"{k} {s.ticks / s.seconds:.2f}/s" for k, s in sums.items()))
    for r in running.values():
        r.go_on()
        r.ticks.stop()
    return sums


def warm(ticks: Ticks) -> Ticks:
    if not ticks.wait_for(WARM_UP, 120):
        raise BenchError(f"a workload is silent: {ticks.ended or ''}")
    return ticks


def settle(ticks: Ticks) -> None:
    warm(ticks)
    time.sleep(SETTLE_S)


def outside(ticks: Ticks, process: subprocess.Popen[bytes]) -> Running:
    """Held, once it is warm and so has all its processes."""
    settle(ticks)
    pids = descendants(process.pid)
    r = Running(ticks, pids, pids)
    r.hold()
    return r


def in_vm(machine: Machine, ticks: Ticks) -> Running:
    settle(ticks)
    pids = {d.kind: d.process.pid for d in control.daemons(machine.lab, machine.lab.host("a"))}
    r = Running(ticks, [pids["vgpu"]], [pids["vgpu"], pids["qemu"]])
    r.hold()
    return r


def serve(machine: Machine, build: Path) -> dict[str, Sum]:
    with ExitStack() as servers:
        running = {}
        machine.start_server(LLM)
        running["VM"] = in_vm(machine, machine.tokens())
        for kind in ("native", "ferry run"):
            place = Place("127.0.0.1", free_port())
            p = servers.enter_context(program(build, kind, [str(build / SERVER), *LLM.split(), "--listen",
                                                            f"127.0.0.1:{place.port}"]))
            await_server(place, 120)
            running[kind] = outside(tokens(place, PROMPT), p)
        sums = in_turns(machine, "server", running)
    machine.guest("a", "killall llm-server")
    return sums


def train(machine: Machine, build: Path) -> dict[str, Sum]:
    with ExitStack() as trainers:
        running = {"VM": in_vm(machine, machine.start_trainer(TRAIN))}
        for kind in ("native", "ferry run"):
            p = trainers.enter_context(program(build, kind, [str(build / TRAINER), *TRAIN.split()]))
            running[kind] = outside(steps_of(p), p)
        return in_turns(machine, "trainer", running)


def compare(name: str, unit: str, sums: dict[str, Sum]) -> dict[str, Any]:
    if silent := [k for k, s in sums.items() if not s.ticks]:
        raise BenchError(f"{name}: nothing came in all turns of {', '.join(silent)}; more SECONDS")
    speed = {k: s.ticks / s.seconds for k, s in sums.items()}
    cost = {k: s.processor / s.ticks for k, s in sums.items()}
    return {"name": name, "unit": unit, "kinds": {
        k: {"per_s": speed[k], "of_native": speed[k] / speed["native"], "processor_ms": cost[k] * 1e3,
            "processor_of_native": cost["native"] / cost[k], "target": TARGETS.get(k),
            "met": speed[k] >= TARGETS[k] * speed["native"] if k in TARGETS else None, "turns": sums[k].turns}
        for k in KINDS}}


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'':28}{'speed':>16}{'of native':>11}{'processor time':>17}{'native by it':>14}  target"]
    for r in rows:
        for kind, k in r["kinds"].items():
            verdict = "" if k["met"] is None else f"{k['target'] * 100:.0f}%: {'met' if k['met'] else 'MISSED'}"
            lines.append(f"{r['name'] + ', ' + kind:28}{k['per_s']:9.2f} {r['unit'] + '/s':>6}{k['of_native'] * 100:10.0f}%"
                         f"{k['processor_ms']:14.1f} ms{k['processor_of_native'] * 100:13.0f}%  {verdict}")
    return "\n".join(lines)


def draw(result: dict[str, Any]) -> str:
    """A bar for each kind, native = 100%, with its target as a line."""
    left, width, row, parts = 190.0, 480.0, 10.0, []
    for r in result["workloads"]:
        parts.append(plots.text(left, row + 14, f"{r['name']}, {r['unit']}/s", "mark"))
        row += 24
        for kind, k in r["kinds"].items():
            bar = min(k["of_native"], 1.2) * width
            parts += [plots.text(left - 10, row + 15, kind, "axis", "end"),
                      plots.rect(left, row + 3, bar, 16, "stunned" if k["met"] is False else "part-vgpu_ms"),
                      plots.text(left + max(bar, width) + 8, row + 15, f"{k['of_native'] * 100:.0f}%, {k['per_s']:.2f}/s", "note")]
            if k["target"]:
                parts.append(plots.rect(left + k["target"] * width, row, 2, 22, "dirty", f"target {k['target'] * 100:.0f}%"))
            row += 26
        row += 10
    captions = (f"{result['date']}, {result['machine']}, {result['accel']}",
                f"{TURNS} turns of {SECONDS:g} s for each; marks are targets")
    return figures.standalone(plots.svg(row, parts, ""), row, captions, "Steady state, native = 100%")


def run(build: Path, out: Path) -> None:
    with Machine("ferry_cpu-1q", "256M") as machine:
        rows = [compare("server", "tokens", serve(machine, build)), compare("trainer", "steps", train(machine, build))]
        result = {"schema": 1, "turns": TURNS, "seconds": SECONDS, **facts(machine), "workloads": rows}
    (out / "steady.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / "steady.svg").write_text(draw(result))
    print(table(rows))
