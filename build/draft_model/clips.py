"""Composes training clips: sounds at directions on a bed, and what the pointer saw of the same scene.

The pointer's detections were made once, on rendered frames; a clip borrows those of its group and moves them to where
its things are, with the pointer's own errors. So a moving thing costs no rendering.
"""

from dataclasses import dataclass

import numpy as np
import torch
from library import Entry, Library, of
from numpy.random import Generator
from torch import Tensor
from views import Group

from omniaudio.ambisonics import unit_vector
from omniaudio.model.codec import SpectralDirectionalCodec
from omniaudio.model.omniaudio import OmniAudio
from omniaudio.model.pointer import Detections
from omniaudio.training.pointing import Views
from omniaudio.training.sounds import Mixture, decibels, load_recording, looped

LONGEST = 20.0  # s of a sound that are used
REPERTOIRE = 4  # loops of each class, and of each place: more than a few are not learnt in the time there is
MATCH = np.radians(30)  # farther away, a detection is not of that thing
SHARES = {"still": 0.5, "moving": 0.2, "two": 0.15, "place": 0.15}  # of clips
THING_LEVEL = (-4.0, 1.0)  # dB, to a sound's −20 dBFS
BED_BEHIND, BED_ALONE = (-30.0, -18.0), (-6.0, 0.0)  # dB
FASTEST = np.radians(60)  # per second


@dataclass
class Seen:
    """What the pointer saw in the frames of the views, and which slot is which thing."""

    found: Detections  # described, batch axis = frame, frames axis of 1
    offset: Tensor  # (frames, slots, 2): error towards left and up, radians
    thing: Tensor  # (frames, slots): index of the thing, −1 for none

    @classmethod
    def of(cls, found: Detections, views: Views) -> "Seen":
        direction = found.direction[:, 0]
        closeness = torch.einsum("fsx,ftx->fst", direction, views.directions)
        closeness = torch.where(views.sizes[:, None] > 0, closeness, -2.0)
        best, thing = closeness.max(-1)
        matched = best > np.cos(MATCH)
        truth = torch.gather(views.directions, 1, thing[..., None].expand(-1, -1, 3))
        left, up = _axes(truth.numpy())
        offset = torch.stack([(direction * torch.from_numpy(axis)).sum(-1) for axis in (left, up)], dim=-1)
        return cls(found, offset * matched[..., None], torch.where(matched, thing, -1))


def _axes(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors to the left of directions (…, 3) and above them."""
    left = np.stack([-direction[..., 1], direction[..., 0], np.zeros_like(direction[..., 0])], axis=-1)
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-6)
    return left.astype(np.float32), np.cross(direction, left).astype(np.float32)


class Composer:
    """Makes batches of (mel power, mel intensity, described detections) from the training split."""

    def __init__(self, library: Library, groups: list[Group], seen: Seen, model: OmniAudio, *, seed: int) -> None:
        config = model.config
        codec = model.pretransform
        assert isinstance(codec, SpectralDirectionalCodec)
        self.library, self.groups, self.seen, self.codec, self.seed = library, groups, seen, codec, seed
        self.frames = config.latent_frames * codec.config.frames_per_latent
        self.frame_rate = codec.config.sample_rate / codec.config.hop
        self.picture_rate = config.omniaudio.frame_rate
        self.pictures = round(self.frames / self.frame_rate * self.picture_rate)
        self.mel_bands = codec.mel_bands.numpy()
        self.by_things = {count: [g for g in groups if len(g.pictures) == count] for count in (0, 1, 2)}
        self.by_class: dict[str, list[Group]] = {}
        for group in self.by_things[1]:
            self.by_class.setdefault(library.pictures[group.pictures[0]].kinds[0], []).append(group)
        self.sounds = {name: self._loops(of(library.sounds, "train", name)) for name in library.classes}
        places = sorted({place for entry in library.ambiences for place in entry.kinds})
        self.beds = {place: self._loops(of(library.ambiences, "train", place)) for place in places}

    def _loops(self, entries: list[Entry]) -> list[list[np.ndarray]]:
        """The repertoire: of the longest recordings, a loop of a clip's length for each channel, (mels, frames)."""
        chosen = sorted(entries, key=lambda entry: (-entry.seconds, entry.id))[:REPERTOIRE]
        loops = []
        for entry in chosen:
            seed = (self.seed, *entry.id.encode())
            powers = load_recording(entry.file, self.codec, LONGEST)
            # every channel with the same pauses
            loops.append([looped(power, self.frames, self.frame_rate, np.random.default_rng(seed)) for power in powers])
        return loops

    def batch(self, step: int, size: int) -> tuple[list[Mixture], Detections]:
        """The batch of a step depends on the seed and the step alone."""
        rng = np.random.default_rng((self.seed, step))
        clips = [self._clip(rng) for _ in range(size)]
        found = Detections(*(torch.stack(column) for column in zip(*(clip[1] for clip in clips), strict=True)))
        return [clip[0] for clip in clips], found

    def _clip(self, rng: Generator) -> tuple[Mixture, Detections]:
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if kind == "place":
            group = self._pick(self.by_things[0], rng)
        elif kind == "two":
            group = self._pick(self.by_things[2], rng)
        else:  # each class as often as any other
            group = self._pick(self.by_class[str(rng.choice(list(self.by_class)))], rng)
        mixture = Mixture(self.mel_bands, self.frames)
        paths = [self._path(kind == "moving" or rng.random() < 0.3 * (kind == "two"), rng) for _ in group.pictures]
        for picture, path in zip(group.pictures, paths, strict=True):
            (power,) = self._pick(self.sounds[self.library.pictures[picture].kinds[0]], rng)
            at = (np.arange(self.frames) + 0.5) / self.frame_rate
            gain = decibels(rng.uniform(*THING_LEVEL))
            mixture.add(power, path(at).T, gain)
        self._add_bed(mixture, group, rng)
        return mixture, self._detections(group, paths, kind == "moving", rng)

    @staticmethod
    def _pick(options, rng: Generator):  # type: ignore[no-untyped-def]
        return options[int(rng.integers(len(options)))]

    @staticmethod
    def _path(moves: bool, rng: Generator):  # type: ignore[no-untyped-def]
        """A function from seconds (n,) to unit vectors (n, 3)."""
        azimuth, elevation = rng.uniform(-np.pi, np.pi), np.clip(rng.normal(0, 0.35), -1.2, 1.2)
        speed = rng.choice([-1, 1]) * rng.uniform(0.1, 1) * FASTEST if moves else 0.0
        climb = rng.normal(0, 0.12) if moves else 0.0
        return lambda at: unit_vector(
            azimuth + speed * np.asarray(at), np.clip(elevation + climb * np.asarray(at), -1.3, 1.3)
        )

    def _add_bed(self, mixture: Mixture, group: Group, rng: Generator) -> None:
        """The ambience of the panorama's place: its channels from two sides, mostly diffuse."""
        place = "rain" if group.rainy else str(rng.choice(self.library.panoramas[group.panorama].kinds))
        level = rng.uniform(*(BED_BEHIND if group.pictures else BED_ALONE))
        around = float(rng.uniform(-np.pi, np.pi))
        channels = self._pick(self.beds[place], rng)
        for index, power in enumerate(channels):
            side = 0.3 * unit_vector(around + np.pi * index, 0.0) * (len(channels) > 1)
            mixture.add(power, side[:, None], decibels(level) / len(channels))

    def _detections(self, group: Group, paths: list, moves: bool, rng: Generator) -> Detections:
        found = self.seen.found
        looks = rng.integers(group.looks, size=self.pictures) if moves else np.full(
            self.pictures, rng.integers(group.looks)
        )  # fmt: skip
        rows = torch.from_numpy(group.first + looks)
        at = np.arange(self.pictures) / self.picture_rate
        slots = found.presence.shape[2]
        wild = unit_vector(rng.uniform(-np.pi, np.pi, slots), rng.normal(0, 0.5, slots))
        directions = np.broadcast_to(wild, (self.pictures, slots, 3)).astype(np.float32)
        for index, path in enumerate(paths):
            truth = path(at).astype(np.float32)
            left, up = _axes(truth)
            for slot in range(slots):
                mine = (self.seen.thing[rows, slot] == index).numpy()
                offset = self.seen.offset[rows, slot].numpy()
                moved = truth + offset[:, :1] * left + offset[:, 1:] * up
                moved /= np.linalg.norm(moved, axis=1, keepdims=True)
                directions = np.where(
                    (mine[:, None] & (np.arange(slots) == slot))[..., None], moved[:, None], directions
                )
        return Detections(
            torch.from_numpy(directions),
            found.presence[rows, 0],
            found.feature[rows, 0],
            found.surroundings[rows, 0],
        )
