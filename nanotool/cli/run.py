"""`nanotool run`."""

from __future__ import annotations

import typer

from nanotool.cli.common import (
    AsFloat,
    AsJson,
    Baud,
    BoardName,
    Dtr,
    Goal,
    InputFile,
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

EPILOG = examples(
    "nanotool run digits.nano --board stm32 --input images.npy",
    "nanotool run digits.nano --board stm32 --input images.npy --output y.npy --float",
    "nanotool run digits.nano --board stm32 --port /dev/ttyUSB0 --input images.npy",
)


def command(
    model: Model,
    board: BoardName,
    input: InputFile,
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
) -> None:
    """Run inputs on a board and compare every output byte with the simulator's.

    A model with states takes the inputs as consecutive steps, from a reset on.

    Exit code 1 if any byte differs; the first layer that differs is then named.
    """
    from nanotool.bench import connect
    from nanotool.run import run, verdict

    graph, found = load(model), find_board(board)
    check_output_file(graph, output)
    x, beyond = load_inputs(graph, input)
    at = serial_port(port, found, baud, dtr, rts)
    firmware = firmware_for(model, board, at, optimize, task)
    lowered, _ = plan_model(graph, found.target, optimize)
    with connect(found, firmware, at) as device, progress(f"Running on {found.name}") as show:
        result = run(device, graph, lowered, x, show, reset_every=reset_every)
    outputs = as_asked(graph, result.ends, as_float)
    if output is not None:
        write_outputs(output, outputs)
    if as_json:
        told = {"board": found.name, "emulated": at is None, **result.to_json()}
        print_json({**told, "outputs": outputs_json(outputs), **saturation(graph, beyond)})
    else:
        if output is None:
            show_answers(graph, result.ends)
        where = f"{found.name}{', emulated' if at is None else ''}"
        out().print(f"{where}: {verdict(result)}", soft_wrap=True)
    if result.mismatches:
        raise typer.Exit(1)
