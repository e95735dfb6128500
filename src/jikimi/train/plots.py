"""Pictures of a report: PNG bytes. Labels are English keys, since few machines' fonts hold Korean."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from jikimi.metrics import ClipReport, Doubles
from jikimi.stream_metrics import HEADLINE_S, Match, StreamReport
from jikimi.train.alarms import CurvePoint, ScoredStream

INK, FAINT, LINE = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, RED, GREEN, AMBER = "#2563eb", "#dc2626", "#15803d", "#d97706"
DPI = 144


def confusion(report: ClipReport) -> bytes:
    """Confusion matrix: clips as counts, rows coloured by share."""
    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 1.2 + 0.42 * len(counts)
    canvas, axes = _axes(size + 0.5, size, grid=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else (INK if count else "#cbd5e1")
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(count), ha="center", va="center", color=colour, weight=weight)
    ticks = range(len(counts))
    axes.set_xticks(ticks, report.behaviors, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, report.behaviors)
    axes.set_xlabel("predicted")
    axes.set_ylabel("what it was")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return _png(canvas)


def reliability(report: ClipReport) -> bytes:
    """Calibration diagram: how sure against how often right, marks as large as their number of clips."""
    canvas, axes = _axes(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="perfectly calibrated")
    sure = [b.confidence for b in report.reliability]
    right = [b.accuracy for b in report.reliability]
    counts = np.array([b.count for b in report.reliability])
    axes.vlines(sure, np.minimum(sure, right), np.maximum(sure, right), color=RED, alpha=0.35, linewidth=3)
    axes.plot(sure, right, color=BLUE, linewidth=1)
    axes.scatter(
        sure, right, s=30 + 270 * counts / counts.max(), color=BLUE, alpha=0.75, zorder=3, clip_on=False
    )
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.05))
    axes.set(xlabel="how sure the model is", ylabel="how often it is right")
    _legend(axes)
    return _png(canvas)


def accident_curve(accident_scores: Doubles, normal_scores: Doubles) -> bytes:
    """Clips: share of accidents found against share of normal clips raised, as the threshold sweeps.

    Scores are the probability that anything but normal happens, (N,) of accident and (M,) of normal clips.
    """
    canvas, axes = _axes(4.6, 4.2)
    thresholds = np.concatenate([[np.inf], np.unique([*accident_scores, *normal_scores])[::-1]])
    found = [(accident_scores >= threshold).mean() for threshold in thresholds]
    raised = [(normal_scores >= threshold).mean() for threshold in thresholds]
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="guessing")
    axes.plot(raised, found, color=BLUE, linewidth=2, drawstyle="steps-post", label="this model")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    axes.set(xlabel="normal clips called an accident", ylabel="accident clips called an accident")
    _legend(axes)
    return _png(canvas)


def event_curve(curve: Sequence[CurvePoint], chosen: StreamReport) -> bytes:
    """Streams: recall at 10 s against false alarms an hour, one point a threshold, the rule in use marked.

    Only for streams with events and event-free hours: neither rate means anything without.
    """
    canvas, axes = _axes(4.6, 4.2)
    rates, recalls = zip(*(_point(p.report) for p in curve), strict=True)
    thetas = [p.theta_on for p in curve]
    axes.plot(rates, recalls, color=BLUE, alpha=0.4, linewidth=1)
    marks = axes.scatter(rates, recalls, c=thetas, cmap="viridis", vmin=0, vmax=1, s=22, zorder=3)
    bar = canvas.colorbar(marks, ax=axes, fraction=0.045)
    bar.set_label("threshold", color=FAINT, fontsize=8)
    bar.ax.tick_params(labelsize=7, colors=FAINT)
    axes.scatter(*_point(chosen), marker="*", s=220, color=RED, label="rule in use", zorder=4, clip_on=False)
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlim=(-0.05, max(10.0, *rates) * 1.3), ylim=(-0.03, 1.05))
    axes.set(xlabel="false alarms per camera-hour", ylabel="events found within 10 s")
    _legend(axes)
    return _png(canvas)


def _point(report: StreamReport) -> tuple[float, float]:
    recall = report.recall[HEADLINE_S]
    assert report.false_alarms_per_hour is not None and recall is not None
    return report.false_alarms_per_hour, recall


def delays(delays_s: Sequence[float], *, median_s: float) -> bytes:
    """Histogram of the seconds from an event's start to its alarm."""
    canvas, axes = _axes(4.6, 4.2)
    axes.hist(delays_s, bins=np.arange(-1, HEADLINE_S + 0.5, 0.5).tolist(), color=BLUE, alpha=0.8)
    axes.axvline(median_s, color=RED, linewidth=1.5, label=f"median {median_s:.1f} s")
    axes.set(xlim=(-1.2, HEADLINE_S + 0.2), xlabel="seconds from start of the event to the alarm")
    axes.set_ylabel("events")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return _png(canvas)


def timelines(
    streams: Sequence[ScoredStream], report: StreamReport, *, theta_on: float, normal_index: int
) -> bytes:
    """Streams over time: score of the likeliest accident, the lowest threshold dashed.

    Events are shaded; alarms are lines, green where they found one, red where not.
    """
    canvas = Canvas(figsize=(9.6, 0.55 + 0.95 * len(streams)), layout="constrained")
    rows = canvas.subplots(len(streams), 1, squeeze=False)[:, 0]
    for axes, stream in zip(rows, streams, strict=True):
        _dress(axes, grid=False)
        accidents = np.delete(stream.probabilities_NC, normal_index, axis=1)
        axes.plot(stream.times_s, accidents.max(axis=1), color=BLUE, linewidth=1)
        axes.axhline(theta_on, color=FAINT, linewidth=0.7, linestyle="--")
        for start_s, end_s in _spans(stream.camera, report):
            axes.axvspan(start_s, end_s, color=AMBER, alpha=0.25, linewidth=0)
        for match in _of(stream.camera, report.matching.matches):
            axes.axvline(match.alarm.t_s, color=GREEN, linewidth=1.8)
        for alarm in report.matching.false_alarms:
            if alarm.camera == stream.camera:
                axes.axvline(alarm.t_s, color=RED, linewidth=1.8)
        axes.set(xlim=(0, max(stream.duration_s, 1.0)), ylim=(0, 1.05), yticks=[0, 1])
        # A name from outside may hold any script: what is not ASCII is escaped, not drawn as boxes.
        title = stream.camera.encode("ascii", "backslashreplace").decode().replace("$", r"\$")
        axes.set_title(title, loc="left", fontsize=8, color=INK, pad=3)
    rows[-1].set_xlabel("stream time in seconds")
    return _png(canvas)


def _spans(camera: str, report: StreamReport) -> list[tuple[float, float]]:
    truths = (*(match.truth for match in report.matching.matches), *report.matching.missed)
    return [(truth.start_s, truth.end_s) for truth in truths if truth.camera == camera]


def _of(camera: str, matches: Sequence[Match]) -> list[Match]:
    return [match for match in matches if match.alarm.camera == camera]


def _axes(width_in: float, height_in: float, *, grid: bool = True) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width_in, height_in), layout="constrained")
    axes = canvas.subplots()
    _dress(axes, grid=grid)
    return canvas, axes


def _dress(axes: Axes, *, grid: bool) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(colors=FAINT, labelsize=8)
    axes.xaxis.label.set(color=FAINT, fontsize=9)
    axes.yaxis.label.set(color=FAINT, fontsize=9)
    if grid:
        axes.grid(color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)


def _legend(axes: Axes) -> None:
    """Above the axes, where it covers no mark."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=8)


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    # No software name or date: the same figures make the same bytes.
    canvas.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
