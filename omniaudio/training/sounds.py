"""Sounds for training, mixed where it is cheap: powers of independent sounds add, so a scene of several things and a
bed is a sum of mel powers, and its intensity the sum of powers times directions. No waveform is rendered."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor

from omniaudio.model.codec import SpectralDirectionalCodec

Floats = npt.NDArray[np.float32]

GAP = (0.02, 0.25)  # s, between repeats of a short sound


@torch.no_grad()
def load_recording(path: Path, codec: SpectralDirectionalCodec, seconds: float) -> list[Floats]:
    """Mel powers (mels, frames) of each channel of a sound file's first `seconds`."""
    rate = codec.config.sample_rate
    signal, file_rate = soundfile.read(path, frames=int(seconds * soundfile.info(path).samplerate), always_2d=True)
    divisor = math.gcd(rate, file_rate)
    played = resample_poly(signal, rate // divisor, file_rate // divisor, axis=0).astype(np.float32)
    played = played[: len(played) // codec.config.hop * codec.config.hop]
    real, imaginary = codec.fourier(torch.from_numpy(played.T.copy()))
    power = (real.square() + imaginary.square()) @ codec.filters.T
    return [channel.T.numpy().copy() for channel in power]


def looped(power: Floats, frames: int, frame_rate: float, rng: np.random.Generator) -> Floats:
    """`frames` STFT frames of a sound from a random place, repeated with pauses where it is shorter; (mels, frames)."""
    pieces: list[Floats] = []
    total = 0
    skip = int(rng.integers(max(power.shape[1] - frames, 0) + 1)) if power.shape[1] > frames else 0
    if power.shape[1] <= frames:  # begin somewhere within a repeat
        pieces.append(power[:, int(rng.integers(power.shape[1])) :])
        total = pieces[0].shape[1]
    while total < frames:
        pause = np.zeros((power.shape[0], int(rng.uniform(*GAP) * frame_rate)), np.float32)
        piece = power[:, skip : skip + frames]
        pieces += [pause, piece] if pieces else [piece]
        total = sum(part.shape[1] for part in pieces)
    return np.concatenate(pieces, axis=1)[:, :frames]


class Mixture:
    """Mel power (mels, frames) of W and intensity (xyz, bands, frames), as `SpectralDirectionalCodec.spectra`."""

    def __init__(self, mel_bands: Floats, frames: int) -> None:
        """`mel_bands` (mels, bands) says which mels a direction band holds."""
        self.bands_of_mels = np.ascontiguousarray(mel_bands.T)
        self.power = np.zeros((mel_bands.shape[0], frames), np.float32)
        self.intensity = np.zeros((3, mel_bands.shape[1], frames), np.float32)

    def add(self, power: Floats, directions: Floats, gain: float) -> None:
        """Adds a sound that comes from `directions` (3, frames) or (3, 1); shorter vectors are more diffuse."""
        louder = gain * power
        self.power += louder
        self.intensity += (self.bands_of_mels @ louder) * directions[:, None, :].astype(np.float32)


def stacked(mixtures: Sequence[Mixture]) -> tuple[Tensor, Tensor]:
    """A batch for `SpectralDirectionalCodec.latents`."""
    return (
        torch.from_numpy(np.stack([mixture.power for mixture in mixtures])),
        torch.from_numpy(np.stack([mixture.intensity for mixture in mixtures])),
    )


def decibels(value: float) -> float:
    """Power gain of a level in dB."""
    return float(10 ** (value / 10))
