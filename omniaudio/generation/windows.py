"""A clip of any length as overlapping windows of the model's native length, blended without borders.

At every step of the sampler the velocity of each window is computed alone, and the velocities are blended with weights
that sum to one (MultiDiffusion, Bar-Tal et al. 2023, section 4, in one dimension). All windows therefore share one
latent, and no border shows in it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omniaudio.generation.arrays import Array, namespace

Float32 = NDArray[np.float32]

OVERLAP = 0.25
"""Share of a window over which two neighbours are blended."""


@dataclass(frozen=True)
class Window:
    """`start`: its first latent frame; `video_frame`: the index of its first video frame."""

    start: int
    video_frame: int


@dataclass(frozen=True)
class WindowPlan:
    """Windows in order, each of `length` latent frames and `video_frames` video frames.

    Neighbours are cross-faded over `fade` latent frames."""

    length: int
    video_frames: int
    fade: int
    windows: tuple[Window, ...]

    @property
    def frames(self) -> int:
        """Latent frames that the windows cover together: at least as many as were requested."""
        return self.windows[-1].start + self.length

    @property
    def total_video_frames(self) -> int:
        """Video frames that the windows cover together."""
        return self.windows[-1].video_frame + self.video_frames

    def weights(self, index: int) -> Float32:
        """Blending weights (length,) of one window, in 0..1; over all windows they sum to one at every latent frame.

        The cross-fade (a raised cosine) lies in the middle of what two neighbours share. The outermost frames of a
        window, which see one side only, get no weight.
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
        """Whether window `index` overlaps the one before it: both exist and belong to one latent (`beside`)."""
        if not 0 < index < len(self.windows):
            return False
        return self.windows[index].start < self.windows[index - 1].start + self.length

    def _fade_start(self, index: int) -> int:
        """The latent frame where the cross-fade from window `index - 1` to window `index` begins."""
        shared_end = self.windows[index - 1].start + self.length
        return (self.windows[index].start + shared_end - self.fade) // 2


def plan(frames: int, length: int, video_frames_per_latent: float, multiple: int = 1) -> WindowPlan:
    """Covers `frames` latent frames with as few windows as possible, evenly spaced.

    A window begins as close to a video frame as the grid of latent frames allows. So every video frame is encoded once,
    however many windows share it, and sound and video differ by at most half of `multiple` latent frames.

    Args:
        frames: latent frames of the clip, 1 or more.
        length: latent frames of the model's native window.
        video_frames_per_latent: frame rate of the video over that of the latents.
        multiple: windows begin at multiples of this (the model's patch size), which divides `length`.
    """
    if frames < 1 or length % multiple:
        raise ValueError(f"{frames} latent frames do not fit windows of {length} in steps of {multiple}")
    fade = round(length * OVERLAP)
    latents_per_video_frame = 1 / video_frames_per_latent
    video_frames = max(1, round(length * video_frames_per_latent))
    max_hop = math.floor((length - fade - multiple) * video_frames_per_latent)
    if max_hop < 1:
        raise ValueError(
            f"a window of {length} latent frames is too short for {video_frames_per_latent} video frames each"
        )
    last = max(0, math.ceil((frames - length + multiple) * video_frames_per_latent)) if frames > length else 0
    hops = math.ceil(last / max_hop)
    firsts = [last * i // hops for i in range(hops + 1)] if hops else [0]
    windows = tuple(Window(multiple * round(first * latents_per_video_frame / multiple), first) for first in firsts)
    return WindowPlan(length, video_frames, fade, windows)


def beside(plans: Sequence[WindowPlan]) -> WindowPlan:
    """Joins the plans of several latents: they lie one after another on one axis, and their windows share nothing.

    So latents of different lengths, each with its own conditions, are sampled as one batch.

    Args:
        plans: one or more, with windows of the same length.
    """
    windows: list[Window] = []
    start = video_frame = 0
    for one in plans:
        windows += [Window(start + window.start, video_frame + window.video_frame) for window in one.windows]
        start += one.frames
        video_frame += one.total_video_frames
    return replace(plans[0], windows=tuple(windows))


def raised_cosine(length: int) -> Float32:
    """A rise from 0 to 1 (length,), sampled between its ends. It and its mirror image sum to one."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)


def noise(seed: int, take: int, channels: int, frames: int) -> Float32:
    """Standard normal noise (channels, frames): frame k does not depend on the number of frames.

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
