"""Small procedural pictures of factory surfaces, uint8 (H, W, 3), drawn from a generator."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Rgb: TypeAlias = tuple[float, float, float]
Paint: TypeAlias = npt.NDArray[np.float64]  # (H, W, 3), 0..1
Pixels: TypeAlias = npt.NDArray[np.uint8]  # (H, W, 3)

TILE_PX = 128
FACE_PX = 64


def to_pixels(paint_HWC: Paint) -> Pixels:
    """Round a picture in 0..1 to bytes."""
    return (np.clip(paint_HWC, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def cloud(rng: np.random.Generator, shape: tuple[int, int], cell_px: int) -> npt.NDArray[np.float64]:
    """Smooth noise in -1..1, (H, W), that tiles when the shape is a multiple of the cell."""
    high, wide = max(1, shape[0] // cell_px), max(1, shape[1] // cell_px)
    grid = rng.uniform(-1.0, 1.0, (high, wide))
    ys, xs = np.arange(shape[0]) / cell_px, np.arange(shape[1]) / cell_px
    y0, x0 = ys.astype(int), xs.astype(int)
    fy, fx = (ys - y0)[:, None], (xs - x0)[None, :]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    ya, yb, xa, xb = y0 % high, (y0 + 1) % high, x0 % wide, (x0 + 1) % wide
    top = grid[np.ix_(ya, xa)] * (1 - fx) + grid[np.ix_(ya, xb)] * fx
    low = grid[np.ix_(yb, xa)] * (1 - fx) + grid[np.ix_(yb, xb)] * fx
    return np.asarray(top * (1 - fy) + low * fy)


def dirt(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Three octaves of noise, (H, W), about -1..1."""
    coarse = cloud(rng, shape, 32) + 0.5 * cloud(rng, shape, 8)
    return np.asarray((coarse + 0.35 * rng.uniform(-1, 1, shape)) / 1.6)


def plain(rgb: Rgb, shape: tuple[int, int]) -> Paint:
    """One colour everywhere."""
    return np.broadcast_to(np.asarray(rgb, dtype=np.float64), (*shape, 3)).copy()


def concrete(rng: np.random.Generator, rgb: Rgb, size_px: int = TILE_PX) -> Paint:
    """Grey, cloudy, with darker blots."""
    shape = (size_px, size_px)
    blots = np.clip(cloud(rng, shape, 16) + 0.5 * cloud(rng, shape, 4) - 0.55, 0, 1)
    shade = 1.0 + 0.08 * dirt(rng, shape) - 0.25 * blots
    return plain(rgb, shape) * shade[..., None]


def worn_paint(rng: np.random.Generator, rgb: Rgb, size_px: int = FACE_PX) -> Paint:
    """Paint with scuffs near the lower edge and darker seams along the border."""
    shape = (size_px, size_px)
    shade = 1.0 + 0.06 * dirt(rng, shape)
    shade *= 1.0 - 0.18 * np.linspace(0, 1, size_px)[:, None] ** 3
    shade[[0, -1], :] *= 0.72
    shade[:, [0, -1]] *= 0.72
    paint = plain(rgb, shape) * shade[..., None]
    chipped = (cloud(rng, shape, 4) > 0.82) & (np.arange(size_px)[:, None] > size_px * 0.6)
    paint[chipped] = paint[chipped] * 0.4 + np.array([0.22, 0.17, 0.14]) * 0.6
    return paint


def steel(rng: np.random.Generator, size_px: int = FACE_PX) -> Paint:
    """Brushed metal."""
    shape = (size_px, size_px)
    shade = 0.58 + 0.07 * rng.uniform(-1, 1, (size_px, 1)) + 0.06 * dirt(rng, shape)
    return np.asarray(shade[..., None] * np.array([0.97, 1.0, 1.03]))


def rust(rng: np.random.Generator, size_px: int = FACE_PX) -> Paint:
    """Brown and orange blots on dark metal."""
    shape = (size_px, size_px)
    mix = np.clip(0.55 + 0.7 * dirt(rng, shape), 0, 1)[..., None]
    return np.asarray(mix * np.array([0.50, 0.27, 0.13]) + (1 - mix) * np.array([0.25, 0.22, 0.21]))


def planks(rng: np.random.Generator, rgb: Rgb, boards: int = 5, size_px: int = FACE_PX) -> Paint:
    """Boards lying along the picture's width with dark gaps."""
    shape = (size_px, size_px)
    grain = 0.06 * rng.uniform(-1, 1, (size_px, 1)) + 0.05 * cloud(rng, shape, 16)
    board = (np.arange(size_px) * boards // size_px)[:, None]
    shade = 1.0 + grain + 0.10 * rng.uniform(-1, 1, boards)[board[:, 0]][:, None]
    gap = np.diff(board[:, 0], prepend=-1) > 0
    shade[gap] *= 0.35
    return plain(rgb, shape) * shade[..., None]


def cardboard(rng: np.random.Generator, rgb: Rgb, size_px: int = FACE_PX) -> Paint:
    """A carton's side: tape across, a label, a stamp."""
    paint = plain(rgb, (size_px, size_px)) * (1.0 + 0.05 * dirt(rng, (size_px, size_px)))[..., None]
    tape = slice(size_px * 7 // 16, size_px * 9 // 16)
    paint[:, tape] = paint[:, tape] * 0.5 + 0.5 * np.array([0.80, 0.70, 0.50])
    x, y = int(rng.integers(2, size_px // 2)), int(rng.integers(size_px // 2, size_px * 3 // 4))
    paint[y : y + size_px // 6, x : x + size_px // 4] = 0.92
    paint[y + 3 : y + size_px // 6 - 2 : 2, x + 2 : x + size_px // 4 - 2] = 0.25
    paint[[0, -1], :] *= 0.6
    paint[:, [0, -1]] *= 0.6
    return paint


def cartons(rng: np.random.Generator, across: int = 3, up: int = 3, size_px: int = TILE_PX) -> Paint:
    """A stack of cartons seen from one side."""
    paint = np.zeros((size_px, size_px, 3))
    rows = np.linspace(0, size_px, up + 1).astype(int)
    for row in range(up):
        columns = np.linspace(0, size_px, across + 1 - row % 2 * int(across > 2)).astype(int)
        for left, right in pairwise(columns):
            shade = rng.uniform(0.75, 1.1)
            rgb = (0.68 * shade, 0.51 * shade, 0.34 * shade * rng.uniform(0.9, 1.2))
            face = cardboard(rng, rgb, FACE_PX // 2)
            high, wide = rows[row + 1] - rows[row], right - left
            ys, xs = np.arange(high) * len(face) // high, np.arange(wide) * len(face) // wide
            paint[rows[row] : rows[row + 1], left:right] = face[np.ix_(ys, xs)]
    return paint


def stripes(first: Rgb, second: Rgb, bands: int = 4, size_px: int = FACE_PX) -> Paint:
    """Diagonal hazard stripes."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    on = ((x + y) * bands // size_px % 2 == 0)[..., None]
    return np.where(on, np.asarray(first), np.asarray(second))


def checker_plate(rng: np.random.Generator, size_px: int = TILE_PX) -> Paint:
    """Tread plate: short raised bars in two directions."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    cell = 8
    odd = (x // cell + y // cell) % 2 == 0
    u, v = x % cell - cell / 2, y % cell - cell / 2
    along, across = np.where(odd, u + v, u - v), np.where(odd, u - v, u + v)
    bar = (np.abs(along) < 4.5) & (np.abs(across) < 1.5)
    shade = 0.45 + 0.20 * bar + 0.05 * dirt(rng, (size_px, size_px))
    return np.asarray(np.repeat(shade[..., None], 3, axis=2))


def corrugated(rng: np.random.Generator, rgb: Rgb, ribs: int = 16, size_px: int = TILE_PX) -> Paint:
    """Vertical ribs of sheet metal, streaked with dirt."""
    wave = 0.10 * np.sin(np.arange(size_px) / size_px * ribs * 2 * np.pi)[None, :]
    streak = 0.05 * cloud(rng, (1, size_px), 4)
    shade = 1.0 + wave + streak + 0.05 * dirt(rng, (size_px, size_px))
    return plain(rgb, (size_px, size_px)) * shade[..., None]


def brick(rng: np.random.Generator, rgb: Rgb, rows: int = 12, size_px: int = TILE_PX) -> Paint:
    """Running-bond masonry."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    row = y * rows // size_px
    shifted = (x + (row % 2) * size_px // rows) % size_px
    column = shifted * (rows // 2) // size_px
    shade = 1.0 + 0.16 * rng.uniform(-1, 1, (rows, rows // 2))[row, column] + 0.05 * dirt(rng, y.shape)
    joint = (np.diff(row, axis=0, prepend=-1) != 0) | (np.diff(column, axis=1, prepend=-1) != 0)
    shade[joint] = 1.25
    return np.asarray(plain(rgb, y.shape) * shade[..., None])


def panelled(rng: np.random.Generator, rgb: Rgb, panels: int = 4, size_px: int = TILE_PX) -> Paint:
    """Flat sandwich panels with dark vertical seams."""
    shade = 1.0 + 0.04 * dirt(rng, (size_px, size_px))
    seam = np.arange(panels) * size_px // panels
    shade[:, seam] *= 0.70
    shade[:, seam + 1] *= 1.08
    return plain(rgb, (size_px, size_px)) * shade[..., None]


def shutter(rng: np.random.Generator, rgb: Rgb, slats: int = 16, size_px: int = TILE_PX) -> Paint:
    """A roller door: horizontal slats and a grimy foot."""
    wave = 0.13 * np.sin(np.arange(size_px) / size_px * slats * 2 * np.pi)[:, None]
    shade = 1.0 + wave + 0.05 * dirt(rng, (size_px, size_px))
    shade *= 1.0 - 0.35 * np.linspace(0, 1, size_px)[:, None] ** 6
    return plain(rgb, (size_px, size_px)) * shade[..., None]


def window(rng: np.random.Generator, glow: Rgb, panes: int = 4, size_px: int = TILE_PX) -> Paint:
    """Panes of unequal brightness between dark bars."""
    y, x = np.mgrid[0:size_px, 0:size_px]
    pane = rng.uniform(0.82, 1.05, (panes, panes))[y * panes // size_px, x * panes // size_px]
    paint = plain(glow, y.shape) * (pane * np.linspace(1.1, 0.85, size_px)[:, None])[..., None]
    step = size_px // panes
    paint[(y % step < 3) | (x % step < 3)] = (0.25, 0.26, 0.28)
    return np.asarray(paint)


def outdoors(rng: np.random.Generator, size_px: int = TILE_PX) -> Paint:
    """What an open gate shows: sky, a far building, a yard."""
    up = np.linspace(1, 0, size_px)[:, None, None]
    paint = np.array([0.80, 0.88, 0.97]) * (0.85 + 0.2 * up) + np.zeros((size_px, size_px, 3))
    skyline = size_px // 2 - int(rng.integers(0, size_px // 6))
    edges = np.sort(rng.integers(0, size_px, 4))
    for left, right in ((edges[0], edges[1]), (edges[2], edges[3])):
        paint[skyline - int(rng.integers(0, 20)) :, left:right] = rng.uniform(0.45, 0.75, 3)
    paint[size_px * 5 // 8 :] = np.array([0.62, 0.61, 0.58])
    return paint * (1 + 0.03 * dirt(rng, (size_px, size_px)))[..., None]


def poster(rng: np.random.Generator, size_px: int = FACE_PX) -> Paint:
    """A notice: coloured head, a pictogram and lines of text."""
    head, mark = rng.choice(_SIGN_COLOURS, 2, replace=False)
    picture = Image.new("RGB", (size_px, size_px), (240, 240, 235))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, size_px, size_px // 4), fill=tuple(int(v) for v in head))
    shape = (size_px // 4, size_px * 5 // 16, size_px * 3 // 4, size_px * 13 // 16)
    fill = tuple(int(v) for v in mark)
    if rng.random() < 0.5:
        draw.ellipse(shape, fill=fill)
    else:
        draw.polygon([(size_px // 2, shape[1]), (shape[0], shape[3]), (shape[2], shape[3])], fill=fill)
    for line in range(size_px * 14 // 16, size_px - 2, 4):
        draw.line((6, line, int(rng.integers(size_px // 2, size_px - 6)), line), fill=(60, 60, 60))
    draw.rectangle((0, 0, size_px - 1, size_px - 1), outline=(70, 70, 70))
    return np.asarray(picture, dtype=np.float64) / 255.0


def cabinet(rng: np.random.Generator, rgb: Rgb, size_px: int = FACE_PX) -> Paint:
    """Two doors, vents, handles, a warning label: a locker or an electric cabinet."""
    paint = worn_paint(rng, rgb, size_px)
    half = size_px // 2
    paint[:, half - 1 : half + 1] *= 0.45
    paint[6:16:3, [*range(6, half - 6), *range(half + 6, size_px - 6)]] *= 0.6
    paint[half - 5 : half + 5, [half - 5, half + 4]] = 0.12
    paint[half - 14 : half - 5, 8:17] = (0.95, 0.80, 0.10)
    return paint


def controls(rng: np.random.Generator, rgb: Rgb, size_px: int = FACE_PX) -> Paint:
    """An operator panel: a lit screen over rows of buttons."""
    paint = worn_paint(rng, rgb, size_px)
    third = size_px // 3
    paint[6 : third + 6, 8:-8] = np.array([0.10, 0.30, 0.42]) * rng.uniform(0.7, 1.8)
    for row in range(third + 14, size_px - 8, 12):
        for column in range(10, size_px - 8, 12):
            paint[row : row + 6, column : column + 6] = _BUTTONS[int(rng.integers(len(_BUTTONS)))]
    return paint


_SIGN_COLOURS = np.array([(200, 30, 30), (20, 80, 170), (235, 190, 20), (20, 130, 70), (30, 30, 30)])
_BUTTONS: tuple[Rgb, ...] = ((0.85, 0.10, 0.10), (0.10, 0.65, 0.2), (0.9, 0.8, 0.1), (0.15, 0.15, 0.15))
