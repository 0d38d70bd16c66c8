"""Training: the loss is the flow's, it falls, and a run that was stopped ends where an unbroken one does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from omniaudio.model.omniaudio import OmniAudio
from omniaudio.training.stages import SAVE_EVERY, Batch, Stage, Trainer, flow_loss
from support.stem_model import stem_config

STAGE = Stage("test", steps=40, batch=4, everything=0.5, dropout=0.2, warm_up=5)


def make_model() -> OmniAudio:
    torch.manual_seed(0)
    return OmniAudio(stem_config())


def next_batch(step: int) -> Batch:
    generator = torch.Generator().manual_seed(step)
    kind = torch.randint(0, 2, (4,), generator=generator)
    z = (2.0 * kind - 1)[:, None, None].expand(4, 16, 20) + 0.1 * torch.randn(4, 16, 20, generator=generator)
    return z, {"global": (2.0 * kind - 1)[:, None].expand(4, 32)}


def run(stage: Stage, checkpoint: Path) -> tuple[dict[str, torch.Tensor], list[float]]:
    losses: list[float] = []
    average = Trainer(make_model(), stage, checkpoint, seed=1).run(next_batch, lambda _, loss, __: losses.append(loss))
    return average.state_dict(), losses


def test_the_data_itself_has_no_loss() -> None:
    """A transformer that says nothing leaves the Gaussian's mean as the prediction, where it hardly varies."""
    model = make_model()
    assert model.skip is not None
    model.skip.variance.fill_(1e-12)
    generator = torch.Generator().manual_seed(0)
    for mean, low, high in ((1.0, 0.0, 1e-6), (-1.0, 1.0, 100.0)):
        model.skip.mean.fill_(mean)
        assert low <= flow_loss(model, (torch.ones(4, 16, 20), {}), STAGE, generator) < high


@pytest.mark.parametrize("half", [False, True])
def test_the_loss_falls(tmp_path: Path, half: bool) -> None:
    _, losses = run(replace(STAGE, steps=300, half=half), tmp_path / "state.pt")
    assert losses[-1] < 0.5 * losses[0]


def test_a_model_of_kinds_learns_what_each_kind_is(tmp_path: Path) -> None:
    """Latents of constant sign, one for each kind: the prediction has the sign of the kind that is told."""
    torch.manual_seed(0)
    model = OmniAudio(stem_config())

    def batch(step: int) -> Batch:
        generator = torch.Generator().manual_seed(step)
        kind = torch.randint(0, 2, (8,), generator=generator)
        z = (2.0 * kind - 1)[:, None, None].expand(8, 16, 12) + 0.1 * torch.randn(8, 16, 12, generator=generator)
        return z, model.conditions({"kinds": torch.eye(3)[kind][:, None]}, 12)

    average = Trainer(model, replace(STAGE, steps=300, min_time=0.2), tmp_path / "state.pt", seed=1).run(
        batch, lambda *_: None
    )
    assert isinstance(average, OmniAudio)
    with torch.no_grad():
        told = average.conditions({"kinds": torch.eye(3)[:2][:, None]}, 12)
        x = torch.randn(1, 16, 12).expand(2, 16, 12)
        predicted = x - average.velocity(x, torch.ones(2), told)  # at t = 1 the velocity is x less the data
    assert predicted[0].mean() < -0.5
    assert predicted[1].mean() > 0.5


@pytest.mark.slow
def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, _ = run(replace(STAGE, steps=2 * SAVE_EVERY), tmp_path / "whole.pt")

    class PowerCutError(Exception):
        pass

    def cut(step: int, *_: float) -> None:
        if step > SAVE_EVERY:
            raise PowerCutError

    stage = replace(STAGE, steps=2 * SAVE_EVERY)
    with pytest.raises(PowerCutError):
        Trainer(make_model(), stage, tmp_path / "cut.pt", seed=1).run(next_batch, cut)
    resumed, _ = run(stage, tmp_path / "cut.pt")
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, rtol=0, atol=0, msg=name)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [Stage("s", steps=1000, batch=1, everything=0).rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[100:600] == [1.0] * 500
    assert rates[999] == pytest.approx(1 / 400)
