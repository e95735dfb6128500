"""Pictures of which a decoder filled a part with grey or green."""

import numpy as np

from jikimi.frame import Image

# What YUV (0, 0, 0) and (128, 128, 128) become: macroblocks that never arrived.
_FILLED = np.array([(0, 135, 0), (0, 154, 0), (128, 128, 128), (130, 130, 130)], np.int16)
_OFF_BY = 6

# Lines of one such colour at the bottom edge, as a share of the height. Real pictures have none.
_SHARE = 0.1

# Every 4th column will do: a line is one colour or it is not.
_STEP = 4


def is_torn(image_HWC: Image) -> bool:
    """Whether the lower edge of a picture, uint8 RGB (H, W, 3), is nothing but the decoder's grey or green.

    A picture that is one colour all over is not torn: something covers the lens.
    """
    height = image_HWC.shape[0]
    tail = image_HWC[height - max(1, round(_SHARE * height)) :, ::_STEP].astype(np.int16)
    distances = np.abs(tail[0, 0] - _FILLED).max(axis=1)
    if distances.min() > _OFF_BY:
        return False
    filled = _FILLED[distances.argmin()]
    whole = np.abs(image_HWC[0, ::_STEP] - filled).max() <= _OFF_BY
    return not whole and bool(np.abs(tail - filled).max() <= _OFF_BY)
