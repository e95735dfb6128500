"""How good a bundle's alarms are on simulated feeds: by behaviour, kind, room, light and view.

uv run --all-extras python benchmarks/alarm_quality.py FEEDS [--bundle X.jikimi] [--scores DIR] [--workers N]

FEEDS is what `jikimi simulate --streams` made. Scores are kept in DIR, so that a run that was cut short goes
on. Nothing is chosen here: threshold and temperature are the bundle's.
"""

import csv
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import machine
from figures import Report, arguments, number, table
from jikimi.bundle import Card, load_bundle
from jikimi.shipped import shipped_model
from jikimi.stream_metrics import Alarm, StreamReport, Truth, stream_report
from jikimi.train.alarms import ScoredStream, raise_alarms, scored
from jikimi.train.score import StreamScores, score_stream

SIDES = ("room", "light", "view", "picture")


@dataclass(frozen=True, slots=True)
class Feeds:
    """Cameras with what is known of them, and what happened: rows of truth.csv with times."""

    folder: Path
    cameras: dict[str, dict[str, str]]
    events: tuple[dict[str, str], ...]

    def truths(self) -> list[Truth]:
        """Every accident."""
        return [truth_of(row) for row in self.events]


def truth_of(row: Mapping[str, str]) -> Truth:
    """An accident as it is matched."""
    return Truth(row["camera"], row["behavior"], float(row["start_s"]), float(row["end_s"]))


def read_feeds(folder: Path) -> Feeds:
    """Read the tables beside the feeds."""
    with (folder / "cameras.csv").open(encoding="utf-8", newline="") as file:
        cameras = {row["camera"]: row for row in csv.DictReader(file)}
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        events = tuple(row for row in csv.DictReader(file) if row["start_s"])
    return Feeds(folder, cameras, events)


def score_feed(bundle: Path, video: Path, kept: Path) -> None:
    """Score one feed into `kept`, on one core."""
    found = score_stream(load_bundle(bundle, threads=1), video)
    temporary = kept.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        times_s=found.times_s,
        logits_NC=found.logits_NC,
        duration_s=found.duration_s,
        step_s=found.step_s,
    )
    temporary.replace(kept)


def score_all(bundle: Path, feeds: Feeds, scores: Path, *, workers: int) -> list[ScoredStream]:
    """Every feed's scores, calibrated as the bundle says."""
    card = load_bundle(bundle).card
    folder = scores / card.hashes["head.onnx"][:16]
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in feeds.cameras if not (folder / f"{name}.npz").exists()]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(score_feed, bundle, feeds.folder / f"{name}.mp4", folder / f"{name}.npz")
            for name in missing
        ]
        for done, job in enumerate(jobs, start=1):
            job.result()
            print(f"  scored {done}/{len(jobs)}", flush=True)
    return [read_scores(folder / f"{name}.npz", name, card) for name in feeds.cameras]


def read_scores(path: Path, camera: str, card: Card) -> ScoredStream:
    """Scores that were kept."""
    with np.load(path) as kept:
        found = StreamScores(
            kept["times_s"], kept["logits_NC"], float(kept["duration_s"]), float(kept["step_s"])
        )
    return scored(camera, found, card)


def judge(
    feeds: Feeds, alarms: Sequence[Alarm], durations_s: Mapping[str, float], *, by_behavior: bool = True
) -> StreamReport:
    """Alarms of some cameras against what happened on them."""
    truths = [truth for truth in feeds.truths() if truth.camera in durations_s]
    mine = [alarm for alarm in alarms if alarm.camera in durations_s]
    return stream_report(truths, mine, durations_s=durations_s, by_behavior=by_behavior)


def rows_by_side(
    feeds: Feeds, alarms: Sequence[Alarm], durations_s: Mapping[str, float], side: str
) -> list[list[str]]:
    """One row for each value of a column of cameras.csv."""
    rows = []
    for value in sorted({camera[side] for camera in feeds.cameras.values()}):
        part = {name: s for name, s in durations_s.items() if feeds.cameras[name][side] == value}
        named = judge(feeds, alarms, part)
        seen = judge(feeds, alarms, part, by_behavior=False)
        rows.append([side, value, *cells_of(named, seen)])
    return rows


def cells_of(named: StreamReport, seen: StreamReport) -> list[str]:
    """Events, recall with and without the right name, false alarms an hour, hours."""
    return [
        str(named.n_events),
        number(named.recall[10.0]),
        number(seen.recall[10.0]),
        number(seen.false_alarms_per_hour),
        number(named.hours),
    ]


def rows_by_event(feeds: Feeds, named: StreamReport, seen: StreamReport, column: str) -> list[list[str]]:
    """One row for each behaviour or kind of event."""
    rows = []
    found = {id_of(match.truth) for match in named.matching.matches}
    noticed = {id_of(match.truth) for match in seen.matching.matches}
    for value in sorted({row[column] for row in feeds.events}):
        ids = [id_of(truth_of(row)) for row in feeds.events if row[column] == value]
        rows.append(
            [
                column,
                value,
                str(len(ids)),
                number(sum(i in found for i in ids) / len(ids)),
                number(sum(i in noticed for i in ids) / len(ids)),
                str(sum(alarm.behavior == value for alarm in seen.matching.false_alarms)),
                "",
            ]
        )
    return rows


def id_of(truth: Truth) -> tuple[str, float]:
    """What tells an event from others."""
    return truth.camera, truth.start_s


def main() -> None:
    parser = arguments(__doc__ or "", rounds=1)
    parser.add_argument("feeds", type=Path)
    parser.add_argument("--bundle", type=Path, default=None, help="default: the shipped one")
    parser.add_argument("--scores", type=Path, default=Path("scores"), help="where scores are kept")
    parser.add_argument("--workers", type=int, default=machine.n_cores())
    options = parser.parse_args()
    bundle = options.bundle or shipped_model()
    feeds = read_feeds(options.feeds)
    streams = score_all(bundle, feeds, options.scores, workers=options.workers)
    publish(bundle, feeds, streams, options.json)


def publish(bundle: Path, feeds: Feeds, streams: Sequence[ScoredStream], path: Path | None) -> None:
    """Judge and say."""
    card = load_bundle(bundle).card
    alarms = [alarm for stream in streams for alarm in raise_alarms(stream, card.rule)]
    durations_s = {stream.camera: stream.duration_s for stream in streams}
    named = judge(feeds, alarms, durations_s)
    seen = judge(feeds, alarms, durations_s, by_behavior=False)
    settings = {"bundle": card.name, "feeds": feeds.folder.name, "cameras": len(streams)}
    report = Report("alarm_quality", "a bundle's alarms on simulated feeds it never saw", settings)
    report.add("hours watched", named.hours, "h", goal=10)
    report.add("event recall within 10 s", named.recall[10.0], "", goal=0.95)
    report.add("the same, whatever it was called", seen.recall[10.0], "")
    report.add("F1 within 10 s", named.f1, "", goal=0.90)
    report.add("the same F1, whatever it was called", seen.f1, "")
    report.add(
        "false alarms an hour", seen.false_alarms_per_hour, "", goal=0.5, better="lower",
    )  # fmt: skip
    report.add("its 95 % upper bound", seen.false_alarms_per_hour_upper, "", better="lower")
    report.add("median delay", seen.delay_median_s, "s", goal=2, better="lower")
    report.add("delay, 95 of 100", seen.delay_p95_s, "s", better="lower")
    rows = [row for column in ("behavior", "kind") for row in rows_by_event(feeds, named, seen, column)]
    rows += [row for side in SIDES for row in rows_by_side(feeds, alarms, durations_s, side)]
    head = ("of", "value", "events", "recall, named", "recall, any name", "false alarms (an hour)", "hours")
    report.raw = {"head": head, "rows": rows, "false_alarms": [detail(a) for a in seen.matching.false_alarms]}
    report.publish(path)
    print("\n".join(table(head, rows)))


def detail(alarm: Alarm) -> dict[str, Any]:
    """One false alarm, to be looked at."""
    return {"camera": alarm.camera, "behavior": alarm.behavior, "t_s": round(alarm.t_s, 2)}


if __name__ == "__main__":
    main()
