"""The clock and camera name that a recorder burns into the picture."""

from datetime import timedelta

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from jikimi.frame import Floats, Image
from jikimi.sim.look import Caption

_MARGIN_PX = 4
_WHITE = 235  # the brightest that video levels carry
_DARK = 16


class CaptionWriter:
    """Draws a caption into pictures; the text is set once a second, not once a picture."""

    def __init__(self, caption: Caption) -> None:
        self._caption = caption
        # The bitmap font: recorders set their text in such letters, and it needs no file.
        self._font = ImageFont.load_default_imagefont()
        self._text = ""
        self._cover: Floats = np.zeros((0, 0, 1), np.float32)
        self._ink: Floats = self._cover

    def write(self, image_HWC: Image, *, t_s: float) -> None:
        """Write the time at stream time `t_s` into a picture, in place."""
        text = self._text_at(t_s)
        if text != self._text:
            self._text, (self._cover, self._ink) = text, self._set(text)
        (height, width), corner = self._cover.shape[:2], self._caption.corner
        top = _MARGIN_PX if corner.startswith("top") else image_HWC.shape[0] - height - _MARGIN_PX
        left = _MARGIN_PX if corner.endswith("left") else image_HWC.shape[1] - width - _MARGIN_PX
        place = image_HWC[max(0, top) :, max(0, left) :][:height, :width]
        seen = (slice(place.shape[0]), slice(place.shape[1]))
        place[:] = place * (1 - self._cover[seen]) + self._ink[seen] * self._cover[seen]

    def _text_at(self, t_s: float) -> str:
        now = self._caption.starts_at + timedelta(seconds=int(t_s))
        return f"{self._caption.name}\n{now.strftime(self._caption.pattern)}".strip()

    def _set(self, text: str) -> tuple[Floats, Floats]:
        """Set a text → how much of the picture it covers (0–1) and its grey levels, each (h, w, 1)."""
        draw = ImageDraw.Draw(Pictures.new("L", (1, 1)))
        box = draw.multiline_textbbox((0, 0), text, font=self._font, spacing=1)
        sheet = Pictures.new("L", (int(box[2]) + 4, int(box[3]) + 4))
        align = "right" if self._caption.corner.endswith("right") else "left"
        ImageDraw.Draw(sheet).multiline_text((2, 2), text, fill=255, font=self._font, spacing=1, align=align)
        letters = np.asarray(sheet, np.float32)[..., None] / 255
        edged = np.maximum.reduce([np.roll(letters, (y, x), (0, 1)) for y in (0, 1) for x in (0, 1)])
        cover = np.maximum(edged, 0.55) if self._caption.boxed else edged
        return cover, (_DARK + (_WHITE - _DARK) * letters).astype(np.float32)
