"""`nanotool listen`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    AsJson,
    Baud,
    BoardName,
    Dtr,
    Goal,
    Model,
    Port,
    Rts,
    err,
    examples,
    find_board,
    firmware_for,
    load,
    note,
    out,
    plan_model,
    print_json,
    serial_port,
)

EPILOG = examples(
    "nanotool listen alexa.tflite --board stm32 --wav alexa.wav",
    "nanotool listen alexa.tflite --board native --wav alexa.wav --json",
    "nanotool listen alexa.tflite --board stm32 --port /dev/ttyUSB0 --microphone",
    "nanotool listen motion.nano --board stm32 --samples walk.npy",
)


def command(
    model: Model,
    board: BoardName,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--wav", "--samples", metavar="FILE", show_default=False,
            help="A recording: .wav of 16 bits, one channel, at the model's rate; of a sensor "
            "whole numbers, .npy [samples, channels] or .csv, a line each.",
        ),
    ] = None,
    microphone: Annotated[
        bool,
        typer.Option(
            "--microphone", show_default=False,
            help="This computer's microphone, until Ctrl-C; needs sounddevice.",
        ),
    ] = False,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    optimize: Goal = "balanced",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Stream samples to a board: its front end, model and rule decide; the PC computes the same.

    A microWakeWord .tflite with its .json beside it needs nothing else.

    Exit code 1 if the board's outputs or decisions differ from the PC's.
    """
    from nanotool.bench import connect
    from nanotool.errors import NanoError
    from nanotool.listen import hurry, listen
    from nanotool.listen_view import View, decision_line, pace, verdict
    from nanotool.recordings import read_recording
    from nanotool.sensing.description import SensorSettings
    from nanotool.sensing.rule import stream_of
    from nanotool.sound import microphone as hear

    if (recording is None) is not microphone:
        raise typer.BadParameter("Give --wav F.wav, --samples F.npy or --microphone.")
    graph, found = load(model), find_board(board)
    ears = stream_of(graph).front_end
    if microphone and isinstance(ears, SensorSettings):
        raise NanoError(f"{graph.name} hears no sound but a sensor.", "Give --samples F.npy.")
    rate = ears.sample_rate
    sound = hear(rate) if recording is None else iter([read_recording(recording, ears)])
    at = serial_port(port, found, baud, dtr, rts)
    firmware = firmware_for(model, board, at, optimize)
    lowered, _ = plan_model(graph, found.target, optimize)
    with connect(found, firmware, at) as device, View(graph, err()) as view:
        if at is not None and at.baud is None:  # an emulated line has no rate
            note(f"The line has {hurry(device, stream_of(graph))} bits a second.")
        begin = time.monotonic()
        result = listen(device, graph, lowered, sound, view.step)
        seconds = time.monotonic() - begin
    if as_json:
        print_json({"board": found.name, "emulated": at is None, **result.to_json()})
    else:
        for made in result.decisions:
            out().print(decision_line(graph, made), soft_wrap=True)
        where = f"{found.name}{', emulated' if at is None else ''}"
        out().print(f"{where}: {verdict(result)}", soft_wrap=True)
    note(pace(result.samples / ears.values / rate, seconds))
    if result.differing:
        raise typer.Exit(1)
