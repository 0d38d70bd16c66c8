"""Equal records of arrays in a temporary file: written once, read often, in constant memory."""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Spool:
    """Records, each a mapping from names to arrays (1, …), all of the first record's shapes.

    The file has no name and vanishes with the process.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the spool is
        self._layout: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        self._record_bytes = 0
        self._records = 0

    def close(self) -> None:
        """Closes the file, which deletes it."""
        self._file.close()

    def __len__(self) -> int:
        return self._records

    def append(self, record: Mapping[str, Array]) -> None:
        """Writes one record. Raises ValueError if its shapes or types differ from the first one's."""
        layout = {name: (array.shape[1:], array.dtype) for name, array in record.items()}
        if not self._records:
            self._layout = layout
            self._record_bytes = sum(array.nbytes for array in record.values())
        elif layout != self._layout:
            raise ValueError(f"a record of {layout} does not fit those of {self._layout}")
        self._file.seek(self._records * self._record_bytes)
        for array in record.values():
            self._file.write(np.ascontiguousarray(array).data)
        self._records += 1

    def read(self, indexes: Sequence[int], repeat: int) -> dict[str, Array]:
        """Records by their indexes, joined along the first axis, each `repeat` times."""
        parts: dict[str, list[Array]] = {name: [] for name in self._layout}
        for index in indexes:
            self._file.seek(index * self._record_bytes)
            for name, (shape, dtype) in self._layout.items():
                content = self._file.read(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
                array = np.frombuffer(content, dtype).reshape(1, *shape)
                parts[name].extend([array] * repeat)
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}
