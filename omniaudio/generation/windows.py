"""A clip of any length as overlapping windows of the model's native length, and what holds them together.

At every step of the sampler the velocity of each window is computed alone, and the velocities are blended with weights
that sum to one (MultiDiffusion, Bar-Tal et al. 2023, section 4, in one dimension). All windows therefore walk one
common latent, and there is no border to be seen in it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omniaudio.generation.arrays import Array, namespace

Float32 = NDArray[np.float32]

OVERLAP = 0.25
"""Part of a window over which two neighbours are blended."""


@dataclass(frozen=True)
class Window:
    """`start`: its first latent frame; `picture`: the index of its first picture."""

    start: int
    picture: int


@dataclass(frozen=True)
class WindowPlan:
    """Windows of `length` latent frames and `pictures` pictures each, in order, and the cross-fade between them."""

    length: int
    pictures: int
    fade: int
    windows: tuple[Window, ...]

    @property
    def frames(self) -> int:
        """Latent frames that the windows cover together, at least as many as were asked for."""
        return self.windows[-1].start + self.length

    @property
    def total_pictures(self) -> int:
        """Pictures that the windows cover together."""
        return self.windows[-1].picture + self.pictures

    def weights(self, index: int) -> Float32:
        """Blending weights (length,) of one window, in 0..1; over all windows they sum to one at every latent frame.

        The cross-fade (a raised cosine) lies in the middle of what two neighbours share, so that the outermost frames
        of a window, which see one side only, count for nothing.
        """
        weights = np.ones(self.length, np.float32)
        if self._shares(index):
            begin = self._fade_start(index) - self.windows[index].start
            weights[:begin] = 0
            weights[begin : begin + self.fade] = raised_cosine(self.fade)
        if self._shares(index + 1):
            begin = self._fade_start(index + 1) - self.windows[index].start
            weights[begin : begin + self.fade] = 1 - raised_cosine(self.fade)
            weights[begin + self.fade :] = 0
        return weights

    def blend(
        self, velocity: Callable[[Array, Sequence[int]], Array], x: Array, weights: Sequence[Array], at_once: int
    ) -> Array:
        """The velocity of the whole latent, in numpy or torch.

        Args:
            velocity: from windows of the latent, (windows · batch, channels, length), and their indexes to velocities
                of the same shape; the rows of one window are neighbours.
            x: the latent (batch, channels, frames).
            weights: the windows' own, on the latent's device.
            at_once: how many windows are computed together.
        """
        batch, channels, _ = x.shape
        xp = namespace(x)
        blended = xp.zeros_like(x)
        for first in range(0, len(self.windows), at_once):
            indexes = range(first, min(first + at_once, len(self.windows)))
            spans = [slice(self.windows[i].start, self.windows[i].start + self.length) for i in indexes]
            velocities = velocity(xp.concatenate([x[..., span] for span in spans]), indexes)
            by_window = velocities.reshape(len(indexes), batch, channels, self.length)
            for index, span, one in zip(indexes, spans, by_window, strict=True):
                blended[..., span] += one * weights[index]
        return blended

    def _shares(self, index: int) -> bool:
        """Whether window `index` overlaps the one before it: both exist, and are of one latent (`beside`)."""
        if not 0 < index < len(self.windows):
            return False
        return self.windows[index].start < self.windows[index - 1].start + self.length

    def _fade_start(self, index: int) -> int:
        """The latent frame where the cross-fade from window `index - 1` to window `index` begins."""
        shared_end = self.windows[index - 1].start + self.length
        return (self.windows[index].start + shared_end - self.fade) // 2


def plan(frames: int, length: int, pictures_per_frame: float, multiple: int = 1) -> WindowPlan:
    """Spread as few windows as cover `frames` latent frames, at even distances.

    A window begins as close to a picture as the grid of latent frames allows, so that every picture is looked at once
    whatever windows it is part of, and sound and picture differ by at most half of `multiple` latent frames.

    Args:
        frames: latent frames of the clip, 1 or more.
        length: latent frames of the model's native window.
        pictures_per_frame: rate of the pictures over the rate of the latent frames.
        multiple: windows begin at multiples of this (the model's patch size), which divides `length`.
    """
    if frames < 1 or length % multiple:
        raise ValueError(f"{frames} latent frames do not fit windows of {length} in steps of {multiple}")
    fade = round(length * OVERLAP)
    frames_per_picture = 1 / pictures_per_frame
    pictures = max(1, round(length * pictures_per_frame))
    longest_hop = math.floor((length - fade - multiple) * pictures_per_frame)
    if longest_hop < 1:
        raise ValueError(f"a window of {length} latent frames is too short for {pictures_per_frame} pictures a frame")
    last = max(0, math.ceil((frames - length + multiple) * pictures_per_frame)) if frames > length else 0
    hops = math.ceil(last / longest_hop)
    firsts = [last * i // hops for i in range(hops + 1)] if hops else [0]
    windows = tuple(Window(multiple * round(first * frames_per_picture / multiple), first) for first in firsts)
    return WindowPlan(length, pictures, fade, windows)


def beside(plans: Sequence[WindowPlan]) -> WindowPlan:
    """Several latents on one axis, one after another: their windows in one plan, in which they share nothing.

    So latents of any lengths, each with conditions of its own, are sampled as one batch.

    Args:
        plans: of the latents, one or more, with windows of one length.
    """
    windows: list[Window] = []
    start = picture = 0
    for one in plans:
        windows += [Window(start + window.start, picture + window.picture) for window in one.windows]
        start += one.frames
        picture += one.total_pictures
    return replace(plans[0], windows=tuple(windows))


def raised_cosine(length: int) -> Float32:
    """A rise from 0 to 1 (length,), sampled between its ends; with its mirror image it sums to one."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)


def noise(seed: int, take: int, channels: int, frames: int) -> Float32:
    """Standard normal noise (channels, frames): frame k is the same whatever the number of frames.

    Args:
        seed: 0 or more, below 2**64.
        take: which of several takes, from 0.
        channels: channels of the latent.
        frames: latent frames.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, take]))
    return generator.standard_normal((frames, channels), dtype=np.float32).T


def chunks(frames: int, length: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Ranges [begin, end) of at most `length` frames that cover `frames`, each sharing `overlap` with the next."""
    begin = 0
    while begin + length < frames:
        yield begin, begin + length
        begin += length - overlap
    yield begin, frames
