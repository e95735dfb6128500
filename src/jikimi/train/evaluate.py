"""How good a model is: on the clips of a prepared set, or on whole streams with known events."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jikimi.bundle import Scorer
from jikimi.clip import Split
from jikimi.data.manifest import Manifest
from jikimi.errors import DataError, SettingsError
from jikimi.incident import Rule
from jikimi.metrics import clip_report, pool_windows
from jikimi.stream_metrics import stream_report
from jikimi.train import alarms, clip_page, score, stream_page
from jikimi.train.leakage import measure_leakage
from jikimi.train.truth import read_truth

Progress = Callable[[int, int], None]
"""Told how many clips or streams are done, of how many; starts again where another pass begins."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an evaluation came to: the figures as in `metrics.json`, a line to print, and the page."""

    metrics: dict[str, Any]
    summary: str
    notes: tuple[str, ...]
    report: Path


def evaluate_clips(
    scorer: Scorer,
    manifest: Manifest,
    *,
    out: Path,
    split: Split = "val",
    progress: Progress | None = None,
) -> EvaluationResult:
    """Judge one prediction a clip of one side of the split, and write the report to `out`.

    Raises:
        DataError: the side has no clips, the model does not know a behaviour, a frame is missing or damaged,
            or `out` cannot be written.
        BundleError: the model answered with something that is not a number.
    """
    rows = manifest.select(split)
    if not rows:
        raise DataError(f"{manifest.root}: no clips on the {split!r} side of the split")
    card = scorer.card
    labels = [score.class_index(card, row) for row in rows]
    scored = []
    for done, row in enumerate(rows, start=1):
        scored.append(score.score_clip(scorer, manifest, row))
        if progress:
            progress(done, len(rows))
    pooled_NC = np.stack([pool_windows(scores.logits_WC, card.normal_index) for scores in scored])
    report = clip_report(
        pooled_NC,
        labels,
        behaviors=card.keys,
        groups=[row.group for row in rows],
        temperature=card.temperature,
    )
    evaluation = clip_page.ClipEvaluation(
        card=card,
        manifest=manifest,
        split=split,
        report=report,
        results=tuple(clip_page.judge(rows, scored, pooled_NC, card)),
        leakage=measure_leakage(scorer, manifest, progress=progress),
    )
    page = clip_page.write(evaluation, out)
    return EvaluationResult(evaluation.as_dict(), evaluation.summary, evaluation.notes, page)


def evaluate_streams(
    scorer: Scorer,
    folder: Path,
    truth: Path,
    *,
    out: Path,
    rule: Rule | None = None,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Judge the alarms the live rule raises on whole streams, and write the report to `out`.

    `truth` is a table as `truth.read_truth` reads it. `rule` replaces the model's own.

    Raises:
        DataError: the truth does not fit the streams, a stream holds no pictures, or `out` cannot be written.
        SettingsError: the rule names a behaviour that the model does not know.
        VideoError: a stream cannot be opened.
        BundleError: the model answered with something that is not a number.
    """
    card = scorer.card
    rule = rule or card.rule
    unknown = sorted(set(rule.theta_on) - set(card.keys))
    if unknown:
        raise SettingsError(
            f"the rule names {unknown[0]!r}; model {card.name!r} knows {', '.join(card.keys)}"
        )
    streams = read_truth(folder, truth, behaviors=card.keys, normal=card.keys[card.normal_index])
    scored = alarms.watch_all(scorer, streams, progress=progress)
    raised = [alarm for stream in scored for alarm in alarms.raise_alarms(stream, rule)]
    durations_s = {stream.camera: stream.duration_s for stream in scored}
    evaluation = stream_page.StreamEvaluation(
        card=card,
        rule=rule,
        streams=streams,
        scored=tuple(scored),
        report=stream_report(streams.truths, raised, durations_s=durations_s),
        any_behavior=stream_report(streams.truths, raised, durations_s=durations_s, by_behavior=False),
        curve=alarms.sweep(scored, streams.truths, rule),
    )
    page = stream_page.write(evaluation, out)
    return EvaluationResult(evaluation.as_dict(), evaluation.summary, evaluation.notes, page)
