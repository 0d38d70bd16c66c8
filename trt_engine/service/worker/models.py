"""The models that a worker keeps ready from job to job."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo import registry
from omniaudio.recognition.networks import Networks, OnnxNetworks
from trt_engine.runtime.open import open_pipeline

MAX_LOADED = 2
"""Models that stay ready; the one that was not used for longest goes first."""


class LoadedModels:
    """The models of the last jobs, ready; the pipeline of each is opened where it is not yet, and so are the networks
    that sources are recognised with."""

    def __init__(self, on_loaded: Callable[[tuple[str, ...]], None]) -> None:
        """`on_loaded` is called with the names of those that are ready, when another one is."""
        self._on_loaded = on_loaded
        self._pipelines: OrderedDict[tuple[Path, str], Stages] = OrderedDict()
        self._networks: Networks | None = None

    def pipeline(self, name: str | None, backend: str) -> Stages:
        """A model on a back-end; the best model where the name is None. Raises UserError."""
        if name is not None and name not in (known := [model.name for model in registry.models()]):
            # Clients do not open folders of this machine as models.
            raise UserError(f"There is no model {name!r}: name one of {', '.join(known)}.", ExitCode.NO_MODEL)
        model = registry.find_or_best(name)
        key = (model.folder, backend)
        if key not in self._pipelines:
            while len(self._pipelines) >= MAX_LOADED:
                self._pipelines.popitem(last=False)
            self._pipelines[key] = open_pipeline(model, backend)
            self._on_loaded(tuple(dict.fromkeys(pipeline.name for pipeline in self._pipelines.values())))
        self._pipelines.move_to_end(key)
        return self._pipelines[key]

    def networks(self) -> Networks:
        """Those of the recognition. Raises UserError."""
        if self._networks is None:
            self._networks = OnnxNetworks()
        return self._networks
