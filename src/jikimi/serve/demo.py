"""The demo cameras: recordings that Jikimi carries, watched over and over, for who has no camera yet."""

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter, Request

from jikimi.address import Address
from jikimi.serve.access import SiteAdmin
from jikimi.serve.answers import CameraAnswer
from jikimi.serve.backend import backend_of
from jikimi.serve.cameras import known_cameras
from jikimi.serve.problems import Refusal
from jikimi.settings import CameraSettings
from jikimi.shipped import shipped_samples

router = APIRouter(tags=["cameras"])


@router.post("/demo", summary="Watch the demo cameras", status_code=201)
def add_demo(request: Request, caller: SiteAdmin) -> list[CameraAnswer]:
    """Adds them as any other camera; they are removed like them. 409: there are cameras already."""
    backend = backend_of(request)
    if known_cameras(backend):
        raise Refusal(409, "demo-cameras")
    for sample in shipped_samples().samples:
        film = _copied(sample.video, backend.media_folder)
        settings = CameraSettings(name=sample.camera, address=Address(str(film)))
        backend.check_camera(settings)
        backend.note(caller, "put camera", sample.camera, demo=True)
        backend.store.put_camera(settings, at=datetime.now(UTC))
    return list(known_cameras(backend).values())


def _copied(video: Path, folder: Path) -> Path:
    """The recording in the site's own folder: it stays when Jikimi is installed anew."""
    place = folder / f"demo-{video.name}"
    temporary = folder / f".{place.name}.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, temporary)
        temporary.replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):  # of a disk that refuses anyway
            temporary.unlink()
        raise Refusal(409, "demo-room", folder=folder, why=error.strerror) from None
    return place.resolve()
