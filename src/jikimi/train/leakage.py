"""The leakage alarm: the same cheap probe, split by group and split at random.

Where clips of one scene or person are on both sides of a random split, a probe scores by recognising the
scene. The gap to the split by group is what such a score would be worth elsewhere: nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jikimi import sampling
from jikimi.bundle import Scorer
from jikimi.data.manifest import Manifest, ManifestRow
from jikimi.frame import Floats
from jikimi.metrics import RESAMPLES, TAIL, Doubles, Figure, Labels
from jikimi.train.dataset import read_inputs

FOLDS = 5

# Enough for a gap to show; a set of 20,000 clips would otherwise take longer than the evaluation.
MAX_CLIPS = 1000
FRAMES_PER_CLIP = 8

# A gap above this rings, when its interval leaves out 0: smaller ones move no decision.
LARGE_GAP = 0.10

NOT_MEASURED = Figure(None)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ProbeScore:
    """Accuracy and macro-F1 of the probe over all held-out folds."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Leakage:
    """Probe by group and at random, or the reason in `why_not`. `notes` qualify the figures.

    `gap` is accuracy at random less accuracy by group, with a 95 % bootstrap interval over groups.
    """

    clips: int
    groups: int
    folds: int
    by_group: ProbeScore | None = None
    at_random: ProbeScore | None = None
    gap: Figure = NOT_MEASURED
    notes: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def large(self) -> bool:
        """Whether scene or person is surely recognised instead of behaviour."""
        return self._rings and (self.gap.low or 0.0) > 0

    @property
    def verdict(self) -> str:
        """The alarm in a word or two."""
        if self.gap.value is None:
            return "not measured"
        if self.large:
            return "large gap"
        return "too few groups to tell" if self._rings else "quiet"

    @property
    def _rings(self) -> bool:
        return self.gap.value is not None and self.gap.value > LARGE_GAP

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "verdict": self.verdict}


def measure_leakage(
    scorer: Scorer, manifest: Manifest, *, seed: int = 42, progress: Progress | None = None
) -> Leakage:
    """Probe the training and validation clips with the model's own encoder.

    Raises:
        DataError: a frame is missing or damaged.
    """
    rows = [row for row in manifest.rows if row.split != "test"]
    notes = []
    if len(rows) > MAX_CLIPS:
        notes.append(f"measured on {MAX_CLIPS} of {len(rows)} clips, drawn at random")
        chosen = np.random.default_rng(seed).permutation(len(rows))[:MAX_CLIPS]
        rows = [rows[i] for i in sorted(chosen)]
    reason = probe_obstacle([row.behavior for row in rows], [row.group for row in rows])
    if reason:
        groups = len({row.group for row in rows})
        return Leakage(len(rows), groups, folds=0, notes=tuple(notes), why_not=reason)
    features = []
    for done, row in enumerate(rows, start=1):
        features.append(_mean_features(scorer, manifest, row))
        if progress:
            progress(done, len(rows))
    return probe(
        np.stack(features),
        [row.behavior for row in rows],
        [row.group for row in rows],
        seed=seed,
        notes=notes,
    )


def _mean_features(scorer: Scorer, manifest: Manifest, row: ManifestRow) -> Floats:
    """Mean encoder feature of frames evenly over the clip, float32 (D,)."""
    indices = np.unique(sampling.evenly(row.n_frames, FRAMES_PER_CLIP))
    pictures = read_inputs(scorer.card.preprocess, manifest, row, indices)
    mean: Floats = scorer.encode(pictures).mean(axis=0)
    return mean


def probe_obstacle(behaviors: Sequence[str], groups: Sequence[str]) -> str:
    """Why the two splits cannot be compared, in a sentence; empty when they can."""
    if len(set(groups)) < 2:
        return "all clips are of one group: there is no other to hold out"
    if len(_probed(behaviors)) < 2:
        return "fewer than two behaviours have two clips each"
    kept = [g for b, g in zip(behaviors, groups, strict=True) if b in _probed(behaviors)]
    if len(set(kept)) < 2:
        return "the behaviours with two clips or more are all of one group"
    return ""


def _probed(behaviors: Sequence[str]) -> set[str]:
    """Behaviours with two clips or more: with one, there is none to learn from when it is held out."""
    return {key for key in behaviors if behaviors.count(key) > 1}


def probe(
    features_ND: Floats,
    behaviors: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int = 42,
    notes: Sequence[str] = (),
) -> Leakage:
    """Cross-validate a logistic regression on clip features (N, D), by group and at random.

    Raises:
        ValueError: the splits cannot be compared; `probe_obstacle` says why.
    """
    reason = probe_obstacle(behaviors, groups)
    if reason:
        raise ValueError(reason)
    probed = _probed(behaviors)
    rows = np.array([i for i, key in enumerate(behaviors) if key in probed])
    _, labels = np.unique([behaviors[i] for i in rows], return_inverse=True)
    _, places = np.unique([groups[i] for i in rows], return_inverse=True)
    folds = int(min(FOLDS, np.bincount(labels).min(), places.max() + 1))
    by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    at_random = StratifiedKFold(folds, shuffle=True, random_state=seed)
    features = features_ND[rows]
    kept = _held_out(features, labels, by_group.split(features, labels, places))
    mixed = _held_out(features, labels, at_random.split(features, labels))
    return Leakage(
        clips=len(rows),
        groups=int(places.max()) + 1,
        folds=folds,
        by_group=_score(labels, kept),
        at_random=_score(labels, mixed),
        gap=_gap((mixed == labels).astype(float) - (kept == labels), places, seed=seed),
        notes=(*notes, *_qualify(behaviors, groups, probed)),
    )


def _held_out(features_ND: Floats, labels_N: Labels, folds: Iterable[tuple[Labels, Labels]]) -> Labels:
    """What the probe says of each clip while it is held out, (N,)."""
    predicted = np.empty_like(labels_N)
    for train, held_out in folds:
        if len(held_out):  # with few groups a fold may stay empty
            predicted[held_out] = _predict(features_ND[train], labels_N[train], features_ND[held_out])
    return predicted


def _score(labels_N: Labels, predicted_N: Labels) -> ProbeScore:
    return ProbeScore(
        accuracy=float(accuracy_score(labels_N, predicted_N)),
        macro_f1=float(f1_score(labels_N, predicted_N, average="macro", zero_division=0)),
    )


def _gap(differences_N: Doubles, places_N: Labels, *, seed: int) -> Figure:
    """Mean of the differences a clip, with its interval over groups."""
    sums = np.bincount(places_N, weights=differences_N)
    sizes = np.bincount(places_N)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, [TAIL, 100 - TAIL])
    return Figure(float(differences_N.mean()), float(low), float(high))


def _predict(train_ND: Floats, labels_N: Labels, held_out_MD: Floats) -> Labels:
    if (
        len(np.unique(labels_N)) == 1
    ):  # holding out a group may take all clips of the other behaviours with it
        return np.full(len(held_out_MD), labels_N[0])
    # Standardised features and this much regularisation converge in well under 200 steps.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    guess: Labels = model.fit(train_ND, labels_N).predict(held_out_MD)
    return guess


def _qualify(behaviors: Sequence[str], groups: Sequence[str], probed: set[str]) -> list[str]:
    notes = []
    rare = sorted(set(behaviors) - probed)
    if rare:
        notes.append(f"left out, with a single clip: {', '.join(rare)}")
    lonely = sorted(
        key for key in probed if len({g for b, g in zip(behaviors, groups, strict=True) if b == key}) == 1
    )
    if lonely:
        notes.append(f"in one group only, so never learned when it is held out: {', '.join(lonely)}")
    return notes
