"""What is written of a take beside its sidecar: master, preview and stems; and what a map and a sidecar say of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from omniaudio.analysis.direction_map import SoundMap
from omniaudio.audio.ambisonics import CHANNELS, Floats, Sound
from omniaudio.audio.ambix_wav import AmbixWriter
from omniaudio.audio.binaural import BinauralRenderer
from omniaudio.generation.exemplars import Exemplar
from omniaudio.generation.placing import channels
from omniaudio.generation.prefetch import use_beside
from omniaudio.generation.stems import parts
from omniaudio.generation.take_sound import TakeSound, Wanted
from omniaudio.recognition import kinds
from omniaudio.recognition.sources import Source, Sources
from omniaudio.sidecar import DerivesFrom


def write_sound(
    blocks: Iterator[Sound], path: Path, wanted: Wanted, drawn: SoundMap | None, *, preview: bool
) -> AmbixWriter:
    """Writes master and preview in one pass over the sound. Map and preview hear its first order.

    Args:
        blocks: ambisonics (channels, samples).
        path: of the master; the preview gets another ending.
        wanted: what the sound is of; the peaks of a part that is made again were guarded before.
        drawn: the direction map that collects the sound; None where none is wanted.
        preview: whether to write a binaural preview.

    Returns:
        The master's writer, which knows its gain and true peak.
    """
    rate = wanted.rate
    renderer = BinauralRenderer(rate)
    with AmbixWriter(path, rate, channels(wanted.chosen.order), guarded=wanted.cut is None) as master:

        def deliver(block: Sound) -> None:
            master.write(block)
            if drawn is not None:
                drawn.add(block[:CHANNELS])

        if not preview:
            use_beside(blocks, deliver)
            return master
        with AmbixWriter(path.with_suffix(".preview.wav"), rate, channels=2) as binaural:

            def deliver_both(block: Sound) -> None:
                deliver(block)
                binaural.write(renderer.process(block[:CHANNELS]))

            use_beside(blocks, deliver_both)
            binaural.write(renderer.finish())
    return master


def named_paths(sources: Sources | None, wanted: Wanted) -> list[tuple[str, Floats]]:
    """For a map: the name of each source that sounds in a part of a clip, and its directions there, one a second."""
    if sources is None:
        return []
    return [
        (
            kinds.load()[part.entry.kind].name,
            part.entry.directions(wanted.start + np.linspace(part.begin, part.end, 2 + int(part.end - part.begin))),
        )
        for part in parts(sources, wanted.start, wanted.seconds)
        if isinstance(part.entry, Source)
    ]


def derived_from(exemplars: Sequence[Exemplar]) -> tuple[DerivesFrom, ...]:
    """The recordings by others among the exemplars of a take, each once."""
    found = (
        DerivesFrom(kind=one.kind, source=one.source, author=one.author, licence=one.licence, url=one.url)
        for one in exemplars
        if not one.own
    )
    return tuple(dict.fromkeys(found))


def write_stems(made: TakeSound, path: Path, folder: Path, wanted: Wanted, gain_db: float) -> tuple[Path, ...]:
    """Each stem with the take's own gain, so that together they are the take."""
    gain = np.float32(10 ** (gain_db / 20))
    written = []
    for label, blocks in made.stems:
        name = f"{path.stem}.stem-{label}.wav"
        with AmbixWriter(folder / name, wanted.rate, channels(wanted.chosen.order), guarded=False) as writer:
            for block in blocks():
                writer.write(block * gain)
        written.append(path.with_name(name))
    return tuple(written)
