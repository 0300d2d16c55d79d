"""`nanotool tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import AsJson, Model, examples, load, note, out, print_json, progress

EPILOG = examples(
    "nanotool tune alexa.tflite --with alexa/ --without others/ -o alexa.nano",
    "nanotool tune alexa.nano --with alexa/ --without others/ --window 3 --window 5 "
    "--picture curve.svg",
)


def command(
    model: Model,
    positive: Annotated[
        Path,
        typer.Option(
            "--with", metavar="FOLDER", show_default=False,
            help="Recordings (.wav; of a sensor .npy or .csv) that each hold the word.",
        ),
    ],
    negative: Annotated[
        Path,
        typer.Option(
            "--without", metavar="FOLDER", show_default=False,
            help="Recordings (.wav; of a sensor .npy or .csv) that do not: the more hours, the "
            "better.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH.nano", show_default=False,
            help="Where the model goes, with the best rule.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="F.svg", show_default=False, help="The curve."),
    ] = None,
    windows: Annotated[
        list[int] | None,
        typer.Option(
            "--window", metavar="N", min=1, max=4096, show_default=False,
            help="Steps of the mean to try; may be given several times. [default: the rule's]",
        ),
    ] = None,
    most: Annotated[
        float, typer.Option("--most", metavar="N", min=0, help="False accepts an hour, at most.")
    ] = 0.5,
    place: Annotated[
        int,
        typer.Option("--class", metavar="I", min=0, help="Which of the rule's classes, from 0."),
    ] = 0,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Choose a rule's threshold and window by recordings: false accepts against false rejects."""
    from nanotool import qfile
    from nanotool.files import check_writable, write_atomic
    from nanotool.listen_view import label_of
    from nanotool.models import check_output
    from nanotool.recordings import read_recordings
    from nanotool.sensing.rule import stream_of
    from nanotool.tune import tune, with_point
    from nanotool.tune_picture import curve_svg

    if output is not None:
        check_output(output)
    if picture is not None:
        check_writable(picture)
    graph = load(model)
    ears = stream_of(graph).front_end
    sounds = read_recordings(positive, ears), read_recordings(negative, ears)
    with progress("Listening") as show:
        tuned = tune(graph, *sounds, windows=windows or (), most=most, place=place, progress=show)
    best = tuned.best
    if picture is not None:
        name = label_of(graph, stream_of(graph).rule.classes[place].index)
        write_atomic(picture, curve_svg(tuned, name))
        note(f"Wrote {picture}.")
    if output is not None:
        qfile.save(with_point(graph, best, place), output)
        note(f"Wrote {output}.")
    if as_json:
        print_json(tuned.to_json())
        return
    out().print(
        f"mean of {best.window} steps above {best.threshold:g}: {best.false_rejects} of "
        f"{tuned.positives} recordings missed, {best.false_accepts} false accepts in "
        f"{tuned.negative_hours:.2f} h ({best.false_accepts_an_hour:.3g} an hour).",
        soft_wrap=True,
    )
