"""One step of the sampler beside the transformer, as a graph: what follows a velocity, up to the next one's input.

Guidance, the blending of overlapping windows, Euler's step and the cutting of the next windows are what
`omniaudio.generation.sampler` and `omniaudio.generation.windows` do on arrays. As a graph they are an engine that
TensorRT alternates with the transformer's, so that no step leaves the device. Tables give the weight of each window at
each frame, so that one graph serves clips of every length, and any number of takes.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from omniaudio.config import ModelConfig
from omniaudio.generation.windows import WindowPlan, plan
from omniaudio_client.options import MAX_TAKES
from trt_engine.compile.bundle import Sizes
from trt_engine.compile.profiles import MAX_SECONDS

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

OPSET = 20
OUTPUTS = ("next_x", "rows")
WINDOWS_AT_A_FRAME = 2
"""So many windows count at one latent frame at most: their cross-fades do not touch."""


@dataclass(frozen=True)
class Tables:
    """Of a plan: what the graph gathers, and how much it counts.

    `index` (2, frames): where in the windows, laid end to end, a latent frame's velocities are; `weight` (2, frames):
    their blending weights; `cut` (windows, length): the latent frame at each place of each window.
    """

    index: Int32
    weight: Float32
    cut: Int32

    def rows(self, x: Float32, halves: int) -> Float32:
        """The windows of latents (takes, channels, frames) as the transformer takes them.

        (halves · windows · takes, channels, length): all for the conditional half, then all again for the other.
        """
        windows = x[:, :, self.cut].transpose(2, 0, 1, 3)
        return np.ascontiguousarray(np.concatenate([windows.reshape(-1, *windows.shape[2:])] * halves))


def tables(windows: WindowPlan) -> Tables:
    """Of a plan of windows.

    Raises:
        ValueError: more than two windows count at one latent frame.
    """
    index = np.zeros((WINDOWS_AT_A_FRAME, windows.frames), np.int32)
    weight = np.zeros((WINDOWS_AT_A_FRAME, windows.frames), np.float32)
    taken = np.zeros(windows.frames, np.int32)
    for number, window in enumerate(windows.windows):
        weights = windows.weights(number)
        places = np.flatnonzero(weights)
        frames = window.start + places
        if taken[frames].max() >= WINDOWS_AT_A_FRAME:
            raise ValueError(f"more than {WINDOWS_AT_A_FRAME} windows of {windows.length} latent frames overlap")
        index[taken[frames], frames] = number * windows.length + places
        weight[taken[frames], frames] = weights[places]
        taken[frames] += 1
    starts = np.array([window.start for window in windows.windows])
    return Tables(index, weight, (starts[:, None] + np.arange(windows.length)).astype(np.int32))


def update_graph(channels: int, length: int, guided: bool) -> onnx.ModelProto:
    """The graph of a step, in float32.

    Inputs: `x` (takes, channels, frames), `known`, as `x`: the velocity where it is known (0 elsewhere, and there the
    weights are 0: `omniaudio.generation.sampler.Held`), `velocity` (rows, channels, length) with its rows as
    `Tables.rows` orders them, `steps` (1,), with guidance `guidance` (1,), and the tables `index`, `weight` and `cut`.
    Outputs: `next_x`, as `x`, and `rows`, as `velocity`.
    """

    def tensor(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def constant(name: str, values: list[int]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.int64), name)

    inputs = [
        tensor("x", ["takes", channels, "frames"]),
        tensor("known", ["takes", channels, "frames"]),
        tensor("velocity", ["rows", channels, length]),
        tensor("steps", [1]),
        tensor("index", [WINDOWS_AT_A_FRAME, "frames"], TensorProto.INT32),
        tensor("weight", [WINDOWS_AT_A_FRAME, "frames"]),
        tensor("cut", ["windows", length], TensorProto.INT32),
    ]
    constants = [
        constant("take_axis", [0]),
        constant("after_take_axis", [1]),
        constant("any", [-1]),
        constant("one_row", [channels, length]),
        constant("end_to_end", [0, 0, -1]),
        constant("of_rows", [-1, channels, length]),
        constant("window_axis", [2]),
    ]
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["x_shape"]),
        node("Slice", ["x_shape", "take_axis", "after_take_axis"], ["takes"]),
        node("Concat", ["any", "takes", "one_row"], ["of_windows"], axis=0),
    ]
    combined = "velocity"
    if guided:
        inputs.append(tensor("guidance", [1]))
        constants += [constant("two", [2, -1, channels, length]), constant("first", [0]), constant("second", [1])]
        nodes += [
            node("Reshape", ["velocity", "two"], ["both"]),
            node("Gather", ["both", "first"], ["conditional"], axis=0),
            node("Gather", ["both", "second"], ["unconditional"], axis=0),
            node("Sub", ["conditional", "unconditional"], ["difference"]),
            node("Mul", ["guidance", "difference"], ["scaled"]),
            node("Add", ["unconditional", "scaled"], ["guided"]),
        ]
        combined = "guided"
    nodes += [
        node("Reshape", [combined, "of_windows"], ["by_window"]),
        node("Transpose", ["by_window"], ["by_take"], perm=[1, 2, 0, 3]),
        node("Reshape", ["by_take", "end_to_end"], ["line"]),
        node("Gather", ["line", "index"], ["overlapping"], axis=2),
        node("Mul", ["overlapping", "weight"], ["weighted"]),
        node("ReduceSum", ["weighted", "window_axis"], ["blended"], keepdims=0),
        node("Add", ["blended", "known"], ["whole"]),
        node("Div", ["whole", "steps"], ["change"]),
        node("Sub", ["x", "change"], ["next_x"]),
        node("Gather", ["next_x", "cut"], ["windows_by_take"], axis=2),
        node("Transpose", ["windows_by_take"], ["next_windows"], perm=[2, 0, 1, 3]),
        node("Reshape", ["next_windows", "of_rows"], ["half" if guided else "rows"]),
    ]
    if guided:
        nodes.append(node("Concat", ["half", "half"], ["rows"], axis=0))
    outputs = [tensor("next_x", ["takes", channels, "frames"]), tensor("rows", ["rows", channels, length])]
    graph = helper.make_graph(nodes, "update", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def update_profile(config: ModelConfig, guided: bool) -> dict[str, Sizes]:
    """The sizes of every input: from one window to the longest clip, tuned for one window and one take."""
    length, channels, halves = config.latent_frames, config.latent_channels, 2 if guided else 1
    per_second = config.sample_rate / config.samples_per_latent
    patch = config.model.diffusion.config.patch_size
    longest = plan(round(MAX_SECONDS * per_second), length, config.omniaudio.frame_rate / per_second, patch)
    frames, windows = longest.frames, len(longest.windows)

    def sizes(*shapes: tuple[int, ...]) -> Sizes:
        least, most = shapes[0], shapes[-1]
        return Sizes(minimum=least, optimum=least, maximum=most)

    found = {
        "x": sizes((1, channels, length), (MAX_TAKES, channels, frames)),
        "known": sizes((1, channels, length), (MAX_TAKES, channels, frames)),
        "velocity": sizes((halves, channels, length), (halves * windows * MAX_TAKES, channels, length)),
        "steps": sizes((1,)),
        "index": sizes((WINDOWS_AT_A_FRAME, length), (WINDOWS_AT_A_FRAME, frames)),
        "weight": sizes((WINDOWS_AT_A_FRAME, length), (WINDOWS_AT_A_FRAME, frames)),
        "cut": sizes((1, length), (windows, length)),
    }
    return found | {"guidance": sizes((1,))} if guided else found
