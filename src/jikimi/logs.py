"""Logs: lines for a terminal, JSON for anything else, and no camera's password in either."""

import json
import logging
import sys
from datetime import UTC, datetime

from jikimi.address import redact_text


class _Redacting(logging.Formatter):
    """Takes credentials out of every address that a message or a trace quotes."""

    def __init__(self, part: str, *, as_json: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._part = part
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, or a plain one."""
        if not self._as_json:
            return redact_text(super().format(record), [])
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": redact_text(record.getMessage(), []),
        }
        if record.exc_info:
            line["trace"] = redact_text(self.formatException(record.exc_info), [])
        return json.dumps(line, ensure_ascii=False)


def set_up(part: str, *, debug: bool = False) -> None:
    """Send this process's logs to stderr. `part` names the process: site, dispatch, camera 'press-3', …"""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(part, as_json=not sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    for noisy in ("httpx", "httpcore", "alembic", "apprise", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
