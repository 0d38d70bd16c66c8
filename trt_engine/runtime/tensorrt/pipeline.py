"""A model's stages by TensorRT or TensorRT-RTX: from the frames to the latents all data stays on the device.

Like the modules below it, this was written against the interfaces of the installed bindings and has not been run on a
GPU; the arithmetic of its sampler is tested by `tests/trt_engine/graphs/test_sampler_step.py` in ONNX Runtime.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omniaudio.errors import ExitCode, UserError
from omniaudio.files import replacing
from omniaudio.generation.sampler import Held, halves
from omniaudio.generation.windows import WindowPlan
from trt_engine.compile.bundle import FRAME_PREFIX, Bundle, Stage, engine_for
from trt_engine.compile.compiler import Job, compile_graph, library
from trt_engine.compile.profiles import MAX_SECONDS
from trt_engine.compile.targets import Flavour
from trt_engine.graphs.sampler_step import OUTPUTS, tables, update_graph, update_profile
from trt_engine.runtime.session import Array, Described, Description
from trt_engine.runtime.tensorrt.device import Device, DeviceArray
from trt_engine.runtime.tensorrt.session import TensorRtSession, cache_folder

Float32 = NDArray[np.float32]
Arrays = Mapping[str, DeviceArray]

ALIGNMENT = 256
"""Bytes: where TensorRT lets a tensor begin."""


class DeviceStore:
    """Conditions of windows, by name (1, …), in the device's memory."""

    def __init__(self) -> None:
        self.records: list[Arrays] = []

    def append(self, record: Arrays) -> None:
        """Keep the next window's."""
        self.records.append(record)

    def close(self) -> None:
        """Let them go."""
        self.records = []


class TensorRtPipeline(Described):
    """`omniaudio.generation.pipeline.Stages` by the engines of a bundle, on the first GPU."""

    def __init__(self, description: Description, folder: Path, bundle: Bundle, flavour: Flavour) -> None:
        """Load the engines of every stage but the encoder, which waits until it is needed.

        Raises:
            UserError: no library, GPU or driver, or no engine in the bundle that loads here.
        """
        super().__init__(description)
        self._folder, self._bundle, self._flavour = folder, bundle, flavour
        self._version = library(flavour).__version__
        self.device = Device()
        # The library's own word: its distribution is called otherwise in NVIDIA's package index.
        self.versions = {flavour.value: self._version} | self.device.versions
        # No cycle leads from these back to this object: the GPU's memory is free at once when it is let go.
        self._sessions: dict[Stage, TensorRtSession] = {}
        self._updates: dict[bool, TensorRtSession] = {}
        self._sampler: StepSampler | None = None
        for stage in (Stage.CONDITIONER, Stage.VISION, Stage.VELOCITY, Stage.DECODER):
            if stage in bundle.graphs:
                self.session(stage)

    def session(self, stage: Stage) -> TensorRtSession:
        """One stage's engine, loaded when it is first needed."""
        if stage not in self._sessions:
            found = engine_for(
                self._folder,
                self._bundle,
                stage,
                flavour=self._flavour,
                version=self._version,
                architecture=self.device.architecture,
            )
            self._sessions[stage] = TensorRtSession(
                self._folder / found.file, self._flavour, self.device, captured=stage is Stage.VELOCITY
            )
        return self._sessions[stage]

    def vision(self, inputs: Mapping[str, Array]) -> Arrays:
        """Views of frames, uint8 (batch, height, width, 3), to features (batch, …), both by name."""
        views = {FRAME_PREFIX + name: self.device.upload(view) for name, view in inputs.items()}
        return self.session(Stage.VISION).compute(views)

    def conditions(self, features: Sequence[Mapping[str, DeviceArray | Array]]) -> Arrays:
        """Features of a window's frames, each (1, …), to its conditions (1, …). Features that the caller supplies are
        arrays in host memory."""
        there = [
            {name: self.device.upload(one) if isinstance(one, np.ndarray) else one for name, one in frame.items()}
            for frame in features
        ]
        together = {}
        for name, one in there[0].items():
            together[name] = self.device.empty((1, len(features), *one.shape[1:]), one.dtype)
            for place, frame in enumerate(there):
                target = together[name].address + place * one.nbytes
                self.device.copy(target, frame[name].address, one.nbytes)
        return self.session(Stage.CONDITIONER).compute(together)

    def condition_store(self) -> DeviceStore:
        """In the device's memory."""
        return DeviceStore()

    def sample(
        self,
        start: Float32,
        windows: WindowPlan,
        conditions: DeviceStore,
        *,
        guidance: float,
        steps: int,
        on_rows: Callable[[int], None],
        held: Held | None = None,
        begin: float = 1.0,
    ) -> Float32:
        """Noise to latents; a step is one captured graph, and `on_rows` is called once a step.

        Raises:
            UserError: more takes or a longer clip than the update's engine is made for.
        """
        most, _, longest = update_profile(self.config, halves(guidance) == 2)["x"].maximum
        if len(start) > most or windows.frames > longest:
            raise UserError(
                f"{self._flavour.label} makes {most} takes of {MAX_SECONDS / 60:g} minutes at a time at most: ask "
                "for less, or choose another --backend.",
                ExitCode.BAD_RANGE,
            )
        if self._sampler is None or not self._sampler.fits(windows, len(start), guidance):
            self._sampler = None  # its memory first
            self._sampler = StepSampler(
                self.device,
                (self.session(Stage.VELOCITY), self._update(halves(guidance) == 2)),
                (windows, len(start), guidance),
                self.config.latent_channels,
                conditions.records[0],
            )
        sampler = self._sampler
        sampler.load(start, conditions.records, self.config.omniaudio.guidance_drops, (steps, begin), held)
        before: Callable[[], None] | None = None
        for step in range(steps):
            sampler.step(step)
            # Waits for the step before this one, so that the device never waits for a report, and a cancellation comes
            # after one more step at most.
            if before is not None:
                before()
            before = self.device.record()
            on_rows(sampler.rows)
        return self.device.read(sampler.x)

    def decode(self, latents: Float32) -> Float32:
        """Latents (batch, channels, frames) to AmbiX sound (batch, 4, samples)."""
        return self.session(Stage.DECODER).run({"latents": latents})["sound"]

    def encode(self, foa: Float32) -> Float32:
        """AmbiX sound (batch, 4, samples) to latents (batch, channels, frames)."""
        return self.session(Stage.ENCODER).run({"sound": foa})["latents"]

    def _update(self, guided: bool) -> TensorRtSession:
        """The step's own engine: a second of compilation, once a machine."""
        if guided not in self._updates:
            self._updates[guided] = self._load_update(guided)
        return self._updates[guided]

    def _load_update(self, guided: bool) -> TensorRtSession:
        content = update_graph(self.config.latent_channels, self.config.latent_frames, guided).SerializeToString()
        version, architecture = self._version, self.device.architecture
        profile = update_profile(self.config, guided)
        kind = f"{self._flavour} {version} {architecture} {self.device.name} {profile}"
        key = hashlib.sha256(kind.encode() + content).hexdigest()[:24]
        folder = cache_folder()
        engine = folder / f"update.{key}.engine"
        if not engine.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / f"update.{key}.onnx") as graph:
                graph.write_bytes(content)
                with replacing(engine) as partial:
                    compile_graph(Job(self._flavour, graph, (architecture,), profile, OUTPUTS), partial)
        return TensorRtSession(engine, self._flavour, self.device, captured=True)


class StepSampler:
    """Steps of the sampler over all windows of a clip, each one launch of a captured CUDA graph.

    One graph a step, not one for all steps: between steps there are progress and cancellation, and a launch costs ten
    microseconds where a step takes milliseconds. The time is copied to where the graph reads it before each launch.
    In the graph, the transformer's engine runs once for every chunk of rows that its profile allows, all of the same
    shape, so that it needs one execution context; rows that fill up the last chunk are computed and not looked at.
    """

    def __init__(
        self,
        device: Device,
        engines: tuple[TensorRtSession, TensorRtSession],
        clip: tuple[WindowPlan, int, float],
        channels: int,
        conditions: Arrays,
    ) -> None:
        """Allocate and capture.

        Args:
            device: where.
            engines: of the velocity, and of the update with guidance or without.
            clip: its windows, takes and guidance.
            channels: of the latents.
            conditions: of one window, for their shapes.
        """
        windows, takes, guidance = clip
        self._device, self._key = device, clip
        self._velocity, self._update = engines
        self._takes, self._halves = takes, halves(guidance)
        self.rows = len(windows.windows) * takes * self._halves
        row = channels, windows.length
        self._row_bytes = 4 * math.prod(row)
        self._chunk, count = chunks_of_rows(self.rows, self._velocity.greatest("x")[0], self._row_bytes)
        self._tables = tables(windows)
        self.x, self._next_x = (device.empty((takes, channels, windows.frames)) for _ in range(2))
        self._latents, self._velocities = (device.zeros((count * self._chunk, *row)) for _ in range(2))
        self._t = device.empty((self._chunk,))
        self._times = device.empty((1, self._chunk))
        self._steps = device.upload(np.ones(1, np.float32))
        self._told = [
            {name: device.zeros((self._chunk, *one.shape[1:]), one.dtype) for name, one in conditions.items()}
            for _ in range(count)
        ]
        self._known = device.zeros(self.x.shape)
        self._weight = device.upload(self._tables.weight)
        inputs = {"x": self.x, "known": self._known, "steps": self._steps, "weight": self._weight}
        inputs |= {name: device.upload(getattr(self._tables, name)) for name in ("index", "cut")}
        if self._halves == 2:
            inputs["guidance"] = device.upload(np.array([guidance], np.float32))
        self._inputs = inputs
        self._update.shape({name: array.shape for name, array in inputs.items()} | {"velocity": (self.rows, *row)})
        told_shapes = {name: array.shape for name, array in self._told[0].items()}
        self._velocity.shape({"x": (self._chunk, *row), "t": (self._chunk,), **told_shapes})
        # Once uncaptured, so that everything is compiled and allocated outside of the graph.
        device.write(self.x, np.zeros(self.x.shape, np.float32))
        device.write(self._t, np.ones(self._chunk, np.float32))
        launches = self._launches()
        launches()
        device.synchronize()
        self._velocity.keep_kernels()
        self._update.keep_kernels()
        self._launch = device.capture(launches)

    def fits(self, windows: WindowPlan, takes: int, guidance: float) -> bool:
        """Whether it computes for this clip."""
        return self._key == (windows, takes, guidance)

    def load(
        self,
        start: Float32,
        records: Sequence[Arrays],
        drops: Collection[str],
        times: tuple[int, float],
        held: Held | None,
    ) -> None:
        """Begin with a clip's noise (takes, channels, frames), conditions, and what of it is known. `times` is the
        number of steps, and the time at which they begin."""
        device = self._device
        known, weight = np.zeros_like(start), self._tables.weight
        if held is not None:
            known, weight = held.velocity(start), weight * ~held.frames
        device.write(self._known, known)
        device.write(self._weight, weight)
        device.write(self.x, start)
        device.write(self._latents, self._tables.rows(start, self._halves))
        steps, begin = times
        device.write(self._steps, np.array([steps / begin], np.float32))
        each = begin * (1 - np.arange(steps, dtype=np.float64) / steps)
        self._times = device.upload(np.repeat(each.astype(np.float32), self._chunk).reshape(steps, self._chunk))
        for row in range(self.rows):
            half, in_half = divmod(row, len(records) * self._takes)
            chunk, place = divmod(row, self._chunk)
            for name, one in records[in_half // self._takes].items():
                if half == 0 or name not in drops:  # else it stays zero
                    target = self._told[chunk][name].address + place * one.nbytes
                    device.copy(target, one.address, one.nbytes)

    def step(self, number: int) -> None:
        """Enqueue a step, by its number from 0."""
        nbytes = self._t.nbytes
        self._device.copy(self._t.address, self._times.address + number * nbytes, nbytes)
        self._launch()

    def _launches(self) -> Callable[[], None]:
        """The launches of a step. It holds only addresses, so that pycuda, which keeps it as its "graph", keeps no
        memory."""
        device, velocity, update = self._device, self._velocity, self._update
        chunks = []
        for number, told in enumerate(self._told):
            offset = number * self._chunk * self._row_bytes
            addresses = {name: array.address for name, array in told.items()}
            addresses |= {"x": self._latents.address + offset, "t": self._t.address}
            chunks.append(addresses | {"velocity": self._velocities.address + offset})
        after = {name: array.address for name, array in self._inputs.items()}
        after |= {"velocity": self._velocities.address, "next_x": self._next_x.address, "rows": self._latents.address}
        copied = self.x.address, self._next_x.address, self.x.nbytes

        def launches() -> None:
            for addresses in chunks:
                velocity.launch(addresses)
            update.launch(after)
            device.copy(*copied)

        return launches


def chunks_of_rows(rows: int, most: int, row_bytes: int) -> tuple[int, int]:
    """Equal chunks of rows, as few as may be, each of which begins where TensorRT lets a tensor begin.

    Args:
        rows: all.
        most: rows that an engine takes at once.
        row_bytes: bytes of a row.

    Returns:
        Rows of a chunk, `most` or less, and the number of chunks; together `rows` or more.

    Raises:
        ValueError: so few rows at once do not fit the alignment.
    """
    if rows <= most:
        return rows, 1
    multiple = ALIGNMENT // math.gcd(row_bytes, ALIGNMENT)
    fitting = most // multiple * multiple
    if not fitting:
        raise ValueError(f"the engine takes {most} rows of {row_bytes} bytes at once, {multiple} are needed")
    count = -(-rows // fitting)
    return multiple * -(-rows // (count * multiple)), count
