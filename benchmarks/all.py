"""Every benchmark in turn, one after the other; `--quick` only shows that they run.

uv run --all-extras python benchmarks/all.py --clips CLIPS --peer PEER
uv run --all-extras python benchmarks/all.py --tables     fill the tables of docs/benchmarks.md
"""

import argparse
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import RESULTS, Figure, table
from process import script

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"

# A marker, and the table below it where there is one already.
_MARKER = re.compile(r"<!-- table: benchmarks/results/(\w[\w-]*)\.json -->\n(?:\n(?:_.*_\n\n)?(?:\|.*\n)+)?")


_SUMMARY = re.compile(r"<!-- summary -->\n(?:\n(?:\|.*\n)+)?")


def commands(clips: Path, peer: Path | None, *, quick: bool) -> dict[str, list[str]]:
    """The command line of each benchmark, in the order of the page."""
    clip_options = ["--clips", str(clips)]
    found = {
        "prepare": script("prepare.py", *clip_options, *(["--rounds", "1"] if quick else [])),
        "streaming": script("streaming.py", *(["--rounds", "5", "--large-rounds", "0"] if quick else [])),
        "watch": script("watch.py", *(["--rounds", "1", "--seconds", "10"] if quick else [])),
        "spinning": script("spinning.py", *(["--rounds", "1", "--seconds", "10"] if quick else [])),
        "install": script("install.py", *(["--rounds", "1"] if quick else [])),
        "layout": script("layout.py", *(["--rounds", "1"] if quick else [])),
    }
    if peer is not None:
        short = ["--rounds", "1", "--epochs", "2", "--views", "1", "--peer-steps", "1"] if quick else []
        found["train"] = script("train.py", *clip_options, "--peer", peer, *short)
    return found


def fill_tables(page: str) -> str:
    """Put the results that there are below their markers."""

    def filled(found: re.Match[str]) -> str:
        path = RESULTS / f"{found.group(1)}.json"
        if not path.is_file():
            return found.group()
        marker = found.group().splitlines()[0]
        return f"{marker}\n\n{_table_of(path)}\n"

    page = _MARKER.sub(filled, page)
    return _SUMMARY.sub(lambda _: f"<!-- summary -->\n\n{summary()}\n", page)


def _table_of(path: Path) -> str:
    document = json.loads(path.read_text(encoding="utf-8"))
    lines = table(("figure", "measured", "goal", ""), [figure.cells() for figure in _figures(document)])
    about = document["machine"]
    settings = ", ".join(f"{key} {value}" for key, value in document["settings"].items())
    measured = f"{about['cpu']}, {about['cores']} cores, {about['memory']}; {document['measured_at'][:10]}"
    return "\n".join([f"_{measured}; {settings}_", "", *lines])


def _figures(document: dict[str, Any]) -> list[Figure]:
    names = ("name", "value", "unit", "goal", "better")
    return [Figure(**{name: one[name] for name in names}) for one in document["figures"]]


def summary() -> str:
    """Every figure that has a goal."""
    rows = []
    for path in sorted(RESULTS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        with_goal = [figure for figure in _figures(document) if figure.goal is not None]
        rows += [(document["name"], *figure.cells()) for figure in with_goal]
    return "\n".join(table(("benchmark", "figure", "measured", "goal", ""), rows))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=Path("../shared/real-clips"), help="a folder of clips")
    parser.add_argument("--peer", type=Path, default=None, help="a checkout of the origin; without, no train")
    parser.add_argument("--quick", action="store_true", help="shortest forms, to results/quick")
    parser.add_argument("--tables", action="store_true", help="only fill the tables of the page")
    options = parser.parse_args(arguments)
    failed = []
    if not options.tables:
        for name, command in commands(options.clips, options.peer, quick=options.quick).items():
            out = (RESULTS / "quick" if options.quick else RESULTS) / f"{name}.json"
            if subprocess.run([*command, "--json", str(out)], check=False).returncode:
                failed.append(name)
    if not options.quick:
        PAGE.write_text(fill_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
