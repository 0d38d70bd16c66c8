"""Weights stored once: ONNX initialisers that point into the model's own safetensors file.

A safetensors file is a header and raw tensors behind it, and an ONNX initialiser may lie in any file at an offset. So
the graphs hold structure only, and what the file keeps in float16 they widen themselves (`Cast`), which a back-end
folds once at load.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

INLINE_BYTES = 1024
"""Smaller tensors stay in the graph."""

_TYPES: dict[str, tuple[type[np.floating[Any]], int]] = {
    "F32": (np.float32, TensorProto.FLOAT),
    "F16": (np.float16, TensorProto.FLOAT16),
}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: `offset` and `length` in bytes from the begin of the file named `location`."""

    location: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def stored_tensors(
    path: Path, shapes: Container[tuple[int, ...]]
) -> Iterator[tuple[StoredTensor, NDArray[np.float32]]]:
    """The float tensors of a safetensors file that have one of `shapes`, as they are or transposed; their values in
    float32."""
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_length))
    content = np.memmap(path, np.uint8, "r")
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _TYPES:
            continue
        shape = tuple(entry["shape"])
        if shape not in shapes and shape[::-1] not in shapes:
            continue
        begin, end = (8 + header_length + offset for offset in entry["data_offsets"])
        stored = StoredTensor(path.name, name, entry["dtype"], shape, begin, end - begin)
        values = np.frombuffer(content[begin:end], _TYPES[stored.dtype][0])
        yield stored, values.reshape(stored.shape).astype(np.float32)


def refer(model: onnx.ModelProto, weights: Iterable[Path]) -> int:
    """Replace the graph's initialisers by references to equal tensors of files that will lie beside the graph.

    An exporter may have transposed a matrix; then the graph transposes it back. Values that no file holds stay
    as they are.

    Args:
        model: changed in place.
        weights: safetensors files that hold the values in float32 or in float16.

    Returns:
        How many bytes stay in the graph.
    """
    graph = model.graph
    # Of the released size, what is hashed counts: only what has the shape of an initialiser can be equal to one.
    shapes = {tuple(initializer.dims) for initializer in graph.initializer}
    known: dict[tuple[tuple[int, ...], bytes], tuple[StoredTensor, bool]] = {}
    for stored, values in (entry for path in weights for entry in stored_tensors(path, shapes)):
        if values.ndim == 2 and values.T.shape in shapes:
            known.setdefault(_identity(values.T), (stored, True))
        if values.shape in shapes:
            known[_identity(values)] = (stored, False)
    kept: list[TensorProto] = []
    external: dict[str, TensorProto] = {}
    nodes: list[onnx.NodeProto] = []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        found = known.get(_identity(values)) if values.dtype == np.float32 and values.nbytes >= INLINE_BYTES else None
        if found is None:
            kept.append(initializer)
            continue
        stored, transposed = found
        external.setdefault(stored.name, _external(stored))
        nodes.extend(_widen(stored, transposed, initializer.name))
    nodes.extend(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *external.values()])
    graph.node.extend(nodes)
    return sum(len(initializer.raw_data) for initializer in kept)


def _identity(values: NDArray[np.float32]) -> tuple[tuple[int, ...], bytes]:
    return values.shape, hashlib.sha256(np.ascontiguousarray(values).data).digest()


def _external(stored: StoredTensor) -> TensorProto:
    tensor = TensorProto(
        name=f"stored.{stored.name}",
        data_type=_TYPES[stored.dtype][1],
        dims=stored.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", stored.location), ("offset", stored.offset), ("length", stored.length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _widen(stored: StoredTensor, transposed: bool, target: str) -> list[onnx.NodeProto]:
    """The nodes that make the initialiser `target` of a stored tensor."""
    source = f"stored.{stored.name}"
    if not transposed:
        return [helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)]
    transposed_name = f"{target}.transposed"
    return [
        helper.make_node("Transpose", [source], [transposed_name], perm=[1, 0]),
        helper.make_node("Cast", [transposed_name], [target], to=TensorProto.FLOAT),
    ]
