"""Decoding in chunks, against decoding at once."""

import numpy as np
import pytest

from omniaudio.generation.decoding import CONTEXT_FRAMES, decode_in_chunks, matched_cross_fade

FRAME = 64  # samples of a latent frame


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_decoder_with_less_context_than_a_chunk_gives_what_it_gives_at_once() -> None:
    kernel = np.hanning(2 * CONTEXT_FRAMES * FRAME - 1).astype(np.float32)

    def decode(latents: np.ndarray) -> np.ndarray:
        held = np.repeat(latents, FRAME, axis=-1)
        return np.stack([[np.convolve(channel, kernel, mode="same") for channel in one] for one in held])

    latents = noise(4, 300)
    whole = decode(latents[None])[0]
    chunked = np.concatenate(list(decode_in_chunks(decode, latents, FRAME, 50)), axis=1)
    np.testing.assert_allclose(chunked, whole, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_the_cross_fade_keeps_the_level(correlation: float) -> None:
    old, other = noise(4, 65536, seed=1), noise(4, 65536, seed=2)
    new = correlation * old + np.sqrt(1 - correlation**2) * other
    faded = matched_cross_fade(old, new.astype(np.float32))
    levels = [np.sqrt(np.mean(part**2)) for part in np.array_split(faded, 8, axis=1)]
    np.testing.assert_allclose(levels, 1, atol=0.02)


def test_silence_fades_into_silence() -> None:
    silence = np.zeros((4, 100), np.float32)
    np.testing.assert_array_equal(matched_cross_fade(silence, silence), silence)
