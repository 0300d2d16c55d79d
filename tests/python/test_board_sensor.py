"""A board's own sensor: the firmware's app in this process with a fake one, on lines good and bad.

No file has a gap in it, whatever is lost where. Whole boards: test_hil/test_sensor_boards.py.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from app_in_process import App, Faults, SimulatedLine, change_byte, double_all, flip_bit, lose_all
from listening import listener, loud, one_class

from nanotool import capture as capturing
from nanotool import mlperf
from nanotool.backends import c
from nanotool.capture import Collection, Manifest, Origin, Recording, capture, playable
from nanotool.device import Device, DeviceGarbled, DeviceRefused
from nanotool.device.commands import SENSOR_COMMANDS
from nanotool.errors import DeviceError, NanoError
from nanotool.pipeline import prepare
from nanotool.recordings import read_recording
from nanotool.sensing.description import Rule, SensorSettings
from nanotool.sensing.rule import stream_of
from nanotool.sound import Int16Array

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

GRAPH = listener(Rule((one_class(5.0),), window=2))
SENSOR = listener(
    Rule((one_class(5.0),)), hop=1, frames=4, ears=SensorSettings(channels=2, window=4, step=4)
)
SOUND = loud(6000)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    folder = tmp_path_factory.mktemp("app")
    c.export([prepare(GRAPH)], folder / "model")
    mlperf.add_block(folder / "model", "Sensor", ("#define APP_SENSOR",))
    return App(folder, folder / "model")


def give(app: App, sound: Int16Array, *, gap: int = 0, lost: int = 0, ends: bool = True) -> None:
    """What the fake board's sensor does."""
    library = app._library
    values = (ctypes.c_int16 * 16384).in_dll(library, "fake_sensor_values")
    values[: len(sound)] = sound.tolist()
    numbers = {"size": len(sound), "piece": 700, "gap": gap, "lost": lost}
    for name, number in numbers.items():
        ctypes.c_uint32.in_dll(library, f"fake_sensor_{name}").value = number
    ctypes.c_bool.in_dll(library, "fake_sensor_ends").value = ends


def contents(folder: Path, made: list[Recording]) -> list[Int16Array]:
    """Of the files; the manifest and the checksums agree with them."""
    told = Manifest.read(folder / "manifest.json")
    assert told.recordings[-len(made) :] == tuple(made)
    sounds = [read_recording(folder / one.file, stream_of(GRAPH).front_end) for one in made]
    assert [len(sound) for sound in sounds] == [one.samples for one in made]
    assert [one.crc32 for one in made] == [zlib.crc32(sound.tobytes()) for sound in sounds]
    return sounds


def test_recordings_of_one_length(app: App, tmp_path: Path) -> None:
    give(app, SOUND)
    collection = Collection(tmp_path / "new", GRAPH)
    with Device(SimulatedLine(app)) as device:
        made = list(capture(device, collection, "a", 2500, origin=Origin("fake")))
        more = list(
            itertools.islice(capture(device, collection, "b", 100, origin=Origin("fake")), 3)
        )
        usage = next(line for line in device.command("help") if line.startswith("sensor"))
        words = {word for name in SENSOR_COMMANDS if "sensor" in name for word in name.split()}
        assert all(word in usage for word in words)
    assert [(one.file, one.whole) for one in made] == [
        ("a/0001.wav", True),
        ("a/0002.wav", True),
        ("a/0003.wav", False),
    ]
    assert np.array_equal(np.concatenate(contents(tmp_path / "new", made + more))[:6000], SOUND)
    assert [one.samples for one in more] == [100, 100, 100]


def test_a_gap_parts_two_recordings(app: App, tmp_path: Path) -> None:
    """What the board lost is told, and nowhere in a file."""
    give(app, SOUND, gap=1801, lost=333)
    with Device(SimulatedLine(app)) as device:
        made = list(capture(device, Collection(tmp_path, GRAPH), "a", 3000, origin=Origin("fake")))
    assert [(one.samples, one.whole, one.lost) for one in made] == [
        (1801, False, 0),
        (3000, True, 333),
        (1199, False, 0),
    ]
    sounds = contents(tmp_path, made)
    assert np.array_equal(sounds[0], SOUND[:1801])
    assert np.array_equal(np.concatenate(sounds[1:]), SOUND[1801:])


@pytest.mark.parametrize("kinds", [(flip_bit, change_byte), (lose_all, double_all)])
def test_a_damaged_line_puts_nothing_else_into_a_file(
    app: App, tmp_path: Path, kinds: tuple[object, ...]
) -> None:
    """Whatever is kept is the sensor's, without a gap; what cannot be had is an error, and what
    came before it is kept."""
    give(app, SOUND)
    faults = [Faults(kinds, way, share=0.1) for way in range(2)]  # type: ignore[arg-type]
    whole = 0
    for turn in range(8):
        folder = tmp_path / str(turn)
        collection = Collection(folder, GRAPH)
        try:
            with Device(SimulatedLine(app, *faults)) as device:
                list(capture(device, collection, "a", 6000, origin=Origin("fake")))
        except (DeviceGarbled, DeviceRefused):
            pass
        kept = list(collection.manifest.recordings)
        for sound in contents(folder, kept) if kept else []:
            assert np.array_equal(sound, SOUND[: len(sound)])
            whole += len(sound) == len(SOUND)
    assert whole >= 4 and min(fault.count for fault in faults) > 5


def test_what_an_interrupted_one_leaves(app: App, tmp_path: Path) -> None:
    """Ctrl-C keeps what came; a program that was killed leaves what the next one makes a file."""
    give(app, SOUND)
    collection = Collection(tmp_path, GRAPH)

    def stop(_values: Int16Array, now: int, _wanted: int) -> None:
        if now > 1000:
            raise KeyboardInterrupt

    with Device(SimulatedLine(app)) as device, pytest.raises(KeyboardInterrupt):
        list(capture(device, collection, "a", 5000, origin=Origin("fake"), on_values=stop))
    (one,) = collection.manifest.recordings
    assert not one.whole and np.array_equal(contents(tmp_path, [one])[0], SOUND[: one.samples])
    part = collection.unfinished("a")
    part.write_bytes(SOUND[:50].tobytes() + b"\1")  # the last value came half
    again = Collection(tmp_path, GRAPH)
    assert [one.samples for one in again.recovered] == [50] and not part.exists()
    assert np.array_equal(contents(tmp_path, list(again.recovered))[0], SOUND[:50])


def test_what_cannot_be(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NanoError, match="no label"):
        Collection(tmp_path, GRAPH).unfinished("../a")
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(NanoError, match="no manifest"):
        Collection(tmp_path, GRAPH)
    (tmp_path / "manifest.json").write_text(json.dumps(Manifest.of(SENSOR).to_json()))
    with pytest.raises(NanoError, match="not those that listener hears"):
        Collection(tmp_path, GRAPH)
    monkeypatch.setattr(capturing, "SILENCE", 0.02)
    give(app, SOUND[:100], ends=False)
    with Device(SimulatedLine(app)) as device:
        with pytest.raises(DeviceError, match="nothing for"):
            list(
                capture(device, Collection(tmp_path / "b", GRAPH), "a", 500, origin=Origin("fake"))
            )
        device.sensor_begin()
        assert len(device.sensor_read(0).values) == 100
        for at in (1000, 2**32 - 1):
            with pytest.raises(DeviceRefused, match="no such values"):
                device.sensor_read(at)
        assert len(device.sensor_read(40).values) == 60
        with pytest.raises(DeviceRefused, match="no such values"):
            device.sensor_read(0)  # it was told that they are not needed
        with pytest.raises(DeviceRefused, match="Usage"):
            device.command("sensor what")
        give(app, SOUND[:0])
        with pytest.raises(DeviceRefused, match="no sensor"):
            device.sensor_begin()


def test_of_a_sensor_with_channels(tmp_path: Path) -> None:
    """.npy files [samples, channels], which a board plays as they are."""
    values = SOUND[:60]
    collection = Collection(tmp_path, SENSOR)
    one = collection.finish(_part(collection), values, Origin("fake", whole=True))
    assert one.samples == 30 and one.file == "walk/0001.npy"
    found = np.load(tmp_path / one.file)
    assert found.shape == (30, 2) and np.array_equal(found.reshape(-1), values)
    stream = stream_of(SENSOR)
    with playable(tmp_path / one.file, stream) as raw:
        assert raw is not None and raw.read_bytes() == values.astype("<i2").tobytes()
    assert not raw.exists()


def _part(collection: Collection) -> Path:
    part = collection.unfinished("walk")
    part.touch()
    return part
