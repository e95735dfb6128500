"""Logs: lines for a terminal, JSON for anything else, and no camera's password in either."""

import copy
import json
import logging
import re
import sys
from datetime import UTC, datetime

from jikimi.address import redact, redact_text

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")

# A log-in with a space in it: FFmpeg takes it, and no other rule would find its end.
_SPACED = re.compile(r"(://)[^\s/@:]+:[^@/\n]*@")


def redacted(text: str) -> str:
    """Free text in which no address shows its log-in, be it before the host or among its parameters."""
    text = redact_text(_SPACED.sub(r"\1***@", text), [])
    return _ADDRESS.sub(lambda found: redact(found.group()), text)


def _message(record: logging.LogRecord) -> str:
    """What a record says; one whose arguments do not fit is said all the same, and hides as well."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args}"


class _Redacting(logging.Formatter):
    """Takes credentials out of every address that a message or a trace quotes."""

    def __init__(self, part: str, *, as_json: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._part = part
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, or a plain one."""
        record = copy.copy(record)
        record.msg, record.args = _message(record), ()
        if not self._as_json:
            return redacted(super().format(record))
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": redacted(record.msg),
        }
        if record.exc_info:
            line["trace"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(part: str, *, debug: bool = False) -> None:
    """Send this process's logs to stderr. `part` names the process: site, dispatch, camera 'press-3', …"""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(part, as_json=not sys.stderr.isatty()))
    logging.raiseExceptions = False  # it would print a record's arguments as they are
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for noisy in ("httpx", "httpcore", "alembic", "apprise", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
