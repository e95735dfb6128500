"""A clip that is made, not filmed, and a model's own answer to it: whether it still answers as it did.

A model that fails quietly says "nothing happens" of every camera. Its card holds what it answered when it was
exported; watching asks again when it starts and every hour.
"""

from typing import Protocol

import numpy as np

from jikimi.bundle import Card
from jikimi.errors import InferenceError
from jikimi.frame import Floats, Image
from jikimi.preprocess import Preprocess

# Providers and processors add in different orders (parity of export: 1e-5); INT8 rounds besides.
TOLERANCE = 0.05


class Answering(Protocol):
    """What can be asked: a bundle."""

    card: Card

    def encode(self, pictures_NCHW: Floats, /) -> Floats:
        """Features, float32 (N, D), of pictures (N, depth, H, W)."""
        ...

    def classify(self, windows_NTD: Floats, /) -> Floats:
        """Logits, float32 (N, C), of windows (N, T, D)."""
        ...


def known_clip(preprocess: Preprocess, frames: int) -> list[Image]:
    """Return `frames` pictures uint8 (H, W, 3): a bar that falls over before a grating, by integers alone."""
    height, width = preprocess.height_px, preprocess.width_px
    rows, columns = np.mgrid[0:height, 0:width]
    ground = (rows * 3 + columns * 5) % 97 + 60
    clip = []
    for t in range(frames):
        tall, wide = height * (frames - t) // (2 * frames) + 4, width * (t + 1) // (3 * frames) + 4
        picture = ground.copy()
        picture[height * 3 // 4 - tall : height * 3 // 4, width // 3 : width // 3 + wide] = 230
        clip.append(np.repeat(picture.astype(np.uint8)[:, :, None], 3, axis=2))
    return clip


def answer(model: Answering) -> Floats:
    """Return the model's logits of the known clip, float32 (C,)."""
    card = model.card
    pictures = card.preprocess(known_clip(card.preprocess, card.window))
    return np.asarray(model.classify(model.encode(pictures)[None])[0], dtype=np.float32)


def check(model: Answering, *, expected: Floats | None = None) -> None:
    """Ask the model about the known clip.

    `expected` stands in where the card, of an older export, holds no answer.

    Raises:
        InferenceError: it fails, or answers otherwise than when it was exported.
    """
    card = model.card
    known = np.asarray(card.known_answer, dtype=np.float32) if card.known_answer else expected
    try:
        found = answer(model)
    except Exception as error:  # ONNX Runtime raises its own bare kinds
        raise InferenceError(f"model {card.name!r}: the self-test failed: {error}") from error
    if known is None:
        return
    off = float(np.abs(found - known).max()) if found.shape == known.shape else float("inf")
    if not off <= TOLERANCE * max(1.0, float(np.abs(known).max())):  # also where it is not a number
        raise InferenceError(
            f"model {card.name!r}: the self-test is off by {off:.2g}; "
            "restart, then check memory and the model's file"
        )
