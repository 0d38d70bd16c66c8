"""The pointer: where its patches lie, what it makes of a scored panorama, and that order does not matter."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from omniaudio.ambisonics import panorama_directions
from omniaudio.config import PanoramaPointerConfig
from omniaudio.model.pointer import Detections, PanoramaPointer, frame_weights, patch_grid

CONFIG = PanoramaPointerConfig(
    dim=32, rows=14, columns=28, output_dim=16, global_dim=8, sources=2, sound_channels=5, direction_bands=2,
    frame_rate=2.0, latent_rate=21.5,
)  # fmt: skip


@pytest.fixture
def pointer() -> PanoramaPointer:
    torch.manual_seed(0)
    made = PanoramaPointer(CONFIG, "panorama")
    torch.nn.init.normal_(made.feature_components)
    torch.nn.init.normal_(made.class_components)
    return made


def test_patches_lie_on_the_panoramas_grid() -> None:
    directions, shares = patch_grid(14, 28)
    np.testing.assert_allclose(directions.numpy(), panorama_directions(14, 28).reshape(-1, 3), atol=1e-6)
    assert shares.sum() == pytest.approx(1)


def test_points_at_both_of_two_things(pointer: PanoramaPointer, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = torch.tensor([[0.0, 1.0, 0.0], [-0.6, 0.0, 0.8]])
    closeness = (pointer.directions @ wanted.T) - 0.97
    scores = (closeness * torch.tensor([300.0, 250.0])).amax(1).clamp(-8, 6)

    def scored(_: Tensor) -> Tensor:
        return scores.expand(1, 1, -1)

    monkeypatch.setattr(pointer, "scores", scored)
    found = pointer.detect(torch.rand(1, 1, 14 * 28, 32))
    assert (found.presence > 0.9).all()
    cosines = found.direction[0, 0] @ wanted.T
    assert sorted(cosines.argmax(1).tolist()) == [0, 1]
    assert cosines.amax(1).min() > math.cos(math.radians(5))


def test_the_order_of_detections_does_not_matter(pointer: PanoramaPointer) -> None:
    generator = torch.Generator().manual_seed(1)
    found = Detections(
        torch.nn.functional.normalize(torch.randn(1, 10, 2, 3, generator=generator), dim=-1),
        torch.rand(1, 10, 2, generator=generator),
        torch.randn(1, 10, 2, 144, generator=generator),
        torch.randn(1, 10, 144, generator=generator),
    )
    swapped = found._replace(**{name: getattr(found, name).flip(2) for name in ("direction", "presence", "feature")})
    for name, value in pointer.tell(found, 20).items():
        torch.testing.assert_close(value, pointer.tell(swapped, 20)[name], atol=1e-5, rtol=1e-5)


def test_base_is_the_direction_of_what_is_there(pointer: PanoramaPointer) -> None:
    direction = torch.tensor([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]]).expand(1, 10, 2, 3)
    present = Detections(direction, torch.tensor([1.0, 0.0]).expand(1, 10, 2), torch.randn(1, 10, 2, 144),
                         torch.randn(1, 10, 144))  # fmt: skip
    base = pointer.tell(present, 20)["base"]
    assert base.shape == (1, 5 + 2 * 3, 20)
    assert not base[:, :5].any()
    torch.testing.assert_close(base[0, 5:8, 7], direction[0, 0, 0], atol=2e-3, rtol=0)
    absent = pointer.tell(present._replace(presence=torch.full((1, 10, 2), 1e-4)), 20)["base"]
    assert absent.abs().max() < 1e-2


def test_motion_between_frames_and_beyond_the_last_is_linear() -> None:
    weights = frame_weights(10, 108, 2 / 21.533203125)
    times = (np.arange(108) + 0.5) / 21.533203125
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(weights @ (np.arange(10) / 2), np.minimum(times, 4.75), atol=1e-5)
