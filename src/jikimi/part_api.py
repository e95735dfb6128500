"""The part that serves the API."""

import base64
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from jikimi.alert.channels import hosts_of, open_channel
from jikimi.alert.escalation import next_targets, pass_on
from jikimi.alert.message import Plant
from jikimi.alert.trying import try_target
from jikimi.champion import champion_of
from jikimi.checking import check_camera
from jikimi.in_force import Followed
from jikimi.quarantine import examine
from jikimi.running import (
    ChampionsCard,
    Latencies,
    follow_settings,
    open_site_store,
    plant_of,
    run_folder,
    told_to_end,
)
from jikimi.serve import Backend, create_app, serve_app
from jikimi.serve.backend import Heat, Sight
from jikimi.serve.pages import add_pages
from jikimi.settings import CameraSettings, Settings, Target
from jikimi.store import IncidentRecord, Store
from jikimi.watch.child import Beat, send
from jikimi.watch.heat import Explainer, Scene, as_jpeg
from jikimi.watch.replay import spans
from jikimi.watch.replay_room import shelf_of
from jikimi.watch.trying import StreamFacts, try_camera

log = logging.getLogger(__name__)

# Where processor time is short, a process of this niceness gets a third of what one of the others gets.
_GIVES_WAY = 5


def run_api(pipe: Connection, settings: Settings) -> None:
    """The part that serves. It gives way to those that watch and deliver: who looks on slows nobody down."""
    os.nice(_GIVES_WAY)  # before any thread is started: they inherit it
    folder = run_folder(settings)
    store = open_site_store(settings)
    ended = threading.Event()

    def should_stop() -> bool:
        send(pipe, Beat())  # from the server's own loop: a server that hangs does not beat
        if told_to_end(pipe):
            ended.set()
        return ended.is_set()

    try:
        followed = follow_settings(settings, store)
        followed.start()
        app = create_app(_backend(followed, store, folder, ChampionsCard(settings, store)))
        add_pages(app)
        serve_app(
            app,
            host=settings.serve.host,
            port=settings.serve.port,
            should_stop=should_stop,
            on_started=lambda port: log.info(
                "API: %s://%s:%d/api/v1", settings.serve.scheme, settings.serve.host, port
            ),
            tls=settings.serve.tls,
            trusted_proxies=settings.serve.trusted_proxies,
        )
    finally:
        store.close()


def _backend(followed: Followed, store: Store, folder: Path, card: ChampionsCard) -> Backend:
    settings = followed.base

    def try_now(target: Target) -> float:
        now = followed.now.settings
        return try_target(target, language=now.site.language, plant=plant_of(now, card()))

    def pass_on_now(incident: IncidentRecord, by: str) -> bool:
        now = followed.now.settings
        plant = plant_of(now, card())
        return pass_on(store, incident, now.alert_lists, plant, by=by, now=datetime.now(UTC))

    return Backend(
        followed=followed,
        store=store,
        status_file=folder / "status.json",
        check_camera=lambda camera: check_camera(camera, card()),
        try_target=try_now,
        try_camera=_try,
        replay=lambda camera: _replay(followed.now.settings, camera),
        next_targets=lambda incident: next_targets(incident, followed.now.settings.alert_lists),
        pass_on=pass_on_now,
        explain=partial(_explain, Explainer(lambda: champion_of(settings, store).path)),
        deliveries=Latencies(folder / "deliveries.json"),
        behaviors=lambda: card().behaviors,
        theta_on=lambda: card().rule.theta_on,
        check_bundle=examine,
        check_rule=lambda card, camera: check_camera(camera, card),
        allow_loopback=settings.serve.local_cameras,
        allow_local_targets=settings.serve.local_targets,
        check_target=lambda target: open_channel(target, plant=Plant(), announce=False).close(),
        target_hosts=hosts_of,
    )


def _try(camera: CameraSettings) -> Mapping[str, object]:
    """Open a camera → what it sends, with its pictures in Base64. Raises JikimiError."""
    facts = try_camera(camera)
    return {
        "main": _stream(facts.main),
        "sub": None if facts.sub is None else _stream(facts.sub),
    }


def _stream(facts: StreamFacts) -> Mapping[str, object]:
    picture = None if facts.picture_HWC is None else base64.b64encode(as_jpeg(facts.picture_HWC)).decode()
    return {**facts.as_json(), "picture": picture}


def _replay(settings: Settings, camera: CameraSettings) -> Sequence[tuple[datetime, datetime]]:
    """What is held of a camera, oldest first."""
    shelf = shelf_of(settings, camera)
    return spans(shelf.folder) if shelf is not None else ()


def _explain(explainer: Explainer, sight: Sight) -> Heat:
    """A heat map. Raises JikimiError."""
    scene = Scene(sight.video, sight.moment_s, sight.behavior, sight.zone, sight.zones, sight.masks)
    shown, found = explainer.explain(scene)
    return Heat(as_jpeg(shown), found.score)
