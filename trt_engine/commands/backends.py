"""`omniaudio backends`: lists the back-ends that can run a model."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trt_engine.runtime.backends import backends as known_backends
from trt_engine.runtime.backends import state


def backends(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the back-ends: the available ones with their devices, the others with what they need."""
    found = [state(spec) for spec in known_backends().values()]
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return
    table = Table("back-end", "available", "version", "device or requirement")
    for one in found:
        versions, usable = ", ".join(one.versions.values()), "yes" if one.available else "no"
        table.add_row(one.name, usable, versions, escape(one.device or one.reason or ""))
    Console().print(table)
