"""Models by the API: listed, added after a check, challenged, promoted, rolled back, removed, compared."""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from bundles import make_bundle
from jikimi.bundle import CARD, Card
from jikimi.champion import hash_of
from jikimi.errors import SettingsError
from jikimi.in_force import Followed
from jikimi.quarantine import examine
from jikimi.serve import limits, uploads
from jikimi.serve.comparing import compared
from jikimi.serve.model_answers import plain
from jikimi.settings import CameraSettings, ModelSection
from jikimi.shipped import shipped_model
from jikimi.store import BothRecord, IncidentRecord, ModelRecord, ShadowRecord
from test_serve_plant import NOON, Plant, open_plant

GOOD = ("falls", "jams", "third")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Bundles by name; `slow` wants pictures at another rate."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {name: make_bundle(folder / name, name=name) for name in GOOD}
    made["slow"] = make_bundle(folder / "slow", name="slow", rate_hz=4.0)
    return {name: path.read_bytes() for name, path in made.items()}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


def send(plant: Plant, body: Any, role: str = "admin", **headers: str) -> httpx.Response:
    return plant.ask(role, "POST", "/api/v1/models", content=body, headers=headers)


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def listed(plant: Plant) -> Any:
    answer = plant.get("/models")
    assert answer.status_code == 200, answer.text
    return answer.json()


def model(plant: Plant, sha256: str) -> Any:
    return next(one for one in listed(plant)["models"] if one["sha256"] == sha256)


def post(plant: Plant, path: str, role: str = "admin") -> httpx.Response:
    return plant.ask(role, "POST", f"/api/v1/models/{path}")


def audited(plant: Plant) -> list[str]:
    return [record.what for record in plant.store.audit_trail(limit=20)][::-1]


def folder(plant: Plant) -> list[str]:
    return sorted(path.name for path in (plant.folder / "models").glob("*"))


# --- adding


def test_model_is_added_once_and_listed_with_its_card(plant: Plant, bundles: dict[str, bytes]) -> None:
    body = bundles["falls"]
    added = send(plant, body)
    assert added.status_code == 201
    assert (added.json()["name"], added.json()["state"]) == ("falls", "kept")
    assert send(plant, body).status_code == 200
    assert folder(plant) == [f"{sha(body)}.jikimi"]
    assert (plant.folder / "models" / f"{sha(body)}.jikimi").stat().st_mode & 0o77 == 0
    found = model(plant, sha(body))
    card = found["card"]
    assert (found["origin"], found["added_by"], found["size_bytes"]) == ("store", "admin", len(body))
    assert (card["rate_hz"], card["window"], card["window_s"]) == (8.0, 8, 1.0)
    assert card["behaviors"][1] == {
        "key": "fall-down", "korean": "넘어짐", "english": "fall down", "severity": 2
    }  # fmt: skip
    assert card["theta_on"]["jam"] == 0.5 and "metrics" in card and "training" in card
    assert audited(plant) == ["added model"]


def test_damaged_file_is_healed_by_the_same_bundle(plant: Plant, bundles: dict[str, bytes]) -> None:
    body = bundles["falls"]
    send(plant, body)
    file = plant.folder / "models" / f"{sha(body)}.jikimi"
    file.write_bytes(b"damaged")
    assert model(plant, sha(body))["card"] is None and "damaged" in model(plant, sha(body))["problem"]
    assert post(plant, f"{sha(body)}/promote").status_code == 409
    assert send(plant, body).status_code == 200
    assert file.read_bytes() == body and model(plant, sha(body))["problem"] == ""


def with_member(body: bytes, folder: Path, name: str, data: bytes) -> bytes:
    path = folder / "changed"
    path.write_bytes(body)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, data)
    return path.read_bytes()


def test_what_is_no_sound_bundle_is_refused_and_not_kept(bundles: dict[str, bytes], tmp_path: Path) -> None:
    body = bundles["falls"]
    with zipfile.ZipFile(_file(tmp_path, body)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    other_hash = members | {CARD: members[CARD].replace(b'"encoder.onnx": "', b'"encoder.onnx": "0')}
    wrong = {
        b"no zip at all": "not a Jikimi bundle",
        with_member(body, tmp_path, "weights.data", b"x"): "nothing else",
        _zipped(tmp_path, other_hash): "does not match the hash",
    }
    with open_plant(tmp_path, check_bundle=examine) as plant:
        for data, words in wrong.items():
            answer = send(plant, data)
            assert answer.status_code == 422 and words in answer.json()["detail"], answer.text
            assert ".upload" not in answer.text and str(tmp_path) not in answer.text
        assert folder(plant) == [] and plant.store.models() == [] and audited(plant) == []
        assert send(plant, body).status_code == 201


def _file(folder: Path, body: bytes) -> Path:
    path = folder / "body"
    path.write_bytes(body)
    return path


def _zipped(folder: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(folder / "zipped", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return (folder / "zipped").read_bytes()


def test_too_much_is_refused_announced_or_not_and_other_routes_take_no_more(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = {"Content-Length": str(limits.MAX_BUNDLE_BYTES + 1)}
    assert send(plant, b"x", **announced).status_code == 413
    monkeypatch.setitem(limits._LARGER, ("POST", "/api/v1/models"), 3 << 20)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * (1 << 16)

    assert send(plant, pieces()).status_code == 413
    assert folder(plant) == []
    large = b"x" * (2 << 20)
    for path in ("/models/roll-back", "/targets/hook/try"):
        assert plant.ask("admin", "POST", f"/api/v1{path}", content=large).status_code == 413


def test_nothing_another_one_and_no_room_are_told(
    plant: Plant, bundles: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(plant, b"").status_code == 422
    busy = plant.app.state.uploads._busy
    busy.acquire()
    refused = send(plant, bundles["falls"])
    busy.release()
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "60"

    class Usage(NamedTuple):
        free: int = 1 << 20

    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _folder: Usage())
    assert send(plant, bundles["falls"]).status_code == 409
    monkeypatch.undo()
    assert folder(plant) == [] and send(plant, bundles["falls"]).status_code == 201


def test_slow_sender_is_not_waited_for_and_left_files_are_swept(
    plant: Plant, bundles: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (plant.folder / "models").mkdir()
    (plant.folder / "models" / ".upload-old.tmp").write_bytes(b"x")
    monkeypatch.setattr(uploads, "UPLOAD_S", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        import asyncio

        yield b"x"
        await asyncio.sleep(5)
        yield b"x"

    assert send(plant, slow()).status_code == 408
    assert folder(plant) == []


def test_only_admins_of_the_whole_site_change_models(plant: Plant, bundles: dict[str, bytes]) -> None:
    for role in ("viewer", "operator", "limited-admin"):
        assert send(plant, bundles["falls"], role).status_code == 403
        assert post(plant, "roll-back", role).status_code == 403
    assert folder(plant) == [] and plant.get("/models", "limited").status_code == 200


# --- choosing


@pytest.fixture
def three(plant: Plant, bundles: dict[str, bytes]) -> list[str]:
    """Hashes of models that were added; the first watches."""
    hashes = [send(plant, bundles[name]).json()["sha256"] for name in GOOD]
    plant.store.promote(hashes[0], at=datetime.now(UTC))
    return hashes


def test_fresh_site_is_watched_by_the_model_that_jikimi_carries(plant: Plant) -> None:
    found = listed(plant)
    (only,) = found["models"]
    assert (only["origin"], only["state"], found["fixed"]) == ("shipped", "champion", False)
    assert found["champion"] == only["sha256"] == hash_of(shipped_model())
    assert found["challenger"] is None and found["before"] is None and only["watching"] is False
    plant.say(model=only["name"])
    assert listed(plant)["models"][0]["watching"] is True
    assert post(plant, "roll-back").status_code == 409
    assert post(plant, f"{only['sha256']}/promote").status_code == 409


def test_challenger_is_chosen_promoted_and_rolled_back_from(plant: Plant, three: list[str]) -> None:
    first, second, third = three
    assert plant.put(f"/models/{second}/challenge", None).json()["challenger"] == second
    assert plant.put(f"/models/{third}/challenge", None).json()["challenger"] == third
    ended = plant.ask("admin", "DELETE", f"/api/v1/models/{third}/challenge")
    assert ended.json()["challenger"] is None
    assert plant.ask("admin", "DELETE", f"/api/v1/models/{third}/challenge").status_code == 404
    found = post(plant, f"{second}/promote").json()
    assert (found["champion"], found["before"]) == (second, first)
    plant.say(model="jams", model_sha256=second)
    assert model(plant, second)["watching"] and not model(plant, first)["watching"]
    found = post(plant, "roll-back").json()
    assert (found["champion"], found["before"]) == (first, hash_of(shipped_model()))
    assert audited(plant)[3:] == [
        "began challenge", "began challenge", "ended challenge", "promoted model", "rolled back model"
    ]  # fmt: skip


def test_rolling_back_is_not_refused_for_a_damaged_file(plant: Plant, three: list[str]) -> None:
    first, second, _ = three
    assert post(plant, f"{second}/promote").status_code == 200
    (plant.folder / "models" / f"{first}.jikimi").write_bytes(b"damaged")
    assert post(plant, "roll-back").json()["champion"] == first  # which the part that watches rolls back


def test_model_in_use_stays_and_another_is_removed_with_its_file(plant: Plant, three: list[str]) -> None:
    first, second, third = three
    plant.put(f"/models/{second}/challenge", None)
    for used in (first, second):
        assert plant.ask("admin", "DELETE", f"/api/v1/models/{used}").status_code == 409
        assert plant.put(f"/models/{first}/challenge", None).status_code == 409
    assert plant.ask("admin", "DELETE", f"/api/v1/models/{third}").status_code == 204
    assert plant.ask("admin", "DELETE", f"/api/v1/models/{third}").status_code == 404
    assert folder(plant) == sorted(f"{one}.jikimi" for one in (first, second))
    assert plant.ask("admin", "DELETE", "/api/v1/models/../x").status_code in (404, 405)
    assert plant.ask("admin", "DELETE", "/api/v1/models/x").status_code == 422


def test_challenger_of_another_rate_is_refused_in_a_line(
    plant: Plant, three: list[str], bundles: dict[str, bytes]
) -> None:
    slow = send(plant, bundles["slow"]).json()["sha256"]
    answer = plant.put(f"/models/{slow}/challenge", None)
    assert answer.status_code == 422
    assert "4 Hz and the champion 8 Hz" in answer.json()["detail"]
    assert post(plant, f"{slow}/promote").status_code == 200  # alone it may watch


def test_model_that_a_camera_asks_too_much_of_is_refused(tmp_path: Path, bundles: dict[str, bytes]) -> None:
    def check_rule(card: Card, camera: CameraSettings) -> None:
        raise SettingsError(f"camera {camera.name!r}: behaviour 'x' is not known to model {card.name!r}")

    with open_plant(tmp_path, check_rule=check_rule) as plant:
        one = send(plant, bundles["falls"]).json()["sha256"]
        for answer in (post(plant, f"{one}/promote"), plant.put(f"/models/{one}/challenge", None)):
            assert answer.status_code == 422, answer.text


def test_model_that_jikimi_carries_is_kept_as_one_of_the_stores_when_it_is_promoted(
    plant: Plant, three: list[str]
) -> None:
    carried = hash_of(shipped_model())
    assert plant.store.find_model(carried) is None
    found = post(plant, f"{carried}/promote").json()
    assert found["champion"] == carried and found["before"] == three[0]
    kept = plant.store.find_model(carried)
    assert kept is not None and kept.added_by == "jikimi"
    assert (plant.folder / "models" / kept.file).read_bytes() == shipped_model().read_bytes()
    assert [one["sha256"] for one in found["models"]].count(carried) == 1


def test_bundle_of_the_file_watches_and_nothing_is_promoted(
    plant: Plant, three: list[str], bundles: dict[str, bytes]
) -> None:
    named = plant.folder / "named.jikimi"
    named.write_bytes(bundles["slow"])
    backend = plant.app.state.backend
    settings = backend.settings.model_copy(update={"model": ModelSection(bundle=named)})
    plant.app.state.backend = replace(backend, followed=Followed(settings, plant.store))
    found = listed(plant)
    assert found["fixed"] and found["champion"] == sha(bundles["slow"]) and found["before"] is None
    assert model(plant, three[0])["state"] == "kept"
    assert model(plant, sha(bundles["slow"]))["origin"] == "file"
    for path in (f"{three[1]}/promote", "roll-back"):
        answer = post(plant, path)
        assert answer.status_code == 409 and "jikimi.toml" in answer.json()["detail"]
    named.unlink()
    assert listed(plant)["fixed"]


def test_card_of_somebody_else_is_shown_without_what_json_cannot_say() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"deeper": deep}
    assert plain({"a": float("nan"), "b": [float("inf"), 1.5, "x"], "c": None}) == {
        "a": None, "b": [None, 1.5, "x"], "c": None
    }  # fmt: skip
    assert str(plain(deep)).count("deeper") < 12


# --- comparing


def incident(uid: str, opened_s: float, behavior: str = "jam", **more: Any) -> IncidentRecord:
    at = NOON + timedelta(seconds=opened_s)
    return IncidentRecord(uid, more.pop("camera", "a"), behavior, at, 0.9, **more)


def shadow(uid: str, opened_s: float, behavior: str = "jam", camera: str = "a") -> ShadowRecord:
    return ShadowRecord(uid, "m", camera, behavior, NOON + timedelta(seconds=opened_s), 0.9)


def test_incidents_of_the_same_moment_are_paired_once_and_of_one_behaviour_first() -> None:
    (fall, jam) = compared(
        [incident("c1", 0), incident("c2", 4, "fall"), incident("c3", 100)],
        [shadow("s1", 3, "fall"), shadow("s2", 9), shadow("s3", 111), shadow("s4", 100, camera="b")],
    )[:2]
    assert (fall.behavior, fall.champion.incidents, fall.challenger.incidents) == ("fall", 1, 1)
    assert (fall.both_same, fall.both_any) == (1, 1)
    assert (jam.champion.incidents, jam.challenger.incidents) == (2, 2)
    assert (jam.both_same, jam.both_any) == (1, 1)


def test_other_behaviour_of_the_same_moment_is_both_but_not_the_same() -> None:
    fall, jam = compared([incident("c", 0, "fall")], [shadow("s", 5)])
    assert (fall.both_same, fall.both_any) == (0, 1)
    assert (jam.champion.incidents, jam.challenger.incidents, jam.both_any) == (0, 1, 0)


def test_answers_count_for_both_and_another_behaviour_for_whoever_said_so() -> None:
    answered = [
        incident("c1", 0, answer="correct"),
        incident("c2", 100, answer="false-alarm"),
        incident("c3", 200, answer="other-behavior", answer_behavior="fall"),
        incident("c4", 300, answer="correct"),
        incident("c5", 400, answer="unsure"),
    ]
    shadows = [shadow("s1", 1), shadow("s2", 101, "fall"), shadow("s3", 201, "fall"), shadow("s5", 400)]
    fall, jam = compared(answered, shadows)
    assert (jam.champion.correct, jam.champion.false_alarms, jam.champion.incidents) == (2, 1, 5)
    assert (jam.challenger.correct, jam.challenger.false_alarms) == (1, 0)
    assert (fall.challenger.correct, fall.challenger.false_alarms, fall.challenger.incidents) == (1, 1, 2)


def test_comparison_is_of_hours_that_both_watched_and_of_cameras_that_one_may_see(
    plant: Plant, three: list[str]
) -> None:
    store, now = plant.store, datetime.now(UTC)
    began = now - timedelta(hours=5)
    for one in store.models():
        store.remove_model(one.sha256) if one.state == "kept" else None
    store.add_model(ModelRecord("c" * 64, "rival", "c.jikimi", 1, NOON, "boss"))
    store.challenge("c" * 64, at=began)
    with store._writing() as session:
        from jikimi.store.tables import ModelRow

        session.get_one(ModelRow, three[0]).promoted_at = began
    hour = (now - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    for name in ("press-3", "gate"):
        store.add_both([BothRecord("c" * 64, name, hour, 1800.0)])
        at = hour + timedelta(minutes=5)
        store.open_incident(IncidentRecord(f"both {name}", name, "jam", at, 0.9), [])
        store.open_shadow(ShadowRecord(f"s {name}", "c" * 64, name, "jam", at, 0.9))
        alone = hour - timedelta(minutes=5)  # the challenger did not run
        store.open_incident(IncidentRecord(f"alone {name}", name, "jam", alone, 0.9), [])
    found = plant.get("/models/comparison").json()
    assert (found["champion"], found["challenger"], found["hours"]) == ("falls", "rival", 1.0)
    assert [(one["camera"], one["champion"]["incidents"], one["both_same"]) for one in found["pairs"]] == [
        ("gate", 1, 1), ("press-3", 1, 1)
    ]  # fmt: skip
    limited = plant.get("/models/comparison", "limited").json()
    assert [one["camera"] for one in limited["pairs"] + limited["cameras"]] == ["press-3", "press-3"]
    later = (hour + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert plant.get(f"/models/comparison?since={later}").json()["pairs"] == []


def test_without_a_challenger_there_is_nothing_to_compare(plant: Plant, three: list[str]) -> None:
    found = plant.get("/models/comparison").json()
    assert found["champion"] == "falls" and found["challenger"] is None and found["pairs"] == []
