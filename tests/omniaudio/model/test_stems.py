"""The parts of a model that makes one stem of a given kind: mono codec, kind vector, Gaussian skip."""

import copy
from pathlib import Path

import pytest
import torch

from omniaudio.config import parse_config
from omniaudio.errors import UserError
from omniaudio.generation.sampler import euler, guided
from omniaudio.model.checkpoint import load_model, save_weights
from omniaudio.model.gaussian_skip import GaussianSkip
from omniaudio.model.omniaudio import OmniAudio
from support.stem_model import STEM, stem_config


@pytest.fixture
def model() -> OmniAudio:
    torch.manual_seed(0)
    return OmniAudio(stem_config()).eval()


def test_an_untrained_model_samples_the_gaussian_it_was_told(model: OmniAudio) -> None:
    assert model.skip is not None
    mean, deviation = torch.linspace(-2, 2, 16), torch.linspace(0.1, 1.5, 16)
    model.skip.fit(mean[:, None] + deviation[:, None] * torch.randn(400, 16, 12))
    with torch.no_grad():
        conditions = model.conditions({"kinds": torch.eye(3)[[0] * 256][:, None]}, 12)
        latents = euler(guided(model.velocity, conditions, 2.0, ("global", "add")), torch.randn(256, 16, 12), 40)
    torch.testing.assert_close(latents.mean((0, 2)), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(latents.std((0, 2)), deviation, atol=0.06, rtol=0.06)


def test_the_gaussian_guess_is_the_posterior_mean() -> None:
    skip = GaussianSkip(1)
    skip.mean.fill_(0.5)
    skip.variance.fill_(4.0)
    z = 0.5 + 2 * torch.randn(200_000)
    x = 0.6 * z + 0.4 * torch.randn(200_000)
    near = (x - 1.0).abs() < 0.05
    guess = skip(torch.ones(1, 1, 1), torch.tensor([0.4]), torch.zeros(1, 1, 1))
    assert float(guess) == pytest.approx(float(z[near].mean()), abs=0.03)


def test_no_kind_is_the_dropped_condition(model: OmniAudio) -> None:
    told = model.conditions({"kinds": torch.zeros(2, 5, 3)}, 12)
    assert all(not condition.any() for condition in told.values())


def test_a_mixture_of_kinds_lies_between_them_and_may_change_in_time(model: OmniAudio) -> None:
    first, second = torch.eye(3)[0], torch.eye(3)[1]
    kinds = torch.stack([first.expand(5, 3), second.expand(5, 3), (0.25 * first + 0.75 * second).expand(5, 3)])
    told = model.conditioners["kinds"]({"kinds": kinds}, 12)
    for condition in told.values():
        torch.testing.assert_close(condition[2], 0.25 * condition[0] + 0.75 * condition[1])
    assert told["add"].shape == (3, 5, 32)
    assert model.conditions({"kinds": kinds}, 12)["add"].shape == (3, 6, 32)


def test_weights_survive_a_file(model: OmniAudio, tmp_path: Path) -> None:
    assert model.skip is not None
    model.skip.fit(torch.randn(8, 16, 12))
    save_weights(model, tmp_path / "model.safetensors")
    reloaded = load_model(stem_config(), tmp_path / "model.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(reloaded.state_dict()[name], tensor)


def test_a_config_whose_channels_disagree_is_refused() -> None:
    data = copy.deepcopy(STEM)
    data["audio_channels"] = 4
    with pytest.raises(UserError, match="audio_channels"):
        parse_config(data, "the test's config")
