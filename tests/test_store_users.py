"""Users, sessions and tokens as they are kept, on both databases."""

from collections.abc import Callable
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest

from jikimi.errors import ConflictError, NotFoundError, StoreError
from jikimi.store import Store, TokenRecord
from jikimi.store.logins import MOST_SESSIONS
from store_values import NOON, later, session, user

pytest_plugins = ("postgres_server", "store_fixtures")

VIEWER: dict[str, Any] = {"role": "viewer", "cameras": None, "language": "", "disabled": False, "at": NOON}


def begin(store: Store, key: str = "k1", name: str = "kim", begun_s: float = 0.0) -> bool:
    return store.begin_session(session(key, name, begun_s), password_hash=f"hash of {name}")


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all of it together → what each answered or raised."""
    start, told = Barrier(len(works)), list[object]()

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            told.append(work())
        except StoreError as error:
            told.append(error)

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_users_come_back_as_they_were_put(store: Store) -> None:
    assert not store.has_users() and store.find_user("kim") is None
    both = [user(), user("이", role="viewer", cameras=("press-3", "프레스 2"), language="ko")]
    assert all(store.add_user(each) for each in both)
    assert store.users() == both and store.find_user("이") == both[1] and store.has_users()


def test_a_user_without_cameras_is_not_one_of_all_cameras(store: Store) -> None:
    store.add_user(user())
    store.add_user(user("none", role="viewer", cameras=()))
    found = store.find_user("none")
    assert found is not None and found.cameras == ()


def test_the_same_name_is_taken_once(store: Store) -> None:
    assert store.add_user(user())
    assert not store.add_user(user(password_hash="another"))
    assert store.users() == [user()]


def test_the_first_user_may_do_everything(store: Store) -> None:
    for less in ({"role": "operator"}, {"cameras": ("press-3",)}, {"disabled": True}):
        with pytest.raises(ConflictError, match="first user is an admin of every camera"):
            store.add_user(user(**less))
    assert not store.has_users()


def test_of_many_first_users_at_once_one_is_taken(store: Store) -> None:
    told = at_once(*[lambda n=n: store.add_user(user(f"u{n}"), only_first=True) for n in range(6)])  # type: ignore[misc]
    assert sorted(told, key=str) == [False] * 5 + [True]
    assert len(store.users()) == 1
    assert not store.add_user(user("late"), only_first=True)


@pytest.mark.parametrize("less", [{"role": "operator"}, {"cameras": ("press-3",)}, {"disabled": True}])
def test_the_last_admin_stays_one(store: Store, less: dict[str, Any]) -> None:
    store.add_user(user())
    store.add_user(user("lee", role="viewer"))
    store.add_user(user("park", cameras=("press-3",)))
    store.add_user(user("choi", disabled=True))
    begin(store)
    for change in (
        lambda: store.change_user("kim", **VIEWER | {"role": "admin"} | less),
        lambda: store.remove_user("kim"),
    ):
        with pytest.raises(ConflictError, match=r"'kim'.* last admin") as told:
            change()
        assert "\n" not in str(told.value)
    assert store.find_user("kim") == user() and store.session("k1") is not None


def test_two_admins_who_demote_each_other_at_once_leave_one(store: Store) -> None:
    store.add_user(user())
    store.add_user(user("lee"))
    told = at_once(lambda: store.change_user("kim", **VIEWER), lambda: store.remove_user("lee"))
    assert [type(each) for each in told].count(ConflictError) == 1
    assert sum(each.rules for each in store.users()) == 1


def test_a_change_of_what_they_may_ends_their_sessions_and_another_does_not(store: Store) -> None:
    for name in ("kim", "lee"):
        store.add_user(user(name))
        begin(store, f"of {name}", name)
    same = VIEWER | {"role": "admin", "language": "en", "at": later(5)}
    assert not store.change_user("lee", **same)
    changed = store.find_user("lee")
    assert changed == user("lee", language="en", changed_at=later(5)) and store.sessions("lee")
    store.set_language("lee", "ko")
    assert store.sessions("lee")
    for change in ({"role": "viewer"}, {"cameras": ("press-3",)}, {"disabled": True}):
        assert store.change_user("lee", **same | change)
        assert not store.sessions("lee")
        assert store.change_user("lee", **same)
        begin(store, "of lee", "lee")
    store.set_password("lee", "new", at=NOON)
    assert not store.sessions("lee") and store.sessions("kim")


def test_whom_there_is_not_cannot_be_changed(store: Store) -> None:
    for call in (
        lambda: store.change_user("kim", **VIEWER),
        lambda: store.set_language("kim", "ko"),
        lambda: store.set_password("kim", "x", at=NOON),
        lambda: store.remove_user("kim"),
        lambda: store.remove_token("kim"),
    ):
        with pytest.raises(NotFoundError, match="'kim'"):
            call()


def test_a_hash_is_made_anew_only_while_it_is_the_same_password(store: Store) -> None:
    store.add_user(user())
    begin(store)
    assert store.rehash_password("kim", old="hash of kim", new="new")
    assert not store.rehash_password("kim", old="hash of kim", new="newer")
    found = store.find_user("kim")
    assert found is not None and found.password_hash == "new" and store.sessions("kim")


def test_a_session_comes_back_with_its_user(store: Store) -> None:
    store.add_user(user())
    assert store.session("k1") is None
    assert begin(store)
    assert store.session("k1") == (session(), user())
    store.see_session("k1", at=later(60))
    found = store.session("k1")
    assert found is not None and found[0] == replace(session(), seen_at=later(60))


def test_a_session_begins_only_for_the_password_that_was_checked(store: Store) -> None:
    """Between checking a password and storing the session, it may have been changed."""
    store.add_user(user())
    store.add_user(user("lee"))
    assert not store.begin_session(session(), password_hash="an older one")
    assert not begin(store, name="nobody")
    store.change_user("lee", **VIEWER | {"disabled": True})
    assert not begin(store, name="lee")
    assert store.session("k1") is None


def test_sessions_end_one_by_one_all_together_and_with_their_user(store: Store) -> None:
    store.add_user(user())
    store.add_user(user("lee"))
    for key in ("a", "b", "c"):
        begin(store, key)
    begin(store, "d", "lee")
    store.end_session("a")
    store.end_session("a")
    assert {each.key for each in store.sessions("kim")} == {"b", "c"}
    assert store.end_sessions("kim") == 2 and store.end_sessions("kim") == 0
    store.remove_user("lee")
    assert store.session("d") is None
    store.see_session("d", at=NOON)
    assert store.session("d") is None


def test_expired_sessions_and_too_many_of_one_user_go(store: Store) -> None:
    store.add_user(user())
    store.add_user(user("lee"))
    begin(store, "old", "lee")
    for n in range(MOST_SESSIONS + 3):
        begin(store, f"k{n}", begun_s=3600 + n)
    assert store.session("old") is None
    kept = [each.key for each in store.sessions("kim")]
    assert len(kept) == MOST_SESSIONS and kept[0] == f"k{MOST_SESSIONS + 2}" and "k2" not in kept


def test_tokens_are_found_by_their_hash(store: Store) -> None:
    token = TokenRecord("board", "cd" * 32, "operator", NOON, "kim", cameras=("press-3",))
    assert store.add_token(token) and not store.add_token(replace(token, sha256="ef" * 32))
    assert store.tokens() == [token]
    assert store.find_token("cd" * 32) == token and store.find_token("ef" * 32) is None
    store.remove_token("board")
    assert store.find_token("cd" * 32) is None


def test_a_word_is_kept_as_it_was_first_remembered(store: Store) -> None:
    told = at_once(*[lambda n=n: store.keep_meta("key", f"{n}") for n in range(4)])  # type: ignore[misc]
    assert len(set(told)) == 1 and store.meta("key") == told[0]
