"""`nanotool capture`."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
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
    examples,
    find_board,
    firmware_for,
    load,
    note,
    out,
    print_json,
    progress,
    serial_port,
    warn,
)

EPILOG = examples(
    "nanotool flash words.nano --board stm32 --sensor",
    "nanotool capture words.nano --board stm32 --port auto --label yes --count 20 -o words",
    "nanotool capture words.nano --board native --play yes.wav --label yes -o words",
)


def command(
    model: Model,
    board: BoardName,
    label: Annotated[
        str,
        typer.Option(
            "--label", "-l", metavar="LABEL", show_default=False,
            help="What is recorded: the name of its folder.",
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", show_default=False,
            help="Where the recordings and their manifest go, or are already.",
        ),
    ],
    seconds: Annotated[
        float,
        typer.Option("--seconds", "-s", metavar="S", min=0.01, max=3600, help="Of a recording."),
    ] = 1.0,
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, help="How many recordings.")
    ] = 1,
    play: Annotated[
        Path | None,
        typer.Option(
            "--play", metavar="FILE", show_default=False,
            help="The recording that an emulated board plays as its sensor: .wav; of a sensor with "
            "several channels .npy [samples, channels] or .csv.",
        ),
    ] = None,
    port: Port = None,
    baud: Baud = None,
    dtr: Dtr = None,
    rts: Rts = None,
    optimize: Goal = "balanced",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Record what the board's own sensor gives, labelled, as files to train with.

    .wav for sound, else .npy, and a manifest.json. A real board was flashed with --sensor. Ctrl-C
    keeps what came.

    Exit code 1 if fewer whole recordings came than were asked for.
    """
    from nanotool.bench import connect
    from nanotool.capture import Collection, Origin, Recording, capture, check_label, playable
    from nanotool.listen import hurry
    from nanotool.sensing.rule import stream_of

    check_label(label)
    graph, found = load(model), find_board(board)
    stream = stream_of(graph)
    at = serial_port(port, found, baud, dtr, rts)
    if (play is None) is not (at is not None):
        raise typer.BadParameter("An emulated board needs --play FILE; a real one has its sensor.")
    collection = Collection(folder, graph)
    for one in collection.recovered:
        note(f"{one.file}: what an interrupted capture had left, {one.samples:,} samples.")
    firmware = firmware_for(model, board, at, optimize, sensor=True)
    samples = max(1, round(seconds * stream.front_end.sample_rate))
    done: list[Recording] = []
    with (
        playable(play, stream) as sensor,
        connect(found, firmware, at, sensor=sensor) as device,
        progress(f"Recording {label}") as show,
    ):
        if at is not None and at.baud is None:
            hurry(device, stream)
        before = len(collection.manifest.recordings)
        origin = Origin(found.name, at is None)
        run = capture(
            *(device, collection, label, samples),
            origin=origin,
            on_values=lambda _, now, wanted: show(now, wanted),
        )
        try:
            with closing(run):
                whole = (one for one in run if one.whole)
                for _ in islice(whole, count):
                    pass
        except KeyboardInterrupt:
            note("Interrupted: what came is kept.")
        done += collection.manifest.recordings[before:]
    if as_json:
        print_json(collection.manifest.to_json())
    for one in done:
        if not as_json:
            out().print(f"{folder / one.file}: {one.samples:,} samples", soft_wrap=True)
        if one.lost:
            warn(f"{one.file} begins behind a gap: about {one.lost:,} values were lost.")
        if not one.whole:
            warn(f"{one.file} is shorter than {seconds:g} s.")
    if sum(one.whole for one in done) < count:
        raise typer.Exit(1)
