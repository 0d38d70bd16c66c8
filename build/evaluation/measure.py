"""Measures the draft on scenes of one split, and writes all tables.

    python build/evaluation/measure.py ../shared/data --split development --every 4 -o TABLE.md
    .venv-bpy50/bin/python build/evaluation/blender_scenes.py .cache/evaluation/test/renders --split test
    python build/evaluation/measure.py ../shared/data --split test -o TABLE.md        # once, at the end

Each scene's result is kept in the cache as soon as it is there; a run that was ended goes on where it stopped. A
changed recogniser, generator or model is measured anew. Needs the extra `recipe`.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import figures
import plots
import typer
from cost import Cost, measure_cost
from material import Material, show
from scenes import BUILD, Scene, Split, scenes
from takes_heard import Judge, Recording, Result

from omniaudio.evaluation.yamnet import Yamnet, fetch_weights
from omniaudio.model_zoo import registry
from omniaudio.recognition.networks import OnnxNetworks
from trt_engine.runtime.open import open_pipeline

sys.path.append(str(BUILD.parent))
from benchmarks.page import write_blocks

MEASURED = (
    "omniaudio_client/kinds.toml",
    "omniaudio/recognition",
    "omniaudio/generation",
    "omniaudio/recognition/weights",
    "omniaudio/model_zoo/checkpoints/draft",
)
"""The sources that determine the results: a change there outdates earlier ones."""
COST_SECONDS = 10.0
"""Length of the clip whose time and memory are measured."""


SPECTROGRAMS = 10
README, PAGE = BUILD.parent / "README.md", BUILD.parent / "docs" / "quality.md"
CARD = BUILD.parent / "omniaudio" / "model_zoo" / "checkpoints" / "draft" / "MODEL_CARD.md"


@dataclass(frozen=True)
class Place:
    """The folders of a run."""

    material: Material
    scenes: Path
    results: Path
    weights: Path
    previous: Path | None
    """A checkout of an earlier commit, whose command makes one more row."""


def identity() -> str:
    """Of the recogniser, the generator and the model."""
    content = hashlib.sha256()
    for root in (BUILD.parent / name for name in MEASURED):
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and path.suffix not in (".pyc", ".md"):
                content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()[:12]


_judge: list[tuple[Judge, Place]] = []


def _begin(place: Place) -> None:
    stages = open_pipeline(registry.find("draft"), "auto")
    _judge.append((Judge(stages, OnnxNetworks(), Yamnet(place.weights)), place))


def _scene(scene: Scene) -> str:
    judge, place = _judge[0]
    clip = show(scene, place.material, place.scenes)
    result = judge.result(scene, clip, place.results / f"{scene.key}.flac", place.previous)
    _keep(place.results / f"{scene.key}.json", result.model_dump_json())
    return scene.name


def _recordings(kind: str) -> str:
    judge, place = _judge[0]
    for number, recording in enumerate(judge.recordings(place.material.data, place.material.split, [kind])):
        _keep(place.results / f"recording-{kind}-{number}.json", recording.model_dump_json())
    _keep(place.results / f"recordings-{kind}.done", "")
    return f"recordings of {kind}"


def _keep(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def measure(place: Place, wanted: Sequence[Scene], workers: int) -> tuple[list[Result], list[Recording]]:
    """The results of scenes and the recordings of their kinds, from the cache where it has them."""
    wanted_kinds = sorted({cutout.right[0] for scene in wanted for cutout in scene.cutouts})
    missing = [scene for scene in wanted if not (place.results / f"{scene.key}.json").is_file()]
    kinds_missing = [kind for kind in wanted_kinds if not (place.results / f"recordings-{kind}.done").is_file()]
    total = len(missing) + len(kinds_missing)
    if total:
        os.environ["OMP_NUM_THREADS"] = "1"  # each worker's; there are as many workers as cores
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (place,)) as pool:
            jobs = [pool.submit(_scene, scene) for scene in missing]
            jobs += [pool.submit(_recordings, kind) for kind in kinds_missing]
            for number, job in enumerate(as_completed(jobs), 1):
                print(f"{number} of {total}: {job.result()}", flush=True)
    results = [Result.model_validate_json((place.results / f"{scene.key}.json").read_text("utf-8")) for scene in wanted]
    files = (path for kind in wanted_kinds for path in sorted(place.results.glob(f"recording-{kind}-*.json")))
    return results, [Recording.model_validate_json(path.read_text("utf-8")) for path in files]


def _cost(place: Place, wanted: Sequence[Scene]) -> Cost:
    """Of the first moving scene at COST_SECONDS."""
    kept = place.results / "cost.json"
    if not kept.is_file():
        scene = next(scene for scene in wanted if scene.group == "moving")
        clip = show(replace(scene, name=f"cost-{scene.name}"), place.material, place.scenes, COST_SECONDS)
        _keep(kept, measure_cost(clip, COST_SECONDS, BUILD.parent).model_dump_json())
    return Cost.model_validate_json(kept.read_text("utf-8"))


def _takes(
    place: Place, wanted: Sequence[Scene], results: Sequence[Result], recordings: Sequence[Recording]
) -> list[tuple[Result, Path, Path]]:
    """Some takes of photographs and a recording of each one's kind; those with the right kind come first."""
    of_kind = {one.kind: place.material.data / one.path for one in recordings}
    found = [
        (result, place.results / f"{scene.key}.flac", of_kind[result.cutouts[0].right[0]])
        for scene, result in zip(wanted, results, strict=True)
        if scene.group == "photograph" and result.cutouts[0].right[0] in of_kind
    ]
    return sorted(found, key=lambda take: not take[0].cutouts[0].named)[:SPECTROGRAMS]


def main(
    data: Annotated[Path, typer.Argument(help="the folder with sounds/, photos/ and panoramas/")],
    *,
    split: Annotated[str, typer.Option(help="development, or test: once, at the end")] = "development",
    every: Annotated[int, typer.Option(help="only every n-th scene of each group")] = 1,
    output: Annotated[Path, typer.Option("-o", help="where the tables go; the plots lie beside it")],
    cache: Annotated[Path, typer.Option(help="results, scenes and the tagger's weights")] = Path(".cache/evaluation"),
    packages: Annotated[Path, typer.Option(help="keeps the emoji fonts' packages")] = Path(".cache/draft_model"),
    previous: Annotated[Path | None, typer.Option(help="a checkout of an earlier commit, measured beside")] = None,
    blender: Annotated[Path, typer.Option(help="Blender's environment")] = Path(".venv-bpy50"),
    workers: int = 2,
    publish: Annotated[bool, typer.Option(help="write the tables into README, card and docs/quality.md too")] = False,
    time: Annotated[bool, typer.Option(help="measure time and memory of the whole command too")] = True,
) -> None:
    """Measures the draft and writes the tables."""
    if split not in ("development", "test"):
        raise typer.BadParameter("choose development or test")
    chosen: Split = split  # type: ignore[assignment]
    root = cache / split
    material = Material(data, packages, blender, root / "renders", chosen)
    place = Place(material, root / "scenes", root / identity(), fetch_weights(cache), previous)
    for folder in (place.scenes, place.results):
        folder.mkdir(parents=True, exist_ok=True)
    everything = [*scenes(material.listing), *material.rendered()]
    wanted = [scene for scene in everything if int(scene.name.rsplit("-", 1)[1]) % every == 0]
    results, recordings = measure(place, wanted, workers)
    cost = _cost(place, wanted) if time else None
    summary = figures.summary(results, recordings, cost, split)
    details = figures.details(results, recordings)
    output.write_text(f"{summary}\n{details}", encoding="utf-8")
    print(output.read_text("utf-8"))
    photographs = [cutout for result in results if result.group != "drawing" for cutout in result.cutouts]
    taken_for, takes = (output.with_name(f"{output.stem}_{name}.png") for name in ("taken_for", "takes"))
    plots.taken_for(photographs, taken_for)
    plots.beside_recordings(_takes(place, wanted, results, recordings), takes)
    if publish:
        write_blocks(README, "", {"draft": summary})
        write_blocks(CARD, "", {"draft": f"{summary}\n{figures.rows_of_groups(results, recordings)}"})
        write_blocks(PAGE, "", {"draft": f"{summary}\n{details}\n{_plots(taken_for, takes)}"})


def _plots(taken_for: Path, takes: Path) -> str:
    """Copies the plots to docs/pictures/ and returns the Markdown that shows them in docs/quality.md."""
    shown = []
    for plot, name, title in (
        (taken_for, "draft_taken_for.png", "Which kinds are taken for which"),
        (takes, "draft_takes.png", "Takes of photographs, beside recordings of their kinds"),
    ):
        shutil.copyfile(plot, PAGE.parent / f"pictures/{name}")
        shown.append(f"![{title}](pictures/{name})")
    return "\n\n".join(shown)


if __name__ == "__main__":
    typer.run(main)
