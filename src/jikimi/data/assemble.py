"""What was extracted → manifest rows: events fitted into clips, scenes kept together, sides chosen. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jikimi.clip import EventSpan
from jikimi.data import scenes
from jikimi.data.extract import Extracted
from jikimi.data.fingerprint import Hashed
from jikimi.data.manifest import ManifestRow
from jikimi.data.source import Ingested, plain
from jikimi.data.split import Item, Side, split
from jikimi.errors import DataError

# People note times in whole seconds: an event may end this much after the clip does, and is cut there.
EVENT_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A clip whose frames are in place."""

    hashed: Hashed
    extracted: Extracted


def rows_of(ready: Sequence[Ready], found: Ingested, *, rate_hz: float) -> list[ManifestRow]:
    """Rows without a side yet, joined into scenes; an event that cannot be in its clip gets that rejected."""
    rows, backgrounds = [], []
    for one in ready:
        clip = one.hashed.clip
        try:
            event, note = within(clip.event, one.extracted.duration_s)
        except DataError as error:
            found.reject(clip.source, clip.behavior, str(error))
            continue
        rows.append(_row(one, event, note, layout=found.layout, rate_hz=rate_hz))
        backgrounds.append(one.extracted.background)
    groups = scenes.join_same_scene([row.group for row in rows], backgrounds)
    joined = len({row.group for row in rows}) - len(set(groups))
    if joined:
        found.remarks.append(f"{joined} groups joined with others whose background looks the same")
    return [replace(row, group=group) for row, group in zip(rows, groups, strict=True)]


def _row(one: Ready, event: EventSpan | None, note: str, *, layout: str, rate_hz: float) -> ManifestRow:
    clip, extracted = one.hashed.clip, one.extracted
    return ManifestRow(
        clip_id=one.hashed.clip_id,
        behavior=clip.behavior,
        split="test" if clip.evaluation_only else "train",
        group=clip.group,
        source=str(clip.source),
        n_frames=extracted.n_frames,
        rate_hz=rate_hz,
        duration_s=extracted.duration_s,
        event_start_s=event.start_s if event else None,
        event_end_s=event.end_s if event else None,
        modality=clip.modality,
        layout=layout,
        width_px=extracted.width_px,
        height_px=extracted.height_px,
        source_fps=extracted.fps,
        key=one.hashed.key,
        notes=plain("; ".join(filter(None, (clip.notes, *extracted.notes, note)))),
        extra=clip.extra,
    )


def with_sides(
    rows: Sequence[ManifestRow],
    found: Ingested,
    *,
    val_ratio: float,
    seed: int,
    like: Sequence[ManifestRow] = (),
) -> list[ManifestRow]:
    """Choose training or validation for every row that is not for evaluation only.

    Groups with clips of the sources in `like` keep the side they have there, and new ones are trained on:
    validation stays what it was. A group of which any clip was trained on is trained on.

    Raises:
        DataError: as `split.split` does, or `like` leaves nothing to validate on.
    """
    trainable = [Item(row.behavior, row.group) for row in rows if row.split != "test"]
    sides = _sides_of(rows, like) if like else split(trainable, val_ratio=val_ratio, seed=seed)
    seen = sum(row.split == "test" and row.group in sides for row in rows)
    if seen:
        found.remarks.append(f"{seen} test clips show a scene that is also trained or validated on")
    return [row if row.split == "test" else replace(row, split=sides[row.group]) for row in rows]


def _sides_of(rows: Sequence[ManifestRow], like: Sequence[ManifestRow]) -> dict[str, Side]:
    known = {row.source: row.split for row in like}
    validated = {row.group for row in rows if known.get(row.source) == "val"}
    trained = {row.group for row in rows if known.get(row.source) == "train"}
    sides: dict[str, Side] = {
        row.group: "val" if row.group in validated - trained else "train"
        for row in rows
        if row.split != "test"
    }
    if "val" not in sides.values():
        raise DataError("none of its validation clips are among these; give the sources it was made of too")
    return sides


def fits(event: EventSpan | None, duration_s: float) -> bool:
    """Whether an event can be in a clip of this duration."""
    return event is None or (event.start_s < duration_s and event.end_s <= duration_s + EVENT_SLACK_S)


def within(event: EventSpan | None, duration_s: float) -> tuple[EventSpan | None, str]:
    """Fit an event into its clip, with a note where it had to be cut.

    Raises:
        DataError: it begins after the clip's end, or ends more than EVENT_SLACK_S after it.
    """
    if event is None or event.end_s <= duration_s:
        return event, ""
    if not fits(event, duration_s):
        raise DataError(
            f"event {event.start_s:g}-{event.end_s:g} s lies beyond the clip's end at {duration_s:.2f} s"
        )
    return EventSpan(event.start_s, duration_s), f"event end {event.end_s:g} s cut to the clip's end"
