"""Encoder weights by name, by file, or none."""

import hashlib
import logging
import pickle
import socket
import struct
import threading
import urllib.request
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from timm.models.mobilenetv3 import MobileNetV3
from torch import Tensor, nn

from jikimi.errors import WeightsError

log = logging.getLogger(__name__)

State = dict[str, Tensor]

# Seconds to wait for the weights' host before saying that it cannot be reached: the hub's own client
# tries for 47 s (measured) before it gives up.
PROBE_S = 5.0

_WRAPPERS = ("state_dict", "model", "state_dict_ema", "model_ema")
_PREFIXES = ("module.", "model.", "encoder.", "backbone.")

# What torch's reader says of a file that it did not write: a text is read as a pickle's instructions.
DAMAGE = (
    RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError, struct.error, MemoryError,
)  # fmt: skip

# Torchvision builds MobileNetV3 with this BatchNorm epsilon, timm with its own.
_TORCHVISION_MOBILENET_EPS = 1e-3

# Classifiers of ImageNet models, which an encoder leaves out.
_CLASSIFIERS = ("fc.", "classifier.", "head.fc.", "head.")


def load_weights(encoder: nn.Module, backbone: str, weights: str) -> None:
    """Give an encoder its weights: `imagenet` (timm's download), `none`, or the path of a file.

    Raises:
        WeightsError: the download is impossible, or the file cannot be read or does not fit.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        encoder.load_state_dict(_download(backbone))
        return
    state = read_state(Path(weights))
    encoder.load_state_dict(fit_state(state, encoder, where=weights))


def _download(backbone: str) -> State:
    ways_out = (
        "give a file with --weights PATH (torchvision's and timm's layouts both load) "
        "or start from random weights with --weights none"
    )
    try:
        config = timm.get_pretrained_cfg(backbone)
        if config is None or not config.has_weights:
            raise WeightsError(f"timm has no ImageNet weights for {backbone!r}; {ways_out}")
        if config.hf_hub_id and not _cached(config.hf_hub_id):
            _probe_hub()
        model: nn.Module = timm.create_model(backbone, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        reason = first_line(error)
        raise WeightsError(
            f"ImageNet weights of {backbone!r} cannot be downloaded ({reason}); {ways_out}"
        ) from error
    return model.state_dict()


def _cached(hub_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(hub_id, name), str) for name in names)


def _probe_hub() -> None:
    """Fail fast where the hub, or the proxy before it, cannot be reached."""
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    _connect(address.hostname or "", address.port or (443 if address.scheme == "https" else 80))


def _connect(host: str, port: int) -> None:
    # Looking a name up knows no time limit of its own: a thread is waited for and no longer.
    failure: list[OSError] = [TimeoutError(f"{host} does not answer within {PROBE_S:g} s")]

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=PROBE_S).close()
        except OSError as error:
            failure[0] = error
        else:
            failure.clear()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PROBE_S + 1)
    if failure:
        raise failure[0]


def read_state(path: Path) -> State:
    """Read a file of weights, safetensors or torch, wrapped or bare.

    Raises:
        WeightsError: the file cannot be read, or is no file of weights.
    """
    try:
        if path.suffix == ".safetensors":
            loaded: object = safetensors.torch.load_file(path)
        else:
            loaded = load_torch(path)
    except OSError as error:
        raise WeightsError(f"weights {path}: {error.strerror or error}") from error
    except (SafetensorError, *DAMAGE) as error:
        raise WeightsError(f"weights {path}: no file of weights ({first_line(error)})") from error
    while isinstance(loaded, dict) and (inner := next((k for k in _WRAPPERS if k in loaded), None)):
        loaded = loaded[inner]
    if not isinstance(loaded, dict) or not loaded:
        raise WeightsError(f"weights {path}: holds no weights")
    if not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"weights {path}: holds something else than weights")
    return {str(key): value for key, value in loaded.items()}


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def load_torch(path: Path) -> Any:
    """What a torch file holds, without running any code in it. Raises OSError or one of `DAMAGE`."""
    with warnings.catch_warnings():
        # What the file is not is said by an exception; a warning before it tells a user nothing.
        warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
        return torch.load(path, map_location="cpu", weights_only=True)


def fit_state(state: State, encoder: nn.Module, *, where: str) -> State:
    """Bring weights into the encoder's layout.

    Keys that match count first, whatever prefix a wrapper put before them. Torchvision's names of the same
    network differ from timm's but list the same tensors in the same order: they are matched by order when
    every size agrees.

    Raises:
        WeightsError: naming what is missing, extra or of another shape.
    """
    wanted = encoder.state_dict()
    candidates = [_strip(state, prefix) for prefix in ("", *_PREFIXES, "model.encoder.")]
    best = max(candidates, key=lambda candidate: len(candidate.keys() & wanted.keys()))
    by_name = {key: value for key, value in best.items() if key in wanted}
    problem = _mismatch(by_name, best, wanted)
    if problem is None:
        return by_name
    if not by_name.keys() & {key for key in wanted if key.endswith("weight")}:
        by_order = _match_by_order(state, wanted)
        if by_order is not None:
            return _own_epsilon(by_order, encoder)
    raise WeightsError(f"weights {where} do not fit {type(encoder).__name__}: {problem}")


def _strip(state: State, prefix: str) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _mismatch(found: State, candidate: State, wanted: State) -> str | None:
    # num_batches_tracked is a counter of training steps that old files lack; inference never reads it.
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    if missing:
        return f"{len(missing)} of {len(wanted)} tensors are missing, first {missing[0]!r}"
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            return f"{key!r} is {tuple(value.shape)}, expected {tuple(wanted[key].shape)}"
    extra = [key for key in candidate if key not in wanted and not key.startswith(_CLASSIFIERS)]
    if extra:
        return f"{len(extra)} tensors are of another network, first {extra[0]!r}"
    for key, value in wanted.items():
        if key not in found:
            found[key] = value
    return None


def _match_by_order(state: State, wanted: State) -> State | None:
    """Match by position where kinds and sizes agree; a linear layer may have become a 1×1 convolution."""
    pairs = list(zip(state.items(), wanted.items(), strict=False))
    if len(state) < len(wanted):
        return None
    for (name, value), (key, target) in pairs:
        if name.rsplit(".", 1)[-1] != key.rsplit(".", 1)[-1] or value.numel() != target.numel():
            return None
    return {key: value.reshape(target.shape) for (_, value), (key, target) in pairs}


def _own_epsilon(state: State, encoder: nn.Module) -> State:
    """Torchvision's weights of a MobileNetV3 for timm's smaller BatchNorm epsilon.

    What normalises is variance + epsilon: the difference moves into the variance, so that features are equal.
    """
    if not isinstance(encoder, MobileNetV3):
        return state
    moved = dict(state)
    for name, module in encoder.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            key = f"{name}.running_var"
            moved[key] = state[key] + (_TORCHVISION_MOBILENET_EPS - module.eps)
    return moved


def digest(module: nn.Module) -> str:
    """SHA-256 over a module's parameters and buffers, whatever device they lie on."""
    hash_ = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        hash_.update(key.encode())
        hash_.update(value.detach().cpu().contiguous().numpy().tobytes())
    return hash_.hexdigest()
