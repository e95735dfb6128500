"""The machine a figure was measured on, in words that let somebody else judge it."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Read from the packages' metadata: importing torch here would weigh on what is measured.
PACKAGES = ("jikimi", "torch", "torchvision", "timm", "lightning", "onnxruntime", "av", "numpy", "pillow")


def describe() -> dict[str, str]:
    """Processor, memory, system and versions, as printed above every table."""
    found = {
        "cpu": _cpu(),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "gpu": _gpu(),
        "os": f"{_os_name()}, Linux {platform.release()}",
        "load at start": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "ffmpeg": _ffmpeg(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def n_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags.group(1).split()) if flags else set()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_tile") if flag in known]
    name = model.group(1).strip() if model else platform.machine()
    return f"{name} ({', '.join(wide)})" if wide else name


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _ffmpeg() -> str:
    line = _first_line(["ffmpeg", "-version"])
    found = re.match(r"ffmpeg version (\S+)", line)
    return found.group(1) if found else "not installed"


def _gpu() -> str:
    return _first_line(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or "none"


def _first_line(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else ""
