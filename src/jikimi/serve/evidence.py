"""Evidence: the files themselves, in parts where asked for. Looking at them is audited."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse

from jikimi.serve.access import Caller, Viewer
from jikimi.serve.backend import backend_of
from jikimi.serve.incidents import VIEWED, Uid, seen
from jikimi.serve.problems import Refusal
from jikimi.store import EvidenceRecord, ReportEvidence

router = APIRouter(tags=["incidents"])

_MEDIA = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".json": "application/json"}

Number = Annotated[int, InPath(ge=0, le=1_000_000)]

_FILE: dict[str, Any] = {"video/mp4": {}, "image/jpeg": {}, "application/json": {}}

FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": _FILE},
    206: {"content": _FILE | {"multipart/byteranges": {}}, "description": "A part of it, or parts"},
    400: {"description": "No such way to ask for a part"},
    416: {"description": "No such part"},
}
"""What a route that answers with a file may answer."""

# A player asks for one film in a hundred parts: they are one view.
VIEW_S = 600.0
_MOST_VIEWS = 4096


class Views:
    """Who looked at what lately. Thread-safe, in memory: after a restart a view is noted once more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def is_new(self, who: str, file: str) -> bool:
        """Whether no look of `who` at `file` is remembered."""
        with self._lock:
            return self._until.get((who, file), float("-inf")) <= self._clock()

    def add(self, who: str, file: str, *, for_s: float = VIEW_S) -> None:
        """Remember a view that was noted, for a while."""
        now_s = self._clock()
        with self._lock:
            if len(self._until) >= _MOST_VIEWS:
                self._until = {key: until for key, until in self._until.items() if until > now_s}
            if len(self._until) >= _MOST_VIEWS:
                self._until.clear()
            self._until[who, file] = now_s + for_s


@router.get(
    "/incidents/{uid}/evidence/{number}",
    summary="One file",
    response_class=FileResponse,
    responses=FILES,
)
def get_evidence(request: Request, caller: Viewer, uid: Uid, number: Number) -> FileResponse:
    """The file itself, with its SHA-256 as its tag. Looking at it is audited."""
    seen(request, caller, uid)
    return answer_file(request, caller, f"incident {uid!r}", backend_of(request).store.evidence(uid), number)


def answer_file(
    request: Request,
    caller: Caller,
    about: str,
    files: Sequence[EvidenceRecord | ReportEvidence],
    number: int,
) -> FileResponse:
    """One of the files of something (`about`, in words), noted in the audit log."""
    backend = backend_of(request)
    if number >= len(files) or files[number].deleted_at is not None:
        raise Refusal(404, "no-file", about=about, number=number)
    record = files[number]
    path = inside(backend.settings.evidence_folder, record.path)
    if path is None:
        raise Refusal(404, "file-missing", path=record.path)
    views: Views = request.app.state.views
    if views.is_new(caller.name, str(record.path)):
        uid = record.report if isinstance(record, ReportEvidence) else record.incident
        backend.note(caller, VIEWED, uid, file=str(record.path))
        views.add(caller.name, str(record.path))
    return FileResponse(
        path,
        media_type=_MEDIA.get(path.suffix, "application/octet-stream"),
        filename=path.name,
        headers={"ETag": f'"{record.sha256}"'},
        content_disposition_type="inline",
    )


def inside(folder: Path, path: Path) -> Path | None:
    """The file at `path` in `folder`; None where there is none, or where it or a link leads out of it."""
    try:
        found = (folder / path).resolve(strict=True)
        return found if found.is_relative_to(folder.resolve()) and found.is_file() else None
    except (OSError, ValueError, RuntimeError):  # none there, no name for a file, links in a circle
        return None
