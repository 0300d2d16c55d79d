"""`nanotool export`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import Model, examples, load, note, plan_model

EPILOG = examples(
    "nanotool export digits.nano -o digits",
    "nanotool export digits.nano -o digits --golden 8",
)


class Format(str, Enum):
    """What comes out."""

    c = "c"


def command(
    model: Model,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The model folder; made if missing."),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help="Kernels to use; may be given several times. [default: portable]",
            show_default=False,
        ),
    ] = None,
    golden: Annotated[
        int, typer.Option(min=0, max=1000, help="Golden vectors: real inputs and their outputs.")
    ] = 4,
    form: Annotated[Format, typer.Option("--format", help="What comes out.")] = Format.c,
) -> None:
    """Write a model as C source: a folder that any build system can compile."""
    from nanotool.backends.c import export

    graph = load(model)
    targets = list(dict.fromkeys(target or ["portable"]))
    pairs = [plan_model(graph, name) for name in targets]
    export(pairs, output, golden=golden)
    sizes = ", ".join(
        f"{lowered.target}: arena {plan.arena_size:,} B, weights {lowered.weight_bytes:,} B"
        for lowered, plan in pairs
    )
    note(f"Wrote {output}/ as {form.value} ({sizes}).")
