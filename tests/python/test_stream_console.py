"""Samples over the line: the firmware's app in this process, on lines good and bad, and a whole
board with `nanotool listen`.

A dropped, late, doubled or garbled frame never gives a step that the right samples would not give.
"""

from __future__ import annotations

import json
import shutil
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_in_process import App, Faults, SimulatedLine, change_byte, double_all, flip_bit, lose_all
from listening import listener, loud, one_class
from numpy.typing import NDArray
from rich.console import Console

from examples.speech import package_model, say
from nanotool.backends import c
from nanotool.boards import NATIVE
from nanotool.cli import app as command_line
from nanotool.device import Device, DeviceGarbled, DeviceLost, DeviceRefused, frames
from nanotool.device.commands import STREAM_COMMANDS
from nanotool.device.frames import SAMPLES, Frame
from nanotool.errors import NanoError
from nanotool.listen import Listened, listen
from nanotool.listen_view import View, decision_line, pace, verdict
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.sensing.description import Rule
from nanotool.sensing.stream import Stream
from nanotool.sound import Int16Array, read_wav

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

GRAPH = listener(Rule((one_class(5.0, refractory=0.05),), window=2))
LOWERED, PLAN = prepare(GRAPH)
SOUND = loud(6000)
WANTED = Stream(GRAPH).feed(SOUND)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("app")
    c.export([(LOWERED, PLAN)], folder / "model")
    return App(folder, folder / "model")


def test_what_the_board_hears(app: App) -> None:
    """In pieces of any size, twice; and by hand."""
    rng = np.random.default_rng(1)
    with Device(SimulatedLine(app)) as device:
        for _ in range(2):
            cuts = np.sort(rng.integers(0, len(SOUND), 20))
            told = listen(device, GRAPH, LOWERED, np.split(SOUND, cuts))
            np.testing.assert_array_equal(told.outputs, WANTED.outputs)
            assert told.decisions == WANTED.decisions and len(told.decisions) > 5
            assert told.differing == () and told.samples == len(SOUND)
        status = device.stream_status()
        assert status.rate == 8000 and status.open and status.counts.samples == len(SOUND)
        device.stream_begin()
        with pytest.raises(DeviceRefused, match="No step yet"):
            device.stream_step()
        assert device.command("stream feed " + SOUND[:4].tobytes().hex()) == ["m-stream-[4 0 0]"]
        for wrong, why in (("abc", "hex digits"), ("abcdef", "two bytes")):
            with pytest.raises(DeviceRefused, match=why):
                device.command(f"stream feed {wrong}")
        usage = next(line for line in device.command("help") if line.startswith("stream"))
        assert all(word in usage for name in STREAM_COMMANDS for word in name.split())
        for wrong in ("stream what", "stream feed 0000 0000"):
            with pytest.raises(DeviceRefused, match="Usage"):
                device.command(wrong)


def test_whatever_else_runs_ends_the_stream(app: App) -> None:
    with Device(SimulatedLine(app)) as device:
        device.load(GRAPH.samples[0][0])
        for run in (device.infer, device.layers, lambda: device.dump(0)):
            device.stream_begin()
            device.stream_feed(SOUND[:100], 0)
            run()
            with pytest.raises(DeviceRefused, match="No stream"):
                device.stream_feed(SOUND[100:200], 100)
            assert not device.stream_status().open
        device.reset()
        with pytest.raises(DeviceRefused, match="No stream"):
            device.stream_feed(SOUND[:100], 0)


def test_frames_out_of_place(app: App) -> None:
    """Lost, late, doubled: refused, and the right one goes on. Plain frames, too."""
    with Device(SimulatedLine(app)) as device:
        device.stream_begin()
        device.stream_feed(SOUND[:128], 0)
        for at in (0, 64, 256):
            with pytest.raises(DeviceRefused, match="next byte is 256"):
                device.stream_feed(SOUND[at : at + 128], at)
        with pytest.raises(DeviceRefused, match="two bytes"):
            device.send(Frame(SAMPLES, 256, b"abc"))
        assert device.stream_feed(SOUND[128:256], 128).samples == 256
        piece = frames.encode(Frame(SAMPLES, 512, SOUND[256:300].tobytes()))
        assert b"m-frame-[512 88]" in app.feed(piece)
        assert b"e-[Frame out of place" in app.feed(piece)
        garbled = bytearray(frames.encode(Frame(SAMPLES, 600, SOUND[300:310].tobytes())))
        garbled[9] ^= 4
        assert b"m-frame" not in app.feed(bytes(garbled))
        device.sync()
        assert device.stream_status().counts.samples == 300


@pytest.mark.parametrize("kinds", [(flip_bit, change_byte), (lose_all, double_all)])
def test_a_damaged_line_gives_no_other_step(app: App, kinds: Any) -> None:
    """Whatever is reported is what the right samples give; what cannot be had is an error."""
    faults = [Faults(kinds, way, share=0.04) for way in range(2)]
    steps, heard_all, tries = WANTED.outputs.tolist(), 0, 15
    for _ in range(tries):
        got: list[Any] = []

        def note(_: Int16Array, output: NDArray[Any], made: Any, got: list[Any] = got) -> None:
            got.append((output.tolist(), made))

        line = SimulatedLine(app, *faults)
        with Device(line, timeout=0.5, sync_timeout=60) as device:
            try:
                told = listen(device, GRAPH, LOWERED, [SOUND], note)
                assert told.decisions == WANTED.decisions and told.differing == ()
                heard_all += 1
            except (DeviceGarbled, DeviceLost):
                pass
        for step, (output, made) in enumerate(got):
            assert output == steps[step]
            assert made == tuple(one for one in WANTED.decisions if one.step == step)
    assert min(one.count for one in faults) > 30 and heard_all > 0


def test_a_gap_begins_anew(app: App) -> None:
    with Device(SimulatedLine(app)) as device:
        told = listen(device, GRAPH, LOWERED, [SOUND[:3000], None, SOUND[3000:]])
    parts = [Stream(GRAPH).feed(SOUND[:3000]), Stream(GRAPH).feed(SOUND[3000:])]
    np.testing.assert_array_equal(told.outputs, np.concatenate([one.outputs for one in parts]))
    assert told.decisions == parts[0].decisions + parts[1].decisions


# --- nanotool listen ------------------------------------------------------------------------------


def write_wav(path: Path, sound: Int16Array, rate: int = 16000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())
    return path


def test_listen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A .tflite with its .json, nothing else; the native board."""
    model, sound = package_model("alexa"), say("alexa", "en-us")
    file = write_wav(tmp_path / "alexa.wav", sound)
    arguments = ["listen", str(model), "--board", NATIVE.name, "--wav", str(file)]
    command_line([*arguments, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    wanted = Stream(load_model(model)).feed(sound)
    assert told["outputs"] == wanted.outputs.reshape(-1).tolist()
    assert told["decisions"] == [made.step for made in wanted.decisions] != []
    assert told["mismatches"] == 0 and told["emulated"] and told["board"] == "native"
    command_line(arguments, standalone_mode=False)
    printed = capsys.readouterr()
    assert "Alexa (step" in printed.out and "0 differ" in printed.out
    assert "real time" in printed.err


@pytest.mark.parametrize(
    ("rate", "channels", "message"), [(8000, 1, "8,000 Hz"), (16000, 2, "2 channels")]
)
def test_recordings_of_another_kind(tmp_path: Path, rate: int, channels: int, message: str) -> None:
    file = write_wav(tmp_path / "x.wav", np.zeros(100, np.int16), rate, channels)
    with pytest.raises(NanoError, match=message):
        read_wav(file, 16000)
    file.write_bytes(b"RIFF")
    with pytest.raises(NanoError, match="plain samples"):
        read_wav(file, 16000)
    with pytest.raises(NanoError, match="Cannot read"):
        read_wav(tmp_path / "y.wav", 16000)


def test_the_format_that_names_another(tmp_path: Path) -> None:
    """WAVE_FORMAT_EXTENSIBLE of whole numbers is read; floats are told as such."""
    sound = np.arange(-50, 50).astype(np.int16)
    plain = write_wav(tmp_path / "x.wav", sound).read_bytes()
    for number, message in ((1, ""), (3, "holds floats"), (6, "holds A-law")):
        rest = struct.pack("<HHIH", 22, 16, 4, number) + bytes(14)
        header = struct.pack("<I", 40) + b"\xfe\xff" + plain[22:36] + rest
        file = tmp_path / f"{number}.wav"
        body = plain[8:16] + header + plain[36:]
        file.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        if message:
            with pytest.raises(NanoError, match=message):
                read_wav(file, 16000)
        else:
            np.testing.assert_array_equal(read_wav(file, 16000), sound)


def test_what_people_see() -> None:
    console = Console(force_terminal=True, width=100, record=True)
    with View(GRAPH, console) as view:
        view.step(SOUND[:800], WANTED.outputs[0], WANTED.decisions[:1])
        text = view._text(SOUND[:800], WANTED.outputs[0]).plain
    assert "level" in text and "class 1" in text and "░" in text
    assert decision_line(GRAPH, WANTED.decisions[0]) in text
    assert "slower than real time" in pace(1.0, 2.0) and "slower" not in pace(2.0, 1.0)
    heard = Listened(WANTED.outputs, WANTED.decisions, (7,), len(SOUND), 0)
    assert "1 differ from this computer's, the first is step 7" in verdict(heard)
    assert heard.to_json()["outputs"][0] == WANTED.outputs[0].tolist()
