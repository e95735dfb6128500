"""The bundle: one file that holds a trained model and all that is needed to run it.

A zip with `encoder.onnx` (pictures → features), `head.onnx` (a window of features → logits) and `card.json`
(behaviours, preprocessing, rate, window, thresholds, training summary, metrics, hashes).
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jikimi import behaviors as behaviors_
from jikimi.behaviors import Behavior
from jikimi.errors import BundleError, SettingsError
from jikimi.frame import Floats
from jikimi.incident import Rule
from jikimi.preprocess import Preprocess

ENCODER, HEAD, CARD = "encoder.onnx", "head.onnx", "card.json"
FORMAT = 1

# No member of an honest bundle is near this size (ResNet-101 in float32 is 170 MB): stops zip bombs.
MAX_MEMBER_BYTES = 1 << 30


class Scorer(Protocol):
    """What scores windows: a bundle through ONNX Runtime, or a checkpoint through torch."""

    @property
    def card(self) -> "Card": ...

    def encode(self, pictures_NCHW: Floats) -> Floats:
        """Preprocessed pictures, float32 (N, depth, H, W) → features, float32 (N, D)."""
        ...

    def classify(self, windows_NTD: Floats) -> Floats:
        """Windows of features, float32 (N, T, D) → uncalibrated logits, float32 (N, C)."""
        ...


class Card(BaseModel):
    """`card.json`: what the model is, how to feed it and how to read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: str
    behaviors: tuple[Behavior, ...]
    preprocess: Preprocess
    short_side_px: int = Field(gt=0)
    rate_hz: float = Field(gt=0)
    window: int = Field(gt=0)
    warm_up: int = Field(gt=0)
    sampling: Literal["timed", "even"]
    feature_dim: int = Field(gt=0)
    temperature: float = Field(gt=0)
    rule: Rule
    precision: Literal["float32", "int8"] = "float32"
    training: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    # What the model answered to `selftest.known_clip` when it was exported; empty in older bundles.
    known_answer: tuple[float, ...] = ()
    hashes: dict[str, str] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """Behaviour keys in the order of the logits."""
        return behaviors_.keys(self.behaviors)

    @property
    def normal_index(self) -> int:
        """Position of the normal behaviour."""
        return behaviors_.normal_index(self.behaviors)

    def probabilities(self, logits_NC: Floats) -> Floats:
        """Calibrated probabilities, float32 (N, C): softmax of logits over the card's temperature.

        Raises:
            BundleError: the model answered with something that is not a number.
        """
        if not np.isfinite(logits_NC).all():
            raise BundleError(f"model {self.name!r} answered with NaN or infinity; export it again")
        scaled = logits_NC / np.float32(self.temperature)
        exp = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(exp / exp.sum(axis=1, keepdims=True), dtype=np.float32)


class Bundle:
    """A loaded bundle: its card and two ONNX Runtime sessions."""

    def __init__(
        self,
        card: Card,
        encoder: bytes,
        head: bytes,
        *,
        threads: int = 0,
        providers: Sequence[str] | None = None,
    ) -> None:
        self.card = card
        self._encoder = _session(encoder, ENCODER, threads=threads, providers=providers)
        self._head = _session(head, HEAD, threads=threads, providers=providers)

    def encode(self, pictures_NCHW: Floats) -> Floats:
        """Preprocessed pictures, float32 (N, depth, H, W) → features, float32 (N, D)."""
        return _run(self._encoder, pictures_NCHW)

    def classify(self, windows_NTD: Floats) -> Floats:
        """Windows of features, float32 (N, T, D) → uncalibrated logits, float32 (N, C)."""
        return _run(self._head, windows_NTD)


def _session(
    model: bytes, member: str, *, threads: int, providers: Sequence[str] | None
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # 0: as many as there are cores
    options.log_severity_level = 3
    # Spinning threads eat the cores that decoding needs (docs/benchmarks.md, "watch").
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        chosen = list(providers) if providers is not None else ort.get_available_providers()
        return ort.InferenceSession(model, options, providers=chosen)
    except Exception as error:  # ONNX Runtime raises its own bare kinds
        raise BundleError(f"{member} cannot be run by ONNX Runtime: {_one_line(error)}") from error


def _run(session: ort.InferenceSession, batch: Floats) -> Floats:
    (output,) = session.run(None, {session.get_inputs()[0].name: batch})
    return np.asarray(output, dtype=np.float32)


def load_bundle(path: Path | str, *, threads: int = 0, providers: Sequence[str] | None = None) -> Bundle:
    """Open a bundle and check that it is whole. `threads` 0 lets ONNX Runtime use every core.

    `providers` are ONNX Runtime's, by default all that this machine has.

    Raises:
        BundleError: not a bundle, damaged, from another format, or its parts do not fit together.
    """
    path = Path(path)
    members = _read_members(path)
    card = _parse_card(members[CARD], where=path)
    for member in (ENCODER, HEAD):
        found = hashlib.sha256(members[member]).hexdigest()
        if card.hashes.get(member) != found:
            raise BundleError(
                f"bundle {path}: {member} does not match the hash in its card; copy or export it again"
            )
    bundle = Bundle(card, members[ENCODER], members[HEAD], threads=threads, providers=providers)
    _check_fit(bundle, where=path)
    return bundle


def read_card(path: Path) -> Card:
    """Read only the card of a bundle. Raises BundleError as `load_bundle` does."""
    return _parse_card(_read_members(path, (CARD,))[CARD], where=path)


def _read_members(path: Path, wanted: Sequence[str] = (CARD, ENCODER, HEAD)) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            missing = [name for name in (CARD, ENCODER, HEAD) if name not in names]
            if missing:
                raise BundleError(f"bundle {path}: {missing[0]} is missing; this is no Jikimi bundle")
            for name in (CARD, ENCODER, HEAD):
                if archive.getinfo(name).file_size > MAX_MEMBER_BYTES:
                    raise BundleError(f"bundle {path}: {name} is over {MAX_MEMBER_BYTES >> 20} MiB")
            return {name: archive.read(name) for name in wanted}
    except OSError as error:
        raise BundleError(f"bundle {path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise BundleError(f"bundle {path}: not a Jikimi bundle, or damaged ({error})") from error
    except RuntimeError as error:  # zipfile's word for an encrypted member
        raise BundleError(f"bundle {path}: {error}") from error


def _parse_card(text: bytes, *, where: Path) -> Card:
    try:
        raw = json.loads(text)
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            raise BundleError(
                f"bundle {where}: format {raw.get('format')!r}, this Jikimi reads {FORMAT}; "
                "export it again with this version"
            )
        card = Card.model_validate_json(text)
        behaviors_.check(card.behaviors, where=f"bundle {where}")
    except (ValidationError, json.JSONDecodeError, UnicodeDecodeError, SettingsError) as error:
        raise BundleError(f"bundle {where}: card.json: {_one_line(error)}") from error
    return card


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return " ".join(str(error).split())  # ONNX Runtime writes paragraphs


def _check_fit(bundle: Bundle, *, where: Path) -> None:
    card = bundle.card
    size = card.preprocess
    picture = np.zeros((1, size.depth, size.height_px, size.width_px), np.float32)
    window = np.zeros((1, card.window, card.feature_dim), np.float32)
    expected = {ENCODER: (1, card.feature_dim), HEAD: (1, len(card.behaviors))}
    runs = {ENCODER: (bundle.encode, picture), HEAD: (bundle.classify, window)}
    for member, (run, batch) in runs.items():
        try:
            shape = run(batch).shape
        except Exception as error:  # ONNX Runtime raises its own bare kinds
            raise BundleError(f"bundle {where}: {member} does not run: {_one_line(error)}") from error
        if shape != expected[member]:
            raise BundleError(
                f"bundle {where}: {member} answers {shape}, the card promises {expected[member]}"
            )


def save_bundle(path: Path, card: Card, *, encoder: bytes, head: bytes) -> Card:
    """Write a bundle under a temporary name, then rename it. Returns the card with its hashes."""
    parts = {ENCODER: encoder, HEAD: head}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    card = card.model_copy(update={"hashes": hashes})
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            # A fixed date: the same model makes the same bytes.
            for name, data in {CARD: _card_json(card).encode(), **parts}.items():
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                archive.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return card


def _card_json(card: Card) -> str:
    return json.dumps(card.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"


def default_rule(behaviors: Sequence[Behavior], *, theta_on: float = 0.5) -> Rule:
    """The rule of a model that was not calibrated: one threshold for every accident."""
    return Rule(theta_on={b.key: theta_on for b in behaviors if not b.is_normal})
