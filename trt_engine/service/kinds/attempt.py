"""What a job has to hand while a worker carries it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from omniaudio.progress import Report
from trt_engine.service.kinds.result import ResultFile

if TYPE_CHECKING:
    from omniaudio.generation.pipeline import Stages
    from omniaudio.recognition.networks import Networks

STEM_BYTES = 200
"""Of a file's name: endings and the names of unfinished files fit into the 255 that file systems take."""


class Models(Protocol):
    """Where a job gets models from; those of the last jobs are ready."""

    def pipeline(self, name: str | None, backend: str) -> "Stages":
        """A model on a back-end; the best model where the name is None. Raises UserError."""
        ...

    def networks(self) -> "Networks":
        """Those of the recognition. Raises UserError."""
        ...


@dataclass(frozen=True)
class Attempt:
    """One attempt at a job, in a worker's process.

    `files` are the paths of the request's input files, by the fields that name them; what is made goes into `folder`,
    whose files will lie in `results` in the end. `report` is called after each step; an exception cancels the job."""

    files: Mapping[str, Path]
    folder: Path
    results: Path
    max_seconds: float
    models: Models
    report: Callable[[Report], None]

    def output(self, name: str | None, source: str, addition: str, suffix: str) -> Path:
        """Where a job makes its file.

        Args:
            name: the file's stem as the request asks for it, or None.
            source: the field whose file it is named after otherwise.
            addition: what is added to that name, like `.ambix`.
            suffix: of the file, like `.wav`.
        """
        if name is None:
            # What numbers the frames of a sequence means something else in an address.
            own = self.files[source].stem.translate(dict.fromkeys(map(ord, "#%"))).strip(". _-") or "clip"
            name = f"{_cut(own, STEM_BYTES - len(addition))}{addition}"
        return self.folder / f"{_cut(name, STEM_BYTES)}{suffix}"

    def made(self, path: Path) -> ResultFile:
        """A file that was made, by the path at which it will lie."""
        return ResultFile(name=path.name, path=str(self.results / path.name), size=path.stat().st_size)


def _cut(text: str, length: int) -> str:
    """As many characters as fit into so many bytes."""
    return text.encode()[:length].decode(errors="ignore")
