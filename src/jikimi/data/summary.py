"""What a prepare came to, for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from jikimi.behaviors import Behavior
from jikimi.clip import Split
from jikimi.data.manifest import Manifest, ManifestRow

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Share:
    """Clips, their groups and their frames of one behaviour in one split."""

    behavior: str
    split: Split
    clips: int
    groups: int
    frames: int


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """What was done. `unchanged`: everything was in place, and nothing was written.

    `prepared` clips were decoded now, `reused` ones earlier; `rejected` counts the lines of rejected.csv.
    """

    prepared: int
    reused: int
    rejected: int
    shares: tuple[Share, ...]
    group_sizes: tuple[tuple[str, Split, int], ...]
    remarks: tuple[str, ...]
    unchanged: bool

    def lines(self) -> list[str]:
        """The summary as lines to print."""
        head = f"{self.prepared} clips prepared, {self.reused} reused, {self.rejected} rejected"
        if self.unchanged:
            head = f"nothing to do: {self.reused} clips are prepared already, {self.rejected} rejected"
        lines = [head, "", f"{'behaviour':<14}" + "".join(f"{split:>22}" for split in _SPLITS)]
        for behavior in dict.fromkeys(share.behavior for share in self.shares):
            cells = [self._cell(behavior, split) for split in _SPLITS]
            lines.append(f"{behavior:<14}" + "".join(f"{cell:>22}" for cell in cells))
        lines += ["", *(self._groups_line(split) for split in _SPLITS), *self.remarks]
        return lines

    def _cell(self, behavior: str, split: Split) -> str:
        share = next(s for s in self.shares if (s.behavior, s.split) == (behavior, split))
        return f"{share.clips} in {share.groups} groups" if share.clips else "-"

    def _groups_line(self, split: Split, most: int = 12) -> str:
        sizes = [(name, size) for name, where, size in self.group_sizes if where == split]
        told = ", ".join(f"{name} ({size})" for name, size in sizes[:most])
        more = f" and {len(sizes) - most} smaller" if len(sizes) > most else ""
        return f"{split} groups: {len(sizes)}" + (f": {told}{more}" if sizes else "")


def summarise(
    manifest: Manifest,
    *,
    prepared: int,
    rejected: int,
    remarks: Sequence[str],
    unchanged: bool,
) -> PrepareSummary:
    """Count what a manifest holds."""
    absent = [b.key for b in manifest.behaviors if not any(row.behavior == b.key for row in manifest.rows)]
    if absent:
        remarks = [*remarks, f"no clips of {', '.join(absent)}"]
    return PrepareSummary(
        prepared=prepared,
        reused=len(manifest.rows) - prepared,
        rejected=rejected,
        shares=tuple(_share(manifest.rows, b, split) for b in manifest.behaviors for split in _SPLITS),
        group_sizes=tuple(_group_sizes(manifest.rows)),
        remarks=tuple(remarks),
        unchanged=unchanged,
    )


def _share(rows: Sequence[ManifestRow], behavior: Behavior, split: Split) -> Share:
    mine = [row for row in rows if (row.behavior, row.split) == (behavior.key, split)]
    groups = {row.group for row in mine}
    return Share(behavior.key, split, len(mine), len(groups), sum(row.n_frames for row in mine))


def _group_sizes(rows: Sequence[ManifestRow]) -> list[tuple[str, Split, int]]:
    sizes: dict[tuple[str, Split], int] = {}
    for row in rows:
        sizes[row.group, row.split] = sizes.get((row.group, row.split), 0) + 1
    ordered = sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0]))
    return [(group, where, size) for (group, where), size in ordered]
