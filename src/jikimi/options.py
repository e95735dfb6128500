"""What the commands take: values to choose from, and options that several of them share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class RoleName(StrEnum):
    """What somebody may: look, answer, change."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"


class LanguageName(StrEnum):
    """What people read."""

    ko = "ko"
    en = "en"


class Layout(StrEnum):
    """How labelled sources lie on disk."""

    auto = "auto"
    aihub = "aihub"
    folders = "folders"
    csv = "csv"


class Modality(StrEnum):
    """Which cameras' clips to take."""

    rgb = "rgb"
    thermal = "thermal"
    all = "all"


class RecipeName(StrEnum):
    """The recipes there are."""

    baseline = "baseline"
    edge = "edge"


class DeviceName(StrEnum):
    """What to train on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class InputsName(StrEnum):
    """What an encoder sees of a frame."""

    rgb = "rgb"
    motion = "motion"
    both = "rgb+motion"


class HeadName(StrEnum):
    """What reads a window of features."""

    lstm = "lstm"
    mean = "mean"
    last = "last"


class Side(StrEnum):
    """Which clips to judge."""

    val = "val"
    test = "test"
    train = "train"


Behaviors = Annotated[
    Path | None,
    typer.Option("--behaviors", metavar="FILE", help="A label set of your own (TOML, [[behavior]] tables)."),
]

WatchModel = Annotated[
    Path | None,
    typer.Option("--model", metavar="X.jikimi", help="The bundle to watch with; default: the shipped one."),
]
Threads = Annotated[int, typer.Option(min=0, help="Cores for the model; 0: all.")]
