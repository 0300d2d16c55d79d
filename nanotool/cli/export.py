"""`nanotool export`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import Goal, Model, examples, load, note, plan_model

EPILOG = examples(
    "nanotool export digits.nano -o digits",
    "nanotool export digits.nano -o digits --golden 8",
    "nanotool export digits.nano -o digits.tflite --format tflite",
)


class Format(str, Enum):
    """What comes out."""

    c = "c"
    tflite = "tflite"


def command(
    model: Model,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="The model folder, or the .tflite file."
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="TARGET",
            help="Kernels to use; may be given several times. [default: all]",
            show_default=False,
        ),
    ] = None,
    golden: Annotated[
        int, typer.Option(min=0, max=1000, help="Golden vectors: real inputs and their outputs.")
    ] = 4,
    form: Annotated[Format, typer.Option("--format", help="What comes out.")] = Format.c,
    optimize: Goal = "balanced",
) -> None:
    """Write a model as C source, a folder that any build system can compile; or as .tflite."""
    graph = load(model)
    if form is Format.tflite:
        from nanotool.backends.tflite import write
        from nanotool.files import write_atomic

        write_atomic(output, write(graph))
        note(f"Wrote {output}.")
        return
    from nanotool.backends.c import export
    from nanotool.targets import TARGETS

    targets = list(dict.fromkeys(target or TARGETS))
    pairs = [plan_model(graph, name, optimize) for name in targets]
    export(pairs, output, golden=golden)
    sizes = "; ".join(
        f"{lowered.target}: arena {plan.arena_size:,} B, weights {lowered.weight_bytes:,} B"
        for lowered, plan in pairs
    )
    note(f"Wrote {output}/ as C ({sizes}).")
