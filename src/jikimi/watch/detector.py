"""Frames → scores: every picture is encoded once, and the head reads the features of the last window."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jikimi.bundle import Scorer
from jikimi.errors import InferenceError
from jikimi.frame import Floats, Frame, Image

log = logging.getLogger(__name__)

States = Mapping[str, "DetectorState"]

_NONE: Mapping[str, Sequence[float]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class DetectorState:
    """What the detector remembers of one camera: features of the last window, float32 (up to T, D).

    `seen` counts frames since the start or the last gap, `t_s` is the stream time of the last one, and
    `image_HWC` its picture: one that answers several ticks is not encoded again, unless what came before it
    counts too. `past_PHWC` are the fitted pictures that the next frame looks back at (`Preprocess.step`).
    """

    features_TD: Floats | None = None
    seen: int = 0
    t_s: float = -np.inf
    image_HWC: Image | None = None
    past_PHWC: Image | None = None

    def with_feature(
        self, feature_D: Floats, frame: Frame, *, window: int, past_PHWC: Image | None = None, times: int = 1
    ) -> "DetectorState":
        """Return the state after one more frame, which stands for `times` moments, read-only."""
        new_TD = np.repeat(feature_D[None], times, axis=0)
        features_TD = np.concatenate([new_TD] if self.features_TD is None else [self.features_TD, new_TD])[
            -window:
        ]
        features_TD.flags.writeable = False
        return DetectorState(features_TD, self.seen + times, frame.t_s, frame.image_HWC, past_PHWC)

    def window(self, length: int) -> Floats:
        """Return the last `length` features, float32 (T, D); before the first there is only itself.

        The same frames as `sampling.window_ending_at`, which training and evaluation use.
        """
        if self.features_TD is None:
            raise ValueError("no frame seen yet")
        missing = length - len(self.features_TD)
        return np.concatenate([np.repeat(self.features_TD[:1], missing, axis=0), self.features_TD])


class Detector:
    """A model at work on any number of cameras; what it remembers of each is handed in and out.

    Not safe for use by two threads at once with the same states; the model itself may be shared.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.card = scorer.card
        if self.card.sampling == "even":
            log.warning(
                "model %r was trained on frames spread over whole clips; a stream has no end, so the last %d "
                "frames are used: expect later and less certain alarms than from a model trained with "
                "--recipe edge",
                self.card.name,
                self.card.window,
            )

    def step(
        self, frames: Mapping[str, Frame], states: States, *, skipped: Mapping[str, Sequence[float]] = _NONE
    ) -> tuple[dict[str, Floats | None], dict[str, DetectorState]]:
        """Take the next frame of each camera → its calibrated scores, float32 (C,), and its new state.

        Scores are None until `warm_up` frames have been seen since the start or since a gap longer than the
        rule's `max_gap_s`: that is "not yet known" and not "normal". A camera without a state is new.
        `skipped` are moments (seconds) before a frame's own that have no picture: it stands for them too.

        Raises:
            InferenceError: the model failed or answered nonsense. No state has changed.
        """
        before = {
            name: self._before(min((frame.t_s, *skipped.get(name, ()))), states.get(name))
            for name, frame in frames.items()
        }
        looks = {
            name: self.card.preprocess.step(frame.image_HWC, before[name].past_PHWC)
            for name, frame in frames.items()
            if self.card.preprocess.history or before[name].image_HWC is not frame.image_HWC
        }
        features = self._encode({name: picture for name, (picture, _) in looks.items()})
        after = {
            name: before[name].with_feature(
                features[name] if name in features else _last(before[name]),
                frame,
                window=self.card.window,
                past_PHWC=looks[name][1] if name in looks else None,
                times=1 + len(skipped.get(name, ())),
            )
            for name, frame in frames.items()
        }
        scores: dict[str, Floats | None] = dict.fromkeys(frames)
        scores.update(self._classify({n: s for n, s in after.items() if s.seen >= self.card.warm_up}))
        return scores, after

    def _before(self, t_s: float, state: DetectorState | None) -> DetectorState:
        if state is None or not 0 <= t_s - state.t_s <= self.card.rule.max_gap_s:
            return DetectorState()  # what was seen before a gap says nothing about what is seen after it
        return state

    def _encode(self, pictures: Mapping[str, Floats]) -> dict[str, Floats]:
        """Features of each prepared picture, float32 (1, depth, H, W) → (D,), in one run of the encoder."""
        if not pictures:
            return {}
        try:
            features = self.scorer.encode(np.concatenate(list(pictures.values())))
            return dict(zip(pictures, features, strict=True))
        except Exception as error:
            raise self._failed("encoder", error) from error

    def _classify(self, states: States) -> dict[str, Floats]:
        """Calibrated scores of each camera's window, float32 (C,), in one run of the head."""
        if not states:
            return {}
        windows_NTD = np.stack([state.window(self.card.window) for state in states.values()])
        try:
            scores_NC = self.card.probabilities(self.scorer.classify(windows_NTD))
            return dict(zip(states, scores_NC, strict=True))
        except Exception as error:
            raise self._failed("head", error) from error

    def _failed(self, part: str, error: Exception) -> InferenceError:
        says = " ".join(str(error).split()) or type(error).__name__  # ONNX Runtime writes paragraphs
        return InferenceError(f"model {self.card.name!r}: the {part} failed: {says}")


def _last(state: DetectorState) -> Floats:
    if state.features_TD is None:
        raise ValueError("no frame seen yet")
    return np.asarray(state.features_TD[-1])
