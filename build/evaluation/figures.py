"""The evaluation's figures and tables, from the results of scenes."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from cost import Cost
from scenes import Group
from takes_heard import NEAR, Heard, Recording, Result, Row, Seen

from omniaudio.evaluation.report import markdown_table, rate

SINGLE: tuple[Group, ...] = ("photograph", "drawing", "render", "moving")
TITLES: Mapping[Group, str] = {
    "photograph": "Photographs",
    "drawing": "Emoji of unseen fonts",
    "render": "Blender renders",
    "moving": "Moving photographs",
}
SHIFT = 7
"""The shuffled row judges a scene's sound by the words of the scene so many places on, or the next of another kind."""


def percent(values: Iterable[bool | float]) -> str:
    """Their mean as `70 %`; a dash for none."""
    found = list(values)
    return f"{100 * np.mean(found):.0f} %" if found else "–"


def percent_interval(hits: Iterable[bool]) -> str:
    """The share of true ones with its 95 % interval, as `70 % (60 to 78)`; a dash for none."""
    found = list(hits)
    if not found:
        return "–"
    share = rate(found)
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _both(heard: Sequence[tuple[Heard, Sequence[str]]]) -> list[str]:
    return [percent(sound.finds(words, k) for sound, words in heard) for k in (10, 3)]


def _where(errors: Sequence[float]) -> list[str]:
    return [f"{np.median(errors):.1f}°", percent(error < NEAR for error in errors)] if errors else ["–", "–"]


def of_kinds(
    cutouts: Sequence[Seen], recordings: Sequence[Recording], which: Callable[[Recording], Heard]
) -> list[str]:
    """Top 10 and top 3 of real recordings, each cutout counting by its kind's own score; cutouts without a recording of
    their kind are left out."""
    found: list[list[float]] = [[], []]
    for cutout in cutouts:
        own = [which(one) for one in recordings if one.kind == cutout.right[0]]
        if own:
            for place, k in enumerate((10, 3)):
                found[place].append(float(np.mean([sound.finds(cutout.labels, k) for sound in own])))
    return [percent(values) for values in found]


def shuffled(results: Sequence[Result]) -> list[tuple[Heard, Sequence[str]]]:
    """The sound of each scene with the words of another one's kind: what chance gives."""
    pairs: list[tuple[Heard, Sequence[str]]] = []
    for number, result in enumerate(results):
        for step in range(SHIFT, SHIFT + len(results)):
            other = results[(number + step) % len(results)].cutouts[0]
            if not set(other.right) & set(result.cutouts[0].right):
                pairs.append((result.sounds[Row.DEFAULT], other.labels))
                break
    return pairs


def group_table(results: Sequence[Result], recordings: Sequence[Recording]) -> str:
    """The rows of a group with one cutout a scene."""
    cutouts = [result.cutouts[0] for result in results]
    known = [cutout for cutout in cutouts if any(one.kind == cutout.right[0] for one in recordings)]
    rows = [
        ["real recordings of the kind", *of_kinds(cutouts, recordings, lambda one: one.real), "–", "–"],
        ["the same through the codec", *of_kinds(cutouts, recordings, lambda one: one.codec), "–", "–"],
    ]
    rows[0][0] += f" ({len(known)} of the scenes have some)"
    for row in (Row.EXEMPLARS, Row.GIVEN, Row.DEFAULT, Row.NOISE, Row.PREVIOUS):
        judged = [(result.sounds[row], result.cutouts[0].labels) for result in results if row in result.sounds]
        if judged:
            name = f"**{row}**" if row is Row.DEFAULT else str(row)
            errors = [sound.error for sound, _ in judged if sound.error is not None]
            rows.append([f"{name} ({len(judged)})", *_both(judged), *_where(errors)])
    given = [(result.sounds[Row.GIVEN], result.cutouts[0]) for result in results if Row.GIVEN in result.sounds]
    for own, name in ((True, "have a sound of their own"), (False, "borrow another kind's")):
        heard = [(sound, cutout.labels) for sound, cutout in given if cutout.own_voice is own]
        if heard:
            rows.append([f"true kinds given, those that {name} ({len(heard)})", *_both(heard), "–", "–"])
    named = [(result.sounds[Row.DEFAULT], result.cutouts[0].labels) for result in results if result.cutouts[0].named]
    rows.append([f"the draft, where it is named right ({len(named)})", *_both(named), "–", "–"])
    near = [(result.sounds[Row.DEFAULT].error or 0.0) for result in results if result.cutouts[0].kind]
    rows.append([f"the draft, where it finds a source ({len(near)})", "–", "–", *_where(near)])
    rows.append(["shuffled kinds", *_both(shuffled(results)), "–", "–"])
    rows.append(["always front", "–", "–", *_where([cutout.from_front for cutout in cutouts])])
    return markdown_table(["row", "top 10", "top 3", "direction, median", f"below {NEAR:.0f}°"], rows)


def recognition_table(results: Sequence[Result]) -> str:
    """How cutouts are found and named, by group."""
    rows = []
    for group in (*SINGLE, "two"):
        own = [result for result in results if result.group == group]
        cutouts = [cutout for result in own for cutout in result.cutouts]
        if cutouts:
            sure = [cutout.named for cutout in cutouts if cutout.near and cutout.confidence > 0.5]
            alarms = np.mean([max(0, result.false_alarms) for result in own])
            rows.append([
                TITLES.get(group, "Two photographs"), str(len(own)), *_where([cutout.error for cutout in cutouts]),
                percent(cutout.named for cutout in cutouts), percent(sure), f"{alarms:.2f}",
            ])  # fmt: skip
    return markdown_table(
        ["group", "scenes", "source, median", "below 25°", "and named right",
         "named right of those near with confidence above .5", "sources too many, a scene"], rows,
    )  # fmt: skip


def empty_table(results: Sequence[Result]) -> str:
    """Panoramas in which nothing sounds."""
    own = [result for result in results if result.group == "empty"]
    rows = []
    for place in sorted({result.panorama for result in own}):
        there = [result for result in own if result.panorama == place]
        heard = [result.sounds[Row.DEFAULT] for result in there]
        rows.append([
            place, ", ".join(sorted({kind for result in there for kind in result.found})) or "none",
            ", ".join(there[0].beds), ", ".join(sorted({result.bed for result in there})),
            f"{np.median([sound.level for sound in heard]):.0f} dBFS", ", ".join(heard[0].labels[:3]),
        ])  # fmt: skip
    return markdown_table(["panorama", "sources found", "beds that are right", "bed", "level", "heard first"], rows)


def kind_table(results: Sequence[Result], recordings: Sequence[Recording]) -> str:
    """Each kind in all scenes with one cutout."""
    single = [result for result in results if len(result.cutouts) == 1]
    rows = []
    for folder in sorted({result.cutouts[0].folder for result in single}):
        own = [result for result in single if result.cutouts[0].folder == folder]
        cutouts = [result.cutouts[0] for result in own]
        cells = []
        for row in (Row.DEFAULT, Row.GIVEN):
            heard = [(result.sounds[row], result.cutouts[0].labels) for result in own if row in result.sounds]
            cells.append(" / ".join(_both(heard)))
        real = of_kinds(cutouts[:1], recordings, lambda one: one.real)
        codec = of_kinds(cutouts[:1], recordings, lambda one: one.codec)
        first = Counter(result.sounds[Row.DEFAULT].labels[0] for result in own).most_common(2)
        rows.append([
            folder, str(len(own)), percent(cutout.named for cutout in cutouts), *cells, " / ".join(real),
            " / ".join(codec), ", ".join(label for label, _ in first),
        ])  # fmt: skip
    return markdown_table(
        ["kind", "scenes", "named right", "draft", "true kind given", "real recordings", "codec", "heard first"], rows
    )


def wanted_table(results: Sequence[Result], recordings: Sequence[Recording], cost: Cost | None) -> str:
    """The targets and what was measured."""
    photos = [result for result in results if result.group == "photograph"]
    cutouts = [result.cutouts[0] for result in photos]

    def found(row: Row) -> str:
        judged = [(r.sounds[row], r.cutouts[0].labels) for r in photos if row in r.sounds]
        return " / ".join(percent_interval(sound.finds(words, k) for sound, words in judged) for k in (10, 3))

    errors = [r.sounds[Row.DEFAULT].error for r in photos]
    codec = " / ".join(of_kinds(cutouts, recordings, lambda one: one.codec))
    heard = f"kind found by the tagger, photographs, top 10 / top 3 (real recordings through the codec: {codec})"
    two = [cutout for result in results if result.group == "two" for cutout in result.cutouts]
    pairs = [all(cutout.named for cutout in result.cutouts) for result in results if result.group == "two"]
    empty = [result for result in results if result.group == "empty"]
    bed_level = f"{np.median([r.sounds[Row.DEFAULT].level for r in empty]):.0f} dBFS" if empty else "–"
    rows = [
        ["kind named right where it is, unseen photographs", "88 %", percent_interval(one.named for one in cutouts)],
        [heard, "70 % / 45 %", found(Row.DEFAULT)],
        ["the same, from noise", "50 % / 30 %", found(Row.NOISE)],
        ["the same, true kinds given", "–", found(Row.GIVEN)],
        ["one still source: median, below 25°", "7°, 93 %", ", ".join(_where([e for e in errors if e is not None]))],
        ["two sources, each within 25° and named; both", "60 %",
         f"{percent_interval(cutout.named for cutout in two)}; {percent(pairs)}"],
        ["nothing that sounds: no source, level of the bed", "90 %, quiet",
         f"{percent_interval(result.false_alarms <= 0 for result in empty)}, {bed_level}"],
    ]  # fmt: skip
    if cost is not None:
        measured = f"{cost.ratio:.2f} × (processor {np.median(cost.cpu_seconds):.1f} s; the machine's load was "
        measured += f"{cost.load:.1f}), {max(cost.peak_bytes) / 1e9:.2f} GB"
        rows.append([f"{cost.clip_seconds:g} s clip, whole command, two threads", "0.33 ×, 1.2 GB", measured])
        rows.append(["weights together", "60 MB", f"{cost.weights_bytes / 1e6:.0f} MB"])
    return markdown_table(["", "wanted", "measured"], rows)


def summary(results: Sequence[Result], recordings: Sequence[Recording], cost: Cost | None, split: str) -> str:
    """What was wanted and what was measured, with how many scenes of which split."""
    counts = Counter(result.group for result in results)
    listed = ", ".join(f"{count} {TITLES.get(group, group).lower()}" for group, count in counts.items())
    return f"{len(results)} scenes of the {split} split ({listed}).\n\n{wanted_table(results, recordings, cost)}"


def rows_of_groups(results: Sequence[Result], recordings: Sequence[Recording]) -> str:
    """The rows of each group with one cutout a scene."""
    found = []
    for group in SINGLE:
        own = [result for result in results if result.group == group]
        if own:
            found.append(f"### {TITLES[group]}\n\n{group_table(own, recordings)}")
    return "\n".join(found)


def details(results: Sequence[Result], recordings: Sequence[Recording]) -> str:
    """All tables but the summary, as Markdown."""
    bad = [
        f"{result.name}, {row}: {', '.join(heard.defects)}"
        for result in results
        for row, heard in result.sounds.items()
        if heard.defects
    ]
    count = sum(len(result.sounds) for result in results)
    parts = [
        rows_of_groups(results, recordings),
        f"### Found and named\n\n{recognition_table(results)}",
        f"### Nothing hung in the panorama\n\n{empty_table(results)}",
        f"### Each kind (top 10 / top 3)\n\n{kind_table(results, recordings)}",
        f"Defects (NaN, silence, clipping, DC): {len(bad)} of {count} sounds. {'; '.join(bad)}",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
