"""The list of models: those that were added, the one that Jikimi carries, and the one of `jikimi.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jikimi.champion import Champion, Origin, champion_of, hash_of
from jikimi.errors import BundleError
from jikimi.serve.backend import Backend, is_fresh
from jikimi.serve.model_answers import ModelAnswer, ModelsAnswer, card_answer
from jikimi.shipped import ShippedError, shipped_model
from jikimi.status import SiteStatus
from jikimi.store import ModelRecord


def carried_model() -> Path | None:
    """The bundle that this install carries, if it does."""
    try:
        return shipped_model()
    except ShippedError:
        return None


def one_model(backend: Backend, sha256: str) -> ModelAnswer:
    """A model of the store."""
    return next(one for one in every_model(backend).models if one.sha256 == sha256)


def every_model(backend: Backend) -> ModelsAnswer:
    """All of them, in the order in which they were added; those that nobody added come last."""
    champion, rows = champion_of(backend.settings, backend.store), backend.store.models()
    said = backend.status()
    shown = _List(champion, said if said is not None and is_fresh(said) else None, {})
    for row in rows:
        shown.add(row, backend.settings.models_folder / row.file)
    if champion.origin == "file":
        shown.add_unlisted(champion.path, "file")
    carried = carried_model()
    if carried is not None:
        shown.add_unlisted(carried, "shipped")
    models = list(shown.answers.values())
    return ModelsAnswer(
        fixed=champion.origin == "file",
        champion=next((one.sha256 for one in models if one.state == "champion"), None),
        challenger=next((one.sha256 for one in rows if one.state == "challenger"), None),
        challenger_running=shown.status is not None and shown.status.challenger_running,
        before=_before(backend, champion, carried),
        models=models,
    )


def _before(backend: Backend, champion: Champion, carried: Path | None) -> str | None:
    """To which would be rolled back."""
    if champion.model is None:
        return None
    before = backend.store.champion_before()
    if before is not None:
        return before.sha256
    return hash_of(carried) if carried is not None else None


@dataclass(frozen=True, slots=True)
class _List:
    """Answers by hash; `status` while the site says something."""

    champion: Champion
    status: SiteStatus | None
    answers: dict[str, ModelAnswer]

    def add(self, row: ModelRecord, path: Path) -> None:
        """A model of the store. Where jikimi.toml names another, the store's champion only would watch."""
        card, problem = card_answer(path)
        fixed = self.champion.origin == "file"
        watching = row.state == "champion" and not fixed and self._says(row.name, row.sha256)
        self.answers[row.sha256] = ModelAnswer(
            sha256=row.sha256,
            name=row.name,
            state="kept" if fixed and row.state == "champion" else row.state,
            origin="store",
            watching=watching,
            size_bytes=row.size_bytes,
            added_at=row.added_at,
            added_by=row.added_by,
            challenged_at=row.challenged_at,
            promoted_at=row.promoted_at,
            proven_at=row.proven_at,
            problem=row.problem or problem,
            card=card,
        )

    def add_unlisted(self, path: Path, origin: Origin) -> None:
        """A bundle without a row; where there is one of the same hash, that one is it."""
        champion = self.champion.origin == origin
        try:
            sha256 = hash_of(path)
        except BundleError:
            sha256 = ""
        card, problem = card_answer(path)
        name = card.name if card is not None else path.name
        facts: Mapping[str, object] = {
            "state": "champion",
            "origin": origin,
            "watching": self._says(name, ""),
        }
        listed = self.answers.get(sha256)
        if listed is not None:
            self.answers[sha256] = listed.model_copy(update=facts if champion else {})
            return
        self.answers[sha256] = ModelAnswer(
            sha256=sha256,
            name=name,
            state="champion" if champion else "kept",
            origin=origin,
            watching=champion and self._says(name, ""),
            size_bytes=path.stat().st_size if sha256 else 0,
            added_at=None,
            added_by="",
            challenged_at=None,
            promoted_at=None,
            proven_at=None,
            problem=problem,
            card=card,
        )

    def _says(self, name: str, sha256: str) -> bool:
        """Whether the site says that this is what watches; it tells hashes of the store's models alone."""
        status = self.status
        return status is not None and (status.model, status.model_sha256) == (name, sha256)
