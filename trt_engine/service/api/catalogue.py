"""The models that the service knows, with what a request leaves to them."""

import logging

from omniaudio.config import load_config
from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from trt_engine.service.api.records import Model, ModelList

_log = logging.getLogger(__name__)


def model_list() -> ModelList:
    """The models that are here or can be fetched; one whose config cannot be read is left out, and logged."""
    models = []
    for model in registry.models():
        try:
            config = load_config(model.config)
        except UserError as error:
            _log.warning("The model %s is left out: %s", model.name, error.message)
            continue
        models.append(
            Model(
                name=model.name,
                ready=model.ready,
                native_seconds=config.duration,
                rate=config.sample_rate,
                steps=config.omniaudio.steps,
                guidance=config.omniaudio.guidance,
                licence=model.licence,
            )
        )
    best = registry.best()
    return ModelList(models=tuple(models), default=None if best is None else best.name)
