"""What every vision encoder has to be: described without torch, and as it says."""

import subprocess
import sys

import numpy as np
import pytest

from omniaudio import encoders
from omniaudio.errors import UserError


@pytest.mark.parametrize("name", encoders.ENCODERS)
def test_it_cuts_the_views_that_it_names(name: str) -> None:
    encoder = encoders.find(name)
    assert encoder.name == name
    frame = np.random.default_rng(0).integers(0, 256, (128, 256, 3), np.uint8)
    views = encoder.cut(frame)
    assert {view: array.shape for view, array in views.items()} == {
        view: (*size, 3) for view, size in encoder.views.items()
    }
    assert all(array.dtype == np.uint8 for array in views.values())


def test_their_descriptions_need_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from omniaudio import encoders; "
        "print(*(encoders.find(name).name for name in encoders.ENCODERS))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == list(encoders.ENCODERS)


def test_a_model_that_sees_no_frames_has_none() -> None:
    with pytest.raises(UserError, match="makes the stem of a given kind"):
        encoders.find(encoders.NONE)
