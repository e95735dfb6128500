"""Passwords: what is taken, what fits, and what is told of whoever there is not."""

import time

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from jikimi.errors import SettingsError
from jikimi.passwords import MAX_LETTERS, MIN_LETTERS, Passwords, check_password, plain_name

CHEAP = Passwords(passes=1, memory_kib=8)


@settings(deadline=None, max_examples=30)
@given(st.text())
def test_a_password_fits_its_hash_and_no_other_does(password: str) -> None:
    kept = CHEAP.hash(password)
    assert kept.startswith("$argon2id$") and (len(password) < 4 or password not in kept)
    assert CHEAP.fits(password, kept)
    assert not CHEAP.fits(password + "x", kept)


def test_letters_are_the_same_however_they_were_typed() -> None:
    kept = CHEAP.hash("안전제일 안전제일 é")
    assert CHEAP.fits("안전제일 안전제일 e\u0301", kept)
    assert plain_name(" 지킴이 ") == "지킴이"


def test_what_is_no_hash_fits_nothing() -> None:
    for kept in ("", "x", "$argon2id$", "plain password"):
        assert not CHEAP.fits("plain password", kept)


def test_nobody_has_a_password_and_saying_so_takes_as_long() -> None:
    slow = Passwords(passes=2, memory_kib=8192)
    kept = slow.hash("right horse battery")

    def took_s(password_hash: str | None) -> float:
        begin_s = time.perf_counter()
        assert not slow.fits("wrong horse battery", password_hash)
        return time.perf_counter() - begin_s

    known, unknown = (min(took_s(one) for _ in range(7)) for one in (kept, None))
    assert 0.5 < known / unknown < 2
    assert not slow.is_old(slow._nobodys)


def test_the_first_no_is_one_hash_and_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[object] = []
    monkeypatch.setattr(PasswordHasher, "hash", lambda *given: hashed.append(given))
    assert not Passwords(passes=1, memory_kib=8).fits("wrong horse battery", None)
    assert not hashed


def test_a_hash_of_other_parameters_is_old_and_fits_all_the_same() -> None:
    kept = Passwords(passes=2, memory_kib=16).hash("right horse battery")
    assert CHEAP.is_old(kept) and CHEAP.fits("right horse battery", kept)
    assert not CHEAP.is_old(CHEAP.hash("right horse battery"))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", f"{MIN_LETTERS} to"), ("x" * (MAX_LETTERS + 1), f"{MIN_LETTERS} to"), ("", "letters"),
        ("aaaaaaaaaaaa", "over and over"), ("가" * 12, "over and over"),
        ("Long.Name.Kim", "user's name"), (" long.name.kim ", "user's name"),
    ],
)  # fmt: skip
def test_what_is_guessed_first_is_refused_and_not_quoted(password: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as told:
        check_password(password, name="long.name.kim")
    assert not password or password not in str(told.value)


def test_length_is_all_that_is_asked_for() -> None:
    for password in ("correct horse", "안전제일안전제일안전", "1234567891"):
        check_password(password, name="kim")
