"""Which models are installed, and which are on the Hub (`download.py` downloads them).

A model is a folder with `model_config.json` and weights, in `checkpoints/` next to this file or in the user's models
folder: `OMNIAUDIO_MODELS`, or else one in the platform's data folder.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from omniaudio.config import CONFIG_NAME, WEIGHT_NAMES
from omniaudio.encoders import METACLIP_FOLDER
from omniaudio.errors import ExitCode, UserError

PACKAGED = Path(__file__).parent / "checkpoints"
RELEASED, DRAFT = "omniaudio", "draft"
"""The paper's model, which is downloaded, and the one that ships with the package."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubPart:
    """Files of one repository on the Hub. Of each tuple in `files`, the first one that exists there is downloaded."""

    what: str
    repository: str
    folder: str
    files: tuple[tuple[str, ...], ...]
    licence: str
    gigabytes: float


# The parts of downloadable models on the Hub. Sizes are those of the tensors in float32.
HUB: dict[str, tuple[HubPart, ...]] = {
    "omniaudio": (
        HubPart(
            what="OmniAudio checkpoint",
            repository="omniaudio/OmniAudio360V2SA",
            folder="omniaudio",
            files=(("model.ckpt",),),
            licence="Apache-2.0",
            gigabytes=4.9,
        ),
        HubPart(
            what="MetaCLIP-H14 vision",
            repository="facebook/metaclip-h14-fullcc2.5b",
            folder=METACLIP_FOLDER,
            files=(("config.json",), ("model.safetensors", "pytorch_model.bin")),
            licence="CC-BY-NC-4.0, non-commercial use only",
            gigabytes=3.9,
        ),
    ),
}

_SHOWN = 80
"""Characters of a name that a message repeats."""
LICENCES = {"draft": "GPL-3.0-or-later, sources in its model card"}


@dataclass(frozen=True)
class Model:
    """A model's folder; `missing` are the parts to download before it can be used."""

    name: str
    folder: Path
    config: Path
    missing: tuple[HubPart, ...]
    licence: str

    @property
    def ready(self) -> bool:
        """Whether it can be used now."""
        return not self.missing and _has_weights(self.folder)

    @property
    def size(self) -> int:
        """The size of its folder in bytes."""
        if not self.folder.is_dir():
            return 0
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


def user_folder() -> Path:
    """The user's models folder; it need not exist."""
    chosen = os.environ.get("OMNIAUDIO_MODELS")
    return Path(chosen) if chosen else platformdirs.user_data_path("omniaudio", appauthor=False) / "models"


def models() -> list[Model]:
    """All installed and downloadable models, by name."""
    folders = [folder for root in (PACKAGED, user_folder()) if root.is_dir() for folder in root.iterdir()]
    names = {folder.name for folder in folders if (folder / CONFIG_NAME).is_file()}
    return [_model(name) for name in sorted(names | HUB.keys())]


def find(name: str) -> Model:
    """Find a model by its name or folder.

    Raises:
        UserError: there is no such model, or it has to be downloaded first.
    """
    if _is_model(Path(name)):
        folder = Path(name)
        model = Model(folder.name, folder, folder / CONFIG_NAME, (), "see its folder")
    elif name in (known := [model.name for model in models()]):
        model = _model(name)
    else:
        message = (
            f"There is no model {name[:_SHOWN]!r}; choose one of {', '.join(known)}, or a folder with {CONFIG_NAME}."
        )
        raise UserError(message, ExitCode.NO_MODEL)
    if model.missing:
        message = f"The model {name!r} is not installed; run `omniaudio models download {name}`."
        raise UserError(message, ExitCode.NO_MODEL)
    if not model.ready:
        raise UserError(f"There is neither {' nor '.join(WEIGHT_NAMES)} in {model.folder}.", ExitCode.NO_MODEL)
    return model


def find_or_best(name: str | None) -> Model:
    """Find a model by name; without a name, the released model if it is installed, else the draft, with a log message.

    Raises:
        UserError: as `find`.
    """
    if name is not None:
        return find(name)
    model = best()
    if model is None or model.name == DRAFT:
        _log.warning(
            "Using the draft model, which is small and trained on free sounds. The released model is not installed; "
            "`omniaudio models download omniaudio` installs it."
        )
    return model or find(DRAFT)


def best() -> Model | None:
    """The model that is used where none is named: the released one, else the draft; None where neither is here."""
    here = {model.name: model for model in models() if model.ready}
    return here.get(RELEASED) or here.get(DRAFT)


def _model(name: str) -> Model:
    # The user's folder takes precedence over the package's.
    folder = next(
        (root / name for root in (user_folder(), PACKAGED) if _has_weights(root / name)), user_folder() / name
    )
    config = next(path for root in (folder, PACKAGED / name) if (path := root / CONFIG_NAME).is_file())
    parts = HUB.get(name, ())
    missing = tuple(part for part in parts if not _complete(part))
    licence = "; ".join(f"{part.what}: {part.licence}" for part in parts) or LICENCES.get(name, "see its folder")
    return Model(name, folder, config, missing, licence)


def _is_model(folder: Path) -> bool:
    try:
        return (folder / CONFIG_NAME).is_file()
    except OSError:  # such as a name that is too long
        return False


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in WEIGHT_NAMES)


def _complete(part: HubPart) -> bool:
    folder = user_folder() / part.folder
    return all(any((folder / name).is_file() for name in alternatives) for alternatives in part.files)
