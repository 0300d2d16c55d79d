"""`nanotool tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanotool.cli.common import (
    AsJson,
    HeadText,
    Model,
    TrainableLayers,
    cut_model,
    examples,
    load,
    note,
    out,
    print_json,
    progress,
)

EPILOG = examples(
    "nanotool tune alexa.tflite --with alexa/ --without others/ -o alexa.nano",
    "nanotool tune alexa.nano --with alexa/ --without others/ --window 3 --window 5 "
    "--picture curve.svg",
    "nanotool tune motion.nano --trainable fc --head anomaly=nearest --without normal/ "
    "--with faults/ --picture scores.svg",
)


def command(
    model: Model,
    negative: Annotated[
        Path,
        typer.Option(
            "--without", metavar="FOLDER", show_default=False,
            help="Recordings (.wav; of a sensor .npy or .csv) that do not hold the word: the more "
            "hours, the better. Of a head: what is normal.",
        ),
    ],
    positive: Annotated[
        Path | None,
        typer.Option(
            "--with", metavar="FOLDER", show_default=False,
            help="Recordings that each hold the word. Of a head, if there are any: faults.",
        ),
    ] = None,
    layers: TrainableLayers = "",
    head: HeadText = "",
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
            help="Steps of the mean, or scores of the vote, to try; may be given several times. "
            "[default: the rule's; 1, 3 and 5 scores]",
        ),
    ] = None,
    most: Annotated[
        float | None,
        typer.Option(
            "--most", metavar="N", min=0, show_default=False,
            help="False accepts an hour, at most; of a head, false alarms in per cent. "
            "[default: 0.5; 5]",
        ),
    ] = None,
    place: Annotated[
        int,
        typer.Option("--class", metavar="I", min=0, help="Which of the rule's classes, from 0."),
    ] = 0,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Choose a rule's threshold and window by recordings: false accepts against false rejects.

    With --trainable and --head anomaly=…, choose when a score is an alarm: false alarms against
    faults that are found.
    """
    if layers:
        if output is not None or place:
            raise typer.BadParameter("--output and --class are of a rule, not of --trainable.")
        _tune_alarm(model, layers, head, negative, positive, picture, windows, most, as_json)
        return
    if positive is None:
        raise typer.BadParameter("--with is missing: recordings that each hold the word.")
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
        tuned = tune(
            graph,
            *sounds,
            windows=windows or (),
            most=0.5 if most is None else most,
            place=place,
            progress=show,
        )
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


def _tune_alarm(
    model: Path,
    layers: str,
    head: str,
    negative: Path,
    positive: Path | None,
    picture: Path | None,
    windows: list[int] | None,
    most: float | None,
    as_json: bool,
) -> None:
    """The same for the scores of a head."""
    from nanotool.files import check_writable, write_atomic
    from nanotool.training import watching
    from nanotool.training.cut import alarm_text
    from nanotool.training.tuning import tune_alarm
    from nanotool.training.tuning_picture import scores_svg

    if picture is not None:
        check_writable(picture)
    graph = load(model)
    trainable = cut_model(graph, layers, head)
    assert trainable is not None
    watching.check_scores(trainable)
    normal, faults = (
        [] if place is None else watching.read_features(graph, trainable, place)
        for place in (negative, positive)
    )
    with progress("Leaving recordings out") as show:
        tuned = tune_alarm(
            trainable.config,
            normal,
            faults,
            windows=windows or (),
            most=0.05 if most is None else most / 100,
            progress=show,
        )
    if picture is not None:
        write_atomic(picture, scores_svg(tuned, graph.name))
        note(f"Wrote {picture}.")
    words = alarm_text(trainable.config, tuned.best.alarm, head)
    if as_json:
        print_json({**tuned.to_json(), "head": words})
        return
    best = tuned.best
    told = f"{best.false_alarms:.1%} false alarms in {tuned.recordings} recordings, each left out"
    if best.detected is not None:
        told += f"; {best.detected:.1%} of the faults found, AUC {tuned.auc:.3f}"
    out().print(f"{told}.", soft_wrap=True)
    out().print(f"--head {words}", soft_wrap=True, markup=False)
