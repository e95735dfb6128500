"""The machine: Python, processor, model runtime, decoders, memory, disk, clock."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import onnxruntime
import psutil

from jikimi.doctor.finding import Finding
from jikimi.settings import Settings
from jikimi.video import can_decode

_GB = 1_000_000_000
_MB = 1_000_000

# A site without cameras, and each camera's process (watch.camera_process: 80 MB in all).
_SITE_BYTES, _CAMERA_BYTES = 500 * _MB, 80 * _MB

# What cameras send. Without the first two nearly none can be watched.
_DECODERS = {"h264": "H.264", "hevc": "H.265", "mjpeg": "MJPEG"}

# Providers that run on a GPU; without any, the processor does.
_GPU_PROVIDERS = frozenset(
    f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "ROCM", "MIGraphX", "CoreML", "Dml")
)

# No machine that runs this Jikimi can truly be earlier.
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)


def look_at_machine(settings: Settings) -> Iterator[Finding]:
    """Everything that does not depend on the site running."""
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield processor()
    yield from decoders()
    yield gpu()
    yield memory(settings)
    yield from owner(settings)
    yield disk(settings)
    yield clock(settings)


def processor() -> Finding:
    """Cores, and what ONNX Runtime runs on."""
    cores = len(os.sched_getaffinity(0))
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in _providers())
    found = f"{cores} cores, ONNX Runtime {onnxruntime.__version__} on {providers}"
    if cores < 2:
        return Finding("processor", "warning", found, "give it 2 cores or more: decoding takes one by itself")
    return Finding("processor", "ok", found)


def _providers() -> list[str]:
    return [name for name in onnxruntime.get_available_providers() if not name.startswith("Azure")]


def decoders() -> Iterator[Finding]:
    """What FFmpeg in PyAV can decode."""
    for name, shown in _DECODERS.items():
        if not can_decode(name):
            cure = "install the wheel of PyAV: pip install --force-reinstall --only-binary av av"
            yield Finding(f"decoder {name}", "problem", f"{shown} cannot be decoded", cure)
        else:
            yield Finding(f"decoder {name}", "ok", f"{shown}, PyAV {version('av')}")


def gpu() -> Finding:
    """A GPU, where there is one, and whether the model can use it. None is needed."""
    used = [name for name in _providers() if name in _GPU_PROVIDERS]
    if used:
        return Finding("gpu", "ok", f"the model can use {used[0].removesuffix('ExecutionProvider')}")
    if Path("/proc/driver/nvidia/version").exists():
        return Finding(
            "gpu",
            "ok",
            "NVIDIA, not used by this ONNX Runtime: the processor is enough for the shipped model",
        )
    return Finding("gpu", "ok", "none; none is needed")


def memory(settings: Settings) -> Finding:
    """What is free, against what the cameras of the file take."""
    free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
    wanted = _SITE_BYTES + _CAMERA_BYTES * len(settings.cameras)
    found = f"{free / _GB:.1f} of {total / _GB:.1f} GB free, about {wanted / _GB:.1f} taken by the site"
    if free < wanted:
        return Finding("memory", "warning", found, "end other programs, add memory, or watch fewer cameras")
    return Finding("memory", "ok", found)


def owner(settings: Settings) -> Iterator[Finding]:
    """Whose data it is, where it is somebody else's: files made now would not be the site's."""
    data = settings.site.data.absolute()
    if data.exists() and data.stat().st_uid != os.geteuid():
        found = f"{data} is user {data.stat().st_uid}'s, not user {os.geteuid()}'s"
        yield Finding("owner", "warning", found, "run jikimi as the user of its data folder")


def disk(settings: Settings) -> Finding:
    """Room where the site keeps its data, and whether it may write there."""
    data = settings.site.data.absolute()
    there = next(folder for folder in (data, *data.parents) if folder.exists())
    limits = settings.evidence
    free = shutil.disk_usage(there).free / _GB
    found = f"{free:.1f} GB free at {data}"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK) or _is_read_only(there):
        cure = f"give {there} to user {os.getuid()}, or set another [site] data"
        return Finding("disk", "problem", f"{data} cannot be written", cure)
    if free <= limits.min_free_gb:
        cure = "make room: no evidence can be kept below [evidence] min_free_gb"
        return Finding("disk", "problem", found, cure)
    if free < limits.max_gb + limits.min_free_gb - _kept_gb(settings):
        cure = f"evidence may grow to {limits.max_gb:g} GB: make room, or lower [evidence] max_gb"
        return Finding("disk", "warning", found, cure)
    return Finding("disk", "ok", found)


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _kept_gb(settings: Settings) -> float:
    kept_bytes = 0
    for folder, _, names in os.walk(settings.evidence_folder):
        for name in names:
            with suppress(FileNotFoundError):  # retention may have been faster
                kept_bytes += (Path(folder) / name).stat().st_size
    return kept_bytes / _GB


def clock(settings: Settings) -> Finding:
    """Evidence without the right time is worth little."""
    now = datetime.now(UTC)
    found = f"{now.astimezone(settings.zone()):%Y-%m-%d %H:%M:%S %Z}"
    if now < _EARLIEST:
        return Finding("clock", "problem", found, "set the clock and switch NTP on: timedatectl set-ntp true")
    synchronised = _synchronised()
    if synchronised is None:
        return Finding("clock", "ok", f"{found}; whether by NTP cannot be told here")
    if not synchronised:
        return Finding("clock", "warning", f"{found}, not by NTP", "switch it on: timedatectl set-ntp true")
    return Finding("clock", "ok", f"{found}, by NTP")


def _synchronised() -> bool | None:
    """What timedatectl says; None where it is not there or cannot ask."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(said)
