"""The folder of a run: whether it may be begun, or gone on with."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from jikimi.errors import TrainError
from jikimi.train.checkpoint import BEST, LAST, Origin, write_atomically
from jikimi.train.devices import is_main_process
from jikimi.train.recipes import Recipe
from jikimi.train.weights import first_line

METRICS = "metrics.json"


def check_run(out: Path, origin: Origin, *, resume: bool) -> bool:
    """Refuse to overwrite another run, and to resume one that was something else.

    Returns whether there is an epoch to go on from: a run that was ended in its first starts over.
    """
    path = out / "recipe.json"
    wanted = {"recipe": origin.recipe.as_dict(), "digest": origin.training["digest"]}
    wanted = json.loads(json.dumps(wanted))
    if resume:
        if not path.is_file():
            raise TrainError(f"{out}: no run to resume; train without --resume")
        _compare(_read_json(path), wanted, where=path)
        resume = (out / LAST).is_file()
        if not resume and (out / METRICS).exists():
            raise TrainError(f"{out}: {LAST} is gone, the run cannot be resumed; give another --out")
    elif (out / LAST).exists() or (out / BEST).exists():
        raise TrainError(f"{out}: holds a run already; continue it with --resume or give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainError(f"{out}: {error.strerror}; give another --out") from error
    if is_main_process():
        for torn in out.glob(".*.tmp"):  # what a killed run was about to write
            torn.unlink(missing_ok=True)
        text = json.dumps({**wanted, "data": origin.training["data"]}, indent=2) + "\n"
        write_atomically(path, lambda temporary: write_text(temporary, text))
    return resume


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {"digest": document["digest"], "recipe": dict(document["recipe"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: damaged ({first_line(error)}); train without --resume") from error


def _compare(found: dict[str, Any], wanted: dict[str, Any], *, where: Path) -> None:
    if found["digest"] != wanted["digest"]:
        raise TrainError(f"{where}: the run was started on other data; prepare it as it was, or start anew")
    # What a recipe of an older version does not name was what is now the default.
    theirs = {**_defaults(), **found["recipe"]}
    for key, value in wanted["recipe"].items():
        if theirs.get(key) != value:
            raise TrainError(
                f"{where}: the run was started with {key} = {theirs.get(key)!r}, not {value!r}; "
                "give the same options, or start anew"
            )


def _defaults() -> dict[str, Any]:
    values = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    return dict(json.loads(json.dumps(values)))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    path.write_text(text, encoding="utf-8")
