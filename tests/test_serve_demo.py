"""The demo cameras: for a site that has none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jikimi.errors import SettingsError
from jikimi.in_force import Followed
from jikimi.serve import Backend
from jikimi.serve.addresses import usable
from jikimi.shipped import shipped_samples
from test_serve_plant import Plant, open_plant


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def test_site_with_cameras_gets_no_demo(plant: Plant) -> None:
    before = plant.ask("admin", "GET", "/api/v1/cameras").json()
    assert plant.ask("admin", "POST", "/api/v1/demo").status_code == 409
    assert plant.ask("admin", "GET", "/api/v1/cameras").json() == before


def test_site_without_cameras_gets_recordings_of_its_own(plant: Plant) -> None:
    media = emptied(plant).media_folder
    answer = plant.ask("admin", "POST", "/api/v1/demo")
    assert answer.status_code == 201, answer.text
    names = {sample.camera for sample in shipped_samples().samples}
    assert {camera["name"] for camera in answer.json()} == names
    for camera in plant.store.cameras():
        address = camera.settings.address
        assert Path(address.reveal()).parent == media.resolve()
        assert usable(address, media=media, allow_loopback=False, resolve=refuse) == address
    assert not list(media.glob(".*"))
    noted = [record.about for record in plant.store.audit_trail(limit=20) if record.what == "put camera"]
    assert set(noted) >= names


def test_disk_that_refuses_is_told_and_leaves_nothing_behind(plant: Plant) -> None:
    media = emptied(plant).media_folder
    media.write_text("a file where the folder would be")
    answer = plant.ask("admin", "POST", "/api/v1/demo")
    assert answer.status_code == 409 and "make room" in answer.json()["detail"]
    assert plant.store.cameras() == []


def emptied(plant: Plant) -> Backend:
    """Take every camera away, those of the file too."""
    backend: Backend = plant.app.state.backend
    settings = backend.settings.model_copy(update={"cameras": ()})
    plant.app.state.backend = replace(
        backend, followed=Followed(settings, plant.store), check_camera=lambda _camera: None
    )
    for camera in plant.store.cameras():
        plant.store.remove_camera(camera.settings.name)
    found: Backend = plant.app.state.backend
    return found


def refuse(host: str) -> list[str]:
    raise SettingsError(host)
