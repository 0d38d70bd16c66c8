"""Reading TensorFlow checkpoints ("tensor bundles") without TensorFlow.

A bundle is `NAME.index`, a LevelDB-style sorted table from each tensor's name to where it lies, and
`NAME.data-00000-of-00001`, the tensors' bytes one after the other. The layouts are TensorFlow's `tensor_bundle.proto`
and LevelDB's `doc/table_format.md`. No kept package reads them without TensorFlow itself.
"""

import struct
from collections.abc import Iterator

import numpy as np

from omniaudio.errors import UserError

_FOOTER_BYTES = 48
_TABLE_MAGIC = 0xDB4775248B80FB57
_UNCOMPRESSED = 0
_DT_FLOAT = 1  # DataType.DT_FLOAT in TensorFlow's types.proto
_BUNDLE_HEADER = b""  # the table's first key: a description of the bundle, not a tensor
# Fields of BundleEntryProto, of TensorShapeProto and of TensorShapeProto.Dim.
_ENTRY_DTYPE, _ENTRY_SHAPE, _ENTRY_SHARD, _ENTRY_OFFSET, _ENTRY_SIZE = 1, 2, 3, 4, 5
_SHAPE_DIM = 2
_DIM_SIZE = 1

Field = int | bytes


def read_floats(index: bytes, data: bytes) -> dict[str, np.ndarray]:
    """The float32 tensors of a checkpoint with one data file, by name; other types are passed over.

    `index` and `data` are the two files' bytes. Raises `UserError` if they are no checkpoint, or are cut short.
    """
    tensors: dict[str, np.ndarray] = {}
    try:
        for name, value in _table(index):
            if name == _BUNDLE_HEADER:
                continue
            entry = dict(_fields(value))
            if entry.get(_ENTRY_DTYPE) != _DT_FLOAT:
                continue
            if entry.get(_ENTRY_SHARD, 0) != 0:
                raise ValueError("it has more than one data file")
            shape = _shape(entry.get(_ENTRY_SHAPE, b""))
            offset, size = _integer(entry.get(_ENTRY_OFFSET, 0)), _integer(entry.get(_ENTRY_SIZE, 0))
            if offset + size > len(data):
                raise ValueError("its data file is cut short")
            tensors[name.decode()] = np.frombuffer(data, "<f4", size // 4, offset).reshape(shape)
    except (ValueError, IndexError, struct.error) as error:
        raise UserError(f"This TensorFlow checkpoint is incomplete ({error}); download it again.") from error
    return tensors


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a sorted table, in order."""
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != _TABLE_MAGIC:
        raise ValueError("its index has no table footer")
    _, at = _handle(footer, 0)  # the meta-index, which TensorFlow leaves empty
    index_block, _ = _handle(footer, at)
    for _, handle in _block(table, index_block):
        yield from _block(table, _handle(handle, 0)[0])


def _block(table: bytes, place: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; each key is stored as the length of the prefix it shares with the last one,
    and the rest."""
    offset, size = place
    block = table[offset : offset + size]
    if table[offset + size] != _UNCOMPRESSED:  # the byte after the block is its compression type
        raise ValueError("its index is compressed")
    restarts = struct.unpack("<I", block[-4:])[0]
    end = size - 4 * (restarts + 1)
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """A block's (offset, size) and the position after it."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 integer, least significant group first, and the position after it."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(message: bytes) -> Iterator[tuple[int, Field]]:
    """Numbers and values of a protobuf message's fields: integers as `int`, everything with a length as `bytes`."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        value: Field
        if wire_type == 0:
            value, at = _varint(message, at)
        elif wire_type == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        elif wire_type == 5:
            value, at = message[at : at + 4], at + 4
        else:
            raise ValueError(f"unknown wire type {wire_type}")
        yield number, value


def _shape(message: Field) -> tuple[int, ...]:
    if not isinstance(message, bytes):
        raise ValueError("a tensor's shape is not a protobuf message")
    return tuple(
        _integer(dict(_fields(dim)).get(_DIM_SIZE, 0))
        for number, dim in _fields(message)
        if number == _SHAPE_DIM and isinstance(dim, bytes)
    )


def _integer(value: Field) -> int:
    if not isinstance(value, int):
        raise ValueError("a number is stored as bytes")
    return value
