"""Decodes latents of any length in chunks of bounded size."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from omniaudio.generation.windows import chunks, raised_cosine

Float32 = NDArray[np.float32]

CONTEXT_FRAMES = 6
"""Latent frames of context that the decoder sees on either side of a chunk, and that are dropped."""
FADE_FRAMES = 4
"""Latent frames of the cross-fade between two chunks."""
OVERLAP_FRAMES = 2 * CONTEXT_FRAMES + FADE_FRAMES
"""Latent frames that two neighbouring chunks share."""


def decode_in_chunks(
    decode: Callable[[Float32], Float32], latents: Float32, samples_per_frame: int, length: int
) -> Iterator[Float32]:
    """Yields the sound of one latent in blocks.

    Neighbouring chunks share frames: the outer ones are context and dropped, the middle ones are cross-faded.

    Args:
        decode: from (1, channels, frames) to (1, sound channels, frames · samples_per_frame).
        latents: (channels, frames).
        samples_per_frame: the autoencoder's downsampling ratio.
        length: latent frames of a chunk.

    Yields:
        Sound (sound channels, samples); together frames · samples_per_frame samples.
    """
    context, fade = CONTEXT_FRAMES * samples_per_frame, FADE_FRAMES * samples_per_frame
    tail: Float32 | None = None
    frames = latents.shape[1]
    for begin, end in chunks(frames, length, OVERLAP_FRAMES):
        sound = decode(latents[None, :, begin:end])[0]
        if tail is not None:
            sound = sound[:, context:]
            yield matched_cross_fade(tail, sound[:, :fade])
            sound = sound[:, fade:]
        if end < frames:
            kept = sound.shape[1] - context - fade
            tail = sound[:, kept : kept + fade].copy()
            sound = sound[:, :kept]
        yield sound


def matched_cross_fade(old: Float32, new: Float32) -> Float32:
    """Fades from one signal to another at constant level, however alike they are.

    A decoder that chooses its own phases gives two chunks that agree in magnitude but not in phase. A linear fade
    would dip by 3 dB there; a power-complementary one would rise where they do agree. Gains matched to the measured
    correlation do neither (Fink, Holters and Zölzer, "Signal-matched power-complementary cross-fading", DAFx 2016).

    Args:
        old: (channels, samples), faded out.
        new: the same shape, faded in.
    """
    energy = float(np.sqrt(np.vdot(old, old) * np.vdot(new, new)))
    correlation = float(np.clip(np.vdot(old, new) / energy, 0, 1)) if energy > 0 else 1.0
    rise = raised_cosine(old.shape[1])
    fall = 1 - rise
    level = np.sqrt(rise**2 + fall**2 + 2 * correlation * rise * fall)
    return ((old * fall + new * rise) / level).astype(np.float32)
