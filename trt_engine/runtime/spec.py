"""What a back-end tells of itself. Each is one module, or one package, with a `BackendSpec` in it (`backends.py`)."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo.registry import Model
from omniaudio.versions import distribution_versions


def _only_by_name(model: Model) -> int | None:
    return None


@dataclass(frozen=True)
class BackendSpec:
    """A back-end. The module that holds it is imported where only its name is asked for, so the library itself is
    imported by `probe`, `rank` and `open` alone.

    Attributes:
        name: as `--backend` takes it and a sidecar keeps it.
        label: what its maker calls it.
        module: the Python module without which it cannot be used.
        distributions: what pip calls the packages whose versions decide a result, of which some may be absent.
        installation: what installs it, to follow “run” in a message.
        devices: what it can run on, in a few words for a menu.
        probe: try it as far as its device, and name that. Raises `UserError` with why it cannot be used here and what
            helps; any other exception counts as a broken installation.
        open: make a model ready on it. Raises `UserError`, with `ExitCode.NO_BACKEND` where another back-end may be
            able to.
        rank: its place when the back-end is chosen automatically for a model: the highest is tried first. None where
            it is only used when named, or cannot be used here.
    """

    name: str
    label: str
    module: str
    distributions: tuple[str, ...]
    installation: str
    devices: str
    probe: Callable[[], str]
    open: Callable[[Model], Stages]
    rank: Callable[[Model], int | None] = _only_by_name

    @property
    def installed(self) -> bool:
        """Whether its module is there; it is not imported."""
        return importlib.util.find_spec(self.module) is not None

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions of those of its `distributions` that are installed."""
        return distribution_versions(*self.distributions)
