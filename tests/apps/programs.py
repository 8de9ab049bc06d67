# SPDX-License-Identifier: Apache-2.0
"""The real programs: how each is run, and which part of its output is its result."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / os.environ.get("FERRY_BUILD", "build/release")
PASSWORD = "31415926"


def whole(output: str) -> list[str]:
    return output.splitlines()


# ---- clinfo: the vGPU's device is the host's, but for what is the profile's or is not offered

_OWN = {
    "GLOBAL_MEM_SIZE", "MAX_MEM_ALLOC_SIZE", "IMAGE_MAX_BUFFER_SIZE",  # the profile's
    "HOST_UNIFIED_MEMORY", "SVM_CAPABILITIES", "ATOMIC_MEMORY_CAPABILITIES",  # a vGPU's memory is its own
    "BUILT_IN_KERNELS", "BUILT_IN_KERNELS_WITH_VERSION",  # not of the guest's making
    "EXTENSIONS", "EXTENSIONS_WITH_VERSION", "COMMAND_BUFFER_CAPABILITIES_KHR", "SPIR_VERSIONS",
    "COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR", "LATEST_CONFORMANCE_VERSION_PASSED",
}


def device(output: str) -> list[str]:
    """A line for each of the device's properties."""
    found = re.findall(r"^\[\w+/\d+\]\s+CL_DEVICE_(\w+) *(.*)$", output, re.M)
    return [f"{name}: {' '.join(value.split())}" for name, value in found if name not in _OWN]


# ---- clpeak: what it measured, and that there is a figure

def measured(output: str) -> list[str]:
    found = re.findall(r"^\s+(\S.*?)\s*: ([\d.]+)", output, re.M)
    return [f"{name}: {'measured' if float(figure) > 0 else 'nothing'}" for name, figure in found]


# ---- CLBlast: its own verdicts, each a comparison with a reference BLAS

def verdicts(output: str) -> list[str]:
    plain = re.sub(r"\x1b\[[\d;]*m", "", output)
    return [line for line in plain.splitlines() if "Running on" not in line]


# ---- ffmpeg

_FILTERS = {
    "avgblur": "avgblur_opencl=3", "boxblur": "boxblur_opencl=3:2", "unsharp": "unsharp_opencl=lx=7:ly=7",
    "convolution": "convolution_opencl=0m=0 -1 0 -1 5 -1 0 -1 0", "sobel": "sobel_opencl", "erosion": "erosion_opencl",
    "transpose": "transpose_opencl=1", "nlmeans": "nlmeans_opencl=s=2:p=3:r=5", "deshake": "deshake_opencl",
}
_SLOW = ("nlmeans", "deshake")  # half a second for a frame, natively
_SOURCE = "testsrc2=size={size}:rate=25:duration={seconds}"


def ffmpeg(graph: str, *sources: str) -> list[str]:
    inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
    return ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-init_hw_device", "opencl=cl:0.0",
            "-filter_hw_device", "cl", *inputs, "-filter_complex", graph, "-f", "framemd5", "-"]


def filtered(name: str, seconds: float, size: str = "320x240") -> list[str]:
    graph = f"[0:v]format=yuv420p,hwupload,{_FILTERS[name]},hwdownload,format=yuv420p"
    return ffmpeg(graph, _SOURCE.format(size=size, seconds=seconds))


def overlaid(seconds: float) -> list[str]:
    graph = ("[0:v]format=yuv420p,hwupload[a];[1:v]format=yuv420p,hwupload[b];"
             "[a][b]overlay_opencl=40:20,hwdownload,format=yuv420p")
    return ffmpeg(graph, _SOURCE.format(size="320x240", seconds=seconds), _SOURCE.format(size="64x48", seconds=seconds))


# ---- this repository's own, tests/api

_API = ("buffers", "core3", "devices", "errors", "events", "images", "kernels", "limits", "native", "printf", "processes", "programs",
        "queries", "strict", "strict-images", "strict-programs", "strict-svm", "svm", "svm-fine", "threads", "transfers")


# ---- all

@dataclass(frozen=True)
class App:
    name: str
    argv: list[str]
    result: Callable[[str], list[str]] = whole
    env: dict[str, str] = field(default_factory=dict)
    pause_ms: int = 100  # between two moves from process to process
    again: bool = False  # over before anything moves: where it moves it runs again and again
    native: bool = True  # what it gives on the host's own driver is right; else `ferry run` is what others are compared with
    vm_limit_s: int = 900
    small: list[str] | None = None  # in a VM: less to do, where its processor is too slow for argv

    @property
    def argv_in_guest(self) -> list[str]:
        return self.small or self.argv


def _hashcat() -> list[str]:
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    return ["hashcat", "-m", "1400", "-a", "3", "-O", "-D", "1,2,3", "--force", "--potfile-disable", "--hwmon-disable",
            "--quiet", "--outfile-format", "1,2", digest, "?d?d?d?d?d?d?d?d"]


APPS = [
    App("clinfo", ["clinfo", "--raw"], device, again=True),
    App("clpeak", ["clpeak", "--kernel-latency", "--transfer-bandwidth"], measured,
        small=["clpeak", "--kernel-latency", "--global-bandwidth"]),
    App("hashcat", _hashcat()),
    App("pyopencl", ["/usr/bin/python3", "-W", "ignore", str(HERE / "arrays.py")], env={"PYOPENCL_NO_CACHE": "1"}),
    *(App(f"clblast-{routine}", [f"clblast_test_{routine}"], verdicts, small=[f"clblast_test_{routine}", "-precision", "32"])
      for routine in ("xaxpy", "xamax", "xgemv", "xhad")),
    *(App(f"clblast-{routine}", [f"clblast_test_{routine}", "-precision", "32"], verdicts, pause_ms=5000)
      for routine in ("xsyrk", "xgemm")),  # the moved vGPU's compilers are what takes long
    *(App(f"ffmpeg-{name}", filtered(name, 1 if name in _SLOW else 4)) for name in _FILTERS),
    App("ffmpeg-overlay", overlaid(4)),
    *(App(f"api-{name}", [str(BUILD / f"tests/api/api-{name}")], again=True, native=not name.startswith(("strict", "limits"))) for name in _API),
]
