"""Which device, which process: what the machine and the launcher say."""

import os
from typing import Literal

import torch

from jikimi.errors import TrainError

Device = Literal["auto", "cpu", "cuda", "mps"]


def is_main_process() -> bool:
    """Whether this process is the one that writes; under torchrun there are several."""
    return int(os.environ.get("RANK", "0")) == 0


def torch_device(device: Device) -> torch.device:
    """The device a name stands for on this machine, in this process."""
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if device == "mps" or (device == "auto" and torch.backends.mps.is_available()):
        return torch.device("mps")
    return torch.device("cpu")


def check_device(device: Device) -> None:
    """Refuse a device that this machine lacks. Raises TrainError."""
    missing = (device == "cuda" and not torch.cuda.is_available()) or (
        device == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise TrainError(f"--device {device}: this machine has none that torch can use; use --device auto")


def wait_for_all(world: int, device: Device) -> None:
    """Let every process of a run come as far as this."""
    if world == 1:
        return
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch_device(device).type == "cuda" else "gloo")
    torch.distributed.barrier()
