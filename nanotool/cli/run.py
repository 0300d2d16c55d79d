"""`nanotool run`."""

from __future__ import annotations

from typing import Any

import typer

from nanotool.cli.common import (
    AsFloat,
    AsJson,
    Baud,
    Dtr,
    Goal,
    InputFile,
    LabelFile,
    MaybeBoard,
    Model,
    OutputFile,
    Port,
    ResetEvery,
    Rts,
    TaskName,
    as_asked,
    check_output_file,
    examples,
    find_board,
    firmware_for,
    load,
    load_inputs,
    out,
    outputs_json,
    plan_model,
    print_json,
    progress,
    saturation,
    serial_port,
    show_answers,
    write_outputs,
)
from nanotool.errors import NanoError

EPILOG = examples(
    "nanotool run digits.nano --board stm32 --input images.npy",
    "nanotool run digits.nano --board stm32 --input images.npy --output y.npy --float",
    "nanotool run digits.nano --board stm32 --input images.npy --labels classes.npy",
    "nanotool run digits.nano --board stm32 --port /dev/ttyUSB0 --input images.npy",
    "nanotool run digits.nano --input images.npy --labels classes.npy",
)


def command(
    model: Model,
    input: InputFile,
    board: MaybeBoard = None,
    output: OutputFile = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    optimize: Goal = "balanced",
    task: TaskName = None,
    as_float: AsFloat = False,
    as_json: AsJson = False,
    reset_every: ResetEvery = 0,
    labels: LabelFile = None,
) -> None:
    """Run inputs on a board and compare every output byte with the simulator's.

    With --labels, the inputs' true classes, the board's accuracy, F1 and confusion matrix are told.

    Without --board the same C library runs on this computer, on all its cores: for test sets too
    large for a board.

    A model with states takes the inputs as consecutive steps, from a reset on.

    Exit code 1 if any byte differs; the first layer that differs is then named.
    """
    from nanotool.bench import connect
    from nanotool.files import read_array
    from nanotool.report.tables import confusion_table
    from nanotool.run import run, run_here, verdict
    from nanotool.scores import check_labels, scores

    graph, found = load(model), None if board is None else find_board(board)
    if found is None and (port or task):
        raise NanoError(
            f"{'--port' if port else '--task'} is of a board.", "Say which one: --board."
        )
    check_output_file(graph, output)
    x, beyond = load_inputs(graph, input)
    truth = None if labels is None else read_array(labels)
    if truth is not None:
        check_labels(graph, truth, len(x[0]))
    if found is None or board is None:
        at, where = None, "this computer, C library"
        with progress("Running on this computer") as show:
            result = run_here(graph, x, show, reset_every=reset_every)
    else:
        at = serial_port(port, found, baud, dtr, rts)
        where = f"{found.name}{', emulated' if at is None else ''}"
        firmware = firmware_for(model, board, at, optimize, task)
        lowered, _ = plan_model(graph, found.target, optimize)
        with connect(found, firmware, at) as device, progress(f"Running on {found.name}") as show:
            result = run(device, graph, lowered, x, show, reset_every=reset_every)
    outputs = as_asked(graph, result.ends, as_float)
    found_scores = None
    if truth is not None:
        first = graph.output_tensors[0].dequantize(result.ends[0])
        found_scores = scores(first, truth, graph.labels)
    if output is not None:
        write_outputs(output, outputs)
    if as_json:
        on = {"board": found and found.name, "emulated": found is not None and at is None}
        told: dict[str, Any] = {**on, **result.to_json()}
        told |= {"outputs": outputs_json(outputs), **saturation(graph, beyond)}
        print_json(told if found_scores is None else {**told, "scores": found_scores.to_json()})
    else:
        if found_scores is not None:
            out().print(confusion_table(found_scores))
            out().print(str(found_scores), soft_wrap=True, markup=False)
        elif output is None:
            show_answers(graph, result.ends)
        out().print(f"{where}: {verdict(result)}", soft_wrap=True)
    if result.mismatches:
        raise typer.Exit(1)
