"""A rule chosen by recordings."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from listening import listener, loud, one_class
from numpy.typing import NDArray

from examples.speech import package_model, say
from nanotool import qfile
from nanotool.cli import app as command_line
from nanotool.errors import NanoError
from nanotool.models import load_model
from nanotool.sensing.description import Rule
from nanotool.sensing.rule import Decider
from nanotool.sensing.stream import Stream, decide_all
from nanotool.tune import tune, with_point


def counted(graph: object, sounds: list[NDArray[np.int16]]) -> list[int]:
    return [len(Stream(graph).feed(sound).decisions) for sound in sounds]  # type: ignore[arg-type]


@pytest.mark.parametrize("vote", [False, True])
def test_points_are_what_the_stream_does(vote: bool) -> None:
    """Any point of the curve, put into the rule and heard."""
    graph = listener(Rule((one_class(0.5, refractory=0.1),), window=2, vote=vote))
    positives, negatives = [loud(3000, 1), loud(3000, 2)], [loud(9000, 3), loud(4000, 4)]
    tuned = tune(graph, positives, negatives, windows=(1, 4), most=1e9)
    assert {point.window for point in tuned.points} == {1, 4}
    for point in tuned.points[:: max(1, len(tuned.points) // 12)]:
        chosen = with_point(graph, point)
        assert sum(counted(chosen, negatives)) == point.false_accepts
        assert sum(n == 0 for n in counted(chosen, positives)) == point.false_rejects
        outputs = Stream(graph).feed(negatives[0]).outputs
        decider = Decider(chosen)
        twin = [made for one in outputs for made in decider.decide(one)]
        assert list(decide_all(chosen, outputs)) == twin
    assert tuned.best.false_rejects == min(point.false_rejects for point in tuned.points)
    assert tuned.negative_hours == pytest.approx(13000 / 8000 / 3600)


def test_what_cannot_be_tuned() -> None:
    graph = listener(Rule((one_class(0.5),)))
    with pytest.raises(NanoError, match="no recordings"):
        tune(graph, [], [loud(3000)])
    with pytest.raises(NanoError, match="shorter than a step"):
        tune(graph, [loud(50)], [loud(3000)])
    with pytest.raises(NanoError, match="none 1"):
        tune(graph, [loud(3000)], [loud(3000)], place=1)


def write(folder: Path, name: str, sound: NDArray[np.int16]) -> None:
    folder.mkdir(exist_ok=True)
    with wave.open(str(folder / name), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sound.tobytes())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for voice in ("en-us", "en-gb", "en-us+f3"):
        write(tmp_path / "with", f"{voice}.wav", say("alexa", voice))
        write(tmp_path / "without", f"{voice}.wav", say("okay nabu", voice, noise=30))
    model, made = package_model("alexa"), tmp_path / "tuned.nano"
    picture = tmp_path / "curve.svg"
    arguments = ["tune", str(model), "--with", str(tmp_path / "with"), "--window", "3"]
    arguments += [
        "--without",
        str(tmp_path / "without"),
        "-o",
        str(made),
        "--picture",
        str(picture),
    ]
    command_line(arguments, standalone_mode=False)
    assert "of 3 recordings missed" in capsys.readouterr().out
    assert picture.read_text().startswith("<svg") and "mean of 3" in picture.read_text()
    stream = load_model(made).stream
    assert stream is not None and stream.rule.window == 3
    command_line([*arguments, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["best"]["threshold"] == stream.rule.classes[0].threshold
    assert qfile.load(made).ops
