# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel, from the distribution's package: fetched and unpacked, never installed."""
import glob
import os
import re
import shutil
import struct
import subprocess

# The kernel that the name stands for is its first dependency. Ubuntu keeps modules apart.
KERNELS = ["linux-image-cloud-amd64", "linux-image-virtual", "linux-image-amd64"]

# What a guest needs to boot from virtio devices. Those built into a kernel are left out.
MODULES = ["virtio_pci", "virtio_console", "virtio_net", "virtio_blk", "virtio_rng", "ext4",
           "crc32c_generic"]

# How a bzImage's payload is packed: its first bytes, and what unpacks it to standard output.
UNPACKERS = {
    b"\x02\x21\x4c\x18": ["lz4", "-dc"],
    b"\x28\xb5\x2f\xfd": ["zstd", "-dc"],
    b"\x1f\x8b": ["gzip", "-dc"],
    b"\xfd7zXZ\x00": ["xz", "-dc"],
}


class Missing(Exception):
    """Something that this machine would have to have."""


def _output(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _find_packages():
    for name in KERNELS:
        found = re.search(r"Depends: (linux-image-[0-9]\S*)", _output("apt-cache", "depends", name))
        if found:
            image = found.group(1)
            modules = image.replace("linux-image-", "linux-modules-")
            return [image] + [m for m in [modules] if _output("apt-cache", "show", m)]
    return []


def update_lists():
    """Fresh machines have no package lists, others have old ones. Only root may change that: False
    where nothing was done."""
    return os.geteuid() == 0 and subprocess.run(["apt-get", "update", "-qq"],
                                                check=False).returncode == 0


def packages():
    """The kernel's packages by name, the image first."""
    found = _find_packages()
    if not found:
        raise Missing("no package of " + ", ".join(KERNELS) + "; run apt-get update")
    return found


def version(package):
    found = re.search(r"Candidate: (\S+)", _output("apt-cache", "policy", package))
    if not found or found.group(1) == "(none)":
        raise Missing(f"package {package} has no candidate; run apt-get update")
    return found.group(1)


def _download(package, ver, folder):
    argv = ["apt-get", "download", "-qq", f"{package}={ver}"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"cannot download {package}: {done.stderr.strip()}; run apt-get update")


def unpack(package, cache):
    """Downloads one package into the folder `cache`, unless it is there, and unpacks it. Returns
    the folder with its files."""
    ver = version(package)
    into = os.path.join(cache, f"{package}_{ver.replace(':', '%3a')}")
    if os.path.isdir(into):
        return into
    os.makedirs(cache, exist_ok=True)
    shutil.rmtree(into + ".new", ignore_errors=True)
    _download(package, ver, cache)
    deb = glob.glob(os.path.join(glob.escape(into) + "_*.deb"))[0]
    subprocess.run(["dpkg", "-x", deb, into + ".new"], check=True)
    os.rename(into + ".new", into)
    os.unlink(deb)
    return into


def bootable(bzimage):
    """The kernel as an ELF file with a PVH entry (CONFIG_PVH), which QEMU starts without the
    guest's own slow decompression; or the bzImage itself where that cannot be had."""
    # Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length.
    start = (bzimage[0x1F1] + 1) * 512 + struct.unpack("<I", bzimage[0x248:0x24C])[0]
    payload = bzimage[start:start + struct.unpack("<I", bzimage[0x24C:0x250])[0]]
    for magic, argv in UNPACKERS.items():
        if not payload.startswith(magic):
            continue
        try:
            # The last 4 bytes are the unpacked length, which is no part of the packed stream.
            elf = subprocess.run(argv, input=payload[:-4], capture_output=True, check=False).stdout
        except FileNotFoundError:
            return bzimage
        # XEN_ELFNOTE_PHYS32_ENTRY: name size 4, data size 4 or 8, type 18, "Xen".
        if elf.startswith(b"\x7fELF") and re.search(
                rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0", elf):
            return elf
    return bzimage


def _module_bytes(path):
    tool = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dc"]}.get(os.path.splitext(path)[1])
    if not tool:
        with open(path, "rb") as f:
            return f.read()
    return subprocess.run(tool + [path], capture_output=True, check=True).stdout


def modules(roots):
    """The modules that MODULES need, in the order in which they must be loaded: a list of (name,
    contents). Dependencies are read from each module's .modinfo ("depends=a,b")."""
    paths = {}
    for root in roots:
        for path in glob.glob(os.path.join(root, "**", "*.ko*"), recursive=True):
            name = os.path.basename(path).split(".ko")[0].replace("-", "_")
            paths[name] = path
    order, seen = [], set()

    def add(name):
        if name in seen or name not in paths:
            return
        seen.add(name)
        data = _module_bytes(paths[name])
        found = re.search(rb"\0depends=([^\0]*)\0", data)
        soft = re.search(rb"\0softdep=pre: ([^\0]*)\0", data)
        needs = (found.group(1).decode().split(",") if found else [])
        needs += soft.group(1).decode().split() if soft else []
        for need in needs:
            add(need.replace("-", "_"))
        order.append((name, data))

    for name in MODULES:
        add(name)
    if "virtio_console" not in paths:
        raise Missing("the kernel's package has no virtio_console module")
    return order
