"""The demo in words: lines while it runs, and what it came to, for rich to print."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from jikimi.behaviors import Behavior
from jikimi.shipped import Sample, Samples
from jikimi.watch.demo import Outcome, Round, Verdict, counts, median_delay_s
from jikimi.watch.event import WatchEvent

_STYLES: dict[Verdict, str] = {
    "raised": "green", "other-behavior": "yellow", "missed": "red", "cut-off": "dim", "quiet": "green",
    "false-alarm": "red",
}  # fmt: skip

Names = dict[str, str]
"""Behaviour key → its name in English and Korean."""


def names(behaviors: Sequence[Behavior]) -> Names:
    """Name behaviours as the demo prints them: `fall down 넘어짐`."""
    return {behavior.key: f"{behavior.english} {behavior.korean}" for behavior in behaviors}


def opening(shipped: Samples, *, model: str, seconds: float | None) -> list[str]:
    """Say what is about to happen."""
    cameras = _count(len(shipped.samples), "sample camera")
    length = "once to the end" if seconds is None else f"for {seconds:g} s"
    return [
        f"Watching {cameras} with the model {model!r}, in real time, {length}. Ctrl-C ends it.",
        *([shipped.about] if shipped.about else []),
    ]


def line(number: int, event: WatchEvent, *, cameras: Sequence[str], names: Names) -> Text | None:
    """Say one event in a line, None for those nobody waits for."""
    told = _told(event, names)
    if told is None:
        return None
    width = max(map(cell_len, cameras))
    camera = event.camera + " " * (width - cell_len(event.camera))
    text = Text.assemble(f"{event.t_s:7.1f} s  {camera}  ", told)
    return text.append(f"  (round {number})", "dim") if number > 1 else text


def _told(event: WatchEvent, names: Names) -> Text | None:
    behavior = names.get(event.behavior or "", event.behavior or "")
    if event.event == "opened":
        return Text.assemble(("ALARM     ", "bold red"), (behavior, "bold"), f"  {event.score or 0.0:.2f}")
    if event.event == "closed":
        return Text.assemble("over      ", f"{behavior}, after {event.t_s - event.details['opened_s']:.1f} s")
    if event.event == "evidence":
        return Text.assemble("evidence  ", str(event.evidence))
    if event.event == "fault":
        return Text.assemble(("FAULT     ", "bold yellow"), str(event.details["message"]))
    return None


def table(samples: Sequence[Sample], outcomes: Sequence[Outcome], *, names: Names) -> Table:
    """Show what happened beside what was raised."""
    described = {sample.camera: sample for sample in samples}
    with_round = any(outcome.round > 1 for outcome in outcomes)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in (["round"] if with_round else []) + ["camera", "what happened", "what was raised", "delay"]:
        table.add_column(head, justify="right" if head in ("round", "delay") else "left", overflow="fold")
    for outcome in outcomes:
        delay = "" if outcome.delay_s is None else f"{outcome.delay_s:.1f} s"
        cells = [Text(outcome.camera), _happened(outcome, described[outcome.camera], names)]
        row = [*cells, _said(outcome, names), Text(delay)]
        table.add_row(*([Text(str(outcome.round)), *row] if with_round else row))
    return table


def _happened(outcome: Outcome, sample: Sample, names: Names) -> Text:
    if outcome.verdict == "false-alarm" and sample.truth is not None:
        return Text("")  # its event has a line of its own
    truth = outcome.truth
    what = "nothing" if truth is None else names.get(truth.behavior, truth.behavior)
    when = "" if truth is None else f", {truth.start_s:.1f}–{truth.end_s:.1f} s"
    text = Text.assemble(what, when)
    if outcome.round == 1:  # once is enough
        text.append(f"\n{sample.english}\n{sample.korean}", "dim")
    return text


def _said(outcome: Outcome, names: Names) -> Text:
    style = _STYLES[outcome.verdict]
    if outcome.raised is None:
        words = {"missed": "MISSED", "cut-off": "not decided: the demo ended", "quiet": "nothing"}
        return Text(words[outcome.verdict], style)
    alarm = outcome.raised.alarm
    text = Text(f"{names.get(alarm.behavior, alarm.behavior)}, {alarm.t_s:.1f} s, ", style)
    text.append(f"score {outcome.raised.score:.2f}", style)
    return text.append("\nFALSE ALARM", style) if outcome.verdict == "false-alarm" else text


def _numbers(outcomes: Sequence[Outcome], rounds: Sequence[Round]) -> list[str]:
    found = counts(outcomes)
    decided = sum(found.get(v, 0) for v in ("raised", "other-behavior", "missed"))
    lines = [f"{found.get('raised', 0)} of {_count(decided, 'accident')} raised"]
    if (delay_s := median_delay_s(outcomes)) is not None:
        lines[0] += f", {delay_s:.1f} s after they began (median)"
    lines[0] += f"; {_count(found.get('false-alarm', 0), 'false alarm')}."
    if found.get("other-behavior"):
        lines.append(f"{found['other-behavior']} raised in time, but under another name.")
    if found.get("cut-off"):
        lines.append(f"{found['cut-off']} not decided: the demo ended first.")
    ages = [one.summary.age_p95_s for one in rounds if one.summary.age_p95_s is not None]
    if ages:
        lines.append(f"95 % of decisions fell within {max(ages):.2f} s of their picture on this machine.")
    return lines


def closing(outcomes: Sequence[Outcome], rounds: Sequence[Round], *, out: Path) -> list[str]:
    """Say the numbers, where the evidence is, and what to try next."""
    kept = [o.raised.evidence for o in outcomes if o.raised is not None and o.raised.evidence is not None]
    lines = [
        "",
        f"Evidence, from 5 s before to 5 s after each alarm, in {out}:" if kept else "No evidence kept.",
    ]
    lines += [f"  {path}" for path in kept]
    return [
        *_numbers(outcomes, rounds),
        *lines,
        "",
        "Next:",
        "  jikimi watch YOURS.mp4 --out evidence              a video of yours",
        "  jikimi watch rtsp://CAMERA/stream --out evidence   a camera",
        "  jikimi prepare VIDEOS --out data                   learn from labelled videos of yours",
    ]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
