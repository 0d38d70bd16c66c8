"""Reading and writing weights in the form of the released checkpoint.

A file names its tensors as the released one does. Convolutions of the autoencoder are weight-normalised
(arXiv 1602.07868): length g and direction v. They are folded into plain weights on loading, w = g·v/|v|, and unfolded
on saving as g = |w|, v = w, which folds to the same weights.
"""

import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from omniaudio.config import WEIGHT_NAMES, ModelConfig
from omniaudio.errors import ExitCode, UserError
from omniaudio.files import replacing
from omniaudio.model.omniaudio import OmniAudio

# Our modules' names, and those in the released checkpoint.
PREFIXES = {
    "dit.": "diffusion.model.model.",
    "conditioners.": "diffusion.conditioner.conditioners.",
    "pretransform.": "diffusion.pretransform.model.",
    "skip.": "diffusion.skip.",
}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read `.safetensors`, or `.ckpt` with `weights_only`: nothing in a file is ever executed.

    Raises:
        UserError: the file is missing or damaged, or contains anything but tensors.
    """
    if not path.is_file():
        raise UserError(f"There are no weights at {path}; check the path.", ExitCode.NO_MODEL)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        message = f"{path} contains more than tensors, which could run code, so it was not loaded; use another file."
        raise UserError(message, ExitCode.NO_MODEL) from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        message = f"{path} is not a readable weights file and may be truncated; download it again."
        raise UserError(message, ExitCode.NO_MODEL) from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if tensors is None or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise UserError(f"{path} does not contain a model's tensors by name; use another file.", ExitCode.NO_MODEL)
    return dict(tensors)


def _released_name(name: str) -> str:
    for ours, theirs in PREFIXES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise ValueError(f"{name} belongs to no part of the model")


def _weight_normalised(model: OmniAudio) -> set[str]:
    if model.config.model.pretransform.type != "autoencoder":
        return set()
    convolutions = (nn.Conv1d, nn.ConvTranspose1d)
    modules = model.pretransform.named_modules(prefix="pretransform")
    return {f"{name}.weight" for name, module in modules if isinstance(module, convolutions)}


def _length(weight: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
    return length


def released_tensors(model: OmniAudio) -> Iterator[tuple[str, Tensor]]:
    """Yield the model's tensors, named and shaped as in the released checkpoint."""
    normalised = _weight_normalised(model)
    for name, tensor in model.state_dict().items():
        released = _released_name(name)
        if name in normalised:
            yield f"{released}_g", _length(tensor)
            yield f"{released}_v", tensor
        else:
            yield released, tensor


def check_tensors(config: ModelConfig, tensors: Mapping[str, Tensor], source: str) -> None:
    """Check names and shapes of tensors against the config; `source` names them in the message.

    Raises:
        UserError: tensors are missing, extra or misshapen; the message lists them.
    """
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in released_tensors(OmniAudio(config))}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    faults = [f"missing {name} {list(expected[name])}" for name in expected.keys() - given.keys()]
    faults += [f"extra {name} {list(given[name])}" for name in given.keys() - expected.keys()]
    faults += [
        f"misshapen {name} {list(given[name])}, expected {list(expected[name])}"
        for name in expected.keys() & given.keys()
        if expected[name] != given[name]
    ]
    if faults:
        listed = "; ".join(sorted(faults))
        raise UserError(f"{source} does not fit its config, {len(faults)} tensors differ: {listed}.", ExitCode.NO_MODEL)


def load_model(config: ModelConfig, weights: Path) -> OmniAudio:
    """Build a config's model and load its weights: on the CPU, in float32, in evaluation mode.

    The model is built on the meta device and takes over a file's float32 tensors, so that there is no second copy.

    Raises:
        UserError: the file cannot be read, or its tensors do not match the config exactly.
    """
    tensors = read_tensors(weights)
    check_tensors(config, tensors, str(weights))
    with torch.device("meta"):
        model = OmniAudio(config)
    normalised = _weight_normalised(model)
    state = {}
    for name in model.state_dict():
        released = _released_name(name)
        if name in normalised:
            direction = tensors[f"{released}_v"].float()
            state[name] = direction * (tensors[f"{released}_g"].float() / _length(direction))
        else:
            state[name] = tensors[released].float()
    model.load_state_dict(state, assign=True)
    return model.eval()


def save_weights(model: OmniAudio, path: Path) -> None:
    """Write the model's weights as `.safetensors` in the released form, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in released_tensors(model)}
    with replacing(path) as unfinished:
        save_file(tensors, unfinished)


def find_weights(folder: Path) -> Path:
    """The weights file in a model's folder.

    Raises:
        UserError: there is none.
    """
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"There is neither {' nor '.join(WEIGHT_NAMES)} in {folder}.", ExitCode.NO_MODEL)
