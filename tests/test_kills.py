"""SIGKILL of everything at random moments, again and again: no alert is lost, and none is told by two keys.

`JIKIMI_KILLS=200` makes it the long run whose outcome is in docs/benchmarks.md.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

from bundles import make_bundle
from cameras import CameraServer, rtsp, write_film
from jikimi.archive import verify
from jikimi.incident import Rule
from jikimi.video import check_evidence
from jikimi.watch.archivist import HEAD
from sites import Receiver, RunningSite, shop_floor, wait_for

__all__ = ["rtsp"]

KILLS = int(os.environ.get("JIKIMI_KILLS", "4"))
FPS = 15

# An accident every four seconds, each an incident of its own.
RULE = Rule(theta_on={"fall-down": 0.5, "jam": 0.5}, close_after=4, cooldown_s=0.2)


def test_no_alert_is_lost_over_kills_at_random_moments(rtsp: None, tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.h264", seconds=4, fps=FPS, draw=shop_floor(FPS, 2 * FPS + 8))
    bundle = make_bundle(tmp_path / "quick.jikimi", rule=RULE)
    chance = random.Random(KILLS)
    with CameraServer({"a": film, "b": film}) as server, Receiver() as hook:
        addresses = {name: server.address(name) for name in ("a", "b")}
        site = RunningSite(tmp_path, addresses, hook, bundle=bundle)
        for round_ in range(KILLS):
            site.start()
            if round_ % 2:
                wait_for(site.watching, within_s=60)  # then in the midst of an accident, or between two
            time.sleep(chance.uniform(0.5, 6.0))
            hook.refuses = round_ % 3 == 1  # a receiver that is down when we die
            site.kill_everything()
        hook.refuses = False
        with site:
            wait_for(site.watching, within_s=60)
            wait_for(lambda: all_told(site, hook), within_s=90)
            time.sleep(2.0)
            site.stop()
        check_told(site, hook)
        check_kept(site)


def stored_keys(site: RunningSite) -> set[str]:
    return {f"{incident.uid}:opened:hook" for incident in site.incidents()}


def all_told(site: RunningSite, hook: Receiver) -> bool:
    return stored_keys(site) <= set(hook.keys())


def check_told(site: RunningSite, hook: Receiver) -> None:
    """Everything stored was told; what was told twice bears the same key, and the key tells what it is."""
    assert stored_keys(site) <= set(hook.keys())
    opened = {(key, body["uid"]) for _, key, body in hook.told if key.endswith(":opened:hook")}
    assert Counter(uid for _, uid in opened).most_common(1)[0][1] == 1
    assert len(site.incidents()) >= KILLS / 4  # there was something to lose
    assert not list((site.data / "spool").glob("*.json"))


def check_kept(site: RunningSite) -> None:
    """The manifest is whole, and every video that was entered plays and holds its event."""
    store = site.store()
    try:
        report = verify(site.data / "evidence", expected=store.meta(HEAD))
        assert report.intact, report.problems
        for incident in store.incidents(limit=1000):
            for record in store.evidence(incident.uid):
                if record.kind == "video" and record.problem == "":
                    check_evidence(site.data / "evidence" / record.path, moment_s=max(0.0, -record.start_s))
    finally:
        store.close()
