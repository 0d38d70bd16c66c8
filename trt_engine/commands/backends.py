"""`omniaudio backends`: what can run a model here."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trt_engine.runtime.backends import presence
from trt_engine.runtime.session import Backend


def backends(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list instead of a table.")] = False,
) -> None:
    """List the back-ends: which can be used here, on what, and what the others lack."""
    found = [presence(backend) for backend in Backend]
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=1))
        return
    table = Table("back-end", "usable", "version", "device, or what is missing")
    for one in found:
        table.add_row(one.backend, "yes" if one.usable else "no", one.version or "", one.device or one.hindrance)
    Console().print(table)
