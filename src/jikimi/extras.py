"""Extras: what a plain install leaves out, and how to say that it is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from jikimi.errors import MissingExtraError

# Modules that only an extra brings: when one is missing, the extra is.
_TRAIN = (
    "torch torchvision timm lightning polars onnx onnxscript sklearn matplotlib jinja2 tensorboard "
    "safetensors"
)
_MODULES = {"train": frozenset(_TRAIN.split()), "sim": frozenset({"mujoco"})}


@contextmanager
def needs(extra: Literal["train", "sim"], command: str) -> Iterator[None]:
    """Import in here what `extra` brings.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _MODULES[extra]:
            raise
        raise MissingExtraError(
            f"jikimi {command} needs the extra {extra!r}; install it with: uv sync --extra {extra}"
        ) from error
