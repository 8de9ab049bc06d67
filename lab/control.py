# SPDX-License-Identifier: Apache-2.0
"""What an experiment does to a lab that is up: limits, cuts, signals, fault points, and looking."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any

from lab import lifecycle, netns, network, process
from lab.api import Api
from lab.model import Host, Lab, LabError
from lab.process import Process

KINDS = {"ferryd": "ferryd", "vgpu": "ferry-vgpu", "relay": "ferry-relay", "qemu": "qemu-system-x86_64"}


@dataclass(frozen=True)
class Daemon:
    kind: str
    process: Process
    vm: str | None


def _vm_of(pid: int) -> str | None:
    """QEMU, ferry-vgpu and ferry-relay all name a path vms/NAME/... on their command line."""
    for argument in process.arguments(pid):
        _, found, rest = argument.partition("vms/")
        if found:
            return rest.split("/")[0]
    return None


def daemons(lab: Lab, host: Host) -> list[Daemon]:
    """Ferry's processes on a host, found by the lab's mark: ferryd need not answer for that."""
    by_program = {program: kind for kind, program in KINDS.items()}
    found = []
    for p in process.with_environment(lab.environment(host.name)):
        kind = by_program.get(process.program(p.pid))
        if kind:
            found.append(Daemon(kind, p, _vm_of(p.pid)))
    return sorted(found, key=lambda d: (d.kind, d.process.pid))


def find(lab: Lab, host: Host, kind: str, vm: str | None) -> list[Daemon]:
    if kind not in KINDS:
        raise LabError(f"'{kind}' is not one of {', '.join(KINDS)}")
    found = [d for d in daemons(lab, host) if d.kind == kind and (vm is None or d.vm == vm)]
    if not found:
        raise LabError(f"no {kind}{f' of VM {vm}' if vm else ''} runs on host {host.name}")
    if len({d.vm for d in found}) > 1:
        names = ", ".join(sorted(str(d.vm) for d in found))
        raise LabError(f"several VMs have a {kind} on host {host.name}, name one: {names}")
    return found


def send(lab: Lab, host: Host, action: str, kind: str, vm: str | None, stay_down: bool = False) -> None:
    """kill, stop and cont are signals. restart starts ferryd again, also one killed with stay_down."""
    if action == "restart":
        if kind != "ferryd":
            raise LabError("restart is for ferryd: the others are started by it")
        host.down_mark.unlink(missing_ok=True)
        for d in daemons(lab, host):
            if d.kind == "ferryd":
                d.process.kill(signal.SIGTERM)
                d.process.kill(signal.SIGCONT)
                if not d.process.wait(3):
                    d.process.kill(signal.SIGKILL)
                    d.process.wait(3)
        lifecycle.wait_for_daemon(host)
        return
    signo = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "cont": signal.SIGCONT}[action]
    if stay_down:
        host.down_mark.touch()
    for d in find(lab, host, kind, vm):
        d.process.kill(signo)
        if action == "kill":
            d.process.wait(5)


def set_rate(lab: Lab, rate: str | None) -> str:
    """Limits the migration link; says how. Where the kernel cannot, the channels limit themselves."""
    assert lab.switch
    hosts = {h.name: h.supervisor.pid for h in lab.hosts.values()}
    try:
        network.set_rate(lab.switch.pid, hosts, rate)
        lab.rate_method = "tbf" if rate else "none"
    except netns.NetworkError as e:
        for h in lab.hosts.values():
            lifecycle.write_config(lab, h, bandwidth=rate)
            send(lab, h, "restart", "ferryd", None)
        lab.rate_method = "channels"
        lab.rate = rate
        lab.save()
        return f"{rate}, by the channels' own limit, since the kernel has no token bucket ({e})"
    lab.rate = rate
    lab.save()
    return f"{rate}, by a token bucket on each port" if rate else "no limit"


def _configure(lab: Lab, host: Host) -> None:
    lifecycle.write_config(lab, host, bandwidth=lab.rate if lab.rate_method == "channels" else None)
    lab.save()
    send(lab, host, "restart", "ferryd", None)


def set_memory(lab: Lab, host: Host, memory: str | None) -> None:
    """Caps what a host gives to VMs; its ferryd is started again."""
    host.memory = memory
    _configure(lab, host)


def set_device(lab: Lab, host: Host, device: str | None) -> None:
    """Keeps a host's OpenCL device to older instructions, for vGPUs that start from now on; its ferryd is started again."""
    host.device = device
    _configure(lab, host)


def cut(lab: Lab, a: str, b: str, one_way: bool) -> None:
    for sender, receiver in ((a, b),) if one_way else ((a, b), (b, a)):
        address = network.migration_address(lab.host(receiver).index)
        network.cut(lab.host(sender).supervisor.pid, address)


def heal(lab: Lab, a: str, b: str) -> None:
    for sender, receiver in ((a, b), (b, a)):
        address = network.migration_address(lab.host(receiver).index)
        network.heal(lab.host(sender).supervisor.pid, address)


def api(lab: Lab, host: str) -> Api:
    return Api(lab.host(host).socket)


def fault(lab: Lab, host: str, what: str) -> Any:
    """`list`, `clear`, or NAME[:ACTION] to set one (docs/interfaces.md section 8); hold where none is named."""
    if what == "list":
        return api(lab, host).get("/v1/faults")
    if what == "clear":
        return api(lab, host).call("DELETE", "/v1/faults")
    return api(lab, host).call("POST", "/v1/faults", {"fault": what if ":" in what else f"{what}:hold"})


def wait_held(lab: Lab, host: str, name: str, seconds: float) -> bool:
    """Waits until a step stands at this fault point."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            points = fault(lab, host, "list")
        except OSError:
            points = []
        if any(p.get("name") == name and p.get("held") for p in points):
            return True
        time.sleep(0.02)
    return False


def status(lab: Lab | None, name: str) -> dict[str, Any]:
    if not lab or not lab.switch:
        return {"lab": name, "up": False, "hosts": {}}
    hosts = {}
    for h in lab.hosts.values():
        running = daemons(lab, h)
        ferryd = next((d.process.pid for d in running if d.kind == "ferryd"), None)
        hosts[h.name] = {"supervisor": h.supervisor.pid if h.supervisor.alive() else None, "ferryd": ferryd,
                         "socket": h.socket, "state": str(h.state),
                         "address": network.migration_address(h.index),
                         "processes": [{"kind": d.kind, "pid": d.process.pid, "vm": d.vm} for d in running]}
    return {"lab": name, "up": lab.switch.alive(), "client": lab.switch.pid, "mtu": lab.mtu, "rate": lab.rate,
            "rate_method": lab.rate_method, "hosts": hosts}
