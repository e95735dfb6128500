"""What channels-last layout gains an encoder on this machine, in torch.

uv run --all-extras python benchmarks/layout.py
"""

import time
from collections.abc import Callable

import torch

from figures import Report, arguments, interleave, median, spread
from jikimi.train.model import create_encoder, to_device

BACKBONES = {"resnet101": (224, 224), "mobilenetv4_conv_small": (160, 288)}


def encode_s(encoder: torch.nn.Module, pictures: torch.Tensor) -> float:
    """Seconds of one batch."""
    started = time.perf_counter()
    with torch.inference_mode():
        encoder(pictures)
    if pictures.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def sides_of(backbone: str, *, batch: int, device: torch.device) -> dict[str, Callable[[], float]]:
    """The encoder in both layouts."""
    plain = create_encoder(backbone).eval().to(device)
    last = to_device(create_encoder(backbone).eval(), device)
    pictures = torch.rand(batch, 3, *BACKBONES[backbone], device=device)
    pictures_last = pictures.to(memory_format=torch.channels_last)
    return {
        "contiguous": lambda: encode_s(plain, pictures),
        "channels-last": lambda: encode_s(last, pictures_last),
    }


def main() -> None:
    parser = arguments(__doc__ or "", rounds=7)
    parser.add_argument("--batch", type=int, default=16, help="pictures at once: a window")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    what = f"encoders in torch on {options.device}, both layouts"
    report = Report("layout", what, {"batch": options.batch, "rounds": options.rounds})
    for backbone in BACKBONES:
        sides = sides_of(backbone, batch=options.batch, device=torch.device(options.device))
        for run in sides.values():
            run()  # untimed: what the libraries set up at first use
        found = interleave(sides, rounds=options.rounds)
        seconds = {side: median(times) for side, times in found.items()}
        for side, value in seconds.items():
            report.add(f"{backbone}, {side}", options.batch / value, "pictures/s")
            report.notes.append(f"{backbone}, {side}: {spread(found[side])} s a batch")
        report.add(f"{backbone}: faster by", seconds["contiguous"] / seconds["channels-last"], "×")
        report.raw[backbone] = found
    report.publish(options.json)


if __name__ == "__main__":
    main()
