# SPDX-License-Identifier: Apache-2.0
"""A VM whose disk holds the programs with all that they need, and which moves between two hosts while they run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from lab import lifecycle
from lab.ferry import Ferry, FerryError
from lab.model import ROOT
from tests.apps.programs import App

VM = "apps"
PYTHON = "/usr/bin/python3"
PACKAGES = ("numpy", "pyopencl", "mako", "markupsafe", "pytools", "platformdirs")
UNUSED = shutil.ignore_patterns("test", "tests", "idlelib", "ensurepip", "lib2to3", "config-3*", "pydoc_data")
FOLDERS = ("/usr/share/hashcat/OpenCL", "/usr/share/hashcat/tunings")
AGAIN = str(ROOT / "tests/local-move/again")
FILES = ("/usr/share/hashcat/hashcat.hcstat2", "/usr/share/hashcat/modules/module_01400.so",
         "/usr/share/hashcat/modules/module_00000.so", str(ROOT / "tests/apps/arrays.py"), AGAIN)
AGAIN_MOVES = 4  # there and back twice: then the program's run is its last
BOOT_S, MOVE_S, PAUSE_S = 120, 120, 2
# Everything that runs in the programs' root folder.
KILL = 'for p in /proc/[0-9]*; do [ "$(readlink $p/root)" = /mnt ] && kill -9 ${p#/proc/}; done'


def _needed(program: str) -> list[str]:
    """The shared libraries of a program, where the loader finds them."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", text)


def _copy(path: str, root: Path) -> None:
    to = root / path.lstrip("/")
    if not to.exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)


def _python(root: Path) -> None:
    """The interpreter's library and what pyopencl imports, with the shared libraries that those need."""
    home = subprocess.run([PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"], capture_output=True,
                          text=True, check=True).stdout.strip()
    shutil.copytree(home, root / home.lstrip("/"), ignore=UNUSED)
    for package in PACKAGES:
        path = f"/usr/lib/python3/dist-packages/{package}"
        shutil.copytree(path, root / path.lstrip("/"), ignore=UNUSED)
    for module in list(root.rglob("*.so")):
        for file in _needed(str(module)):
            _copy(file, root)


def _tree(programs: list[str], library: Path, root: Path) -> None:
    """A root folder for chroot(1): the programs at their usual places, and the guest's OpenCL driver."""
    for name in programs:
        path = shutil.which(name)
        if not path:
            raise FileNotFoundError(name)
        for file in (path, *_needed(path)):
            _copy(file, root)
    if PYTHON in programs:
        _python(root)
    for file in FILES:
        _copy(file, root)
    for folder in FOLDERS:
        shutil.copytree(folder, root / folder.lstrip("/"))
    for folder in ("dev", "proc", "sys", "tmp", "usr/lib", "etc/OpenCL/vendors"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(library, root / "usr/lib/libferry-cl.so")
    (root / "etc/passwd").write_text("root:x:0:0:root:/tmp:/bin/sh\n")  # hashcat asks for its user's home
    (root / "etc/OpenCL/vendors/ferry.icd").write_text("/usr/lib/libferry-cl.so\n")


def make_disk(programs: list[str], library: Path, folder: Path) -> Path:
    root, image = folder / "root", folder / "apps.img"
    shutil.rmtree(root, ignore_errors=True)
    _tree(programs, library, root)
    size = sum(f.stat().st_size for f in root.rglob("*") if f.is_file())
    with open(image, "wb") as f:
        f.truncate(size + size // 4 + (64 << 20))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image)], check=True)
    shutil.rmtree(root)
    return image


@dataclass
class Ran:
    output: str = ""
    moves: int = 0  # that took a session of the program's along
    problem: str = ""


class Guest:
    """Two hosts and the VM; close() takes all of it down."""

    def __init__(self, programs: list[str], library: Path, folder: Path) -> None:
        self.name = f"test-apps-{os.getpid()}"
        self.disk = make_disk(programs, library, folder)
        try:
            self.ferry = Ferry(lifecycle.up(self.name, hosts=2, mtu=9000, daemons=True))
            self.host = "a"
            self.ferry.must("a", "vm", "create", VM, "--profile", "ferry_cpu-1q", "--memory", "768M", "--disk",
                            str(self.disk))
            self.ferry.must("a", "vm", "start", VM, timeout=BOOT_S)
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        deadline = time.monotonic() + BOOT_S
        while self._guest("test -d /mnt/usr")[0] != 0:
            if time.monotonic() > deadline:
                raise FerryError("the guest did not mount its disk")
            time.sleep(1)
        status, text = self._guest("for d in dev proc sys; do mount -o bind /$d /mnt/$d || exit 1; done")
        if status:
            raise FerryError(f"the guest's folders: {text}")

    def _guest(self, line: str, timeout: float = 60) -> tuple[int, str]:
        return self.ferry.guest(self.host, VM, "sh", "-c", line, timeout=timeout)

    def close(self) -> None:
        lifecycle.down(self.name)
        self.disk.unlink(missing_ok=True)

    def _move(self) -> bool:
        """Whether a program had its session open when the vGPU changed hands."""
        other = "b" if self.host == "a" else "a"
        self.ferry.must(self.host, "migrate", VM, "--to", other, timeout=MOVE_S)
        self.host = other
        log = self.ferry.lab.host(other).state / "vms" / VM / "vgpu0.log"
        taken = re.findall(r"incoming -> received \(complete; (\d+) sessions\)", log.read_text(errors="replace"))
        return bool(taken) and int(taken[-1]) > 0

    def run(self, app: App, moving: bool) -> Ran:
        """Runs it once; while it moves, again and again until it has moved so often: its run is the last then."""
        settings = " ".join(f"{k}={shlex.quote(v)}" for k, v in {"HOME": "/tmp", **app.env}.items())
        again = f"sh /mnt{AGAIN} " if moving else ""
        command = (f"cd /tmp && {settings} {again}chroot /mnt {shlex.join(app.argv_in_guest)} >/tmp/out 2>/tmp/err & "
                   "echo $! >/tmp/pid; wait $!; echo $? >/tmp/status")
        self._guest("rm -rf /tmp/status /mnt/tmp/*")
        runner = threading.Thread(target=self._guest, args=(command, app.vm_limit_s + BOOT_S), daemon=True)
        runner.start()
        ran = Ran()
        try:
            self._until_ended(app, moving, runner, ran)
        except FerryError as e:
            ran.problem = str(e)
        if ran.problem:
            self._guest(KILL)
            runner.join(PAUSE_S)
            return ran
        status, ran.output, errors = (self._guest(f"cat /tmp/{name}")[1] for name in ("status", "out", "err"))
        if status.strip() != "0":
            ran.problem = f"exit {status.strip()}: {errors[-300:]}"
        return ran

    def _until_ended(self, app: App, moving: bool, runner: threading.Thread, ran: Ran) -> None:
        deadline = time.monotonic() + app.vm_limit_s
        while not self._ended(runner):
            if time.monotonic() > deadline:
                ran.problem = f"not over in {app.vm_limit_s} s"
                return
            if moving:
                ran.moves += self._move()
            if ran.moves >= AGAIN_MOVES:
                self._guest("kill -TERM $(cat /tmp/pid)")

    def _ended(self, runner: threading.Thread) -> bool:
        runner.join(PAUSE_S)
        return not runner.is_alive()


def cannot() -> str:
    """Why there can be no VM here; '' when there can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    return "" if (ROOT / "build/image/kernel").exists() else "needs `make image`"
