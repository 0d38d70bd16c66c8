"""From a model in torch to a bundle: one ONNX graph a stage, each compared with torch before the bundle is complete."""

import logging
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import onnxscript.optimizer
import torch
from onnx_ir.passes import common as passes
from pydantic import ValidationError
from safetensors.torch import save_file
from torch.export import Dim

from omniaudio.errors import UserError
from omniaudio.files import replacing
from omniaudio.model_zoo import registry
from trt_engine.compile.bundle import (
    BUNDLE_FILE,
    Bundle,
    Check,
    Graph,
    Licence,
    Stage,
    Tensor,
    exemplar_files,
    intact,
    record,
    weight_files,
    write,
)
from trt_engine.graphs.external_data import refer
from trt_engine.graphs.stage_modules import StageModule, example_frames, load_parts, stage_modules
from trt_engine.runtime.onnxruntime import OnnxRuntimeSession
from trt_engine.runtime.torch.pipeline import TorchSession

OPSET = 20
GRAPH_WEIGHTS = "graphs.safetensors"
"""What the graphs share where they cannot point into the model's own weights."""
TOLERANCE = 1e-3
"""Largest error of a graph against torch, over the tensor's largest value."""
UNFINISHED = "bundle.unfinished.json"
"""The bundle as far as it is: with it an export that was stopped is taken up again."""

_log = logging.getLogger(__name__)


def export_model(model: registry.Model, on_graph: Callable[[Stage], None] = lambda stage: None) -> Bundle:
    """Write graphs and `bundle.json` into the folder that holds a model's weights.

    What an export of the same weights by the same versions has finished before it was stopped is kept.

    Args:
        model: with its weights in its folder.
        on_graph: told of every graph that is there; what it raises stops the export.

    Raises:
        UserError: files are missing or damaged, or a graph does not compute what torch computes.
    """
    loaded, vision = load_parts(model)
    folder = model.folder
    files = weight_files(folder)
    if loaded.config.model.pretransform.type == "autoencoder" or files[0].suffix != ".safetensors":
        # Such a file's convolutions are weight-normalised, or a graph cannot point into it: the graphs share their own.
        stored: tuple[Path, ...] = (folder / GRAPH_WEIGHTS,)
        parts = {
            f"{name}.{key}": value
            for name, part in (("model", loaded), ("vision", vision))
            if part is not None
            for key, value in part.state_dict().items()
        }
        with replacing(stored[0]) as partial:
            save_file({name: value.contiguous() for name, value in parts.items()}, partial)
    else:
        stored = files
    if not (folder / model.config.name).is_file():
        shutil.copy(model.config, folder)
    unfinished = folder / UNFINISHED
    bundle = _taken_up(
        unfinished,
        Bundle(
            model=model.name,
            config=record(folder / model.config.name),
            weights=tuple(map(record, files)),
            graph_weights=tuple(map(record, stored)),
            exemplars=tuple(map(record, exemplar_files(folder))),
            precision="float32",
            graphs={},
            licences=(Licence(of=model.name, licence=model.licence),),
            versions={"python": platform.python_version()}
            | {package: version(package) for package in ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")},
        ),
    )
    for stage, module in stage_modules(loaded, vision, example_frames(loaded.config)).items():
        if stage not in bundle.graphs:
            graphs = bundle.graphs | {stage: _write_graph(stage, module, folder, stored)}
            bundle = bundle.model_copy(update={"graphs": graphs})
            write(bundle, unfinished)
        on_graph(stage)
    write(bundle, folder / BUNDLE_FILE)
    unfinished.unlink(missing_ok=True)
    return bundle


def _taken_up(unfinished: Path, bundle: Bundle) -> Bundle:
    """The bundle with the graphs of an export that was stopped, if that was of the same weights and versions."""
    try:
        before = Bundle.model_validate_json(unfinished.read_bytes())
    except (OSError, ValidationError):
        return bundle
    if before.model_copy(update={"graphs": {}}) != bundle:
        return bundle
    kept = {stage: graph for stage, graph in before.graphs.items() if intact(unfinished.parent, graph)}
    return bundle.model_copy(update={"graphs": kept})


def _write_graph(stage: Stage, module: StageModule, folder: Path, stored: tuple[Path, ...]) -> Graph:
    path = folder / f"{stage}.onnx"
    proto = _export(module.eval())
    inline = refer(proto, stored)
    names = _dimension_names(proto, module)
    with replacing(path) as partial:
        partial.write_bytes(proto.SerializeToString())
        check = _check(partial, module)
        if not check.relative_error <= TOLERANCE:  # also where it is not a number
            raise UserError(f"The graph of the {stage} is off by {check.relative_error:.1e} from torch: not exported.")
    _log.info("%s: %d bytes of constants, error %.1e", path.name, inline, check.relative_error)
    return Graph(
        **record(path).model_dump(),
        inputs=_tensors(proto.graph.input, names),
        outputs=_tensors(proto.graph.output, names),
        check=check,
    )


def _export(module: StageModule) -> onnx.ModelProto:
    # The lengths depend on each other (frames are tokens by patches), which the exporter finds out itself.
    shapes = tuple(dict.fromkeys(module.varying[name], Dim.AUTO) for name in module.inputs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # that torchvision is not here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter's own code
        program = torch.onnx.export(
            module,
            tuple(module.examples.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(module.inputs),
            output_names=list(module.outputs),
            dynamic_shapes={"tensors": shapes},
            optimize=False,
            verbose=False,
        )
    assert program is not None
    _simplify(program.model)
    proto = program.model_proto
    _strip(proto)
    return proto


def _simplify(model: onnx_ir.Model) -> None:
    """What the exporter would do itself, but for its rewriting rules: those take 1e-8 in a sum for zero and drop it,
    and with it what keeps a division or a logarithm finite."""
    onnxscript.optimizer.inline(model)
    onnxscript.optimizer.fold_constants_ir(model)
    tidy = onnx_ir.passes.Sequential(
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
    )
    tidy(model)


def _strip(proto: onnx.ModelProto) -> None:
    """Drop the exporter's notes: where in whose files every node comes from, and shapes that back-ends infer."""
    del proto.metadata_props[:], proto.graph.metadata_props[:], proto.graph.value_info[:]
    for function in proto.functions:
        del function.metadata_props[:], function.value_info[:]
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    for node in (*nodes, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        del node.metadata_props[:]
        node.doc_string = ""


def _check(path: Path, module: StageModule) -> Check:
    """Compare a graph with torch at the native length, and at another batch and, where that may vary, length."""
    reference, graph = TorchSession(module.compute, torch.device("cpu")), OnnxRuntimeSession(path)
    errors = []
    for tensors in (module.examples, module.other_inputs()):
        inputs = {name: tensor.numpy() for name, tensor in tensors.items()}
        computed = graph.run(inputs)
        for name, value in reference.run(inputs).items():
            largest = max(float(np.abs(value).max()), float(np.finfo(np.float32).tiny))
            errors.append(float(np.abs(computed[name] - value).max()) / largest)
    return Check(reference=f"torch {version('torch')}", backend="onnxruntime", relative_error=max(errors))


def _dimension_names(proto: onnx.ModelProto, module: StageModule) -> dict[str, str]:
    """What the exporter's symbols for sizes stand for."""
    return {
        value.type.tensor_type.shape.dim[dimension].dim_param: name
        for value in proto.graph.input
        for dimension, (name, _) in module.varying[value.name].items()
    }


def _tensors(values: Iterable[onnx.ValueInfoProto], names: Mapping[str, str]) -> tuple[Tensor, ...]:
    def size(dimension: onnx.TensorShapeProto.Dimension) -> int | str:
        if not dimension.dim_param:
            return int(dimension.dim_value)
        return re.sub(r"\w+", lambda symbol: names.get(symbol[0], symbol[0]), str(dimension.dim_param))

    return tuple(Tensor(name=value.name, shape=tuple(map(size, value.type.tensor_type.shape.dim))) for value in values)
