"""`nanotool export`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    Goal,
    HeadText,
    Model,
    TrainableLayers,
    cut_model,
    examples,
    load,
    note,
    plan_model,
)

EPILOG = examples(
    "nanotool export digits.nano -o digits",
    "nanotool export digits.nano -o digits --golden 8",
    "nanotool export digits.nano -o digits.tflite",
    "nanotool export digits.nano -o digits --trainable fc2 --head optimizer=momentum,slots=200",
)


class Format(str, Enum):
    """What comes out."""

    c = "c"
    tflite = "tflite"
    nano = "nano"


def command(
    model: Model,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="The model folder, or a .tflite or .nano file."
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
    form: Annotated[
        Format | None,
        typer.Option("--format", help="What comes out; PATH's ending says it, too."),
    ] = None,
    optimize: Goal = "balanced",
    layers: TrainableLayers = "",
    head: HeadText = "",
) -> None:
    """Write a model as C source, a folder that any build system can compile; or as a file."""
    from nanotool.models import output_kind

    kind = output_kind(output, form.value if form else "")
    graph = load(model)
    trainable = cut_model(graph, layers, head)
    if kind != "c":
        if trainable is not None:
            raise typer.BadParameter(f"A .{kind} file holds no head that learns: export C.")
        if target:
            raise typer.BadParameter(f"A .{kind} file is for every target: --target is for C.")
        from nanotool.api import QuantizedModel

        whole = QuantizedModel(graph)
        (whole.to_tflite if kind == "tflite" else whole.save)(output)
        note(f"Wrote {output}.")
        return
    from nanotool.backends.c import export
    from nanotool.targets import TARGETS

    targets = list(dict.fromkeys(target or TARGETS))
    frozen = graph if trainable is None else trainable.backbone
    pairs = [plan_model(frozen, name, optimize) for name in targets]
    export(pairs, output, golden=golden, head=trainable)
    sizes = "; ".join(
        f"{lowered.target}: arena {plan.arena_size:,} B, weights {lowered.weight_bytes:,} B"
        for lowered, plan in pairs
    )
    note(f"Wrote {output}/ as C ({sizes}).")
    if trainable is not None:
        from nanotool.training import arena_size

        size = arena_size(trainable.config)
        note(f"{', '.join(trainable.layers)} will learn on the board, in {size:,} B of RAM.")
