"""Makes `footage_360.mp4`: `PYTHONPATH=tests python tests/data/make_footage_360.py`.

40 s of a quay in Venice (demo/assets/venice.jpg, CC0) in the form in which 360° cameras' footage comes from the web:
H.264 at 30 frames a second, 640 x 322 stored for 644 x 322 shown, no sound, no sphere declared, fragments with nothing
but empty tables before them. The heading turns by a step every ten seconds. In the first two a balloon crosses the sky,
so that these frames can be told apart.
"""

from fractions import Fraction

import av
import numpy as np
from PIL import Image

from support.paths import DATA, REPOSITORY

FRAMES, RATE, STEP_SECONDS = 1202, 30, 10
BALLOON, BALLOON_FRAMES = 48, 60


def main() -> None:
    quay = np.asarray(Image.open(REPOSITORY / "demo" / "assets" / "venice.jpg").convert("RGB").resize((640, 322)))
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(DATA / "footage_360.mp4", "w", options=options) as container:
        codec = {"crf": "51", "preset": "slow", "g": "1202", "bf": "8", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=RATE, options=codec)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = quay.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(161, 160)
        for number in range(FRAMES):
            shown = np.roll(quay, 8 * (number // (STEP_SECONDS * RATE)), axis=1)
            left = 8 * min(number, BALLOON_FRAMES)
            shown[32 : 32 + BALLOON, left : left + BALLOON] = (200, 30, 30)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(shown))))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
