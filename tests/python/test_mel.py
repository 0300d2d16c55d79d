"""Log-mel energies and MFCC: C, twin, and the float reference within the stated error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples

from examples.speech import say
from nanotool.errors import NanoError
from nanotool.signal import Mel, MelSettings, MicroFrontend, MicroFrontendSettings
from nanotool.signal.fft import SIZES, Int16Array
from nanotool.signal.fft32 import real_fft32
from nanotool.signal.mel import mel_filters, mel_reference
from nanotool.signal.transform import FrontEndTransform


@pytest.mark.parametrize("size", SIZES)
def test_the_fft_is_near_the_real_one(size: int) -> None:
    most = 2**29 // size
    samples = np.random.default_rng(size).integers(-most, most + 1, (8, size)).astype(np.int32)
    samples[0] = most  # all in one bin
    bins = real_fft32(samples)
    real = np.fft.rfft(samples.astype(np.float64))
    assert np.abs(bins[..., 0] + 1j * bins[..., 1] - real).max() < 20


def sounds(seed: int) -> dict[str, Int16Array]:
    rng = np.random.default_rng(seed)
    t = np.arange(6000)
    made = {
        "noise": rng.normal(0, 10 ** rng.uniform(0, 4), 6000),
        "bursts": rng.normal(0, 1, 6000) * np.repeat(10 ** rng.uniform(0, 4.5, 30), 200),
        "sine": 30000 * np.sin(t * rng.uniform(0.01, 3)),
        "lowest": np.full(6000, -32768.0),
        "silence": np.zeros(6000),
        "steps": np.where(t % 100 < 50, -32768.0, 32767.0),
    }
    return {name: np.clip(np.round(x), -32768, 32767).astype(np.int16) for name, x in made.items()}


@st.composite
def settings(draw: Any) -> MelSettings:
    fft_size = draw(st.sampled_from(SIZES))
    window = draw(st.integers(fft_size // 4, fft_size))
    bands = draw(st.integers(1, max(1, fft_size // 32)))
    return MelSettings(
        sample_rate=draw(st.sampled_from([8000, 16000, 44100])),
        window=window,
        step=draw(st.integers(max(1, window // 4), window)),
        fft_size=fft_size,
        bands=bands,
        coefficients=draw(st.integers(0, bands)),
        lower_hz=draw(st.floats(0, 500)),
        upper_hz=4000.0,
        preemphasis=draw(st.sampled_from([0.0, 0.5, 0.97, 1.0])),
        scale=draw(st.sampled_from(["htk", "slaney"])),
        slaney_norm=draw(st.booleans()),
        floor=draw(st.sampled_from([1e-15, 1e-10, 1e-6, 1.0])),
        taper=draw(st.sampled_from(["hann", "hamming"])),
        slopes=draw(st.sampled_from(["hz", "mel"])),
    )


@examples(40)
@given(settings(), st.integers(0, 2**16))
def test_engines_agree_at_any_settings(settings: MelSettings, seed: int) -> None:
    """And samples may come in pieces of any size."""
    try:
        engines = [Mel(settings, engine=engine) for engine in ("c", "numpy")]
        whole = {name: engines[1].process(sound) for name, sound in sounds(seed).items()}
    except NanoError as error:
        assert "narrower than a bin" in error.message
        return
    rng = np.random.default_rng(seed)
    for one in engines:
        one.reset()
        for name, sound in sounds(seed).items():
            parts, begin = [], 0
            while begin < len(sound):
                end = begin + int(rng.integers(0, 2000))
                parts.append(one.process(sound[begin:end]))
                begin = end
            np.testing.assert_array_equal(np.concatenate(parts), whole[name], err_msg=name)


@pytest.mark.parametrize(
    ("chosen", "most"),
    [
        (MelSettings(), 0.006),
        (MelSettings.librosa(bands=64, fft_size=1024), 0.006),
        (MelSettings(coefficients=13), 0.02),
        (MelSettings(coefficients=13, bands=26, preemphasis=0.97), 0.02),
    ],
)
def test_near_the_reference(chosen: MelSettings, most: float) -> None:
    """Noise of any loudness; and speech, but for bands that are all but silent beside it."""
    rng = np.random.default_rng(1)
    for level in (30, 1000, 9000):
        noise = rng.normal(0, level, 16000).clip(-32768, 32767).astype(np.int16)
        wanted, got = mel_reference(chosen, noise), Mel(chosen).process(noise)
        assert np.abs(got / 2**chosen.fraction - wanted).max() < most
    speech = say("hey mycroft", "en-gb", noise=5)
    error = Mel(chosen).process(speech) / 2**chosen.fraction - mel_reference(chosen, speech)
    assert np.abs(error).max() < 0.2 and np.sqrt((error**2).mean()) < 0.01


def test_the_filters_are_the_fields() -> None:
    """Corners and sums that librosa and torchaudio have, by their formulas."""
    htk = mel_filters(MelSettings(bands=20))
    inner = htk[:, 1:-1].sum(axis=0)[12:200]
    np.testing.assert_allclose(inner, 1, atol=1e-9)  # neighbours share a bin
    slaney = mel_filters(MelSettings.librosa(bands=20, fft_size=1024))
    areas = slaney.sum(axis=1) * 16000 / 1024
    np.testing.assert_allclose(areas, 1, atol=0.02)


@pytest.mark.parametrize("chosen", [MelSettings(), MelSettings(coefficients=13)])
def test_the_transform_gives_the_devices_numbers(chosen: MelSettings) -> None:
    rng = np.random.default_rng(2)
    sound = rng.integers(-20000, 20000, (2, 3, 4000)).astype(np.int16)
    transform = FrontEndTransform(chosen)
    features = transform(torch.from_numpy(sound.astype(np.float32) / 32768))
    assert features.shape == (2, 3, (4000 - 400) // 160 + 1, chosen.features)
    assert torch.equal(features, transform(torch.from_numpy(sound)))
    whole = Mel(chosen).process(sound[1, 2]).astype(np.float32) * transform.unit
    np.testing.assert_array_equal(features[1, 2].numpy(), whole)


def test_the_transform_of_the_micro_frontend() -> None:
    sound = np.random.default_rng(3).integers(-9000, 9000, 16000).astype(np.int16)
    features = FrontEndTransform(MicroFrontendSettings())(torch.from_numpy(sound))
    np.testing.assert_array_equal(features.numpy() / 0.0390625, MicroFrontend().process(sound))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fft_size": 500}, "500 points"),
        ({"window": 600}, "600 samples"),
        ({"step": 0}, "every 0"),
        ({"upper_hz": 9000.0}, "9000"),
        ({"bands": 0}, "0 bands"),
        ({"coefficients": 41}, "41 coefficients"),
        ({"preemphasis": 1.5}, "1.5"),
        ({"floor": 0.0}, "floor"),
        ({"scale": "bark"}, "bark"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(NanoError, match=message):
        MelSettings(**wrong)


def test_a_band_without_a_bin() -> None:
    with pytest.raises(NanoError, match="narrower than a bin"):
        Mel(MelSettings(bands=128, fft_size=512))
