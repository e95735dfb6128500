"""Fixtures every test may use. What a machine lacks skips a test, unless JIKIMI_REQUIRE names it."""

import ctypes.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from taking_turns import pytest_configure, pytest_runtest_protocol

__all__ = ["pytest_configure", "pytest_runtest_protocol"]

# A busy machine is no reason to fail.
settings.register_profile("jikimi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("jikimi")

REQUIRED = frozenset(filter(None, os.environ.get("JIKIMI_REQUIRE", "").split(",")))

# CI has no footage to skip for: a skipped test must be impossible there.
REAL_CLIPS = Path(__file__).parents[2] / "shared" / "real-clips"


@pytest.fixture(scope="session")
def need() -> Callable[[str, bool], None]:
    """`need(part, present)`: skip when a part of the machine is missing, fail when it is required."""

    def check(part: str, present: bool) -> None:
        if present:
            return
        if part in REQUIRED:
            pytest.fail(f"{part} is missing, and JIKIMI_REQUIRE demands it")
        pytest.skip(f"{part} is missing here")

    return check


@pytest.fixture(scope="session")
def real_clips(need: Callable[[str, bool], None]) -> Path:
    """The folder of real footage, read in place."""
    need("real-clips", REAL_CLIPS.is_dir())
    return REAL_CLIPS


@pytest.fixture(scope="session")
def egl(need: Callable[[str, bool], None]) -> None:
    """OpenGL without a screen, by EGL or OSMesa: what rendering takes."""
    need("egl", any(map(ctypes.util.find_library, ("EGL", "OSMesa"))))
