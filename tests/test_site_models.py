"""Models on a whole site: a challenger beside the champion, promotion, roll-back, a damaged bundle."""

import hashlib
import os
import shutil
import signal
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bundles import GREEN, YELLOW, make_bundle
from cameras import CameraServer, Film, rtsp, write_film
from jikimi.behaviors import BEHAVIORS
from jikimi.bundle import ENCODER, HEAD, default_rule, read_card, save_bundle
from jikimi.frame import Image
from jikimi.incident import Rule
from jikimi.status import SiteStatus
from jikimi.store import ModelRecord, Store
from sites import RunningSite, shop_floor, wait_for
from videos import Draw

__all__ = ["rtsp"]

FPS = 15


def yellow_and_green() -> Draw:
    """A floor that is yellow (`fall-down`) for a second and a half, and then green (`jam`) for as long."""
    floor = shop_floor(0, 0)

    def draw(index: int, width: int, height: int) -> Image:
        image = floor(index, width, height)
        for colour, start_s in ((YELLOW, 2.0), (GREEN, 6.0)):
            if start_s * FPS <= index < (start_s + 1.5) * FPS:
                image = np.full((height, width, 3), colour, np.uint8)
        return image

    return draw


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder = tmp_path_factory.mktemp("film")
    return write_film(folder / "f.h264", seconds=9, fps=FPS, draw=yellow_and_green())


def rule(*behaviors: str) -> Rule:
    """Raises these alone."""
    default = default_rule(BEHAVIORS)
    return Rule(theta_on={key: 0.5 if key in behaviors else 1.0 for key in default.theta_on})


class Models:
    """The models of a site, put where its API would have put them."""

    def __init__(self, site: RunningSite) -> None:
        self.folder = site.data / "models"
        self.folder.mkdir(parents=True)
        self.store: Store = site.store()

    def add(self, name: str, *behaviors: str, odd: bool = False) -> str:
        """Add a bundle that raises these behaviours → its hash; an `odd` one fails its self-test."""
        bundle = make_bundle(self.folder / f"{name}.tmp", name=name, rule=rule(*behaviors))
        if odd:
            with zipfile.ZipFile(bundle) as archive:
                encoder, head = archive.read(ENCODER), archive.read(HEAD)
            card = read_card(bundle).model_copy(update={"known_answer": (99.0,) * len(BEHAVIORS)})
            save_bundle(bundle, card, encoder=encoder, head=head)
        sha256 = hashlib.sha256(bundle.read_bytes()).hexdigest()
        shutil.move(bundle, self.folder / f"{sha256}.jikimi")
        size = (self.folder / f"{sha256}.jikimi").stat().st_size
        record = ModelRecord(sha256, name, f"{sha256}.jikimi", size, datetime.now(UTC), "boss")
        assert self.store.add_model(record)
        return sha256

    def promote(self, sha256: str) -> None:
        self.store.promote(sha256, at=datetime.now(UTC))


def status_of(site: RunningSite) -> SiteStatus:
    status = site.status()
    assert status is not None
    return status


def watches(site: RunningSite, name: str) -> bool:
    return site.watching() and status_of(site).model == name


@pytest.fixture
def site(rtsp: None, film: Film, tmp_path: Path) -> Iterator[RunningSite]:
    with CameraServer({"a": film}) as server:
        made = RunningSite(tmp_path, {"press": server.address("a")}, chosen=True)
        made.data.mkdir()
        yield made
        made.__exit__()


def test_challenger_is_counted_beside_promoted_rolled_back_and_never_alerts(site: RunningSite) -> None:
    models = Models(site)
    first, second = models.add("falls", "fall-down"), models.add("both", "fall-down", "jam")
    broken, odd = models.add("broken", "jam"), models.add("odd", "jam", odd=True)
    models.promote(first)
    site.start()
    wait_for(lambda: watches(site, "falls"), within_s=60)
    assert status_of(site).model_sha256 == first

    began = datetime.now(UTC)
    models.store.challenge(second, at=began)
    wait_for(lambda: status_of(site).challenger_running, within_s=15)
    assert status_of(site).challenger == "both"

    def shadows() -> set[str]:
        return {one.behavior for one in models.store.shadows(second, since=began) if one.closed_at}

    wait_for(lambda: shadows() == {"fall-down", "jam"}, within_s=40)
    assert {one.behavior for one in models.store.incidents()} == {"fall-down"}
    wait_for(lambda: status_of(site).cameras[0].both_s > 2)
    assert not status_of(site).faults

    os.kill(status_of(site).pids["challenger"], signal.SIGKILL)
    wait_for(lambda: "challenger" in status_of(site).faults, within_s=15)
    assert site.watching()  # its trouble is its own

    models.promote(second)
    wait_for(lambda: watches(site, "both"), within_s=30)
    assert status_of(site).challenger == ""
    wait_for(lambda: any(one.behavior == "jam" for one in models.store.incidents()), within_s=30)
    assert sum(one.both_s for one in models.store.both(second, since=datetime(2000, 1, 1, tzinfo=UTC))) > 2
    wait_for(lambda: (found := models.store.champion()) is not None and found.proven_at is not None)

    models.store.roll_back(second)
    wait_for(lambda: watches(site, "falls"), within_s=30)

    (models.folder / f"{broken}.jikimi").write_bytes(b"no bundle")
    models.promote(broken)
    wait_for(lambda: "model" in status_of(site).faults and watches(site, "falls"), within_s=30)
    failed = models.store.find_model(broken)
    assert failed is not None and failed.state == "failed" and "damaged" in failed.problem
    models.store.remove_model(broken)
    models.promote(odd)
    wait_for(lambda: models.store.find_model(odd).state == "failed", within_s=30)  # type: ignore[union-attr]
    wait_for(lambda: "model" in status_of(site).faults and watches(site, "falls"), within_s=30)
    models.store.remove_model(odd)
    wait_for(lambda: "model" not in status_of(site).faults)
    models.store.close()
