"""Take the pictures of the dashboard that the documentation shows: every page, in both languages.

uv run --all-extras python benchmarks/pictures.py [--out docs/pictures]

The cameras are the simulated samples that Jikimi carries, played over and over.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from jikimi.passwords import Passwords
from jikimi.shipped import shipped_model, shipped_samples
from jikimi.store import Store, UserRecord
from site_run import RunningSite, wait_for  # also puts tests/ on the path

from browser import ARGUMENTS, CHROMIUM, Visit, visit  # isort: skip
from mosquitto_server import free_port  # isort: skip

OUT = Path(__file__).resolve().parent.parent / "docs" / "pictures"
SIZE = (1440, 900)
PASSWORD = "pictures of pages"
LANGUAGES = {"ko": "ko-KR", "en": "en-GB"}
PAGES = ("live", "incidents", "overview", "report", "cameras", "learning", "settings")

# Where the samples were copied to is nobody's business.
BARE_NAMES = """document.querySelectorAll("input").forEach((field) => {
  if (field.value.startsWith("/")) field.value = field.value.split("/").at(-1);
})"""

# Each sample is some twenty seconds long and shows one accident.
WATCH_S = 75.0


@contextmanager
def watched(folder: Path) -> Iterator[tuple[str, Store]]:
    """A site on the samples, after a while: where it serves, and its store."""
    port = free_port()
    cameras = {sample.camera: str(shutil.copy(sample.video, folder)) for sample in shipped_samples().samples}
    with RunningSite(folder, cameras, bundle=shipped_model(), serve=f"port = {port}") as site:
        wait_for(site.watching, within_s=90)
        store, now = site.store(), datetime.now(UTC)
        store.add_user(UserRecord("kim", Passwords().hash(PASSWORD), "admin", now, now))
        store.add_user(UserRecord("lee", Passwords().hash(PASSWORD), "operator", now, now))
        time.sleep(WATCH_S)
        yield f"http://127.0.0.1:{port}", store
        store.close()


def answer(store: Store) -> str:
    """Answer what there is, one by one → the incident that is shown."""
    now, incidents = datetime.now(UTC), store.incidents()
    for number, one in enumerate(incidents[1:]):
        store.acknowledge(one.uid, at=now, by="lee")
        store.answer(one.uid, answer="false-alarm" if number % 4 == 3 else "correct", at=now, by="lee")
    return next(one.uid for one in incidents[1:] if len(store.evidence(one.uid)) >= 3)


def take(page: Page, out: Path, name: str) -> None:
    """One picture of what the window shows."""
    page.wait_for_timeout(1800)
    page.screenshot(path=out / f"{name}.jpg", type="jpeg", quality=82)
    print(out / f"{name}.jpg", flush=True)


def take_all(shown: Visit, out: Path, language: str, uid: str, camera: str) -> None:
    """Every page of one visitor; alarms that come meanwhile stay out of them."""
    for name in (*PAGES, f"incidents/{uid}", f"cameras/{camera}"):
        page = shown.open(f"/{name}")
        page.add_style_tag(content=".j-alarm, .j-bars { display: none !important }")
        page.evaluate(BARE_NAMES)
        take(page, out, f"{name.partition('/')[0][:-1] if '/' in name else name}.{language}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="jikimi-pictures-") as folder,
        watched(Path(folder)) as (base, store),
        sync_playwright() as driver,
    ):
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        uid = answer(store)
        camera = store.incident(uid).camera
        for language, locale in LANGUAGES.items():
            with visit(chromium, base, language=locale, size=SIZE, dark=True) as shown:
                take(shown.open("/login"), out, f"login.{language}")
                page = shown.log_in("kim", PASSWORD)
                page.locator(".j-alarm:not([hidden])").wait_for()
                take(page, out, f"alarm.{language}")
                take_all(shown, out, language, uid, camera)
        chromium.close()


if __name__ == "__main__":
    main()
