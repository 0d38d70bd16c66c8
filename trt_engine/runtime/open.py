"""A model that is ready to generate: which back-end runs it, and its `omniaudio.generation.pipeline.Stages` there."""

import logging

from omniaudio.errors import ExitCode, UserError
from omniaudio.generation.pipeline import Stages
from omniaudio.model_zoo import registry
from trt_engine.runtime.backends import AUTO, backends, named, said_by
from trt_engine.runtime.spec import BackendSpec

_log = logging.getLogger(__name__)


def open_pipeline(model: registry.Model, backend: str) -> Stages:
    """Make a model ready on a back-end, by its name or `auto`.

    `auto` takes the best back-end for this model that is here, and warns where that is not the first choice. The model
    is always the one that was asked for.

    Raises:
        UserError: no such back-end, none that can open the model, or a damaged model.
    """
    candidates = candidates_for(model) if backend == AUTO else (named(backend),)
    for candidate, following in zip(candidates, (*candidates[1:], None), strict=True):
        try:
            return candidate.open(model)
        except Exception as error:  # whatever a back-end fails with, the next one may do
            if isinstance(error, UserError) and (error.code is not ExitCode.NO_BACKEND or following is None):
                raise
            reason = said_by(error)
            if following is None:
                raise UserError(
                    f"The back-end {candidate.name} cannot open the model {model.name} ({reason}): choose another one.",
                    ExitCode.NO_BACKEND,
                ) from error
            _log.warning(
                "The back-end %s cannot open the model (%s): using %s.", candidate.name, reason, following.name
            )
    raise AssertionError("there is always a candidate")


def candidates_for(model: registry.Model) -> tuple[BackendSpec, ...]:
    """The back-ends that `auto` tries for a model, in order.

    Raises:
        UserError: none is installed, or the model is damaged.
    """
    known = backends()
    ranked = [(rank, spec) for spec in known.values() if (rank := _rank(spec, model)) is not None]
    if not ranked:
        raise UserError(f"No back-end is installed: run {known['onnxruntime'].installation}.", ExitCode.NO_BACKEND)
    return tuple(spec for _, spec in sorted(ranked, key=lambda one: -one[0]))


def _rank(spec: BackendSpec, model: registry.Model) -> int | None:
    if not spec.installed:
        return None
    try:
        return spec.rank(model)
    except UserError:  # the model's
        raise
    except Exception as error:  # a package's import may fail with anything
        _log.warning("The back-end %s does not load (%s).", spec.name, said_by(error))
        return None
