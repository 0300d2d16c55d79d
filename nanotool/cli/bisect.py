"""`nanotool bisect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanotool.cli.common import AsJson, Model, examples, load_inputs, out, print_json, progress

if TYPE_CHECKING:
    from nanotool.ir import QGraph

EPILOG = examples(
    "nanotool bisect kws.tflite",
    "nanotool bisect digits.nano --input images.npy",
)
INPUTS = 4  # by default


def command(
    model: Model,
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="X.npy",
            help="Inputs to compare with; default: the model's own samples, or noise.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare every layer with TensorFlow Lite Micro's, and name the first that differs.

    A model with states takes its inputs as steps; several inputs are a .npz file.

    Needs the package tflite-micro. Exit code 1 if a byte differs, or a layer cannot be compared.
    """
    from nanotool.backends.c.emit import golden_inputs
    from nanotool.bisect import bisect_model, verdict
    from nanotool.report.bisection import bisection_table

    def inputs(graph: QGraph) -> Any:
        made, _ = golden_inputs(graph, INPUTS)
        return made if input is None else load_inputs(graph, input)[0]

    with progress("Comparing") as show:
        result = bisect_model(model, inputs, show)
    if as_json:
        print_json(result.to_json())
    else:
        out().print(bisection_table(result))
        out().print(verdict(result), soft_wrap=True)
    if not result.agrees:
        raise typer.Exit(1)
