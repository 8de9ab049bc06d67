# SPDX-License-Identifier: Apache-2.0
"""hashcat from the distribution's packages, on a disk image for the guest.

The packages are fetched and unpacked under build/, nothing is installed. The hash, the mask and the
options are fixed; the password lies a fifth into the mask's candidates: a minute or two, so
that there is time for a move in between.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from lab import disk

PACKAGES = ("hashcat", "hashcat-data", "libminizip1")
PASSWORD = "harbor12"
MASK = "?l?l?l?l?l?l?d?d"
MODE = "1400"  # SHA2-256
LOG = "/tmp/hashcat.log"
PROGRAM = "/mnt/hashcat/hashcat"


class Unavailable(Exception):
    """Why there is no hashcat here."""


def digest() -> str:
    return hashlib.sha256(PASSWORD.encode()).hexdigest()


def command() -> str:
    """A shell line that starts it in the background of the guest."""
    options = (f"-m {MODE} -O -a 3 -D 1,2,3 --force --potfile-disable --self-test-disable --hwmon-disable "
               "--markov-disable --bitmap-max 16 --status --status-timer 1 --session demo")
    return (f"cd /mnt/hashcat && HOME=/tmp LD_LIBRARY_PATH=/mnt/hashcat/lib setsid ./hashcat {options} "
            f"{digest()} '{MASK}' >{LOG} 2>&1 </dev/null &")


def _fetch(folder: Path) -> None:
    debs = folder / "packages"
    debs.mkdir(parents=True, exist_ok=True)
    if len(list(debs.glob("*.deb"))) < len(PACKAGES):
        done = subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=debs, capture_output=True, text=True)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            raise Unavailable(f"apt-get download: {lines[-1] if lines else 'failed'}")
    for deb in debs.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(deb), str(folder / "unpacked")], check=True)


def _tree(folder: Path) -> Path:
    """What hashcat needs, beside its program: there it looks first."""
    share, root = folder / "unpacked/usr/share/hashcat", folder / "disk/hashcat"
    shutil.rmtree(folder / "disk", ignore_errors=True)
    (root / "modules").mkdir(parents=True)
    shutil.copy(folder / "unpacked/usr/bin/hashcat", root)
    for mode in (MODE, "0000"):  # whatever the mode, it asks module 0 for its defaults
        shutil.copy(share / f"modules/module_0{mode}.so", root / "modules")
    shutil.copy(share / "hashcat.hcstat2", root)
    for part in ("OpenCL", "tunings"):
        shutil.copytree(share / part, root / part)
    shutil.copytree(folder / "unpacked/usr/lib/x86_64-linux-gnu", root / "lib", symlinks=True)
    return folder / "disk"


def image(folder: Path) -> Path:
    """The ext4 image with hashcat in it; made once. Unavailable when its packages cannot be had."""
    made_by = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]  # what is on it is said in this file
    path = folder / f"hashcat-{made_by}.img"
    if path.exists():
        return path
    try:
        _fetch(folder)
        disk.make(path, _tree(folder), 64 << 20)
    except OSError as e:
        raise Unavailable(str(e)) from e
    return path


def progress(log: str) -> float:
    """Per cent of the candidates tried, of the last status block; 0 before the first."""
    lines = [line for line in log.splitlines() if line.startswith("Progress.")]
    if not lines or "(" not in lines[-1]:
        return 0.0
    return float(lines[-1].rpartition("(")[2].partition("%")[0])


def found(log: str) -> bool:
    return f"{digest()}:{PASSWORD}" in log
