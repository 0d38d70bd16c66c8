"""`omniaudio build`: exports the graphs of a model and compiles its engines."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand

from omniaudio.commands.reporting import interruptible, print_event, reporting_errors, reporting_progress
from omniaudio.errors import UserError
from omniaudio.model_zoo import registry
from trt_engine.compile.targets import Flavour, Precision, architectures

if TYPE_CHECKING:
    from trt_engine.bundling.builder import Order


class Target(StrEnum):
    """What to build for: one TensorRT, or all back-ends that run graphs."""

    TENSORRT_RTX = "tensorrt-rtx"
    TENSORRT = "tensorrt"
    CPU = "cpu"


class BuildCommand(TyperCommand):
    """Accepts several values after one --arch, as in `--arch 75 86`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its values."""
        return super().parse_args(ctx, list(_named_each(args)))


def _named_each(args: Iterable[str]) -> Iterator[str]:
    option = ""
    for argument in args:
        if argument.startswith("-"):
            option = argument
            if option != "--arch":
                yield argument
        elif option == "--arch":
            yield from (option, argument)
        else:
            yield argument


def build(
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder of the bundle; it may be the model's own.")
    ],
    model: Annotated[str, typer.Option(help="draft, omniaudio, or the folder of a model.")],
    target: Annotated[
        Target,
        typer.Option(help="tensorrt-rtx: compiles without a GPU; tensorrt: for this machine's GPU; cpu: graphs only."),
    ],
    arch: Annotated[
        list[str] | None,
        typer.Option(
            help="GPU architectures, such as 75 80 86 89 120, or native; default: all that support the precision."
        ),
    ] = None,
    precision: Annotated[Precision | None, typer.Option(help="Precision of matrix products; default: fp16.")] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="The longest clip that the engines accept, in seconds; default: 600.")
    ] = None,
    max_takes: Annotated[int | None, typer.Option(help="The largest number of takes in one batch; default: 4.")] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(help="A panorama to calibrate fp8 with, for models with a vision encoder; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print progress and result as lines of JSON.")] = False,
) -> None:
    """Build a bundle of a model: its graphs, and engines for GPUs. Finished parts are kept and not built again."""
    from trt_engine.bundling.builder import build as build_bundle  # noqa: PLC0415 - keeps other commands fast

    with reporting_errors(as_json, "finished parts are kept; run the command again to continue"), interruptible():
        limits = {"max_seconds": max_seconds, "max_takes": max_takes}
        order = _order(target, arch or [], precision, limits, tuple(calibrate or ()))
        with reporting_progress(as_json) as report:
            bundle, built = build_bundle(registry.find(model), output, order, report)
        if as_json:
            engines = [one.engine.model_dump(mode="json") | {"seconds": one.seconds} for one in built]
            print_event("done", bundle=str(output), graphs=list(bundle.graphs), engines=engines)
            return
        for stage, graph in bundle.graphs.items():
            typer.echo(f"{output / graph.file}: {stage}, relative error {graph.check.relative_error:.1e} against torch")
        for one in built:
            took = "kept" if one.seconds is None else f"{one.seconds:.1f} s"
            typer.echo(f"{output / one.engine.file}: {one.engine.size / 1e6:.1f} MB, {took}")


def _order(
    target: Target,
    wanted: list[str],
    precision: Precision | None,
    limits: dict[str, float | int | None],
    calibration: tuple[Path, ...],
) -> "Order | None":
    """Return the engines to build; None for graphs only.

    Raises:
        UserError: the options contradict each other or a value is invalid.
    """
    from trt_engine.bundling.builder import Order  # noqa: PLC0415 - keeps other commands fast
    from trt_engine.compile.profiles import Limits  # noqa: PLC0415

    given = {name: value for name, value in limits.items() if value is not None}
    if target is Target.CPU:
        if wanted or given or calibration or precision not in {None, Precision.FP32}:
            raise UserError(
                "--target cpu exports fp32 graphs for clips of any length: leave out --arch, --precision, "
                "--max-seconds, --max-takes and --calibrate."
            )
        return None
    precision = precision or Precision.FP16
    try:
        checked = Limits.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-")
        raise UserError(f"--{name} cannot be {fault['input']}: {fault['msg'].lower()}.") from error
    flavour = Flavour(target.value)
    return Order(flavour, architectures(flavour, wanted, precision), precision, checked, calibration)
