"""The views of a frame for MetaCLIP-H14 (arXiv 2309.16671), the released model's encoder.

Source: Liu et al., "OmniAudio" (2025), section 4.2, and the released code's views.
"""

import numpy as np
from PIL import Image

from omniaudio.encoders import METACLIP_FOLDER, VisionEncoder
from omniaudio.video.panorama import Rgb, pad_square, perspective_view

SIZE = 224
FEATURES = 1024
PANORAMA, FRONT = "video_360", "video_fov"
FRONT_FIELD_OF_VIEW = np.radians(120.0)


def cut(panorama: Rgb) -> dict[str, Rgb]:
    """Cut a panorama into its views `(224, 224, 3)`: the whole on a black square, and 120° to the front."""
    square = Image.fromarray(pad_square(panorama))
    small = square.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    front = perspective_view(panorama, float(FRONT_FIELD_OF_VIEW), 0.0, 0.0, SIZE)
    return {PANORAMA: np.asarray(small), FRONT: front}


ENCODER = VisionEncoder(
    name="metaclip",
    folder=METACLIP_FOLDER,
    views={PANORAMA: (SIZE, SIZE), FRONT: (SIZE, SIZE)},
    features=FEATURES,
    cut=cut,
    torch_loader="omniaudio.model.metaclip:load_metaclip",
)
