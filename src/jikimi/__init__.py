"""Jikimi: learns worker behaviours from labelled clips, watches cameras with what it learned.

    bundle = jikimi.load_bundle("model.jikimi")
    jikimi.watch(["rtsp://camera/stream"], bundle=bundle, out=Path("evidence"), emit=print)

Names are loaded when they are first used, so that `import jikimi` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jikimi.behaviors import Behavior as Behavior
    from jikimi.bundle import load_bundle as load_bundle
    from jikimi.incident import Incident as Incident
    from jikimi.watch.detector import Detector as Detector
    from jikimi.watch.pipeline import watch as watch

_HOMES = {
    "Behavior": "jikimi.behaviors",
    "Detector": "jikimi.watch.detector",
    "Incident": "jikimi.incident",
    "load_bundle": "jikimi.bundle",
}

__all__ = ["Behavior", "Detector", "Incident", "load_bundle", "watch"]


def __getattr__(name: str) -> Any:
    if name == "watch":
        return import_module("jikimi.watch")  # a module that can be called: see there
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jikimi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
