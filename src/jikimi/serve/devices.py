"""Marks of a browser that has logged in before: signed, one for each user of it, good for a year.

A mark lets nobody in. It only keeps the browser's failures apart from everybody else's.
"""

import hashlib
import hmac
import re
import secrets

COOKIE = "jikimi-device"
LASTING_S = 365 * 86_400

# A control room's browser has several users.
_MOST = 8
_MARK = re.compile(r"(?P<id>[0-9a-f]{32})\.(?P<until>\d{1,12})\.(?P<signature>[0-9a-f]{64})")


def known_device(cookie: str, name: str, *, key: str, now_s: float) -> str:
    """The id of a browser that was `name` before; empty: its cookie has no such mark. Pure."""
    found = _marks_of(cookie, name, key=key)
    return next((mark["id"] for mark in found if int(mark["until"]) > now_s), "")


def with_mark(cookie: str, name: str, *, key: str, now_s: float) -> str:
    """The cookie with a new mark for `name`, in place of an older one."""
    own = {mark.group() for mark in _marks_of(cookie, name, key=key)}
    others = [text for text in cookie.split("~") if _MARK.fullmatch(text) and text not in own]
    mark_id, until = secrets.token_hex(16), str(int(now_s) + LASTING_S)
    mark = f"{mark_id}.{until}.{_sign(mark_id, until, name, key=key)}"
    return "~".join([*others[-(_MOST - 1) :], mark])


def _marks_of(cookie: str, name: str, *, key: str) -> list[re.Match[str]]:
    marks = [mark for text in cookie.split("~")[: 2 * _MOST] if (mark := _MARK.fullmatch(text))]
    return [
        mark
        for mark in marks
        if hmac.compare_digest(mark["signature"], _sign(mark["id"], mark["until"], name, key=key))
    ]


def _sign(mark_id: str, until: str, name: str, *, key: str) -> str:
    text = f"jikimi device\n{mark_id}\n{until}\n{name}"
    return hmac.new(key.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
