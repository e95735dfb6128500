"""A contact sheet of simulated clips: for each kind one clip, six moments from left to right.

uv run --extra sim python examples/contact_sheet.py CLIPS sheet.jpg [--behavior no-accident] [--columns 2]
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from jikimi.video import read_frames

# Moments shown, in seconds from the start of the event, or from the middle of a normal clip.
MOMENTS_S = (-0.7, -0.1, 0.3, 0.7, 1.1, 1.6)
WIDTH_PX, HEIGHT_PX, CAPTION_PX = 200, 150, 16


def strip(root: Path, row: dict[str, str]) -> Image.Image:
    """Six moments of a clip side by side under its name."""
    frames = list(read_frames(root / row["path"], rate_hz=8.0, short_side_px=HEIGHT_PX))
    start_s = float(row["event_start_s"] or 1.5)
    moments = [min(len(frames) - 1, max(0, round((start_s + d) * 8))) for d in MOMENTS_S]
    sheet = Image.new("RGB", (WIDTH_PX * len(moments), HEIGHT_PX + CAPTION_PX), "white")
    for column, moment in enumerate(moments):
        picture = Image.fromarray(frames[moment].image_HWC).resize((WIDTH_PX, HEIGHT_PX))
        sheet.paste(picture, (column * WIDTH_PX, CAPTION_PX))
    ImageDraw.Draw(sheet).text(
        (4, 2), f"{row['behavior']}: {row['kind']} ({row['room']}, {row['camera']})", "black"
    )
    return sheet


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--behavior", action="append", help="only these behaviours")
    parser.add_argument("--columns", type=int, default=2)
    arguments = parser.parse_args()
    rows: dict[tuple[str, str], dict[str, str]] = {}
    with (arguments.clips / "annotations.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not arguments.behavior or row["behavior"] in arguments.behavior:
                # Of each kind one clip by day where there is one: sheets are for people.
                key = (row["behavior"], row["kind"])
                if key not in rows or (row["camera"] == "day" and rows[key]["camera"] != "day"):
                    rows[key] = row
    strips = [np.asarray(strip(arguments.clips, row)) for _, row in sorted(rows.items())]
    strips += [np.full_like(strips[0], 255)] * (-len(strips) % arguments.columns)
    lines = [
        np.concatenate(strips[i : i + arguments.columns], axis=1)
        for i in range(0, len(strips), arguments.columns)
    ]
    Image.fromarray(np.concatenate(lines)).save(arguments.out, quality=80)


if __name__ == "__main__":
    main()
