"""What is checked before a site starts: all that would fail later, told in one line now."""

from collections.abc import Iterator

from jikimi.alert.channels import open_channel
from jikimi.alert.message import Plant
from jikimi.bundle import Card
from jikimi.running import alone, bundle_path, open_site_store, run_folder
from jikimi.settings import Settings
from jikimi.watch.analysis import camera_rule
from jikimi.watch.detecting import check_bundle
from jikimi.watch.following import Following


def check_site(settings: Settings, *, serving: bool) -> list[str]:
    """Open and close everything a site needs → lines that say what will run.

    Raises:
        JikimiError: what cannot be used, where it is set, and what to do.
    """
    return list(_lines(settings, serving=serving))


def _lines(settings: Settings, *, serving: bool) -> Iterator[str]:
    folder = run_folder(settings)
    with alone(folder, "site"):
        card = check_bundle(bundle_path(settings), threads=settings.model.threads)
        store = open_site_store(settings)
        try:
            following = Following(store, settings.cameras)
            following.look()
        finally:
            store.close()
    for wanted in following.wanted.values():
        camera_rule(card, wanted.settings)
    for target in settings.targets:
        open_channel(target, plant=_plant(settings, card), announce=False).close()
    yield f"site {settings.site.name!r}: {len(following.wanted)} cameras, model {card.name}"
    if not following.wanted:
        yield "no camera yet: jikimi camera add NAME ADDRESS"
    if not settings.targets:
        yield "nobody is alerted: add a [[target]] to jikimi.toml"
    if serving:
        yield f"API: http://{settings.serve.host}:{settings.serve.port}/api"


def _plant(settings: Settings, card: Card) -> Plant:
    return Plant(site=settings.site.name, language=settings.site.language, behaviors=card.behaviors)
