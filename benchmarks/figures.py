"""What a benchmark says: figures beside their goals, as a table and as JSON."""

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import machine

T = TypeVar("T")

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. With a goal it is reached or missed; without, it is only told."""

    name: str
    value: float | None
    unit: str
    goal: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met, None where there is none."""
        if self.goal is None or self.value is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal

    def cells(self) -> tuple[str, str, str, str]:
        """Name, value, goal and verdict, as the table shows them."""
        goal = "" if self.goal is None else f"{'≥' if self.better == 'higher' else '≤'} {self.goal:g}"
        verdict = {None: "", True: "reached", False: "MISSED"}[self.reached]
        return (
            self.name,
            f"{number(self.value)} {self.unit}".strip(),
            f"{goal} {self.unit if goal else ''}".strip(),
            verdict,
        )


@dataclass(slots=True)
class Report:
    """The result of one benchmark: its figures, what was run, and every single measurement."""

    name: str
    what: str
    settings: Mapping[str, Any]
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=machine.describe)

    def add(
        self,
        name: str,
        value: float | None,
        unit: str,
        *,
        goal: float | None = None,
        better: Literal["higher", "lower"] = "higher",
    ) -> None:
        """Add one figure."""
        self.figures.append(Figure(name, value, unit, goal, better))

    def publish(self, path: Path | None) -> None:
        """Print the table and write the JSON; `path` None: benchmarks/results/NAME.json."""
        print(self.text())
        path = path if path is not None else RESULTS / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        print(f"written: {path}")

    def text(self) -> str:
        """The report for people."""
        about = [f"  {key}: {value}" for key, value in self.machine.items()]
        settings = [f"  {key}: {value}" for key, value in self.settings.items()]
        lines = table(("figure", "measured", "goal", ""), [figure.cells() for figure in self.figures])
        notes = [f"note: {note}" for note in self.notes]
        return "\n".join([f"{self.name}: {self.what}", *about, *settings, "", *lines, "", *notes])

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        figures = [{**asdict(figure), "reached": figure.reached} for figure in self.figures]
        return {
            "name": self.name,
            "what": self.what,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self.machine,
            "settings": dict(self.settings),
            "figures": figures,
            "notes": self.notes,
            "raw": self.raw,
        }


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, padded so that a terminal shows it straight too."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def number(value: float | None) -> str:
    """Three significant digits, without powers of ten."""
    if value is None:
        return "?"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def interleave(sides: Mapping[str, Callable[[], T]], *, rounds: int) -> dict[str, list[T]]:
    """Run every side once a round, A B A B …, so that a drifting machine drifts under both alike."""
    found: dict[str, list[T]] = {name: [] for name in sides}
    for done in range(rounds):
        for name, run in sides.items():
            found[name].append(run())
            print(f"  round {done + 1}/{rounds}: {name} done", flush=True)
    return found


def median(values: Iterable[float]) -> float:
    """The middle value: one disturbed round does not move it."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Smallest to largest, for the reader to judge the noise."""
    return f"{number(min(values))} to {number(max(values))}"


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=None, help="where the result goes (default: results/)")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each side is measured")
    return parser
