"""What jobs answer with. A kind that answers with more than files derives its own result from `Result`."""

from pydantic import Field

from omniaudio.audio.ambisonics import Convention
from trt_engine.service.records import Record


class ResultFile(Record):
    """A file that a job has made: on the service's machine at `path`, and to be downloaded by its `name`."""

    name: str
    path: str
    size: int


class TakeResult(Record):
    """The files of a take, and its measures. `sound` is AmbiX (ACN, SN3D) of the order that was wanted, four channels
    for the first, and so are the stems. `seed` is None where no model ran."""

    sound: ResultFile
    sidecar: ResultFile
    preview: ResultFile | None
    map: ResultFile | None
    seed: int | None
    take: int
    rate: int
    samples: int
    gain_db: float
    true_peak_dbtp: float | None
    stems: tuple[ResultFile, ...] = ()


class Result(Record):
    """What a job that is done has made: takes, or one file of another kind. `model` and `backend` are None where none
    ran."""

    model: str | None = None
    backend: str | None = None
    takes: tuple[TakeResult, ...] = ()
    files: tuple[ResultFile, ...] = ()
    converted_from: Convention | None = Field(
        default=None, description="what the sound that was given declares itself to be, where it is not AmbiX"
    )

    @property
    def all_files(self) -> tuple[ResultFile, ...]:
        """Those of the takes among them."""
        of_takes = [
            file for take in self.takes for file in (take.sound, take.sidecar, take.preview, take.map, *take.stems)
        ]
        return (*(file for file in of_takes if file is not None), *self.files)
