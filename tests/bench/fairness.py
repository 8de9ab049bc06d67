# SPDX-License-Identifier: Apache-2.0
"""How fairly vGPUs share a device, with launch tokens and without, what one that floods it, allocates in a loop or runs
a kernel of ten seconds leaves its neighbour, and what tokens cost a vGPU that is alone. Work is a program's kernels times their length on the idle device, so it compares between programs; Jain's
index of it is 1 where all got the same, and one half where one of two got everything."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from tests.fair.vgpus import Churn, Program, Turns, Vgpu, Work, calibrate, together

ROUNDS = 3
SECONDS = 2.0
FLOOD = (20.0, 32)  # ms of a kernel, kernels ahead
VICTIMS = {"0.5 ms kernels, 16 ahead": (0.5, 16), "0.5 ms kernels, each waited for": (0.5, 1)}
NEIGHBOUR = (0.5, 16)  # what the neighbour of each offender runs
CHURN_MIB = 32
LONG_MS, LONG_S = 10_000.0, 20.0
CAPS = (12, 25, 50)
ALONE = ("empty kernel and finish", "pipelined launches")


def jain(work: list[float]) -> float:
    return sum(work) ** 2 / (len(work) * sum(w * w for w in work))


def two_works(build: Path, folder: Path, per_ms: float, victim: tuple[float, int], tokens: bool) -> dict[str, float]:
    with ExitStack() as stack:
        turns = Turns()
        stack.callback(turns.close)
        works = []
        for name, (ms, depth) in (("flood", FLOOD), ("victim", victim)):
            v = Vgpu(build, folder, name, turns if tokens else None)
            stack.callback(v.close)
            works.append(Work(v, ms * per_ms, depth))
            stack.callback(works[-1].close)
        got = together(SECONDS, *works)
        work = [got[0]["kernels"] * FLOOD[0], got[1]["kernels"] * victim[0]]
        share = work[1] / sum(work)
        return {"flood": 1 - share, "victim": share, "jain": jain(work), "longest_ms": got[1]["longest_ms"]}


OFFENDERS: dict[str, tuple[Callable[[Vgpu, float], Program], float]] = {  # and for how many seconds it is looked at
    f"{FLOOD[0]:.0f} ms kernels, {FLOOD[1]} ahead": (lambda v, per_ms: Work(v, FLOOD[0] * per_ms, FLOOD[1]), SECONDS),
    f"allocates, fills, frees {CHURN_MIB} MiB": (lambda v, _: Churn(v, CHURN_MIB), SECONDS),
    f"kernels of {LONG_MS / 1000:.0f} s, 2 ahead": (lambda v, per_ms: Work(v, LONG_MS * per_ms, 2), LONG_S),
}


def beside(build: Path, folder: Path, per_ms: float, offender: Callable[[Vgpu, float], Program], seconds: float,
           tokens: bool) -> dict[str, float]:
    """What the neighbour of an offender gets of what it gets just before, alone, and its longest wait."""
    with ExitStack() as stack:
        turns = Turns()
        stack.callback(turns.close)
        vgpus = [Vgpu(build, folder, name, turns if tokens else None) for name in ("neighbour", "offender")]
        for v in vgpus:
            stack.callback(v.close)
        work, other = Work(vgpus[0], NEIGHBOUR[0] * per_ms, NEIGHBOUR[1]), offender(vgpus[1], per_ms)
        stack.callback(work.close)
        stack.callback(other.close)
        alone = work.run(SECONDS)["kernels"] / SECONDS
        other.begin(seconds)
        got = work.run(seconds)
        return {"of_alone": got["kernels"] / seconds / alone, "longest_ms": got["longest_ms"]}


def offences(build: Path, folder: Path, per_ms: float, doc: dict[str, object]) -> None:
    print(f"\none vGPU runs kernels of {NEIGHBOUR[0]} ms, {NEIGHBOUR[1]} ahead; what it gets beside another, of what it gets alone")
    print(f"{'the other':34} {'tokens':8} {'gets':>6} {'longest wait':>13}")
    for name, (offender, seconds) in OFFENDERS.items():
        rounds = ROUNDS if seconds == SECONDS else 1
        both = [[beside(build, folder, per_ms, offender, seconds, tokens) for tokens in (False, True)] for _ in range(rounds)]
        for i, word in enumerate(("without", "with")):
            m = medians([r[i] for r in both])
            doc[f"beside: {name}, {word} tokens"] = m
            print(f"{name:34} {word:8} {m['of_alone']:6.0%} {m['longest_ms']:10.0f} ms")


def capped(build: Path, folder: Path, per_ms: float, share: int) -> float:
    """The part of the device's time that a vGPU alone gets with a fixed share."""
    with ExitStack() as stack:
        turns = Turns()
        stack.callback(turns.close)
        turns.set_policy("fixed-share")
        v = Vgpu(build, folder, "capped", turns, share)
        stack.callback(v.close)
        w = Work(v, 2 * per_ms, 8)
        stack.callback(w.close)
        return w.run(SECONDS)["device_ms"] / 1000 / SECONDS


def alone(build: Path, folder: Path, tokens: bool) -> list[float]:
    with ExitStack() as stack:
        turns = Turns()
        stack.callback(turns.close)
        v = Vgpu(build, folder, "alone", turns if tokens else None, memory=1 << 30)
        stack.callback(v.close)
        out = subprocess.run([build / "tests/bench-remoting"], env=v.environment(), check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    rows = dict(line.split("\t")[:2] for line in out.splitlines() if line.count("\t") == 2)
    return [float(rows[name]) for name in ALONE]


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def run(build: Path, out: Path) -> None:
    doc: dict[str, object] = {"schema": 1, "rounds": ROUNDS}
    with tempfile.TemporaryDirectory(prefix="ff-") as held:
        folder = Path(held)
        v = Vgpu(build, folder, "calibrate", None)
        per_ms = calibrate(v)
        v.close()
        print(f"one vGPU is flooded with kernels of {FLOOD[0]:.0f} ms; parts of the work done, medians of {ROUNDS}")
        print(f"{'the other has':34} {'tokens':8} {'flooder':>8} {'other':>8} {'Jain':>6} {'longest wait':>13}")
        for name, victim in VICTIMS.items():
            # In turn: the machine's speed drifts.
            both = [[two_works(build, folder, per_ms, victim, tokens) for tokens in (False, True)]
                    for _ in range(ROUNDS)]
            for i, word in enumerate(("without", "with")):
                m = medians([r[i] for r in both])
                doc[f"{name}, {word} tokens"] = m
                print(f"{name:34} {word:8} {m['flood']:8.0%} {m['victim']:8.0%} {m['jain']:6.2f} "
                      f"{m['longest_ms']:10.0f} ms")
        offences(build, folder, per_ms, doc)
        print("\nfixed-share, alone on the device: " + ", ".join(
            f"{share}% gets {capped(build, folder, per_ms, share):.0%}" for share in CAPS))
        pairs = [(alone(build, folder, False), alone(build, folder, True)) for _ in range(ROUNDS)]
        doc["alone"] = {n: [[p[0][i], p[1][i]] for p in pairs] for i, n in enumerate(ALONE)}
        for i, (name, unit, best) in enumerate(zip(ALONE, (" us", "/s"), (min, max))):
            without, tokens = (best(p[k][i] for p in pairs) for k in (0, 1))
            print(f"alone, {name}, the best: {without:,.1f}{unit} without tokens, {tokens:,.1f}{unit} with")
    (out / "fairness.json").write_text(json.dumps(doc, indent=1) + "\n")
