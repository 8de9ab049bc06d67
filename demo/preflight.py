# SPDX-License-Identifier: Apache-2.0
"""One line per capability of this machine, with what follows from it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import memory, models
from demo.models import Model
from lab import lifecycle, model

MIB = 1 << 20
PASS = 128 * MIB  # what a published model takes besides weights and KV cache
# MiB available at least -> the synthetic model's size, its profile, the guests' RAM.
SIZES = ((7000, "1G", "ferry_cpu-2q", "512M"), (3600, "512M", "ferry_cpu-1q", "512M"),
         (1900, "256M", "ferry_cpu-05q", "256M"))


class Refused(Exception):
    """What cannot run here, and why."""


@dataclass(frozen=True)
class Plan:
    model: str  # weights: "1G"
    profile: str
    memory: str
    models: tuple[Model, ...]


def choose(file: Path | None) -> tuple[Plan, str]:
    """What fits in memory: two framebuffers, two guests, and what is copied between them."""
    available = memory.available()
    if file:
        return choose_for(file, available)
    for mib, size, profile, guest in SIZES:
        if available >= mib * MIB:
            return Plan(size, profile, guest, (models.READABLE, models.synthetic(size))), (
                f"{available // MIB} MiB available: a model of {size}B, guests of {guest}B")
    raise Refused(f"{available // MIB} MiB of memory available, at least {SIZES[-1][0]} MiB are needed")


def choose_for(file: Path, available: int) -> tuple[Plan, str]:
    """A profile for somebody's model: the server itself says whether it takes the file, and how large the weights are
    on the device, which is more than in the file where a type is converted."""
    served = models.published(file)
    said = subprocess.run([models.server_program(), "--model", file, *served.options, "--needs"], capture_output=True, text=True)
    if said.returncode:
        raise Refused(f"MODEL={file}: {said.stderr.strip().removeprefix('llm-server: ')}")
    needs = json.loads(said.stdout)
    size = needs["weight_bytes"] + needs["cache_bytes"]
    profile = next((p["name"] for p in profiles() if p["framebuffer_bytes"] >= size + PASS), None)
    if not profile:
        raise Refused(f"MODEL={file}: {size // MIB} MiB of weights and KV cache are more than any profile holds")
    need = 3 * size + 1500 * MIB
    if available < need:
        raise Refused(f"{available // MIB} MiB of memory available: this model needs {need // MIB} MiB")
    return Plan(f"{needs['weight_bytes'] / 1e6:.3g}M", profile, "512M", (served,)), (
        f"{available // MIB} MiB available: {file.name} in {profile}, guests of 512MB")


def profiles() -> list[dict[str, Any]]:
    """All profiles, small ones first."""
    ferry = lifecycle.build_folder() / "src/cli/ferry"
    said = subprocess.run([ferry, "profile", "list", "--json"], capture_output=True, text=True, check=True).stdout
    return sorted(json.loads(said), key=lambda p: int(p["framebuffer_bytes"]))


def check_rights() -> str:
    if os.geteuid() != 0:
        raise Refused("network namespaces and tap devices need root: run it with sudo")
    if not os.path.exists("/dev/net/tun"):
        raise Refused("/dev/net/tun is missing: the guests' network needs the kernel's tun driver")
    for program in ("ip", "nsenter", "qemu-system-x86_64"):
        if not shutil.which(program):
            raise Refused(f"{program} is not installed: scripts/install-deps")
    return "root, network namespaces, tun: two hosts on this machine"


def tracker_line() -> str:
    """What the kernel allows; ferry-vgpu's own probe decides when the VM starts."""
    release = platform.release()
    version = tuple(int(n) for n in release.split("-")[0].split(".")[:2])
    if os.environ.get("FERRY_TRACKER"):
        return f"tracker of dirty pages: {os.environ['FERRY_TRACKER']}, as FERRY_TRACKER says"
    if version >= (6, 7):
        return f"tracker of dirty pages: Linux {release} has asynchronous write protection (wp), else digest"
    return f"tracker of dirty pages: Linux {release} is older than 6.7, so digest: pages are compared by digest"


def machine() -> str:
    """The machine in a few words, for the report."""
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"


def need_build() -> None:
    for part in ("src/host/ferryd", "workloads/llm/llm-server"):
        if not (lifecycle.build_folder() / part).exists():
            raise Refused(f"{lifecycle.build_folder() / part} is missing: make build")
    if not (lifecycle.image_folder() / "kernel").exists():
        raise Refused(f"{lifecycle.image_folder()} is missing: make image")
    model.current_name()
