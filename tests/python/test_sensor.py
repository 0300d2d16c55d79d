"""Windows of sensors: C, twin, and the float reference within the stated error; as a stream."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from listening import listener
from numpy.typing import NDArray
from random_graphs import examples

from nanotool import qfile
from nanotool.errors import NanoError
from nanotool.recordings import read_recording, read_recordings
from nanotool.sensing.description import ClassRule, Rule, Scaling
from nanotool.sensing.stream import Stream
from nanotool.signal import Sensor, SensorSettings
from nanotool.signal.sensor import sensor_reference
from nanotool.signal.transform import FrontEndTransform

Int16 = NDArray[np.int16]
IMU = SensorSettings(
    sample_rate=50,
    channels=6,
    window=100,
    step=25,
    scale=(1 / 2048,) * 3 + (1 / 512,) * 3,
    magnitudes=((0, 1, 2), (3, 4, 5)),
)


def motion(samples: int, channels: int, seed: int, level: float = 3000.0) -> Int16:
    """Slow waves on offsets, with noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)[:, None]
    waves = np.sin(t * rng.uniform(0.01, 1.5, channels) + rng.uniform(0, 6, channels))
    x = level * (waves + rng.normal(0, 0.1, waves.shape)) + rng.uniform(-1, 1, channels) * level
    return np.clip(np.round(x), -32768, 32767).astype(np.int16)


@st.composite
def settings(draw: Any) -> SensorSettings:
    channels, fft_size = draw(st.integers(1, 7)), draw(st.sampled_from([0, 0, 64, 128]))
    window = draw(st.integers(1, fft_size or 150))
    groups = st.lists(st.integers(0, channels - 1), min_size=1, unique=True).map(sorted).map(tuple)
    magnitudes = tuple(draw(st.lists(groups, max_size=3)))
    scale = 10.0 ** draw(st.floats(-5, 3))
    ways = ["none", *(["constant"] if window > 1 else []), *(["linear"] if window > 2 else [])]
    return SensorSettings(
        sample_rate=100,
        channels=channels,
        window=window,
        step=draw(st.integers(max(1, window // 3), window)),
        scale=tuple(scale * draw(st.floats(0.5, 2)) for _ in range(channels)),
        limit=draw(st.sampled_from([0.0, scale * 1000, scale * 32000])),
        magnitudes=magnitudes,
        magnitudes_only=bool(magnitudes) and draw(st.booleans()),
        detrend=draw(st.sampled_from(ways)),
        fft_size=fft_size,
        bands=draw(st.sampled_from([(), (0.0, 3.0, 10.0, 50.0)])) if fft_size else (),
        floor=draw(st.sampled_from([1e-9, 1e-3])),
    )


@examples(60)
@given(settings(), st.integers(0, 2**16), st.sampled_from([10.0, 3000.0, 60000.0]))
def test_engines_agree_at_any_settings(settings: SensorSettings, seed: int, level: float) -> None:
    """In pieces of any size, also amid a sample, and after a reset as at first."""
    samples = motion(400, settings.channels, seed, level)
    whole = Sensor(settings, engine="numpy").process(samples)
    windows = max(0, (400 - settings.window) // settings.step + 1)
    assert whole.shape == (windows, settings.features)
    c, rng, row = Sensor(settings), np.random.default_rng(seed), samples.reshape(-1)
    np.testing.assert_array_equal(c.process(samples), whole)
    for one in (c, Sensor(settings, engine="numpy")):
        one.process(row[: len(row) // 2 + 1])
        one.reset()
        cuts = np.sort(rng.integers(0, len(row), 12))
        parts = [one.process(part) for part in np.split(row, cuts)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("detrend", ["none", "constant", "linear"])
@pytest.mark.parametrize("window", [3, 100, 1024])
def test_samples_are_near_the_reference(detrend: Any, window: int) -> None:
    """Within two units of the 16 bits; a length is one of rounded values."""
    chosen = replace(IMU, window=window, step=window, detrend=detrend, limit=64.0)
    samples = motion(1200, 6, 1, 6000)
    real = Sensor(chosen).process(samples) * 2.0**-chosen.fraction
    wanted = sensor_reference(chosen, samples)
    assert np.abs(real - wanted).max() * 2**chosen.fraction < 2


@pytest.mark.parametrize(
    "chosen",
    [
        replace(IMU, fft_size=128, detrend="linear", bands=(0.5, 2.0, 5.0, 10.0, 25.0)),
        replace(IMU, fft_size=128, window=128, step=64, detrend="constant"),
        replace(IMU, fft_size=256, magnitudes_only=True, scale=()),
    ],
)
def test_energies_are_near_the_reference(chosen: SensorSettings) -> None:
    """Of what is within 40 dB of the loudest in its window: below is the rounding to 16 bits."""
    samples, shape = motion(600, 6, 2), (-1, chosen.band_count, chosen.width)
    wanted = sensor_reference(chosen, samples).reshape(shape)
    error = Sensor(chosen).process(samples).reshape(shape) / 2**8 - wanted
    loud = error[wanted > wanted.max(axis=1, keepdims=True) - 4 * np.log(10)]
    assert np.abs(loud).max() < 0.1 and np.sqrt((loud**2).mean()) < 0.01


def test_bands_are_where_the_frequencies_are() -> None:
    """A wave of 8 Hz at 50 Hz is in the band from 5 to 10 Hz of its channel."""
    chosen = SensorSettings(50, 2, 64, 64, fft_size=64, bands=(0, 5, 10, 25), detrend="constant")
    t = np.arange(64) / 50
    wave = np.stack([1000 * np.sin(2 * np.pi * 8 * t), 100 * np.sin(2 * np.pi * 20 * t)], axis=1)
    (found,) = Sensor(chosen).process(wave.astype(np.int16))
    bands = found.reshape(3, 2)  # [bands][channels]
    assert bands.argmax(axis=0).tolist() == [1, 2]
    energy = (1000 * 64 / 4) ** 2 * 1.5  # of Hann's three bins
    assert abs(bands[1, 0] / 256 - np.log(energy)) < 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels": 33}, "33 channels"),
        ({"scale": (1.0, 2.0)}, "2 scales"),
        ({"scale": (1.0, 1e-6, 1.0)}, "do not fit samples of scale"),
        ({"limit": 0.1, "window": 4}, "do not fit samples"),
        ({"magnitudes": ((0, 3),)}, "channels 0 to 2"),
        ({"magnitudes": ((1, 0),)}, "channels 0 to 2"),
        ({"magnitudes_only": True}, "1 to 32"),
        ({"detrend": "linear", "window": 2}, "at least 3"),
        ({"detrend": "median"}, "no detrend"),
        ({"step": 2}, "does not fit"),
        ({"bands": (0.0, 10.0)}, "need an FFT"),
        ({"fft_size": 64, "bands": (0.0, 60.0)}, "edges"),
        ({"fft_size": 64, "bands": (10.0, 5.0)}, "edges"),
        ({"fft_size": 60}, "no FFT"),
    ],
)
def test_what_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(NanoError, match=message):
        SensorSettings(**wrong)


def test_samples_of_another_kind() -> None:
    sensor = Sensor(IMU)
    for wrong in (np.zeros((5, 3), np.int16), np.zeros((5, 6), np.float32), np.zeros(6)):
        with pytest.raises(NanoError, match="Samples are int16"):
            sensor.process(wrong)  # type: ignore[arg-type]
    with pytest.raises(NanoError, match="no bin"):
        Sensor(SensorSettings(window=64, fft_size=64, bands=(0.1, 0.2)))


def test_the_transform() -> None:
    """Training sees what the device sees."""
    chosen = replace(IMU, detrend="constant")
    samples = motion(200, 6, 3)
    transform = FrontEndTransform(chosen)
    features = transform(torch.from_numpy(samples.T.astype(np.float32))[None])
    wanted = Sensor(chosen).process(samples).astype(np.float32) * transform.unit
    np.testing.assert_array_equal(features[0].numpy(), wanted)


@pytest.mark.parametrize(
    "ears",
    [
        SensorSettings(50, 3, magnitudes=((0, 1, 2), (0, 1), (0,), (1,), (2,))),
        SensorSettings(50, 2, 8, 3, fft_size=64, bands=(0, 4, 8, 16, 25), detrend="linear"),
    ],
)
def test_as_a_stream(ears: SensorSettings) -> None:
    """C and twin, in pieces that part samples; kept in the .nano file."""
    graph = listener(Rule((ClassRule(2, 2.0, refractory=0.1),), window=2), hop=2, ears=ears)
    assert graph.stream is not None
    scaling = Scaling(1, -2500, 20) if ears.fft_size else Scaling(1, 0, 1)
    graph = replace(graph, stream=replace(graph.stream, scaling=scaling))
    samples = motion(300, ears.channels, 4, 40)
    row = samples.reshape(-1)
    c, twin = Stream(graph), Stream(graph, engine="numpy")
    whole = twin.feed(samples)
    assert len(whole.outputs) > 20
    parts = [c.feed(row[at : at + 7]) for at in range(0, len(row), 7)]
    np.testing.assert_array_equal(np.concatenate([one.outputs for one in parts]), whole.outputs)
    assert sum((one.decisions for one in parts), ()) == whole.decisions != ()
    assert qfile.from_bytes(qfile.to_bytes(graph)).stream == graph.stream


def test_recordings(tmp_path: Path) -> None:
    """.npy, .csv with and without names, .wav of several channels: the same samples."""
    ears = SensorSettings(50, 2)
    samples = motion(20, 2, 5)
    np.save(tmp_path / "a.npy", samples)
    np.save(tmp_path / "b.npy", samples.astype(np.float32))
    lines = [",".join(map(str, row)) for row in samples.tolist()]
    (tmp_path / "c.csv").write_text("\n".join(["x,y", *lines]))
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    with wave.open(str(tmp_path / "e.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(50)
        file.writeframes(samples.tobytes())
    found = read_recordings(tmp_path, ears)
    assert len(found) == 5
    for one in found:
        np.testing.assert_array_equal(one.reshape(-1, 2), samples)
    with pytest.raises(NanoError, match=r"\[20, 2\], not \[samples, 3\]"):
        read_recording(tmp_path / "a.npy", SensorSettings(50, 3))
    np.save(tmp_path / "b.npy", samples + 0.5)
    with pytest.raises(NanoError, match="whole ones"):
        read_recording(tmp_path / "b.npy", ears)
    for text, message in (("1,2\n3", "different lengths"), ("1,2\n3,x", "more than numbers")):
        (tmp_path / "c.csv").write_text(text)
        with pytest.raises(NanoError, match=message):
            read_recording(tmp_path / "c.csv", ears)
    with pytest.raises(NanoError, match="no recording"):
        read_recordings(tmp_path / "nothing", ears)
    with pytest.raises(NanoError, match="end in"):
        read_recording(tmp_path / "a.txt", ears)
