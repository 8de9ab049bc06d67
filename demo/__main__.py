# SPDX-License-Identifier: Apache-2.0
"""Runs the acts in order, writes result.json and report.html, leaves nothing behind.

usage: python3 -m demo [MODEL]    MODEL: a GGUF file, served in place of the demo's two models"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from demo import leftovers, preflight, report, result, table
from demo.display import Display
from demo.place import NoAnswer
from demo.preflight import Refused
from demo.serving import ServingError
from demo.story import DemoError, Story
from lab import lifecycle, model
from lab.api import ApiError
from lab.ferry import FerryError
from lab.model import LabError
from lab.netns import NetworkError

NAME = os.environ.get("FERRY_LAB", "demo")
FOLDER = model.ROOT / "build" / "demo"
PROBLEMS = (DemoError, ServingError, NoAnswer, FerryError, LabError, NetworkError, ApiError, OSError)


class Interrupted(BaseException):
    """SIGINT or SIGTERM."""


def interrupt(signo: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted(signal.Signals(signo).name)


def check(display: Display, file: Path | None) -> preflight.Plan:
    display.act(1, "What this machine can do")
    preflight.need_build()
    display.tick(True, preflight.machine())
    display.tick(True, preflight.check_rights())
    plan, memory = preflight.choose(file)
    display.tick(True, f"memory: {memory}")
    display.tick(True, preflight.tracker_line())
    return plan


def play(story: Story, display: Display) -> None:
    acts = [
        (f"Two hosts, a VM with a vGPU, {story.what} in it", [story.bring_up, story.serve]),
        ("It moves from a to b while it serves (pre-copy, link 1 Gbit/s)", [story.precopy]),
        ("It is to move back, and the destination is killed in the middle of the stun", [story.kill_in_stun]),
        ("Back to a by stop-copy: what others do", [story.stop_copy]),
        ("The same streams from servers that never moved", [story.hang_up, story.compare]),
        ("The same VM without a vGPU", [story.without_vgpu]),
        ("hashcat, a program that nobody here wrote, moves in the middle of its run", [story.hashcat])]
    for number, (title, steps) in enumerate(acts, 2):
        display.act(number, title)
        for step in steps:
            step()


def perform(display: Display, outcome: dict[str, Any], file: Path | None) -> None:
    """Runs all acts; what was measured is in `outcome`, also when an act fails."""
    plan = check(display, file)
    before = leftovers.Snapshot.take()
    lab = lifecycle.up(NAME, hosts=2, mtu=9000, daemons=True)
    story = Story(lab, display, FOLDER, plan)
    outcome.update(story.result)
    story.result = outcome
    try:
        play(story, display)
    finally:
        story.serving.streams.stop()
        display.status = list
        lifecycle.down(NAME)
        for image in FOLDER.glob("*.img"):
            image.unlink()
        outcome["leftovers"] = leftovers.since(before, model.folder_of(NAME))


def conclude(display: Display, outcome: dict[str, Any], seconds: float) -> int:
    display.act(9, "What was measured")
    for line in table.lines(outcome):
        display.plain(line)
    display.plain()
    ticks = result.required(outcome)
    for good, text in ticks + result.aims(outcome):
        display.tick(good, text)
    outcome["seconds"] = round(seconds, 1)
    result.write(outcome, FOLDER)
    page = report.write(outcome, FOLDER)
    display.plain(f"\nreport: {page.relative_to(model.ROOT)}   took {seconds:.0f} s")
    return 0 if all(good for good, _ in ticks) else 1


def main() -> int:
    for signo in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signo, interrupt)
    started = time.monotonic()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in (Path(FOLDER / "result.json"), Path(FOLDER / "report.html")):
        old.unlink(missing_ok=True)
    display, outcome, problem = Display(), {}, ""
    try:
        perform(display, outcome, Path(sys.argv[1]) if sys.argv[1:] else None)
    except Refused as e:
        display.tick(False, str(e))
        display.close()
        return 1
    except Interrupted as e:
        display.close()
        print(f"demo: interrupted ({e}); the lab is down", file=sys.stderr)
        return 130
    except PROBLEMS as e:
        problem = str(e)
    display.close()
    if problem:
        print(f"demo: {problem}", file=sys.stderr)
    if not outcome:
        return 1
    status = conclude(display, outcome, time.monotonic() - started)
    return 1 if problem else status


if __name__ == "__main__":
    sys.exit(main())
