# SPDX-License-Identifier: Apache-2.0
"""Migrates both workloads in every mode that `ferry migrate` has, and shows what their clients saw.

Environment: SECONDS before and after each move (default 20), WARM_UP (tokens or steps before the first figure, default 10:
a stream's tokens cost more until its context is full, after some 4000), LINK (default 1gbit, or off), BANDWIDTH (of the migration, default none), LLM (the model, default 256M), WORKLOADS (default server,trainer),
MODES (default all; one may be named again: precopy,precopy is there and back).
Writes migrate.json and one plot for each workload."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import figures, plots
from demo.display import size
from demo.result import ms, rounds
from demo.times import NS, Window, percentile
from lab import control
from tests.bench.machine import BenchError, Machine, facts, say
from tests.bench.ticks import Ticks

SECONDS = float(os.environ.get("SECONDS", "20"))
LINK = os.environ.get("LINK", "1gbit")
BANDWIDTH = os.environ.get("BANDWIDTH")
LLM = os.environ.get("LLM", "256M")
# Every step rewrites 60 MB of weights, gradients and moments; a step takes 0.2 to 0.4 s here.
TRAIN = ("--dim 256 --layers 4 --heads 4 --kv-heads 2 --hidden 768 --vocab 2048 --context 128 --batch 4 "
         "--steps 1000000 --warmup 20")
WARM_UP = int(os.environ.get("WARM_UP", "10"))  # ticks
BIN_S = 0.5


@dataclass(frozen=True)
class Workload:
    name: str
    unit: str
    said: str  # of it in the caption

    def start(self, machine: Machine) -> Ticks:
        if self.unit == "steps":
            return machine.start_trainer(TRAIN)
        machine.start_server(f"--synthetic {LLM} --seed 7")
        return machine.tokens()


WORKLOADS = (Workload("server", "tokens", f"llm-server, {LLM}B of weights, one stream"),
             Workload("trainer", "steps", f"llm-train {TRAIN}"))


def modes(ferry: str) -> list[str]:
    """As the CLI's own help has them."""
    text = subprocess.run([ferry, "migrate", "--help"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"--mode ([a-z|-]+)", text)
    if not found:
        raise BenchError("`ferry migrate --help` names no modes")
    return found[1].split("|")


def pause(ticks: Ticks, seconds: float) -> Window:
    start = time.time_ns()
    time.sleep(seconds)
    if not ticks.alive:
        raise BenchError(f"the workload's connection ended: {ticks.ended}")
    return start, time.time_ns()


def level(ticks: Ticks, window: Window) -> dict[str, Any]:
    """The service level in an interval."""
    gaps = ticks.gaps_ms(window)
    return {"per_s": round(ticks.rate(window), 3), "p50_ms": percentile(gaps, 50), "p99_ms": percentile(gaps, 99),
            "ticks": ticks.count(window), "window_s": [round((t - ticks.times[0]) / NS, 3) for t in window]}


def move(machine: Machine, ticks: Ticks, a: str, b: str, mode: str) -> dict[str, Any]:
    before = pause(ticks, SECONDS)
    argv = ("migrate", "vm", "--to", b, "--mode", mode, *(("--bandwidth", BANDWIDTH) if BANDWIDTH else ()))
    say("$ ferry " + " ".join(argv))
    started = time.time_ns()
    answer = machine.ferry.run(a, *argv, timeout=240)
    during = (started, time.time_ns())
    m = answer.result if isinstance(answer.result, dict) else {}
    if m.get("outcome") != "completed":
        raise BenchError(f"{mode}: {(m.get('reason') or {}).get('message') or answer.errors or answer.result}")
    if not ticks.wait_for(2, 60):
        raise BenchError(f"{mode}: nothing comes from {b}: {ticks.ended or 'silent'}")
    after = pause(ticks, SECONDS)
    start = ticks.times[0]
    said = {"mode": mode, "demo": mode, "before": level(ticks, before), "during": level(ticks, during), "after": level(ticks, after),
            "client_gap_ms": ticks.longest_gap_ms(during), "window_s": [(t - start) / NS for t in during],
            "stun_s": [(m[k] - start) / NS for k in ("stop_at_ns", "resume_at_ns")],
            "round_bytes": sum(r["bytes"] for r in rounds(m)), "stun_bytes": sum(v["stun_bytes"] for v in m["vgpus"]),
            "ram_stun_bytes": m["ram"]["stun_bytes"], "stun_ms": m["stun_ms"], "outcome": m["outcome"], "migration": m}
    say(f"paused {ms(m['stun_ms'])} of {ms(m['total_ms'])}, {len(rounds(m))} rounds")
    return said


def run_workload(w: Workload, all_modes: list[str]) -> dict[str, Any]:
    say(f"{w.name}: a VM on host a")
    with Machine("ferry_cpu-05q", "256M") as machine:
        control.set_rate(machine.lab, None if LINK == "off" else LINK)
        ticks = w.start(machine)
        if not ticks.wait_for(WARM_UP, 120 + WARM_UP / 10):
            raise BenchError(f"{w.name}: no {w.unit}: {ticks.ended or 'silent'}")
        said: dict[str, Any] = {"name": w.name, "unit": w.unit, "workload": w.said, **facts(machine), "migrations": []}
        here, there = "a", "b"
        for mode in all_modes:
            said["migrations"].append(move(machine, ticks, here, there, mode))
            here, there = there, here
        said["stream"] = ticks.history(BIN_S)
        ticks.stop()
        return said


HEAD = ("", "mode", "/s before", "during", "after", "p50 before", "after", "p99 before", "after", "stun", "gap", "rounds",
        "in rounds", "in the stun")


def row(w: dict[str, Any], m: dict[str, Any]) -> tuple[str, ...]:
    before, during, after = m["before"], m["during"], m["after"]
    return (w["unit"], m["mode"], f"{before['per_s']:.2f}", f"{during['per_s']:.2f}", f"{after['per_s']:.2f}",
            *(ms(x[k]) for k in ("p50_ms", "p99_ms") for x in (before, after)), ms(m["stun_ms"]), ms(m["client_gap_ms"]),
            str(len(rounds(m["migration"]))), size(m["round_bytes"]), size(m["stun_bytes"] + m["ram_stun_bytes"]))


def table(result: dict[str, Any]) -> str:
    lines = [HEAD, *(row(w, m) for w in result["workloads"] for m in w["migrations"])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.rjust(n) if i > 1 else c.ljust(n) for i, (c, n) in enumerate(zip(line, widths)))
                     for line in lines)


def draw(w: dict[str, Any]) -> str:
    captions = (f"{w['date']}, {w['machine']}, {w['accel']}, link {LINK}", w["workload"][:120])
    return figures.standalone(plots.tokens(w, w["unit"]), plots.TOKENS_HEIGHT + 5, captions,
                              f"{w['unit']} per second over time, the stuns marked")


def run(build: Path, out: Path) -> None:
    wanted = os.environ.get("WORKLOADS", "server,trainer").split(",")
    all_modes = os.environ.get("MODES", "").split(",") if os.environ.get("MODES") else modes(str(build / "src/cli/ferry"))
    result = {"schema": 1, "link": LINK, "seconds": SECONDS, "modes": all_modes,
              "workloads": [run_workload(w, all_modes) for w in WORKLOADS if w.name in wanted]}
    (out / "migrate.json").write_text(json.dumps(result, indent=1) + "\n")
    for w in result["workloads"]:
        (out / f"migrate-{w['name']}.svg").write_text(draw(w))
    print(table(result))
