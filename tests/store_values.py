"""Values for tests of the store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jikimi.settings import CameraSettings, Target
from jikimi.store import (
    AuditRecord,
    BothRecord,
    CoverageRecord,
    EvidenceRecord,
    FaultRecord,
    IncidentRecord,
    ModelRecord,
    Notice,
    ReportEvidence,
    ReportRecord,
    ScoreCountRecord,
    SessionRecord,
    SettingRecord,
    ShadowRecord,
    Store,
    TokenRecord,
    UserRecord,
)

NOON = datetime(2026, 7, 1, 3, 0, 0, 123456, tzinfo=UTC)  # noon in Seoul

KEY = "0Yc2yG9yOaGdWmXzZzJ3bq0pW4mC1iRk4Zt8xq5nH2s="  # of the dumps of released schemas; opens nothing real

ADDRESS = "rtsp://admin:s3cr3t@10.0.0.5:554/live"


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def target(name: str = "관제실", **more: object) -> Target:
    url = "https://x:url-s3cr3t@hooks.test/1"
    values = {"name": name, "kind": "webhook", "url": url, "secret": "hmac-s3cr3t"}
    return Target.model_validate(values | more)


def camera(name: str = "press-3", address: str = ADDRESS, **settings: object) -> CameraSettings:
    return CameraSettings.model_validate({"name": name, "address": address} | settings)


def incident(uid: str = "i1", opened_s: float = 0.0, camera: str = "press-3") -> IncidentRecord:
    return IncidentRecord(uid, camera, "fall", later(opened_s), 0.7, zone="belt", model="demo")


def notice(key: str, target: str = "phone", uid: str = "i1") -> Notice:
    return Notice(key, target, "incident", uid, "opened", {"text": "넘어짐", "score": 0.7})


def fault(uid: str = "f1", began_s: float = 0.0, camera: str = "press-3") -> FaultRecord:
    return FaultRecord(uid, camera, "offline", "no frame for 10 s", later(began_s))


def evidence(path: str = "2026/07/i1.mp4", incident: str = "i1") -> EvidenceRecord:
    return EvidenceRecord(incident, "video", Path(path), "ab" * 32, 2**33, NOON, end_s=20.0)


def report(uid: str = "r1", start_s: float = 0.0, camera: str = "press-3", **more: Any) -> ReportRecord:
    values: dict[str, Any] = {"kind": "missed", "behavior": "fall", "by": "kim", "note": "기둥 뒤"} | more
    start, end = later(start_s), later(start_s + 5)
    return ReportRecord(uid=uid, camera=camera, start_at=start, end_at=end, at=later(start_s + 60), **values)


def report_film(path: str = "press-3/r1.mp4", report: str = "r1") -> ReportEvidence:
    return ReportEvidence(report, "video", Path(path), "cd" * 32, 2**33, NOON, start_s=-10.0, end_s=15.0)


def user(name: str = "kim", **more: Any) -> UserRecord:
    values: dict[str, Any] = {"password_hash": f"hash of {name}", "role": "admin", "created_at": NOON}
    return UserRecord(name, **values | {"changed_at": NOON} | more)


def session(key: str = "k1", user: str = "kim", begun_s: float = 0.0) -> SessionRecord:
    return SessionRecord(key, user, later(begun_s), later(begun_s), later(begun_s + 3600))


def fill(store: Store) -> None:
    """Put at least one row into every table; the dumps of released schemas were made with this."""
    store.put_camera(camera(sub="rtsp://admin:s3cr3t@10.0.0.5:554/sub"), at=NOON)
    store.put_camera(
        camera("프레스 2", zones=[{"name": "벨트", "polygon": [(0, 0), (1, 0), (1, 1)]}]), at=NOON
    )
    store.shelve("프레스 2", until=later(3600), by="kim")
    store.put_target(target(), at=NOON)
    store.put_setting(SettingRecord("evidence.keep_days", 90.0, NOON, "kim"))
    store.open_incident(incident(), [notice("i1:opened:phone")])
    store.open_incident(incident("i2", 60.0), [notice("i2:opened:phone", uid="i2")])
    store.escalate("i2", level=1, at=later(200), notices=[notice("i2:escalated:siren", "siren", "i2")])
    store.close_incident("i1", at=later(30), peak=0.9, score=0.2)
    store.answer("i1", answer="other-behavior", at=later(90), by="lee", behavior="jam", note="기계 걸림")
    store.lock("i1", locked=True, at=later(95), by="lee")
    store.add_evidence(evidence())
    store.delivered(1, at=later(1))
    store.failed(2, at=later(61), error="timed out", retry_at=later(91))
    store.begin_fault(fault(), [])
    store.add_coverage([CoverageRecord("press-3", NOON, 3500.5, 3600.0)])
    store.add_score_counts([ScoreCountRecord("press-3", NOON, "fall", tuple(range(50)))])
    store.audit(AuditRecord(NOON, "kim", "shelve", about="프레스 2", details={"hours": 1}))
    store.set_meta("evidence-head", "ab" * 32)
    store.add_user(user())
    store.add_user(user("이", role="viewer", cameras=("press-3", "프레스 2"), language="ko"))
    store.begin_session(session(), password_hash="hash of kim")
    store.add_model(ModelRecord("ab" * 32, "모델", f"{'ab' * 32}.jikimi", 2**33, NOON, "kim"))
    store.challenge("ab" * 32, at=NOON)
    store.open_shadow(ShadowRecord("s1", "ab" * 32, "press-3", "jam", NOON, 0.9, zone="belt"))
    store.add_both([BothRecord("ab" * 32, "press-3", NOON, 3000.5)])
    store.add_token(TokenRecord("board", "cd" * 32, "operator", NOON, "kim", cameras=("press-3",)))
    store.add_report(report())
    store.report_cut("r1", at=later(70), files=[report_film()], problem="of 5 s there is footage of 3 s")
