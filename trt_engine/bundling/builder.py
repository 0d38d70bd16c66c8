"""From a model to a bundle with engines, stage by stage; finished parts are kept.

A stage that TensorRT-RTX does not compile for Turing as it is (`turing.py`) becomes two engines: one for Turing, and
one for all other cards.

An engine is finished when `bundle.json` names it; that file is rewritten after each engine. An engine is compiled in a
folder for unfinished files, and moved to its place when it is complete.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from omniaudio.config import ModelConfig, load_config
from omniaudio.errors import ExitCode, UserError, installation
from omniaudio.files import file_sha256, replacing
from omniaudio.model_zoo import registry
from omniaudio.progress import Progress, Report, Task
from omniaudio.video.stills import read_still
from trt_engine.compile import bundle as bundles
from trt_engine.compile.bundle import BUNDLE_FILE, Bundle, Engine, Sizes, Stage
from trt_engine.compile.compiler import CompileError, Job, compile_apart, library
from trt_engine.compile.profiles import Limits, profile
from trt_engine.compile.targets import Flavour, Precision
from trt_engine.graphs import fp32_gemm
from trt_engine.graphs.precision import write_lowered

ENGINES, UNFINISHED = "engines", "engines/.unfinished"
"""Folders of a bundle."""
MODEL_CARD = "MODEL_CARD.md"
"""What a model's licence refers to."""
EXPORTING = "exporting"
"""The stage of the progress before those of the engines, which are named as their graphs."""

_GUESSED_SECONDS = {EXPORTING: 20.0, Stage.DECODER: 10.0}
_GUESSED_SECONDS_ELSE = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """The engines to build. `architectures` as `trt_engine.compile.targets.architectures` gives them."""

    flavour: Flavour
    architectures: tuple[int, ...]
    precision: Precision
    limits: Limits
    calibration: tuple[Path, ...] = ()
    """Panoramas to calibrate fp8 with; only for models with a vision encoder."""


@dataclass(frozen=True)
class Built:
    """An engine of the bundle, and the seconds that it took to build; None if it was there before."""

    engine: Engine
    seconds: float | None


def build(
    model: registry.Model, folder: Path, order: Order | None, report: Callable[[Report], None]
) -> tuple[Bundle, list[Built]]:
    """Build a bundle, or its missing parts.

    Args:
        model: with its weights.
        folder: where the bundle is or will be; it may be the model's own.
        order: the engines to build; None for graphs only.
        report: called after each step; an exception cancels the build, and finished parts are kept.

    Raises:
        UserError: panoramas for calibration are missing or not needed, the model is damaged, the folder holds another
            model or cannot be written, a compiler is missing or refuses a graph, or another build uses the folder.
    """
    config = load_config(model.config)
    if order is not None and (order.precision is Precision.FP8 and config.sees) != bool(order.calibration):
        raise UserError(
            "--calibrate is required for --precision fp8 of a model with a vision encoder: name a 360° image. For "
            "other models, such as the draft, leave it out: they are calibrated with the kinds that they know."
        )
    version = library(order.flavour).__version__ if order is not None else ""
    stages = bundles.stages(config)
    tasks = [Task(EXPORTING, len(stages), _GUESSED_SECONDS[EXPORTING])]
    if order is not None:
        tasks += [Task(stage, 1, _GUESSED_SECONDS.get(stage, _GUESSED_SECONDS_ELSE)) for stage in stages]
    progress = Progress(report, tasks)
    with _alone(folder):
        progress.begin(EXPORTING)
        bundle = _with_graphs(_settled(model, folder), progress)
        if order is None:
            return bundle, []
        return _Engines(folder, order, version, progress).add(bundle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder for one build, and remove the unfinished files of an earlier one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".build.lock", blocking=False):
            shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    except Timeout as error:
        raise UserError(f"Another build works in {folder}: wait for it, or choose another folder.") from error
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{folder} cannot be written ({reason}): choose another folder, or make room there.", ExitCode.NOT_WRITABLE
        ) from error


def _settled(model: registry.Model, folder: Path) -> registry.Model:
    """The model in the bundle's folder: its files are copied there, and its graphs where it has any."""
    home = replace(model, folder=folder, config=folder / model.config.name)
    files = [model.config, *bundles.weight_files(model.folder), *bundles.exemplar_files(model.folder)]
    if folder.resolve() == model.folder.resolve():
        for file in files:
            if file.is_symlink() or file.stat().st_nlink > 1:
                raise UserError(
                    f"{file} is a link or has another name elsewhere, which readers of graphs refuse: choose another "
                    "folder for the bundle, it is copied there."
                )
        return home
    for file in files:
        if (target := folder / file.name).is_file() and file_sha256(target) != file_sha256(file):
            raise UserError(
                f"{target} is not that of {model.folder}: choose another folder for the bundle, or remove the file."
            )
    if _usable(folder, home.config) is not None:
        return home
    shipped = _usable(model.folder, model.config)
    if shipped is None:
        _check_weights(model)
    card = model.folder / MODEL_CARD
    graphs = [model.folder / file.file for file in shipped.files] if shipped is not None else []
    for file in dict.fromkeys([*files, *graphs, *([card] if card.is_file() else [])]):
        with replacing(folder / file.name) as partial:
            shutil.copyfile(file, partial)
    if shipped is not None:
        bundles.write(shipped.model_copy(update={"engines": ()}), folder / BUNDLE_FILE)
    return home


def _usable(folder: Path, config: Path) -> Bundle | None:
    """The bundle in a folder, if it is whole and of the config and the weights that are there."""
    if not (folder / BUNDLE_FILE).is_file():
        return None
    try:
        bundle = bundles.verify(folder)
    except UserError as error:
        _log.warning("The graphs are exported again: %s", error.message)
        return None
    weights = tuple(map(bundles.record, (*bundles.weight_files(folder), *bundles.exemplar_files(folder))))
    return bundle if bundle.identity == bundles.identity(bundles.record(config), weights) else None


def _check_weights(model: registry.Model) -> None:
    """Refuse weights that are not the config's before they are copied."""
    with _torch_wanted(model):
        from omniaudio.model.checkpoint import check_tensors, find_weights, read_tensors  # noqa: PLC0415
    weights = find_weights(model.folder)
    check_tensors(load_config(model.config), read_tensors(weights), str(weights))


def _with_graphs(home: registry.Model, progress: Progress) -> Bundle:
    bundle = _usable(home.folder, home.config)
    if bundle is not None:
        return bundle
    with _torch_wanted(home):
        from trt_engine.bundling.export import export_model  # noqa: PLC0415
    return export_model(home, lambda stage: progress.advance(EXPORTING))


@contextmanager
def _torch_wanted(model: registry.Model) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{model.name} has no graphs, and exporting them needs torch: run {installation('cpu', 'torch')}.",
            ExitCode.NO_BACKEND,
        ) from error


class _Engines:
    """The engines of an order, one stage after another."""

    def __init__(self, folder: Path, order: Order, version: str, progress: Progress) -> None:
        self._folder = folder
        self._order = order
        self._version = version
        self._progress = progress

    def add(self, bundle: Bundle) -> tuple[Bundle, list[Built]]:
        config = load_config(self._folder / bundle.config.file)
        bundle = self._without_old(bundle)
        built: list[Built] = []
        for stage in bundle.graphs:
            self._progress.begin(stage)
            sizes = profile(stage, bundle.graphs[stage], config, self._order.limits)
            kept = [engine for engine in bundle.engines if self._serves(engine, stage, sizes)]
            built += [Built(engine, None) for engine in kept]
            missing = set(self._order.architectures).difference(*(engine.architectures for engine in kept))
            if missing:
                for new in self._compiled(stage, bundle, config, tuple(sorted(missing))):
                    others = (engine for engine in bundle.engines if engine.file != new.engine.file)
                    bundle = bundle.model_copy(update={"engines": (*others, new.engine)})
                    bundles.write(bundle, self._folder / BUNDLE_FILE)
                    built.append(new)
            self._progress.advance(stage)
        return bundle, built

    def _without_old(self, bundle: Bundle) -> Bundle:
        """Remove what can never load again: engines of graphs and weights that are no more."""
        current = tuple(
            engine
            for engine in bundle.engines
            if engine.stage in bundle.graphs and engine.source == bundle.source(engine.stage)
        )
        for engine in bundle.engines:
            if engine not in current:
                (self._folder / engine.file).unlink(missing_ok=True)
        return bundle.model_copy(update={"engines": current})

    def _serves(self, engine: Engine, stage: Stage, sizes: dict[str, Sizes]) -> bool:
        """Whether an engine is part of what was ordered: of the same key, and whole."""
        order = self._order
        key = (engine.stage, engine.flavour, engine.version, engine.precision, engine.profile)
        wanted = (stage, order.flavour, self._version, order.precision, sizes)
        useful = not set(engine.architectures).isdisjoint(order.architectures)
        return key == wanted and useful and bundles.intact(self._folder, engine)

    def _compiled(
        self, stage: Stage, bundle: Bundle, config: ModelConfig, architectures: tuple[int, ...]
    ) -> Iterator[Built]:
        """New engines of a stage, each as soon as it is whole."""
        began = time.monotonic()
        place = self._folder / UNFINISHED
        place.mkdir(parents=True)
        graph, for_turing = place / f"{stage}.onnx", place / f"{stage}.turing.onnx"
        write_lowered(
            self._folder / bundle.graphs[stage].file, graph, self._order.precision, stage, self._amplitudes(stage)
        )
        pieces = {architectures: graph}
        rtx = self._order.flavour is Flavour.TENSORRT_RTX
        if rtx and fp32_gemm.ARCHITECTURE in architectures and fp32_gemm.write_without_products(graph, for_turing):
            others = tuple(number for number in architectures if number != fp32_gemm.ARCHITECTURE)
            pieces = {(fp32_gemm.ARCHITECTURE,): for_turing} | ({others: graph} if others else {})
        for part, source in pieces.items():
            engine = self._engine(stage, bundle, config, part, source)
            now = time.monotonic()
            yield Built(engine, now - began)
            began = now
        shutil.rmtree(place)

    def _engine(
        self, stage: Stage, bundle: Bundle, config: ModelConfig, architectures: tuple[int, ...], source: Path
    ) -> Engine:
        """Compile a graph, and move the engine to its place."""
        order = self._order
        numbers = "-".join(map(str, architectures))
        name = f"{stage}.{order.flavour}-{self._version}.{order.precision}.{numbers}.engine"
        graph = bundle.graphs[stage]
        sizes = profile(stage, graph, config, order.limits)
        outputs = tuple(tensor.name for tensor in graph.outputs)
        unfinished = self._folder / UNFINISHED / name
        try:
            compile_apart(Job(order.flavour, source, architectures, sizes, outputs), unfinished)
        except CompileError as error:
            raise UserError(
                f"{order.flavour.label} {self._version} does not compile the {stage} in {order.precision} for "
                f"{', '.join(map(str, architectures))} ({error}): try another --precision, or leave an --arch out."
            ) from error
        measured = bundles.record(unfinished)
        os.replace(unfinished, self._folder / ENGINES / name)
        return Engine(
            file=f"{ENGINES}/{name}",
            size=measured.size,
            sha256=measured.sha256,
            stage=stage,
            flavour=order.flavour,
            version=self._version,
            architectures=architectures,
            precision=order.precision,
            source=bundle.source(stage),
            profile=sizes,
        )

    def _amplitudes(self, stage: Stage) -> Mapping[str, float] | None:
        if self._order.precision is not Precision.FP8 or stage is not Stage.VELOCITY:
            return None
        from trt_engine.bundling.calibration import calibrate  # noqa: PLC0415 - fp8 alone needs a back-end

        return calibrate(self._folder, [read_still(image) for image in self._order.calibration])
