"""A whole site seen live: pictures and incidents of a real camera through to a browser's connection."""

import hashlib
import re
from pathlib import Path

import psutil
import pytest

from cameras import CameraServer, Film, rtsp, write_film
from live_cameras import page
from sites import RunningSite, shop_floor, wait_for

__all__ = ["rtsp"]

FPS = 15
TOKEN = f'[[token]]\nname = "wall"\nsha256 = "{hashlib.sha256(b"secret").hexdigest()}"\nrole = "viewer"'
BLACK = '[[camera.mask]]\nkind = "blacken"\npolygon = [[0.0, 0.0], [0.4, 0.0], [0.4, 1.0], [0.0, 1.0]]'


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Eight seconds of which two show an accident."""
    draw = shop_floor(4 * FPS, 6 * FPS)
    return write_film(tmp_path_factory.mktemp("film") / "f.h264", seconds=8, fps=FPS, draw=draw)


def port_of(site: RunningSite) -> int:
    found: re.Match[str] = wait_for(lambda: re.search(r"serving on port (\d+)", site.log()), within_s=40)
    return int(found[1])


def test_pictures_incidents_and_a_restart_are_seen_live(rtsp: None, film: Film, tmp_path: Path) -> None:
    with (
        CameraServer({"a": film}) as server,
        RunningSite(tmp_path, {"press 3": server.address("a")}, more=TOKEN, camera_more=BLACK) as site,
    ):
        wait_for(site.watching, within_s=60)
        api = psutil.Process(site.pids()["api"])
        assert api.nice() == psutil.Process(site.pids()["site"]).nice() + 5
        with page(port_of(site), "secret") as shown:
            shown.choose("press 3", rate_hz=8)
            shown.seen(10, within_s=30)
            shown.pictures.clear()
            found = shown.seen(60, within_s=30)
            passed_s = found[-1].head["at"] - found[0].head["at"]
            assert (len(found) - 1) / passed_s >= 6
            assert max(one.head["age_s"] for one in found) < 10
            for one in found:
                pixels = one.pixels
                assert pixels[:, : round(0.35 * pixels.shape[1])].mean() < 12  # what must be black
                assert pixels[:, round(0.5 * pixels.shape[1]) :].mean() > 40
            told = shown.until("incident", within_s=40)
            assert told["incident"]["camera"] == "press 3" and told["change"]["kind"] == "opened"
            camera = shown.until("status")["status"]["cameras"][0]
            assert camera["state"] == "live" and set(camera["scores"]) == {""}
            status = site.status()
            assert status is not None
            psutil.Process(status.pids["camera 'press 3'"]).kill()
            at = shown.pictures[-1].head["at"]
            wait_for(lambda: shown.read(30) or shown.pictures[-1].head["at"] > at + 3, within_s=60)
