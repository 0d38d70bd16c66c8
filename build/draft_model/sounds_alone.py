"""Trains the stem model: sounds of a given kind, from recordings alone.

    python build/draft_model/sounds_alone.py PREPARED... -o WORK

PREPARED is what `recordings.py` left; WORK gets the codec, a checkpoint every few minutes, the losses, and at the end
`model/` with config, weights and graphs. Run it again to go on where it stopped.
"""

import csv
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from recordings import Kind, for_training, read_kinds, read_prepared
from safetensors.torch import save_file
from torch import Tensor

from omniaudio.config import CONFIG_NAME, ModelConfig, load_config
from omniaudio.model.checkpoint import released_tensors
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.spectral import SpectralCodec
from omniaudio.model_zoo import registry
from omniaudio.training import autoencoder
from omniaudio.training.phrases import Recording, phrase
from omniaudio.training.stages import Batch, Stage, Trainer
from trt_engine.bundling.export import export_model

SEED = 0
CODEC_CLIPS = 2400
LEVEL = 2.0  # dB, deviation of a clip's level
SOFTENED = 0.2  # of the conditions are no certainties
WEIGHTS = "model.safetensors"
CONFIG = Path(__file__).with_name("stem_config.json")


class Phrases:
    """Batches of phrases, kinds in equal shares; a batch depends on its number alone."""

    def __init__(self, model: OmniAudio, recordings: Mapping[str, Sequence[Recording]], kinds: Mapping[str, Kind]):
        codec = model.pretransform
        assert isinstance(codec, SpectralCodec)
        self.model, self.codec, self.recordings, self.kinds = model, codec, recordings, kinds
        self.names = tuple(kinds)
        self.heard = [index for index, name in enumerate(self.names) if recordings[name]]
        self.frames = model.config.latent_frames * codec.config.frames_per_latent
        self.frame_rate = codec.config.sample_rate / codec.config.hop

    def powers(self, numbers: Sequence[int], rng: np.random.Generator) -> Tensor:
        """Mel powers (clips, mels, frames) of phrases of the kinds with these numbers."""
        made = []
        for number in numbers:
            name = self.names[number]
            power = phrase(self.recordings[name], self.kinds[name].rhythm, self.frames, self.frame_rate, rng)
            made.append(power * np.float32(10 ** (rng.normal(0, LEVEL) / 10)))
        return torch.from_numpy(np.stack(made))

    def draw(self, count: int, rng: np.random.Generator) -> list[int]:
        """Numbers of kinds, as evenly as `count` allows."""
        whole = [int(i) for _ in range(-(-count // len(self.heard))) for i in rng.permutation(self.heard)]
        return whole[:count]

    def conditions(self, numbers: Sequence[int], rng: np.random.Generator) -> Tensor:
        """(clips, 1, kinds): certain, or with a share for other kinds, as a recogniser says it."""
        told = np.zeros((len(numbers), len(self.names)), np.float32)
        told[np.arange(len(numbers)), numbers] = 1
        for row in np.flatnonzero(rng.random(len(numbers)) < SOFTENED):
            others = np.zeros(len(self.names), np.float32)
            others[rng.choice(self.heard, 3)] = rng.dirichlet(np.ones(3))
            share = rng.uniform(0, 0.5)
            told[row] = (1 - share) * told[row] + share * others
        return torch.from_numpy(told)[:, None]

    def batch(self, count: int) -> Callable[[int], Batch]:
        def next_batch(step: int) -> Batch:
            rng = np.random.default_rng((SEED, step))
            numbers = self.draw(count, rng)
            with torch.no_grad():
                latents = self.codec.sound_latents(self.powers(numbers, rng)).float()
            told = self.model.conditions({"kinds": self.conditions(numbers, rng)}, self.model.config.latent_frames)
            return latents, told

        return next_batch


def fit(model: OmniAudio, phrases: Phrases) -> float:
    """Fits the codec's components and the Gaussian skip; returns the share of the variance that is left out."""
    rng = np.random.default_rng((SEED, 10**9))
    powers = phrases.powers(phrases.draw(CODEC_CLIPS, rng), rng)
    lost = autoencoder.fit(phrases.codec, powers)
    assert model.skip is not None
    model.skip.fit(torch.cat([phrases.codec.sound_latents(part) for part in powers.split(100)]))
    return lost


def build(prepared: Sequence[Path], cache: Path, config: ModelConfig) -> tuple[OmniAudio, Phrases]:
    """The model with its fitted codec, and the phrases that it learns from."""
    kinds = read_kinds()
    torch.manual_seed(SEED)
    model = OmniAudio(config)
    phrases = Phrases(
        model, for_training([item for folder in prepared for item in read_prepared(folder)], kinds), kinds
    )
    kept = cache / "codec.pt"
    if not kept.exists():
        print(f"codec: {100 * fit(model, phrases):.1f} % of the variance is left out", flush=True)
        assert model.skip is not None
        torch.save({"codec": model.pretransform.state_dict(), "skip": model.skip.state_dict()}, kept)
    state = torch.load(kept, weights_only=True)
    model.pretransform.load_state_dict(state["codec"])
    assert model.skip is not None
    model.skip.load_state_dict(state["skip"])
    return model, phrases


def reporter(cache: Path) -> Callable[[int, float, float], None]:
    began = time.monotonic()

    def report(step: int, loss: float, rate: float) -> None:
        with (cache / "curve.csv").open("a", newline="") as file:
            csv.writer(file).writerow([step, f"{loss:.5f}", f"{time.monotonic() - began:.0f}"])
        print(f"step {step}, loss {loss:.4f}, {rate:.2f} steps/s", flush=True)

    return report


def write_model(model: OmniAudio, folder: Path) -> None:
    """Config, weights and graphs. Matrices are kept in half precision: what is rounded is far below what is learnt."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(CONFIG, folder / CONFIG_NAME)
    tensors = {name: value.detach().contiguous() for name, value in released_tensors(model)}
    save_file({n: value.half() if value.ndim > 1 else value for n, value in tensors.items()}, folder / WEIGHTS)
    export_model(registry.find(str(folder)))


def main(
    prepared: Annotated[list[Path], typer.Argument(help="folders that recordings.py filled")],
    *,
    cache: Annotated[Path, typer.Option("-o", help="the folder for checkpoints and the result")],
    steps: Annotated[int, typer.Option(help="steps of training")] = 30_000,
    batch: Annotated[int, typer.Option(help="clips a step")] = 32,
    half: Annotated[bool, typer.Option(help="bfloat16 products, for processors with AMX")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
) -> None:
    """Trains the stem model; run it again to go on where it stopped."""
    torch.set_num_threads(threads)
    cache.mkdir(parents=True, exist_ok=True)
    model, phrases = build(prepared, cache, load_config(CONFIG))
    stage = Stage(
        "sounds alone",
        steps,
        batch,
        everything=0.7,
        dropout=0.12,
        time_mean=0.3,
        min_time=0.2,
        half=half,
    )
    average = Trainer(model, stage, cache / "stems.pt", SEED).run(phrases.batch(batch), reporter(cache))
    torch.save(average.state_dict(), cache / "average.pt")
    model.load_state_dict(average.state_dict())
    write_model(model, cache / "model")


if __name__ == "__main__":
    typer.run(main)
