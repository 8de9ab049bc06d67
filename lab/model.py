# SPDX-License-Identifier: Apache-2.0
"""What a lab is on disk: its folder under build/lab, and lab.json."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from lab.process import Process

ROOT = Path(__file__).resolve().parent.parent
SOCKET_PATH_MAX = 107  # unix(7), sun_path less its zero byte


class LabError(Exception):
    """One line for the operator."""


@dataclass
class Host:
    name: str
    index: int  # from 1
    supervisor: Process
    folder: Path
    memory: str | None = None  # cap on what it gives to VMs
    device: str | None = None  # the instructions that its OpenCL device is kept to, of lifecycle.DEVICES

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def down_mark(self) -> Path:
        """While this file exists the supervisor does not start ferryd again."""
        return self.folder / "ferryd.down"

    @property
    def socket(self) -> str:
        """ferryd's API; by way of the supervisor's working folder when the plain path is too long."""
        plain = str(self.state / "ferryd.sock")
        if len(plain) <= SOCKET_PATH_MAX:
            return plain
        return f"/proc/{self.supervisor.pid}/cwd/ferryd.sock"

    @property
    def config(self) -> Path:
        return self.folder / "ferryd.json"

    @property
    def log(self) -> Path:
        return self.folder / "ferryd.log"


@dataclass
class Lab:
    name: str
    mtu: int = 9000
    rate: str | None = None
    rate_method: str = "none"  # "none", "tbf", "channels"
    switch: Process | None = None
    hosts: dict[str, Host] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return folder_of(self.name)

    def environment(self, host: str) -> dict[str, str]:
        """The mark by which every process of this lab is found again, whatever becomes of its parents."""
        return {"FERRY_LAB_FOLDER": str(self.folder), "FERRY_LAB_HOST": host}

    def host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise LabError(f"no host '{name}': this lab has {', '.join(self.hosts) or 'none'}") from None

    def namespace(self, name: str) -> Process:
        """The process that holds a host's, or the client's, network namespace."""
        if name == "client":
            assert self.switch
            return self.switch
        return self.host(name).supervisor

    def save(self) -> None:
        assert self.switch
        document = {
            "lab": self.name, "mtu": self.mtu, "rate": self.rate, "rate_method": self.rate_method,
            "client": self.switch.pid, "client_start": self.switch.start,
            "hosts": {h.name: {"index": h.index, "supervisor": h.supervisor.pid,
                               "supervisor_start": h.supervisor.start, "socket": h.socket,
                               "state": str(h.state), "memory": h.memory, "device": h.device}
                      for h in self.hosts.values()}}
        path = self.folder / "lab.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document, indent=1) + "\n")
        fresh.replace(path)


def current_name() -> str:
    name = os.environ.get("FERRY_LAB", "lab")
    if not name.replace("-", "").replace("_", "").isalnum():
        raise LabError(f"FERRY_LAB: '{name}' is not a name of letters, digits, '-' and '_'")
    return name


def folder_of(name: str) -> Path:
    return ROOT / "build" / "lab" / name


def load(name: str) -> Lab | None:
    """The lab as recorded, alive or not; None when there is no record."""
    folder = folder_of(name)
    try:
        document = json.loads((folder / "lab.json").read_text())
        lab = Lab(name, document["mtu"], document["rate"], document["rate_method"],
                  Process(document["client"], document["client_start"]))
        for host, h in document["hosts"].items():
            process = Process(h["supervisor"], h["supervisor_start"])
            lab.hosts[host] = Host(host, h["index"], process, folder / host, h["memory"], h["device"])
        return lab
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as e:
        raise LabError(f"{folder / 'lab.json'} is damaged ({e}): lab down, then lab up") from e


def load_up(name: str) -> Lab:
    lab = load(name)
    if not lab:
        raise LabError(f"lab '{name}' is not up: lab/lab up")
    for who in (lab.switch, *(h.supervisor for h in lab.hosts.values())):
        if not who or not who.alive():
            raise LabError(f"lab '{name}' died half way: lab/lab down, then lab/lab up")
    return lab


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One command at a time changes a lab."""
    folder = folder_of(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
