"""Front ends: TensorFlow's values, and the same from the C library and its twin."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymicro_features import MicroFrontend as Reference
from random_graphs import examples

from nanotool.errors import NanoError
from nanotool.signal import MicroFrontend, MicroFrontendSettings
from nanotool.signal.fft import SIZES, Int16Array, fft_tables, input_order, real_fft

RATE = 16000
UNIT = 0.0390625  # of pymicro-features' floats


def reference(sound: Int16Array) -> np.ndarray:
    """TensorFlow's features, as raw numbers."""
    frontend, frames = Reference(), []
    for begin in range(0, len(sound) - 159, 160):
        output = frontend.process_samples(sound[begin : begin + 160].tobytes())
        if output.features:
            frames.append(np.array(output.features) / UNIT)
    return np.array(frames, np.uint16)


def sounds(seconds: int, seed: int) -> Iterator[tuple[str, Int16Array]]:
    rng = np.random.default_rng(seed)
    n = RATE * seconds
    t = np.arange(n) / RATE
    top = rng.uniform(1000, 4000)
    clicks = np.zeros(n)
    clicks[rng.integers(0, n, 20 * seconds)] = rng.choice([-32768, 32767], 20 * seconds)
    loudness = np.repeat(10 ** rng.uniform(0, 5, n // 800), 800)
    tones = sum(np.sin(2 * np.pi * f * t + f) for f in rng.uniform(100, 7000, 8))
    yield "white", rng.integers(-32768, 32768, n).astype(np.int16)
    for name, real in {
        "silence": np.zeros(n),
        "faint": rng.normal(0, 2, n),
        "sweep": 30000 * np.sin(2 * np.pi * (50 * t + top * t * t / seconds)),
        "clipped": 1e5 * np.sin(2 * np.pi * top / 8 * t),
        "clicks": clicks,
        "bursts": rng.normal(0, 1, n) * loudness[:n],
        "chord": tones * 4000 * (1 + np.sin(2 * np.pi * 3 * t)),
        "lowest": np.full(n, -32768.0),
    }.items():
        yield name, np.clip(np.round(real), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("engine", ["c", "numpy"])
def test_tensorflows_features(engine: str) -> None:
    for name, sound in sounds(2, seed=1):
        assert np.array_equal(MicroFrontend(engine=engine).process(sound), reference(sound)), name


@pytest.mark.slow
def test_hours_of_sound() -> None:
    """Ten hours against TensorFlow."""
    for minute in range(67):
        for name, sound in sounds(60, seed=minute):
            assert np.array_equal(MicroFrontend().process(sound), reference(sound)), (name, minute)


SETTINGS = st.builds(
    MicroFrontendSettings,
    sample_rate=st.sampled_from([8000, 16000, 22050]),
    window_ms=st.integers(10, 32),
    step_ms=st.integers(1, 10),
    channels=st.integers(1, 64),
    lower_hz=st.floats(0, 1000),
    upper_hz=st.floats(1500, 4000),
    even_smoothing=st.floats(0, 1),
    odd_smoothing=st.floats(0, 1),
    min_signal=st.floats(0, 1),
    pcan=st.booleans(),
    pcan_strength=st.floats(0, 2),
    pcan_offset=st.floats(1, 200),
    log=st.booleans(),
    log_shift=st.integers(0, 8),
)


@examples(10)
@given(SETTINGS, st.integers(0, 2**16))
def test_engines_agree_at_any_settings(settings: MicroFrontendSettings, seed: int) -> None:
    """And samples may come in pieces of any size."""
    rng = np.random.default_rng(seed)
    frontends = [MicroFrontend(settings, engine=engine) for engine in ("c", "numpy")]
    for name, sound in list(sounds(1, seed))[seed % 3 :: 3]:
        piece, begin = sound[:8000], 0
        whole = [frontend.process(piece) for frontend in frontends]
        assert np.array_equal(whole[0], whole[1]), name
        frontends[0].reset()
        parts = []
        while begin < len(piece):
            end = begin + int(rng.integers(0, 1000))
            parts.append(frontends[0].process(piece[begin:end]))
            begin = end
        assert np.array_equal(np.concatenate(parts), whole[0]), name
        for frontend in frontends:
            frontend.reset()


def test_reset_forgets() -> None:
    _, sound = next(sounds(1, 0))
    for engine in ("c", "numpy"):
        frontend = MicroFrontend(engine=engine)
        first = frontend.process(sound)
        assert not np.array_equal(frontend.process(sound)[:10], first[:10])
        frontend.reset()
        assert np.array_equal(frontend.process(sound), first)


@pytest.mark.parametrize("size", SIZES)
def test_fft_is_near_the_real_one(size: int) -> None:
    """Each of the log4(size) stages rounds a few times, by half a unit."""
    samples = np.random.default_rng(size).integers(-32768, 32768, (8, size)).astype(np.int16)
    bins = real_fft(fft_tables(size), samples).astype(np.float64)
    real = np.fft.rfft(samples.astype(np.float64)) / size
    assert np.abs(bins[..., 0] + 1j * bins[..., 1] - real).max() < 4
    assert sorted(input_order(size // 2)) == list(range(size // 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_ms": 0}, "every 0"),
        ({"step_ms": 40}, "every 640"),
        ({"window_ms": 65}, "at most 1024"),
        ({"upper_hz": 8001.0}, "8001"),
        ({"lower_hz": 7600.0}, "7600"),
        ({"channels": 0}, "0 channels"),
        ({"even_smoothing": 1.5}, "share"),
        ({"log_shift": 9}, "9 fractional bits"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], message: str) -> None:
    with pytest.raises(NanoError) as caught:
        MicroFrontend(MicroFrontendSettings(**settings))  # type: ignore[arg-type]
    assert message in f"{caught.value.message} {caught.value.hint}"


def test_samples_that_cannot_be() -> None:
    frontend = MicroFrontend()
    for wrong in (np.zeros(4), np.zeros((2, 2), np.int16), [1, 2]):
        with pytest.raises(NanoError, match="row of int16"):
            frontend.process(wrong)  # type: ignore[arg-type]
    with pytest.raises(NanoError, match="engine"):
        MicroFrontend(engine="fpga")


def test_the_ffts_dsp_variant_gives_the_same_bytes(tmp_path: Path) -> None:
    """fft_dsp.c with simd.h's instructions in C, on noise, extremes and what is faint."""
    library = Path(__file__).parents[2] / "lib" / "nano"
    sources = [library / "src" / "signal" / name for name in ("fft.c", "fft_dsp.c")]
    flags = ("-std=c99", "-O1", "-fPIC", "-shared", "-DNANO_SIMD_FALLBACK=1")
    target = tmp_path / "fft.so"
    command = ["gcc", *flags, f"-I{library / 'include'}", *map(str, sources), "-o", str(target)]
    subprocess.run(command, check=True)
    built, rng = ctypes.CDLL(str(target)), np.random.default_rng(2)

    class Fft(ctypes.Structure):
        _fields_ = [
            ("size", ctypes.c_uint16),
            ("twiddles", ctypes.c_void_p),
            ("unpacking", ctypes.c_void_p),
        ]

    for size in (64, 128, 256, 512, 1024):
        tables = fft_tables(size)
        own = Fft(size, tables.twiddles.ctypes.data, tables.unpacking.ctypes.data)
        for level in (1, 300, 32767, 0):
            data = rng.integers(-level - 1, level + 1, (8, size + 2)).astype(np.int16)
            if not level:  # the ends of the range alone
                data = np.where(rng.random(data.shape) < 0.5, -32768, 32767).astype(np.int16)
            results = []
            for call in (built.nano_real_fft, built.nano_real_fft_dsp):
                copy = data.copy()
                for row in copy:
                    call(ctypes.byref(own), ctypes.c_void_p(row.ctypes.data))
                results.append(copy)
            np.testing.assert_array_equal(*results)
