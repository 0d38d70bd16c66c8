"""`omniaudio export`: graphs and bundle.json of a model."""

from typing import Annotated

import typer

from omniaudio import zoo
from omniaudio.errors import ExitCode, UserError


def export(
    model: Annotated[str, typer.Argument(help="A model's name or folder, with its weights.")],
) -> None:
    """Write a model's graphs and bundle.json into its folder, so that generating needs no torch."""
    try:
        from trt_engine.export import export_model  # noqa: PLC0415 - torch is not always installed
    except ImportError as error:
        raise UserError("Exporting needs torch: install omniaudio-blender[torch].", ExitCode.NO_BACKEND) from error
    found = zoo.find(model)
    bundle = export_model(found)
    for stage, graph in bundle.graphs.items():
        typer.echo(f"{found.folder / graph.file}: {stage}, off by {graph.check.relative_error:.1e} from torch")
