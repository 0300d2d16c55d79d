"""`nanotool quantize`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanotool.cli.common import (
    AsJson,
    ResetEvery,
    examples,
    note,
    out,
    print_json,
    progress,
    warn,
)

if TYPE_CHECKING:
    from nanotool.ir import QGraph

EPILOG = examples(
    "nanotool quantize digits.py -o digits.nano",
    "nanotool quantize digits.pt2 --calibration images.npy -o digits.nano",
    "nanotool quantize digits.py -o digits.nano --observer mse --name mnist",
    "nanotool quantize cell.pt2 --calibration steps.npy --states h -o cell.nano",
)


class Weights(str, Enum):
    """Of ``--weights``."""

    int8 = "int8"
    int4 = "int4"


class Activations(str, Enum):
    """Bits of what layers yield."""

    int8 = "int8"
    int16 = "int16"


class Allowed(str, Enum):
    """What changes types, and so is taken only where it is allowed."""

    int16 = "int16"


class Observer(str, Enum):
    """How the range of a tensor is chosen from what was seen."""

    auto = "auto"
    minmax = "minmax"
    percentile = "percentile"
    mse = "mse"


def command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A Python file that defines `model` (nn.Module) and `calibration` (array, tensor, "
            "iterable of batches, or a function returning one), optionally `labels`, `example`, "
            "`evaluation`, `targets` (right classes of `calibration`), `name`, `states`, "
            "`reset_every`; or a torch.export program (.pt2) or an ONNX model (.onnx).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT.nano", help="Where the int8 model goes."),
    ],
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            "-c",
            metavar="X.npy",
            help="Real inputs, N × input shape; replaces the file's own. Several inputs: a .npz "
            "with each by its name, or 0, 1, ….",
            show_default=False,
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation",
            metavar="X.npy",
            help="What the model will meet, N × input shape: a warning if the calibration data are "
            "of another range.",
            show_default=False,
        ),
    ] = None,
    states: Annotated[
        str,
        typer.Option(
            "--states",
            metavar="NAMES",
            help="What the model remembers from step to step: arguments of the forward, buffers; "
            "h=h0.npy with what the first step reads. Replaces the file's own. Inputs are then "
            "consecutive steps.",
            show_default=False,
        ),
    ] = "",
    reset_every: ResetEvery = 0,
    observer: Annotated[Observer, typer.Option(help="How ranges are chosen.")] = Observer.auto,
    activations: Annotated[
        Activations, typer.Option(help="int16: 16 bits wherever an operator has them.")
    ] = Activations.int8,
    int16: Annotated[
        str,
        typer.Option(
            "--int16",
            metavar="NAMES",
            help="Layers whose results have 16 bits, by commas, and so what reads them.",
            show_default=False,
        ),
    ] = "",
    allow: Annotated[
        list[Allowed] | None,
        typer.Option(help="What auto may take where it is worth it.", show_default=False),
    ] = None,
    weights: Annotated[
        Weights, typer.Option(help="int4: 4 bits for those of convolutions and dense layers.")
    ] = Weights.int8,
    int4: Annotated[
        str,
        typer.Option(
            "--int4",
            metavar="NAMES",
            help="Layers whose weights have 4 bits, by commas.",
            show_default=False,
        ),
    ] = "",
    name: Annotated[
        str, typer.Option(help="The model's name in C; default: the file's.", show_default=False)
    ] = "",
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Read a .pt2 file even if that runs code it brings: only one of your own.",
            show_default=False,
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Quantize a PyTorch model to int8, and tell what that cost layer by layer."""
    _check_torch()
    import warnings

    from nanotool import project, qfile
    from nanotool.errors import NanoWarning
    from nanotool.models import check_output

    check_output(output)
    loaded = project.load_source(
        source,
        calibration,
        name,
        evaluation=evaluation,
        states=project.parse_states(states) or None,
        reset_every=reset_every or None,
        trust=trust,
    )
    with progress("Calibrating") as show, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanoWarning)
        widened = None if activations is Activations.int16 else _names(int16)
        narrowed = None if weights is Weights.int4 else _names(int4)
        allowed = [each.value for each in allow or ()]
        graph = project.quantize_source(
            loaded, observer.value, show, widened, allowed, int4=narrowed
        )
    doubts = [str(each.message) for each in caught if issubclass(each.category, NanoWarning)]
    for doubt in doubts:
        warn(doubt)
    qfile.save(graph, output)
    if as_json:
        print_json({"model": str(output), "warnings": doubts} | _json(graph))
        return
    _print_quality(graph)
    note(f"Wrote {output} ({graph.name}, {qfile.graph_hash(graph)}).")


def _names(given: str) -> tuple[str, ...]:
    """Of a list with commas."""
    return tuple(part.strip() for part in given.split(",") if part.strip())


def _check_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        from nanotool.errors import MissingTool

        raise MissingTool(
            "`nanotool quantize` needs PyTorch, which is not installed.",
            "Run: pip install 'nanotool[torch]'",
        ) from error


def _json(graph: QGraph) -> dict[str, Any]:
    from dataclasses import asdict

    from nanotool import qfile
    from nanotool.describe import proposal
    from nanotool.quantization import worst_layer

    worst = worst_layer(graph)
    return {
        "name": graph.name,
        "hash": qfile.graph_hash(graph),
        "worst": None if worst is None else worst.tensor,
        "layers": [
            {"tensor": q.tensor, "sqnr_db": q.sqnr_db, "saturation": q.saturation}
            for q in graph.quality
        ],
        "trials": [
            {
                "name": t.name,
                "sqnr_db": t.sqnr_db,
                "accuracy": t.accuracy,
                "chosen": t.chosen,
                "int16": None if t.int16 is None else asdict(t.int16),
            }
            for t in graph.trials
        ],
        "proposal": proposal(graph),
    }


def _print_quality(graph: QGraph) -> None:
    """Layer by layer, what was tried, and where it is worst."""
    from nanotool.describe import label, proposal
    from nanotool.quantization import worst_layer
    from nanotool.report.tables import quality_table, trials_table
    from nanotool.report.text import decibel

    worst = worst_layer(graph)
    out().print(quality_table(graph))
    if graph.trials:
        out().print()
        out().print(trials_table(graph))
    if proposal(graph):
        out().print(f"\n{proposal(graph)}", highlight=False)
    if worst is not None:
        out().print(f"\nWorst layer: {label(graph, worst.tensor)}, {decibel(worst.sqnr_db)}")
