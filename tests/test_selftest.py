"""The known clip: the same everywhere, answered as it was at export, and a model that is broken is told."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bundles import COLOURS, make_bundle
from jikimi import selftest
from jikimi.bundle import Bundle, Card, load_bundle
from jikimi.errors import InferenceError
from jikimi.frame import Floats


@dataclass
class Changed:
    """A bundle whose logits go through something."""

    bundle: Bundle
    card: Card
    factor: float = 1.0

    def encode(self, pictures_NCHW: Floats, /) -> Floats:
        return self.bundle.encode(pictures_NCHW)

    def classify(self, windows_NTD: Floats, /) -> Floats:
        return self.bundle.classify(windows_NTD) * np.float32(self.factor)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(make_bundle(tmp_path / "x.jikimi"), threads=1)


def test_known_clip_is_the_same_everywhere_and_moves() -> None:
    clip = selftest.known_clip(COLOURS, 8)
    assert [picture.shape for picture in clip] == [(32, 48, 3)] * 8
    assert clip[0].dtype == np.uint8 and int(clip[0].sum()) == 545_574 and int(clip[-1].sum()) == 542_001
    assert all((a != b).any() for a, b in pairwise(clip))


def test_model_that_answers_as_when_it_was_exported_passes(bundle: Bundle) -> None:
    known = selftest.answer(bundle)
    card = bundle.card.model_copy(update={"known_answer": tuple(map(float, known))})
    selftest.check(Changed(bundle, card))
    selftest.check(Changed(bundle, bundle.card), expected=known)
    selftest.check(Changed(bundle, bundle.card))  # an older bundle, asked for the first time


@pytest.mark.parametrize("factor", [0.0, 0.8, -1.0, float("nan")])
def test_model_that_answers_otherwise_is_told(bundle: Bundle, factor: float) -> None:
    card = bundle.card.model_copy(update={"known_answer": tuple(map(float, selftest.answer(bundle)))})
    with pytest.raises(InferenceError, match=r"'colours': the self-test is off by .*restart"):
        selftest.check(Changed(bundle, card, factor))


def test_model_that_fails_is_told(bundle: Bundle) -> None:
    card = bundle.card.model_copy(update={"window": bundle.card.window + 1})
    with pytest.raises(InferenceError, match="the self-test failed"):
        selftest.check(Changed(bundle, card))
