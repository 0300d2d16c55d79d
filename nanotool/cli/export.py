"""`nanotool export`."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanotool.cli.common import (
    Goal,
    HeadText,
    Models,
    Ram,
    TrainableLayers,
    cut_model,
    examples,
    goal_of,
    load,
    load_several,
    note,
    only_one,
    plan_model,
)
from nanotool.kinds import PACKAGES, find_kind

if TYPE_CHECKING:
    from nanotool.ir import Lowered, QGraph

EPILOG = examples(
    "nanotool export digits.nano -o digits",
    "nanotool export digits.nano -o digits --golden 8",
    "nanotool export digits.nano -o digits.zip --kind arduino",
    "nanotool export digits.nano -o digits --target armv7em --weights bin",
    "nanotool export digits.nano -o digits.tflite",
    "nanotool export okay_nabu.tflite commands.nano -o models",
    "nanotool export digits.nano -o digits --trainable fc2 --head optimizer=momentum,slots=200",
)


class Weights(str, Enum):
    """How C has the weights."""

    c = "c"
    bin = "bin"


class Format(str, Enum):
    """What comes out."""

    c = "c"
    tflite = "tflite"
    nano = "nano"


def command(
    models: Models,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH",
            help="The model folder, a .tflite or .nano file; with --kind a new folder or a .zip.",
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", "-k", metavar="KIND", show_default=False,
            help="A package with the library, an example and a README, for this build system: "
            f"{', '.join(PACKAGES)}.",
            autocompletion=lambda: list(PACKAGES),
        ),
    ] = None,
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
    ram: Ram = None,
    layers: TrainableLayers = "",
    head: HeadText = "",
    weights: Annotated[
        Weights,
        typer.Option(
            help="Weights as C, or as a binary file for each target, which the compiler's "
            "assembler brings in: small, and compiled at once."
        ),
    ] = Weights.c,
    loadable: Annotated[
        bool,
        typer.Option(
            "--loadable",
            help="Weights may be brought at run time: a .weights file for each target.",
        ),
    ] = False,
) -> None:  # fmt: skip
    """Write a model as C source, for any build system or packaged for yours; or as a file.

    Several models go into one folder: our firmware runs one of them at a time.
    """
    from nanotool.models import output_kind

    optimize = goal_of(optimize, ram)
    if kind is not None:
        if form is not None or layers or head or loadable:
            raise typer.BadParameter(
                "A package takes no --format, --trainable, --head or --loadable: "
                "export the model folder alone, without --kind."
            )
        several = load_several(models)
        _export_package(several, output, kind, target or (), golden, optimize, weights.value)
        return
    what_comes = output_kind(output, form.value if form else "")
    if what_comes == "c" and not layers and not head and len(graphs := load_several(models)) > 1:
        if loadable:
            raise typer.BadParameter("--loadable takes one model.")
        _export_several(graphs, output, target or (), golden, optimize, weights.value)
        return
    if loadable and what_comes != "c":
        raise typer.BadParameter(
            f"A .{what_comes} file is loaded as it is: --loadable is of C sources."
        )
    if weights is Weights.bin and what_comes != "c":
        raise typer.BadParameter(
            f"A .{what_comes} file holds its weights: --weights is of C sources."
        )
    what = f"A .{what_comes} file" if what_comes != "c" else "--trainable"
    graph = load(only_one(models, what))
    trainable = cut_model(graph, layers, head)
    if what_comes != "c":
        if trainable is not None:
            raise typer.BadParameter(f"A .{what_comes} file holds no head that learns: export C.")
        if target:
            raise typer.BadParameter(
                f"A .{what_comes} file is for every target: --target is for C."
            )
        from nanotool.api import QuantizedModel

        whole = QuantizedModel(graph)
        (whole.to_tflite if what_comes == "tflite" else whole.save)(output)
        note(f"Wrote {output}.")
        return
    from nanotool.backends.c import export
    from nanotool.targets import TARGETS

    targets = list(dict.fromkeys(target or TARGETS))
    frozen = graph if trainable is None else trainable.backbone
    pairs = [plan_model(frozen, name, optimize) for name in targets]
    export(pairs, output, golden=golden, head=trainable, loadable=loadable, weights=weights.value)
    sizes = "; ".join(
        f"{lowered.target}: arena {plan.arena_size:,} B, weights {lowered.weight_bytes:,} B"
        for lowered, plan in pairs
    )
    note(f"Wrote {output}/ as C ({sizes}).")
    _tell_slow([lowered for lowered, _ in pairs])
    if trainable is not None:
        from nanotool.training import arena_size

        size = arena_size(trainable.config)
        note(f"{', '.join(trainable.layers)} will learn on the board, in {size:,} B of RAM.")


def _export_package(
    graphs: Sequence[QGraph],
    output: Path,
    kind: str,
    target: Sequence[str],
    golden: int,
    optimize: str,
    weights: str,
) -> None:
    from nanotool.scaffold import ZIP, export_package

    chosen = find_kind(kind, package=True)
    export_package(
        graphs,
        output,
        chosen,
        targets=list(dict.fromkeys(target)),
        optimize=optimize,
        golden=golden,
        weights=weights,
    )
    shown = output if output.suffix == ZIP else f"{output}/"
    names = ", ".join(graph.name for graph in graphs)
    note(f"Wrote {shown}: {names} for {chosen.title}. Its README.md says how to add and call it.")


def _export_several(
    graphs: Sequence[QGraph],
    output: Path,
    target: Sequence[str],
    golden: int,
    optimize: str,
    weights: str,
) -> None:
    from nanotool.backends.c import export_several
    from nanotool.targets import TARGETS

    targets = list(dict.fromkeys(target or TARGETS))
    models = [[plan_model(graph, name, optimize) for name in targets] for graph in graphs]
    export_several(models, output, golden=golden, weights=weights)
    sizes = "; ".join(
        f"{name}: arena {max(plan.arena_size for _, plan in pairs):,} B, weights "
        f"{sum(lowered.weight_bytes for lowered, _ in pairs):,} B"
        for name, pairs in zip(targets, zip(*models, strict=True), strict=True)
    )
    note(f"Wrote {output}/ as C, {len(graphs)} models ({sizes}).")
    _tell_slow([lowered for pairs in models for lowered, _ in pairs])


def _tell_slow(variants: Sequence[Lowered]) -> None:
    """Which layers run on a portable kernel though the target has a faster one, and why."""
    from nanotool.slow import sentences

    for lowered in variants:
        for sentence in sentences(lowered):
            note(f"{lowered.target}: {sentence}")
