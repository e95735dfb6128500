"""The folder that a simulation writes: one simulation a folder, every file whole or not there."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from jikimi.errors import SimError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def check_folder(out: Path, settings: dict[str, object]) -> None:
    """Refuse a folder that holds a simulation made otherwise.

    Raises:
        SimError: it does, or cannot be written.
    """
    path = out / "simulation.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known != settings:
                raise SimError(f"{out}: holds another simulation ({known}); give another folder")
            return
        if any(out.iterdir()):
            raise SimError(f"{out}: is not empty; give another folder")
        write_text(path, json.dumps(settings) + "\n")
    except (OSError, json.JSONDecodeError) as error:
        raise SimError(f"{out}: {error}; give a folder that can be written") from error


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_rows(path: Path, kind: "type[DataclassInstance]", rows: "Sequence[DataclassInstance]") -> None:
    """Write a CSV table, a column for each field of `kind`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(kind)])
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    temporary.replace(path)
