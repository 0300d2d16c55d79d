"""A board's own sensor: MLPerf Tiny's streaming wake word, and recordings of it.

An emulated board plays a file. The runner's own classes take part where NANO_MLPERF_RUNNER names
them (test_runner.py); the transcript is held without.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tasks import Served, serve
from test_runner import runner, session

from examples.speech import say
from nanotool.boards import NATIVE, Board
from nanotool.capture import Collection, Origin, capture
from nanotool.device import Device, DeviceRefused
from nanotool.sensing.stream import Stream

__all__ = ["runner"]
USUAL_BOARDS = ("native", "stm32")
STEP = 512  # samples
SOUND = say("marvin", "en-us", rate=130)[:24000]


@pytest.fixture(scope="module")
def served(
    board: Board, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    if pytestconfig.getoption("--port"):
        pytest.skip("a real board hears what there is to hear")
    file = tmp_path_factory.mktemp("sensor") / "sound.raw"
    file.write_bytes(SOUND.astype("<i2").tobytes())
    with serve(board, "sww", sensor=file) as served:
        yield served


def heard(device: Device, samples: int) -> None:
    """Wait until the board has listened to so many samples."""
    end = time.monotonic() + 60
    while device.stream_status().counts.samples < samples // STEP * STEP:
        assert time.monotonic() < end
        time.sleep(0.02)


def activations(lines: list[str]) -> list[int]:
    """As the runner reads them."""
    found = re.search(r"target activations:\s*(\[.*?\])\s*m-ready", "".join([*lines, "m-ready"]))
    assert found, lines
    return [int(one) for one in found[1].strip("[]").split(",")]


def test_the_transcript(served: Served) -> None:
    """`start`, sound, `stop`: the outputs of every step, which are the simulator's."""
    wanted = Stream(served.graph).feed(SOUND)
    with Device(served.port) as device:
        assert device.command("profile")[1] == "m-model-[sww01]"
        assert device.command("stop") == ["Not listening"]
        for _ in range(2):  # it plays from its beginning
            assert device.command("start") == ["Listening"]
            assert device.command("start") == ["Listening already"]
            heard(device, len(SOUND))
            counts = device.stream_status().counts
            assert counts.decisions == len(wanted.decisions) > 0
            assert activations(device.command("stop")) == wanted.outputs[:, 0].tolist()
        device.command("start")
        device.load(served.x[0])
        device.infer()  # the model is another one's now
        assert device.command("stop") == ["Not listening"]


def test_recordings(served: Served, tmp_path: Path) -> None:
    """What the sensor gives is what stands in the files, to the last sample."""
    collection = Collection(tmp_path, served.graph)
    with Device(served.port) as device:
        origin = Origin(served.board.name, emulated=True)
        made = list(capture(device, collection, "marvin", 9000, origin=origin))
        with pytest.raises(DeviceRefused, match="off"):
            device.sensor_read(0)
    assert [(one.samples, one.whole, one.lost) for one in made] == [
        *[(9000, True, 0)] * (len(SOUND) // 9000),
        (len(SOUND) % 9000, False, 0),
    ]
    sounds = [np.frombuffer((tmp_path / one.file).read_bytes()[44:], "<i2") for one in made]
    assert np.array_equal(np.concatenate(sounds), SOUND)
    told = json.loads((tmp_path / "manifest.json").read_text())
    assert (told["rate"], told["channels"], told["window"]) == (16000, 1, 1024)
    assert [one["file"] for one in told["recordings"]] == [one.file for one in made]


def test_without_a_file_there_is_no_sensor(served: Served) -> None:
    """The emulated stm32 has no semihosting then: no fault, an error."""
    with serve(served.board, "sww") as other, Device(other.port) as device:
        for command in ("sensor begin", "start"):
            with pytest.raises(DeviceRefused, match="no sensor"):
                device.command(command)


def test_the_runners_own_session(board: Board, runner: Path, tmp_path: Path) -> None:
    """With its `stream` step; where its interface board is, a class of ours plays the sound through
    a pipe, and reads the pins' times (runner_session.py)."""
    if board is not NATIVE:
        pytest.skip("the pins of the emulated stm32 are not wired to anything")
    pipe, pins = tmp_path / "pipe", tmp_path / "pins"
    os.mkfifo(pipe)
    pins.touch()
    data = tmp_path / "data" / "sww01"
    data.mkdir(parents=True)
    (data / "sound.raw").write_bytes(SOUND.astype("<i2").tobytes())
    truth = [{"wav_file": "sound.raw", "length_sec": 1.5, "detection_windows": [[0.9, 1.4]]}]
    (data / "sww_long_test.json").write_text(json.dumps(truth))
    options = ("--sensor", str(pipe), "--pins", str(pins))
    with serve(board, "sww", more=options) as served:
        told = session(served, runner, tmp_path, "a", runner / "tests_performance.yaml", pipe, pins)
        result = told["result"]
        wanted = Stream(served.graph).feed(SOUND)
    assert result["activations"] == wanted.outputs[:, 0].tolist()
    first = STEP  # sample behind the step whose pulse begins all times
    ends = [1024 + (29 + made.step) * STEP for made in wanted.decisions]
    assert result["infer"]["detections"] == [first // 16, *(end // 16 for end in ends)]
    assert result["dutycycle"]["period"] == pytest.approx(STEP / 16000, rel=0.01)
