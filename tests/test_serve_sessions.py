"""Browsers that log in: cookies, what ends a session, what is told to whom, and the first admin."""

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jikimi.errors import StoreBusyError
from jikimi.passwords import Passwords
from jikimi.serve import callers
from jikimi.serve.access import find_session, is_same_origin
from jikimi.serve.callers import IDLE, LASTING, Memory, hash_of, memory_of
from jikimi.serve.desk import MOST_WAITING, Desk, Lane
from jikimi.serve.guard import FREE_FAILURES, Attempt
from jikimi.store import Store
from jikimi.store.setup_code import new_setup_code
from test_serve_plant import CHEAP, NOON, USERS, Browser, Plant, open_plant

RIGHT = {"name": "hand", "password": "password-hand"}
NEW = "another good one"


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with open_plant(tmp_path) as opened:
        yield opened


@pytest.fixture
def empty(plant: Plant) -> Plant:
    """A plant that nobody can log in to yet."""
    from sqlalchemy import delete

    from jikimi.store.tables import UserRow

    with plant.store._writing() as session:
        session.execute(delete(UserRow))
    return plant


def log_in(plant: Plant, name: str = "hand", password: str = "password-hand", **more: Any) -> httpx.Response:
    body = {"name": name, "password": password}
    return plant.ask(None, "POST", "/api/session/login", json=body, **more)


WRONG = {"detail": "name or password is wrong", "code": "wrong-login", "values": {}}


def audit(plant: Plant) -> list[tuple[str, str, str]]:
    """What was noted, oldest first; failed log-ins are noted after the answer."""
    plant.app.state.desk._notes.submit(lambda: None).result()
    return [(row.who, row.what, row.about) for row in plant.store.audit_trail()][::-1]


def cookies(answer: httpx.Response) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}


# --- logging in


def test_a_browser_logs_in_looks_changes_and_logs_out(plant: Plant) -> None:
    browser = plant.log_in("hand")
    me = browser.me()
    assert (me["name"], me["kind"], me["role"], me["csrf"]) == ("hand", "user", "operator", browser.csrf)
    assert browser.ask("POST", "/api/v1/incidents/i1/acknowledge").json()["acknowledged_by"] == "hand"
    secret = browser.cookies["jikimi-session"]
    assert browser.ask("DELETE", "/api/v1/me/session").status_code == 204
    assert set(browser.cookies) == {"jikimi-device"}
    browser.cookies["jikimi-session"] = secret
    assert browser.get("/me").status_code == 401
    assert [what for _, what, _ in audit(plant)] == ["logged in", "acknowledged", "logged out"]


def test_the_cookie_is_for_our_own_pages_alone(plant: Plant) -> None:
    for base, secure in (("http://plant", False), ("https://plant", True)):
        answer = asyncio.run(plant._ask("POST", f"{base}/api/session/login", json=RIGHT))
        for name, line in cookies(answer).items():
            assert "HttpOnly" in line and "Path=/" in line and "SameSite=lax" in line, line
            assert ("Secure" in line) == secure and "Domain" not in line
            assert "password" not in line and name.startswith("jikimi-")


def test_only_the_hash_of_a_session_is_kept(plant: Plant) -> None:
    browser = plant.log_in("hand")
    secret = browser.cookies["jikimi-session"]
    assert len(secret) == 43
    (kept,) = plant.store.sessions("hand")
    assert kept.key == hash_of(secret) and kept.expires_at - kept.created_at == LASTING
    plant.store.close()
    everything = (plant.folder / "jikimi.db").read_bytes()
    assert secret.encode() not in everything and browser.csrf.encode() not in everything


@pytest.mark.parametrize(
    ("name", "password"),
    [("hand", "password-eye"), ("nobody", "password-hand"), ("hand", ""), ("HAND", "password-hand")],
)
def test_nobody_is_told_whether_the_name_or_the_password_is_wrong(
    plant: Plant, name: str, password: str
) -> None:
    answer = log_in(plant, name, password)
    assert answer.status_code == 401 and answer.json() == WRONG
    assert not cookies(answer)


def test_somebody_disabled_is_told_no_more_than_a_stranger(plant: Plant) -> None:
    browser = plant.log_in("hand")
    plant.put("/users/hand", {"role": "operator", "disabled": True})
    assert browser.get("/me").status_code == 401
    assert log_in(plant).json() == WRONG


def test_a_failed_login_is_noted_for_users_and_strangers_words_are_not(plant: Plant) -> None:
    log_in(plant, "hand", "wrong wrong wrong")
    log_in(plant, "my secret passphrase", "hand")
    assert audit(plant) == [("hand", "log-in failed", "hand")]


def test_a_name_is_found_however_it_was_typed(plant: Plant) -> None:
    assert log_in(plant, " hand ").status_code == 200


def test_logging_in_takes_the_place_of_the_session_before(plant: Plant) -> None:
    browser = plant.log_in("hand")
    old = browser.cookies["jikimi-session"]
    answer = browser.ask("POST", "/api/session/login", json={"name": "eye", "password": "password-eye"})
    assert answer.json()["name"] == "eye" and browser.cookies["jikimi-session"] != old
    assert not plant.store.sessions("hand")


def test_a_session_that_was_planted_is_not_taken_over(plant: Plant) -> None:
    planted = "a" * 43
    answer = log_in(plant, headers={"Cookie": f"jikimi-session={planted}"})
    assert planted not in answer.headers["set-cookie"]


def test_another_sites_page_logs_nobody_in(plant: Plant) -> None:
    for headers in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert log_in(plant, headers=headers).status_code == 403
    assert log_in(plant, headers={"Origin": "http://plant"}).status_code == 200
    form = plant.ask(None, "POST", "/api/session/login", data=RIGHT)
    assert form.status_code == 422
    plain = plant.ask(
        None, "POST", "/api/session/login", content=httpx.Request("POST", "/", json=RIGHT).content,
        headers={"Content-Type": "text/plain"},
    )  # fmt: skip
    assert plain.status_code == 422


def test_an_old_hash_is_made_anew_at_login(plant: Plant) -> None:
    old = Passwords(passes=2, memory_kib=16).hash("password-hand")
    plant.store.set_password("hand", old, at=NOON)
    assert log_in(plant).status_code == 200
    user = plant.store.find_user("hand")
    assert user is not None and user.password_hash != old and not CHEAP.is_old(user.password_hash)
    assert log_in(plant).status_code == 200


# --- sessions and time


def test_a_session_ends_when_idle_and_in_any_case_after_a_week(plant: Plant) -> None:
    browser = plant.log_in("hand")
    (kept,) = plant.store.sessions("hand")
    now = datetime.now(UTC)
    for seen_at, expires_at, alive in (
        (now - IDLE + timedelta(minutes=1), now + timedelta(minutes=1), True),
        (now - IDLE, now + timedelta(minutes=1), False),
        (now, now, False),
    ):
        with plant.store._writing() as session:
            from sqlalchemy import update

            from jikimi.store.tables import SessionRow

            session.execute(update(SessionRow).values(seen_at=seen_at, expires_at=expires_at))
        memory_of(plant.store).forget()
        assert (browser.get("/me").status_code == 200) == alive
    assert kept.key == plant.store.sessions("hand")[0].key


def test_use_is_noted_once_a_minute_and_looked_up_every_two_seconds(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = plant.log_in("hand")
    looks, notes = list[str](), list[str]()
    real_look, real_note = Store.session, Store.see_session
    monkeypatch.setattr(Store, "session", lambda self, key: (looks.append(key), real_look(self, key))[1])
    monkeypatch.setattr(
        Store, "see_session", lambda self, key, at: (notes.append(key), real_note(self, key, at=at))[1]
    )
    clock = [100.0]
    monkeypatch.setitem(callers._memories, plant.store, Memory(lambda: clock[0]))
    for _ in range(5):
        assert browser.get("/me").status_code == 200
    assert len(looks) == 1 and not notes
    real_note(plant.store, looks[0], at=datetime.now(UTC) - timedelta(seconds=61))
    clock[0] += 2.1
    assert browser.get("/me").status_code == 200
    assert len(looks) == 2 and len(notes) == 1
    clock[0] += 2.1
    assert browser.get("/me").status_code == 200
    assert len(looks) == 3 and len(notes) == 1


def test_a_store_that_cannot_be_written_lets_sessions_read(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = plant.log_in("hand")
    (kept,) = plant.store.sessions("hand")
    plant.store.see_session(kept.key, at=datetime.now(UTC) - timedelta(hours=1))
    tried = list[str]()

    def locked(self: Store, key: str, *, at: datetime) -> None:
        tried.append(key)
        raise StoreBusyError("locked")

    monkeypatch.setattr(Store, "see_session", locked)
    for _ in range(3):
        memory_of(plant.store).forget()
        assert browser.get("/incidents").status_code == 200
    assert len(tried) == 1


def test_a_store_that_is_away_is_said_so_and_tokens_of_the_file_still_count(plant: Plant) -> None:
    browser = plant.log_in("hand")
    memory_of(plant.store).forget()
    plant.store.close()
    for answer in (
        browser.get("/me"),
        plant.ask(None, "GET", "/api/v1/me", headers={"Authorization": "Bearer jikimi_" + "b" * 43}),
    ):
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert plant.get("/me").status_code == 200


def test_what_is_read_before_a_change_is_not_remembered_after_it() -> None:
    memory = Memory(lambda: 0.0)
    caller = callers.Caller("kim", "viewer")

    def look() -> callers.Caller:
        memory.forget()  # somebody else changes something right then
        return caller

    assert memory.recall("k", look) is caller
    assert memory.recall("k", lambda: None) is None
    assert memory.recall("k", look) is None


def test_what_is_no_secret_does_not_reach_the_store(plant: Plant) -> None:
    plant.store.close()
    for secret in ("", "x", "a" * 42, "a" * 44, "é" * 43, "a" * 43 + "\n", "' OR 1=1 --"):
        assert find_session(plant.store, secret) is None
        assert callers.find_token(plant.store, "jikimi_" + secret) is None


# --- what ends sessions


def test_a_new_password_ends_every_session_and_this_browser_gets_a_new_one(plant: Plant) -> None:
    here, there = plant.log_in("hand"), plant.log_in("hand")
    before = here.cookies["jikimi-session"]
    wrong = here.ask("PUT", "/api/v1/me/password", json={"old": "wrong", "new": NEW})
    assert wrong.status_code == 403 and there.get("/me").status_code == 200
    short = here.ask("PUT", "/api/v1/me/password", json={"old": "password-hand", "new": "short"})
    assert short.status_code == 422 and "10 to" in short.text
    answer = here.ask("PUT", "/api/v1/me/password", json={"old": "password-hand", "new": NEW})
    assert answer.status_code == 200 and answer.json()["csrf"] != here.csrf
    assert here.cookies["jikimi-session"] != before and here.get("/me").status_code == 200
    assert there.get("/me").status_code == 401
    assert log_in(plant).status_code == 401 and log_in(plant, password=NEW).status_code == 200


def test_whoever_found_a_browser_open_cannot_guess_its_password(plant: Plant) -> None:
    browser = plant.log_in("hand")
    body = {"old": "wrong", "new": NEW}
    codes = [
        browser.ask("PUT", "/api/v1/me/password", json=body).status_code for _ in range(FREE_FAILURES + 2)
    ]
    assert codes == [403] * FREE_FAILURES + [429] * 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"role": "viewer"}), ("PUT", "", {"role": "operator", "cameras": ["press-3"]}),
        ("PUT", "", {"role": "operator", "disabled": True}), ("PUT", "/password", {"password": NEW}),
        ("DELETE", "/sessions", None), ("DELETE", "", None),
    ],
)  # fmt: skip
def test_an_admin_ends_somebodys_sessions_by_each_change(
    plant: Plant, method: str, path: str, body: Any
) -> None:
    browser, other, admin = plant.log_in("hand"), plant.log_in("eye"), plant.log_in("root")
    assert browser.get("/me").status_code == 200
    answer = admin.ask(method, f"/api/v1/users/hand{path}", json=body)
    assert answer.status_code in (200, 204), answer.text
    assert browser.get("/me").status_code == 401
    assert other.get("/me").status_code == 200 and admin.get("/me").status_code == 200
    assert audit(plant)[-1][0] == "root" and audit(plant)[-1][2] == "hand"


def test_all_my_sessions_end_at_once_and_nobody_elses(plant: Plant) -> None:
    here, there, other = plant.log_in("hand"), plant.log_in("hand"), plant.log_in("eye")
    assert here.ask("DELETE", "/api/v1/me/sessions").status_code == 204
    assert here.get("/me").status_code == there.get("/me").status_code == 401
    assert other.get("/me").status_code == 200


def test_who_changes_their_own_role_goes_on_in_a_new_session(plant: Plant) -> None:
    browser = plant.log_in("root")
    before = browser.cookies["jikimi-session"]
    answer = browser.ask("PUT", "/api/v1/users/root", json={"role": "operator"})
    assert answer.status_code == 200 and browser.cookies["jikimi-session"] != before
    assert browser.me()["role"] == "operator" and browser.get("/users").status_code == 403


def test_a_language_is_changed_without_logging_in_again(plant: Plant) -> None:
    browser = plant.log_in("eye")
    assert browser.ask("PUT", "/api/v1/me/language", json={"language": "en"}).json()["language"] == "en"
    assert browser.me()["language"] == "en"


# --- too many tries


def test_too_many_tries_wait_and_a_known_browser_does_not(plant: Plant) -> None:
    browser = plant.log_in("hand")
    codes = [log_in(plant, password="wrong").status_code for _ in range(FREE_FAILURES + 1)]
    assert codes == [401] * FREE_FAILURES + [429]
    refused = log_in(plant)
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
    assert browser.ask("POST", "/api/session/login", json=RIGHT).status_code == 200
    assert log_in(plant, "eye", "password-eye").status_code == 200
    browser.cookies["jikimi-device"] = browser.cookies["jikimi-device"].replace("0", "1")
    assert browser.ask("POST", "/api/session/login", json=RIGHT).status_code == 429


def test_names_that_there_are_not_are_slowed_down_as_those_there_are(plant: Plant) -> None:
    for name in ("hand", "nobody"):
        codes = [log_in(plant, name, "wrong").status_code for _ in range(FREE_FAILURES + 1)]
        assert codes == [401] * FREE_FAILURES + [429]


def test_a_line_that_is_full_turns_strangers_away_and_counts_nothing(plant: Plant) -> None:
    desk: Desk = plant.app.state.desk
    desk._strangers._waiting = MOST_WAITING
    for _ in range(FREE_FAILURES * 3):
        answer = log_in(plant)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
    desk._strangers._waiting = 0
    assert log_in(plant).status_code == 200


def test_checking_does_not_hold_up_the_event_loop() -> None:
    async def both() -> tuple[float, str]:
        begin_s = time.monotonic()
        slow = asyncio.ensure_future(Lane("test").do(lambda: time.sleep(0.3) or "done"))
        await asyncio.sleep(0)
        return time.monotonic() - begin_s, await slow

    took_s, told = asyncio.run(both())
    assert took_s < 0.2 and told == "done"


def test_a_changed_password_between_check_and_session_lets_nobody_in(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Desk.check

    async def then_changed(self: Desk, attempt: Attempt, password: str) -> Any:
        user = await real(self, attempt, password)
        plant.store.set_password("hand", CHEAP.hash(NEW), at=NOON)
        return user

    monkeypatch.setattr(Desk, "check", then_changed)
    answer = log_in(plant)
    assert answer.status_code == 401 and not cookies(answer)


# --- the first admin


def set_up(plant: Plant, code: str, **more: Any) -> httpx.Response:
    body = {"code": code, "name": "지킴이", "password": NEW} | more
    return plant.ask(None, "POST", "/api/session/setup", json=body)


def test_the_first_admin_is_made_with_the_code_once(empty: Plant) -> None:
    assert empty.ask(None, "GET", "/api/session").json() == {"setup_needed": True, "language": "ko"}
    code = new_setup_code(empty.store) or ""
    assert re.fullmatch(r"([A-Z2-9]{4}-){3}[A-Z2-9]{4}", code)
    for wrong in ("", code[:-1], code + "A", "AAAA-AAAA-AAAA-AAAA"):
        assert set_up(empty, wrong).status_code == 401
    assert set_up(empty, code, password="short").status_code == 422
    assert set_up(empty, code, name="viewer").status_code == 409  # a token's name
    answer = set_up(empty, f" {code.lower().replace('-', ' ')} ", language="en")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["role"], answer.json()["language"]) == ("admin", "en") and cookies(answer)
    assert set_up(empty, code, name="second").status_code == 409
    assert empty.ask(None, "GET", "/api/session").json()["setup_needed"] is False
    assert [user.name for user in empty.store.users()] == ["지킴이"]
    assert ("지킴이", "set up", "지킴이") in audit(empty)
    empty.store.close()
    assert code.encode() not in (empty.folder / "jikimi.db").read_bytes()


def test_without_a_code_nobody_is_set_up(empty: Plant) -> None:
    for code in ("", "-", "AAAA"):
        assert set_up(empty, code).status_code == 401
    assert not empty.store.has_users()


def test_a_new_code_ends_the_one_before_and_users_end_both(empty: Plant) -> None:
    first, second = new_setup_code(empty.store) or "", new_setup_code(empty.store) or ""
    assert set_up(empty, first).status_code == 401
    assert set_up(empty, second).status_code == 201
    assert new_setup_code(empty.store) is None


def test_guessing_the_code_is_slowed_down(empty: Plant) -> None:
    codes = [set_up(empty, "AAAA-AAAA-AAAA-AAAA").status_code for _ in range(FREE_FAILURES + 1)]
    assert codes == [401] * FREE_FAILURES + [429]


# --- users and tokens


def test_users_are_added_changed_and_removed_by_admins_of_every_camera(plant: Plant) -> None:
    path = "/users/%EC%9D%B4%20%EA%B3%BC%EC%9E%A5"  # 이 과장
    assert plant.put(path, {"role": "viewer"}).status_code == 422
    made = plant.put(path, {"role": "viewer", "cameras": ["press-3"], "password": NEW})
    assert made.status_code == 200 and made.json()["cameras"] == ["press-3"] and NEW not in made.text
    again = plant.put(path, {"role": "viewer", "password": NEW})
    assert again.status_code == 409
    assert plant.put(path, {"role": "operator"}).json()["role"] == "operator"
    assert "argon2" not in plant.get("/users", "admin").text
    names = [row["name"] for row in plant.get("/users", "admin").json()]
    assert names == sorted([*USERS, "이 과장"])
    assert plant.ask("admin", "DELETE", f"/api/v1{path}").status_code == 204
    assert plant.ask("admin", "DELETE", f"/api/v1{path}").status_code == 404
    assert [what for _, what, about in audit(plant) if about == "이 과장"] == [
        "added user", "changed user", "removed user",
    ]  # fmt: skip
    assert NEW not in str(plant.store.audit_trail())


def test_the_last_admin_stays_one_and_is_told_why_not(plant: Plant) -> None:
    assert plant.ask("admin", "DELETE", "/api/v1/users/boss").status_code == 204
    for answer in (
        plant.ask("admin", "DELETE", "/api/v1/users/root"),
        plant.put("/users/root", {"role": "operator"}),
        plant.put("/users/root", {"role": "admin", "cameras": ["press-3"]}),
        plant.put("/users/root", {"role": "admin", "disabled": True}),
    ):
        assert answer.status_code == 409 and "last admin" in answer.json()["detail"]
    assert plant.log_in("root").me()["role"] == "admin"


@pytest.mark.parametrize("name", ["a(b)", "..", "%20", "x" * 81, "root%20(command%20line)", "a%5Cb"])
def test_names_that_the_audit_trail_could_not_tell_apart_are_refused(plant: Plant, name: str) -> None:
    answer = plant.put(f"/users/{name}", {"role": "viewer", "password": NEW})
    assert answer.status_code in (404, 422)
    assert len(plant.store.users()) == len(USERS)


def test_a_user_and_a_token_do_not_share_a_name(plant: Plant) -> None:
    for name in ("viewer", "board"):
        assert plant.put(f"/users/{name}", {"role": "viewer", "password": NEW}).status_code == 409
    for name in ("hand", "viewer", "board"):
        assert plant.ask("admin", "POST", "/api/v1/tokens", json={"name": name}).status_code == 409


def test_a_token_is_shown_once_good_at_once_and_taken_back_at_once(plant: Plant) -> None:
    body = {"name": "wall", "role": "operator", "cameras": ["press-3"]}
    made = plant.ask("admin", "POST", "/api/v1/tokens", json=body)
    secret = made.json()["secret"]
    assert made.status_code == 201 and secret.startswith("jikimi_")
    headers = {"Authorization": f"Bearer {secret}"}

    def me() -> httpx.Response:
        return plant.ask(None, "GET", "/api/v1/me", headers=headers)

    assert me().json() | {"expires_at": None} == {
        "name": "wall", "kind": "token", "role": "operator", "cameras": ["press-3"], "language": "",
        "csrf": None, "expires_at": None,
    }  # fmt: skip
    listed = plant.get("/tokens", "admin")
    assert secret not in listed.text and hash_of(secret) not in listed.text
    assert [row["fixed"] for row in listed.json()] == [True] * 5 + [False] * 2
    assert plant.ask("admin", "DELETE", "/api/v1/tokens/wall").status_code == 204
    assert me().status_code == 401
    assert plant.ask("admin", "DELETE", "/api/v1/tokens/viewer").status_code == 409
    assert plant.ask("admin", "DELETE", "/api/v1/tokens/none").status_code == 404


def test_a_user_of_some_cameras_sees_those_alone(plant: Plant) -> None:
    browser = plant.log_in("one-eye")
    assert [row["name"] for row in browser.get("/cameras").json()] == ["press-3"]
    assert browser.get("/incidents/i2").status_code == 404


def test_a_token_that_is_sent_counts_before_the_cookie(plant: Plant) -> None:
    browser = plant.log_in("root")
    headers = {"Authorization": "Bearer secret-viewer"}
    assert browser.ask("GET", "/api/v1/me", headers=headers).json()["name"] == "viewer"
    wrong = browser.ask("GET", "/api/v1/me", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    basic = browser.ask("GET", "/api/v1/me", headers={"Authorization": "Basic cHJveHk6eA=="})
    assert basic.json()["name"] == "root"  # a proxy's own log-in


# --- origins


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True), ({"origin": "http://plant:8710"}, True), ({"origin": "https://PLANT:8710"}, True),
        ({"origin": "http://plant"}, False), ({"origin": "http://plant:8710.evil.test"}, False),
        ({"origin": "null"}, False), ({"origin": ""}, False), ({"origin": "http://[plant"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "https://seen-by-the-proxy"}, True),
        ({"sec-fetch-site": "none"}, True), ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://plant:8710"}, False),
    ],
)  # fmt: skip
def test_what_comes_from_our_own_pages(headers: dict[str, str], ours: bool) -> None:
    assert is_same_origin({"host": "plant:8710"} | headers) is ours


def test_a_websocket_below_the_api_is_closed(plant: Plant) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/api/v1/live", "headers": [], "subprotocols": []}
    asyncio.run(plant.app(scope, receive, send))
    assert sent[0]["type"] == "websocket.close"


def test_a_browser_prints_without_its_secrets(plant: Plant) -> None:
    browser: Browser = plant.log_in("hand")
    session = find_session(plant.store, browser.cookies["jikimi-session"])
    assert session is not None and browser.csrf not in repr(session)
    assert "argon2" not in repr(plant.store.find_user("hand"))
