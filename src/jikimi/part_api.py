"""The part that serves the API."""

import logging
import os
import threading
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from jikimi.alert.channels import hosts_of, open_channel
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
from jikimi.settings import Settings, Target
from jikimi.store import Store
from jikimi.watch.child import Beat, send
from jikimi.watch.heat import Explainer, Scene, as_jpeg
from jikimi.watch.trying import try_camera

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

    return Backend(
        followed=followed,
        store=store,
        status_file=folder / "status.json",
        check_camera=lambda camera: check_camera(camera, card()),
        try_target=try_now,
        try_camera=lambda camera: try_camera(camera).as_json(),
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


def _explain(explainer: Explainer, sight: Sight) -> Heat:
    """A heat map. Raises JikimiError."""
    scene = Scene(sight.video, sight.moment_s, sight.behavior, sight.zone, sight.zones, sight.masks)
    shown, found = explainer.explain(scene)
    return Heat(as_jpeg(shown), found.score)
