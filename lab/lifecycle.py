# SPDX-License-Identifier: Apache-2.0
"""Brings a lab up and takes it down, also one that died half way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab import model, network, process
from lab.api import Api, ApiError
from lab.model import ROOT, Host, Lab, LabError
from lab.process import Process

PORT = 7700
PROGRAMS = {"ferryd": "src/host/ferryd", "ferry-vgpu": "src/vgpu/ferry-vgpu",
            "ferry-relay": "src/relay/ferry-relay", "ferry": "src/cli/ferry"}
# A host whose device compiles for an older processor than this machine's. PoCL 3.1: lib/CL/pocl_llvm_utils.cc.
DEVICES = {"avx2": {"POCL_LLVM_CPU_NAME": "haswell", "POCL_KERNELLIB_NAME": "avx2"},
           "sse2": {"POCL_LLVM_CPU_NAME": "x86-64", "POCL_KERNELLIB_NAME": "sse2"}}


def build_folder() -> Path:
    return ROOT / os.environ.get("FERRY_BUILD", "build/release")


def image_folder() -> Path:
    return ROOT / os.environ.get("FERRY_IMAGE", "build/image")


def _link_programs(lab: Lab) -> Path:
    folder = lab.folder / "programs"
    folder.mkdir()
    for name, path in PROGRAMS.items():
        if not (build_folder() / path).exists():
            raise LabError(f"{build_folder() / path} is missing: build first (make)")
        (folder / name).symlink_to(build_folder() / path)
    return folder


def write_config(lab: Lab, host: Host, bandwidth: str | None = None) -> None:
    """ferryd's configuration, docs/interfaces.md section 2."""
    peers = {h.name: f"{network.migration_address(h.index)}:{PORT}" for h in lab.hosts.values() if h is not host}
    host.config.write_text(json.dumps({
        "host": host.name, "state": str(host.state),
        "listen": f"{network.migration_address(host.index)}:{PORT}", "peers": peers,
        "guest": {"bridge": "br0", "subnet": network.GUEST_NET, "first": network.first_guest_address(host.index)},
        "image": str(image_folder()), "programs": str(lab.folder / "programs"), "faults": True,
        "bandwidth": bandwidth, "memory": host.memory, "vgpu": {"tracker": "auto"},
        "env": DEVICES[host.device] if host.device else {}}, indent=1) + "\n")


@dataclass
class _Holder:
    process: Process
    go: IO[str]  # a line here starts ferryd; closing it gives the lab's making up


def _start_holder(lab: Lab, name: str, ferryd: str) -> _Holder:
    folder = lab.folder / name
    (folder / "state").mkdir(parents=True)
    (folder / "tmp").mkdir()
    env = {**os.environ, **lab.environment(name), "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(ROOT),
           "PYTHONDONTWRITEBYTECODE": "1"}
    with open(folder / "supervisor.log", "w") as log:
        child = subprocess.Popen([sys.executable, "-m", "lab.supervisor", str(folder), ferryd], env=env,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd="/")
    assert child.stdin and child.stdout
    with child.stdout:
        pid = child.stdout.readline()
    child.wait()
    if not pid:
        lines = (folder / "supervisor.log").read_text().strip().splitlines()
        raise LabError(f"host {name}: {lines[-1] if lines else 'its supervisor died'}")
    return _Holder(Process.of(int(pid)), child.stdin)


def wait_for_daemon(host: Host, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            Api(host.socket, timeout=2).get("/v1/host")
            return
        except (OSError, ApiError) as e:
            if time.monotonic() > deadline:
                raise LabError(f"host {host.name}: ferryd does not answer ({e}); see {host.log}") from None
        time.sleep(0.1)


def up(name: str, hosts: int, mtu: int, daemons: bool) -> Lab:
    """A fresh lab of hosts a, b, ... LabError when it is up already; nothing is left when it fails."""
    if os.geteuid() != 0:
        raise LabError("needs root, for network namespaces: run it with sudo")
    old = model.load(name)
    if old and old.switch and old.switch.alive():
        raise LabError(f"lab '{name}' is up already: lab/lab down first, or choose another name with FERRY_LAB")
    down(name)
    lab = Lab(name, mtu)
    shutil.rmtree(lab.folder, ignore_errors=True)
    lab.folder.mkdir(parents=True)
    try:
        _build(lab, hosts, daemons)
    except BaseException:
        down(name)
        raise
    return lab


def _build(lab: Lab, hosts: int, daemons: bool) -> None:
    ferryd = str(_link_programs(lab) / "ferryd") if daemons else "-"
    holders = [_start_holder(lab, "switch", "-")]
    lab.switch = holders[0].process
    network.make_switch(lab.switch.pid, lab.mtu)
    for i in range(1, hosts + 1):
        host = chr(ord("a") + i - 1)
        holders.append(_start_holder(lab, host, ferryd))
        supervisor = holders[-1].process
        lab.hosts[host] = Host(host, i, supervisor, lab.folder / host)
        network.add_host(lab.switch.pid, supervisor.pid, host, i, lab.mtu)
    lab.save()
    for h in lab.hosts.values():
        write_config(lab, h)
    for holder in holders:
        with holder.go:
            holder.go.write("go\n")
    if daemons:
        for h in lab.hosts.values():
            wait_for_daemon(h)


def down(name: str) -> None:
    """Ends everything of the lab, whoever of it still lives. What its log files say stays for reading."""
    folder = model.folder_of(name)
    mark = {"FERRY_LAB_FOLDER": str(folder)}
    supervisors = [p for p in process.with_environment(mark) if "lab.supervisor" in process.arguments(p.pid)]
    for p in supervisors:
        p.kill(signal.SIGTERM)
        p.kill(signal.SIGCONT)
    deadline = time.monotonic() + 6
    for p in supervisors:
        p.wait(max(0.0, deadline - time.monotonic()))
    deadline = time.monotonic() + 10
    while left := process.with_environment(mark):
        for p in left:
            p.kill(signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"cannot end: {', '.join(str(p.pid) for p in left)}")
        time.sleep(0.05)
    (folder / "lab.json").unlink(missing_ok=True)
