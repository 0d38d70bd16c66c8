"""The sound files of a take: master, preview and stems; and what its map and sidecar show of its sources."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from omniaudio.analysis.direction_map import DirectionMap
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
    blocks: Iterator[Sound], path: Path, wanted: Wanted, drawn: DirectionMap | None, *, preview: bool
) -> AmbixWriter:
    """Writes master and preview in one pass over the sound. Map and preview use its first order only.

    Args:
        blocks: ambisonics (channels, samples).
        path: of the master; the preview gets another suffix.
        wanted: what the sound belongs to; an inpainted part is limited already.
        drawn: the direction map that collects the sound, if any.
        preview: whether to write a binaural preview.

    Returns:
        The master's writer, which knows its gain reduction and true peak.
    """
    rate = wanted.rate
    renderer = BinauralRenderer(rate)
    with AmbixWriter(path, rate, channels(wanted.chosen.order), limit=wanted.cut is None) as master:

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
    """For a map: the name of each source in a range of a clip, and its directions, one per second."""
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
    """The recordings by others among a take's exemplars, each once."""
    found = (
        DerivesFrom(kind=one.kind, source=one.source, author=one.author, licence=one.licence, url=one.url)
        for one in exemplars
        if not one.own
    )
    return tuple(dict.fromkeys(found))


def write_stems(take: TakeSound, path: Path, folder: Path, wanted: Wanted, gain_db: float) -> tuple[Path, ...]:
    """Writes each stem with the take's own gain, so that they add up to the take."""
    gain = np.float32(10 ** (gain_db / 20))
    written = []
    for label, blocks in take.stems:
        name = f"{path.stem}.stem-{label}.wav"
        with AmbixWriter(folder / name, wanted.rate, channels(wanted.chosen.order), limit=False) as writer:
            for block in blocks():
                writer.write(block * gain)
        written.append(path.with_name(name))
    return tuple(written)
