"""Speed on an NVIDIA GPU at the released size: `python -m benchmarks.gpu FOLDER` writes gpu.json and gpu.md there.

Needs this checkout, torch with CUDA, numpy, and of the project's dependencies pydantic, pillow, platformdirs,
safetensors, scipy and soxr; the rows of vision need transformers, those of the video file PyAV, those of TensorRT its
package and what exporting needs, and each says so where it is missing. Weights are random. No way is begun after seven
minutes. Put gpu.json beside this file, and `make bench` shows it in its page. It has not been run on a GPU yet.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.gpu_engines import default_engine, open_engines
from benchmarks.gpu_model import Compute, DeviceModel, Inputs, captured, metaclip, to_fp8, within
from benchmarks.gpu_table import ENGINES, ROWS, Record, Row, Stage, Way, markdown
from benchmarks.limits import Ceilings, count_flop, measure_ceilings, seconds
from benchmarks.measure import Summary
from benchmarks.model import RELEASED, random_model
from omniaudio.config import ModelConfig, load_config
from omniaudio.errors import ExitCode
from omniaudio.generation.pipeline import ConditionStore, Stages
from omniaudio.generation.windows import plan
from trt_engine.compile.targets import Flavour
from trt_engine.runtime.session import Description
from trt_engine.runtime.torch.pipeline import TorchPipeline

ROUNDS = 7
LAST_BEGIN = 420.0
"""Seconds after which no further way is prepared."""
MATRIX, COPIED_MEGABYTES = 8192, 4000
VIDEO_SECONDS = 10

Prepare = Callable[[], Compute]


class Bench:
    """All stages of one model on one device, and the rows so far."""

    def __init__(self, config: ModelConfig, device: torch.device, ceilings: Ceilings, rounds: int) -> None:
        # Else cuDNN computes float32 convolutions in TF32, beyond float32's ceiling.
        torch.backends.cudnn.allow_tf32 = False
        self.config, self.device, self.ceilings, self.rounds = config, device, ceilings, rounds
        self.inputs = Inputs(config, device)
        self.plain = DeviceModel(config, device, torch.float32)
        self.bf16 = DeviceModel(config, device, torch.bfloat16)
        self.ready: dict[tuple[Stage, Way], Compute] = {}
        self.rows: list[Row] = []
        self._began = time.perf_counter()

    def measure(self, stage: Stage, ways: Mapping[Way, Prepare], flop: float = 0, moved: float = 0) -> None:
        """Prepare every way of a stage, then run them in turn; a way that fails is a row that says why.

        Args:
            stage: what is computed.
            ways: how; the first is what the others are compared with.
            flop: the stage's floating-point operations; 0 where the stage has no limit of that kind.
            moved: the bytes that it must move at least.
        """
        took: dict[Way, list[float]] = {}
        failed: dict[Way, str] = {}
        errors: dict[Way, float] = {}
        peaks: dict[Way, float] = {}
        reference: Tensor | None = None
        for way, prepare in ways.items():
            if self._late():
                failed[way] = "out of time"
                continue
            before = self._allocated(reset=True)
            try:
                compute = prepare()
                output = compute().float().cpu()
                compute()
            except Exception as error:  # whatever is missing or refused on this machine
                failed[way] = _said(error)
                continue
            if self.device.type == "cuda" and way not in ENGINES:  # whose memory torch does not count
                peaks[way] = (torch.cuda.max_memory_allocated() - before) / 1e6
            if reference is None:
                reference = output.clone()
            else:
                errors[way] = float((output - reference).norm() / reference.norm())
            self.ready[stage, way], took[way] = compute, []
        for _ in range(self.rounds):
            for way, so_far in took.items():
                so_far.append(seconds(self.ready[stage, way], self.device))
        first = next(iter(took), None)
        for way in ways:
            if way not in took or first is None:
                self.rows.append(Row(stage, way, reason=failed[way]))
                continue
            ratio = None if way is first else Summary.of(a / b for a, b in zip(took[first], took[way], strict=True))
            dtype = torch.float32 if way in {Way.FP32, Way.CPU} else torch.bfloat16
            # The ceilings know no fp8, which is faster than bfloat16.
            limit = self.ceilings.least_seconds(flop, moved, dtype) if flop and way is not Way.FP8 else None
            self.rows.append(Row(stage, way, Summary.of(took[way]), ratio, limit, errors.get(way), peaks.get(way)))
            print(f"{stage}, {way}: {1e3 * Summary.of(took[way]).median:.2f} ms", flush=True)

    def conditioner(self) -> None:
        """Features to conditions."""
        ways = self._ways(lambda model: model.conditioner(self.inputs))
        self.measure(Stage.CONDITIONER, {way: ways[way] for way in ROWS[Stage.CONDITIONER]})

    def sampler(self) -> None:
        """Noise to latents: all steps, with guidance."""
        inputs, steps = self.inputs, self.config.omniaudio.steps
        ways = self._ways(lambda model: model.sampler(inputs)) | {Way.FP8: self._fp8, Way.ENGINE: self.project_sampler}
        flop = steps * count_flop(self.plain.step(inputs))
        self.measure(Stage.SAMPLER, ways, flop, steps * _bytes(self.bf16.model.dit))

    def decoder(self) -> None:
        """Latents to sound."""
        ways = self._ways(lambda model: model.decoder(self.inputs))
        weights = _bytes(self.bf16.model.pretransform.get_submodule("decoder"))
        self.measure(Stage.DECODER, ways, count_flop(self.plain.decoder(self.inputs)), weights)

    def _ways(self, stage: Callable[[DeviceModel], Compute]) -> dict[Way, Prepare]:
        compiled = self.bf16.compiled()
        return {
            Way.FP32: lambda: stage(self.plain),
            Way.BF16: lambda: stage(self.bf16),
            Way.COMPILED: lambda: stage(compiled),
            Way.GRAPH: lambda: captured(stage(self.bf16)),
            Way.COMPILED_GRAPH: lambda: captured(stage(compiled)),
        }

    def wholes(self) -> None:
        """From features in the computer's memory, and from a video file, to sound in the computer's memory."""
        ways = {way: (way, way) for way in ROWS[Stage.FEATURES_TO_SOUND]} | {Way.FP8: (Way.FP8, Way.COMPILED_GRAPH)}
        features = {name: feature.cpu() for name, feature in self.inputs.features.items()}
        self.measure(
            Stage.FEATURES_TO_SOUND,
            {way: partial(self._from_features, features, *pair) for way, pair in ways.items()},
        )
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            self.measure(Stage.VIDEO, {Way.CPU: lambda: self._video(clip)})
            self.measure(Stage.VIDEO_TO_SOUND, {Way.COMPILED_GRAPH: lambda: self._from_video(Way.COMPILED_GRAPH)})

    def vision(self) -> None:
        """All frames of the clip to features."""

        def prepare(dtype: torch.dtype, compiles: bool = False) -> Compute:
            vision = metaclip(self.device, dtype)
            if compiles:
                vision.encoder = torch.compile(vision.encoder)  # type: ignore[assignment]

            def see() -> Tensor:
                return torch.cat(list(vision(self.inputs.frames).values()), dim=-1)

            return within(see, self.device, dtype)

        flop = 0
        with suppress(ImportError):  # which each way says
            flop = count_flop(prepare(torch.float32))
        self.measure(
            Stage.VISION,
            {
                Way.FP32: lambda: prepare(torch.float32),
                Way.BF16: lambda: prepare(torch.bfloat16),
                Way.GRAPH: lambda: captured(prepare(torch.bfloat16)),
                Way.COMPILED_GRAPH: lambda: captured(prepare(torch.bfloat16, compiles=True)),
            },
            flop,
        )

    def _fp8(self) -> Compute:
        rounded = DeviceModel(self.config, self.device, torch.bfloat16)
        to_fp8(rounded.model)
        return captured(rounded.compiled().sampler(self.inputs))

    def _from_features(self, features: Mapping[str, Tensor], sampling: Way, decoding: Way) -> Compute:
        sampler, decoder = self._was(Stage.SAMPLER, sampling), self._was(Stage.DECODER, decoding)

        def compute() -> Tensor:
            with torch.no_grad():
                for name, feature in features.items():
                    self.inputs.features[name].copy_(feature)
                told = self.plain.model.conditions(self.inputs.features, self.config.latent_frames)
                for name, condition in told.items():
                    self.inputs.conditions[name].copy_(condition)
                self.inputs.latents.copy_(sampler())
                return decoder().cpu()

        return compute

    def _video(self, clip: Path) -> Compute:
        from benchmarks.generate import write_clip  # noqa: PLC0415 - needs PyAV, which a machine with a GPU may lack
        from omniaudio.video.clip import Clip  # noqa: PLC0415
        from omniaudio.vision.metaclip import cut  # noqa: PLC0415

        write_clip(clip, VIDEO_SECONDS)
        shown = len(self.inputs.frames["video_360"])

        def decode() -> Tensor:
            seen = [
                cut(frame.image)
                for frame in Clip(clip).frames(self.config.omniaudio.frame_rate, 0.0, self.config.duration)
            ]
            frames = {name: np.stack([one[name] for one in seen]) for name in self.inputs.frames}
            for name, found in frames.items():
                # A short clip may have more frames than the model takes.
                self.inputs.frames[name].copy_(torch.from_numpy(found[:shown]))
            return self.inputs.frames["video_360"]

        return decode

    def _from_video(self, way: Way) -> Compute:
        video, vision = self._was(Stage.VIDEO, Way.CPU), self._was(Stage.VISION, way)
        whole = self._was(Stage.FEATURES_TO_SOUND, way)

        def compute() -> Tensor:
            video()
            vision()
            return whole()

        return compute

    def project_sampler(self) -> Compute:
        """As `omniaudio generate --backend torch` samples: noise and latents are the computer's, a graph a step."""
        with self.device:
            model = random_model(self.config)
        description = Description("random", "", self.config, "torch")
        pipeline = TorchPipeline(description, model, nn.Identity(), self.device, torch.bfloat16)
        torch.use_deterministic_algorithms(False)  # which the session has switched on for all of this process
        store = pipeline.condition_store()
        store.append(self.inputs.conditions)
        return self._sampler_of(pipeline, store)

    def _sampler_of(self, stages: Stages, store: ConditionStore) -> Compute:
        config, noise = self.config, self.inputs.noise.cpu().numpy()
        rate = config.omniaudio.frame_rate * config.samples_per_latent / config.sample_rate
        windows = plan(config.latent_frames, config.latent_frames, rate, config.model.diffusion.config.patch_size)
        chosen = config.omniaudio

        def sample() -> Tensor:
            latents = stages.sample(
                noise, windows, store, guidance=chosen.guidance, steps=chosen.steps, on_rows=lambda rows: None
            )
            return torch.from_numpy(latents)

        return sample

    def engines(self) -> None:
        """TensorRT and TensorRT-RTX, as far as they are here; arrays come from the computer's memory and go there."""
        for way, flavour in ((Way.TENSORRT, Flavour.TENSORRT), (Way.TENSORRT_RTX, Flavour.TENSORRT_RTX)):
            loads, reason = default_engine(flavour)
            if loads and self._late():
                loads, reason = False, f"{reason} Out of time."
            with tempfile.TemporaryDirectory() as folder:
                try:
                    stages = open_engines(flavour, Path(folder)) if loads else None
                except Exception as error:  # whatever is missing or refused on this machine
                    stages, reason = None, f"{reason} {_said(error)}"
                if stages is None:
                    self.rows += [Row(stage, way, reason=reason) for stage in (Stage.SAMPLER, Stage.DECODER)]
                    continue
                self.measure(Stage.SAMPLER, {way: partial(self._engine_sampler, stages)})
                self.measure(Stage.DECODER, {way: partial(self._engine_decoder, stages)})

    def _engine_sampler(self, stages: Stages) -> Compute:
        store = stages.condition_store()
        count = len(self.inputs.features["video_360"][0])
        frames = {name: frame.cpu().numpy() for name, frame in self.inputs.frames.items()}
        features = [stages.vision({name: one[at : at + 1] for name, one in frames.items()}) for at in range(count)]
        store.append(stages.conditions(features))
        return self._sampler_of(stages, store)

    def _engine_decoder(self, stages: Stages) -> Compute:
        latents = self.inputs.latents.cpu().numpy()
        return lambda: torch.from_numpy(stages.decode(latents))

    def _was(self, stage: Stage, way: Way) -> Compute:
        if (stage, way) not in self.ready:
            raise RuntimeError(f"{stage} was not run in this way")
        return self.ready[stage, way]

    def _late(self) -> bool:
        return time.perf_counter() - self._began > LAST_BEGIN

    def _allocated(self, reset: bool) -> int:
        if self.device.type != "cuda":
            return 0
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason'])[0]}"


def _bytes(part: nn.Module) -> int:
    """Of a part's weights, but for those that are kept and never computed."""
    return sum(tensor.nbytes for name, tensor in part.named_parameters() if "cross_att" not in name)


def machine(device: torch.device, ceilings: Ceilings) -> dict[str, str]:
    """The GPU, what drives it, and the speeds that were measured on it just now."""
    known = {
        "device": device.type,
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "copy bandwidth": f"{ceilings.bandwidth / 1e12:.2f} TB/s, bytes read and written",
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        known["device"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    for dtype, flops in ceilings.flops.items():
        name = str(dtype).removeprefix("torch.")
        known[f"{name} matrix product"] = f"{flops / 1e12:.1f} TFLOP/s"
    return known


def main() -> int:
    """See the module; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where gpu.json and gpu.md are written")
    folder: Path = parser.parse_args().folder
    if not torch.cuda.is_available():
        print("There is no NVIDIA GPU that this torch can use: run this on a machine that has one.", file=sys.stderr)
        return ExitCode.NO_BACKEND
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda")
    ceilings = measure_ceilings(device, MATRIX, COPIED_MEGABYTES)
    bench = Bench(load_config(RELEASED), device, ceilings, ROUNDS)
    for part in (bench.sampler, bench.decoder, bench.conditioner, bench.vision, bench.wholes, bench.engines):
        part()
        # What is there is kept whatever comes after.
        record = Record(machine(device, ceilings), tuple(bench.rows))
        record.write(folder / "gpu.json")
        (folder / "gpu.md").write_text(markdown(record) + "\n", "utf-8")
    print(markdown(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
