"""The front ends as Python objects, run by the C library in this process or by their twins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Array, Struct
from nanotool.sensing.description import (
    FrontEnd,
    MelSettings,
    MicroFrontendSettings,
    SensorSettings,
)
from nanotool.signal.mel import MelTwin, mel_tables
from nanotool.signal.micro_frontend import MicroFrontendTwin, micro_frontend_tables
from nanotool.signal.sensor import DETRENDS, SensorTwin, sensor_tables

ENGINES = ("c", "numpy")


class _Engine(Protocol):
    def process(self, samples: NDArray[np.int16]) -> NDArray[Any]: ...

    def reset(self) -> None: ...


class MicroFrontend:
    """Sound in, mel features out, as TensorFlow Lite Micro's wake words are fed.

    A frame is ``settings.window`` samples long and comes every ``settings.step``; samples that make
    no whole frame yet wait for the next call. Both engines give the same values.
    """

    def __init__(self, settings: MicroFrontendSettings | None = None, *, engine: str = "c") -> None:
        """``engine``: "c", the library in this process, or "numpy", its twin. NanoError for
        settings that contradict each other."""
        self.settings = settings or MicroFrontendSettings()
        self._engine = _engine(self.settings, engine)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
        """The frames [n, channels] that ``samples``, int16 of any number, complete."""
        check_samples(samples)
        return self._engine.process(samples)

    def reset(self) -> None:
        """Forget what was heard: samples that wait, and the noise estimate."""
        self._engine.reset()


class Mel:
    """Sound in, logarithmic mel energies or MFCC out, in the device's integers.

    Frames come as `MicroFrontend`'s do. Real values are features / 2^settings.fraction.
    """

    def __init__(self, settings: MelSettings | None = None, *, engine: str = "c") -> None:
        """``engine`` as of `MicroFrontend`."""
        self.settings = settings or MelSettings()
        self._engine = _engine(self.settings, engine)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """The frames [n, features] that ``samples``, int16 of any number, complete."""
        check_samples(samples)
        return self._engine.process(samples)

    def reset(self) -> None:
        """Forget all samples."""
        self._engine.reset()


class Sensor:
    """A sensor's samples in, windows of them or of their energies out, in the device's integers.

    A window comes every ``settings.step`` samples. Real values are features / 2^settings.fraction
    of samples, and features / 2^8 of energies' logarithms.
    """

    def __init__(self, settings: SensorSettings, *, engine: str = "c") -> None:
        """``engine`` as of `MicroFrontend`."""
        self.settings = settings
        self._engine = _engine(settings, engine)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """The windows [n, features] that ``samples`` complete: int16 [n, channels] of any number,
        or a row of them, the channels in turn."""
        return self._engine.process(in_turn(self.settings, samples))

    def reset(self) -> None:
        """Forget all samples."""
        self._engine.reset()


AnyFrontEnd: TypeAlias = MicroFrontend | Mel | Sensor


def front_end(settings: FrontEnd, *, engine: str = "c") -> AnyFrontEnd:
    """The front end of these settings."""
    if isinstance(settings, MelSettings):
        return Mel(settings, engine=engine)
    if isinstance(settings, SensorSettings):
        return Sensor(settings, engine=engine)
    return MicroFrontend(settings, engine=engine)


def check_samples(samples: Any) -> None:
    """`NanoError` unless ``samples`` are a row of int16."""
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 1:
        found = getattr(samples, "dtype", type(samples).__name__)
        raise NanoError(
            f"Samples are a row of int16, not {found} {np.shape(samples)}.",
            "Scale floats from -1..1 by 32767, take one channel of several, then .astype.",
        )


def in_turn(settings: FrontEnd, samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """``samples`` as the device is fed: a row of int16, of a sensor with its channels in turn.
    `NanoError` unless they are such a row or, of a sensor, [n, channels]."""
    sensor = isinstance(settings, SensorSettings)
    if sensor and np.ndim(samples) == 2 and np.shape(samples)[1] == settings.values:
        samples = np.ascontiguousarray(samples).reshape(-1)
    if sensor and (np.ndim(samples) != 1 or getattr(samples, "dtype", None) != np.int16):
        found = getattr(samples, "dtype", type(samples).__name__)
        raise NanoError(
            f"Samples are int16 [n, {settings.values}], not {found} {np.shape(samples)}.",
            "They are the sensor's own numbers: the settings' scale makes real ones of them.",
        )
    check_samples(samples)
    return samples


# --- What the kinds have in common, and what not ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of front end."""

    header: str  # nano/signal/HEADER.h
    symbol: str  # of its nano_front_end
    features: type[np.uint16] | type[np.int16]
    twin: Callable[[Any], _Engine]
    struct: Callable[[Any], Struct]
    room: Callable[[Any], str]  # its macro, with the numbers


def kind_of(settings: FrontEnd) -> Kind:
    """What belongs to these settings."""
    return KINDS[type(settings)]


def unit_of(settings: FrontEnd) -> float:
    """A feature's real value is the device's integer times this."""
    if isinstance(settings, MicroFrontendSettings):
        return 0.0390625  # as pymicro-features and ESPHome count
    if isinstance(settings, SensorSettings) and not settings.fft_size:
        return float(2.0**-settings.fraction)
    return float(2.0 ** -(8 if isinstance(settings, SensorSettings) else settings.fraction))


def _engine(settings: FrontEnd, engine: str) -> _Engine:
    if engine not in ENGINES:
        raise NanoError(f"There is no engine {engine!r}.", f"Engines are {', '.join(ENGINES)}.")
    return _Compiled(settings) if engine == "c" else kind_of(settings).twin(settings)


class _Compiled:
    """A front end of lib/nano/src/stream."""

    def __init__(self, settings: FrontEnd) -> None:
        # Late, so that the twin works where nothing is compiled.
        from nanotool.runtime.arena import new_arena  # noqa: PLC0415
        from nanotool.runtime.extension import load  # noqa: PLC0415
        from nanotool.runtime.structs import Structs  # noqa: PLC0415

        self._settings, self._dtype = settings, np.dtype(kind_of(settings).features)
        extension = load()
        self._ffi, self._lib = extension.ffi, extension.lib
        self._structs = Structs(self._ffi)
        self._kind = compiled_kind(self._lib, settings)
        self._arena = new_arena(extension, room(settings))
        self._state = self._kind.init(self._structs.of(as_struct(settings)), self._arena)
        if self._state == self._ffi.NULL:
            raise NanoError("The front end cannot be made.")

    def process(self, samples: NDArray[np.int16]) -> NDArray[Any]:
        """As `MicroFrontend.process`."""
        s = self._settings
        most = len(samples) // (s.step * s.values) + 2
        frames = np.empty((most, s.features), self._dtype)
        count = self._lib.nanotool_features(
            self._kind,
            self._state,
            s.features,
            len(samples),
            self._ffi.from_buffer("int16_t[]", np.ascontiguousarray(samples)),
            self._ffi.from_buffer("uint16_t[]", frames, require_writable=True),
        )
        complete: NDArray[Any] = frames[:count].copy()
        return complete

    def reset(self) -> None:
        """As `MicroFrontend.reset`."""
        self._kind.reset(self._state)


def compiled_kind(lib: Any, settings: FrontEnd) -> Any:
    """The `nano_front_end *` in the extension."""
    return getattr(lib, kind_of(settings).symbol.replace("nano_", "nanotool_", 1))()


def room(settings: FrontEnd) -> int:
    """Bytes of arena, generously: as the headers' macros count, on a machine of 64 bits."""
    widths = 2 * settings.window * settings.values + 4 * settings.fft_size
    if isinstance(settings, SensorSettings):
        return widths + 2 * settings.width * settings.window + 256
    bands = settings.bands if isinstance(settings, MelSettings) else 2 * settings.channels
    return widths + 2 * bands + 192


def as_struct(settings: FrontEnd) -> Struct:
    """The C params with their tables."""
    return kind_of(settings).struct(settings)


def _array(name: str, data: NDArray[Any] | None, note: str) -> Array | None:
    return None if data is None else Array(name, data.reshape(-1), note)


def _micro_frontend(settings: MicroFrontendSettings) -> Struct:
    """nano_micro_frontend_params."""
    tables = micro_frontend_tables(settings)
    fft = Struct(
        "nano_fft",
        (
            ("size", tables.fft.size),
            ("twiddles", _array("twiddles", tables.fft.twiddles, "[points][cos, sin], Q15")),
            (
                "unpacking",
                _array("unpacking", tables.fft.unpacking, "[points / 2][cos, sin], Q15"),
            ),
        ),
    )
    return Struct(
        "nano_micro_frontend_params",
        (
            ("fft", fft),
            ("window_size", settings.window),
            ("step", settings.step),
            ("window", _array("window", tables.window, "Hann, 12 fractional bits")),
            ("channels", settings.channels),
            ("first_bin", tables.first_bin),
            ("bands", _array("bands", tables.bands, "bins a band")),
            ("weights", _array("weights", tables.weights, "[bins][own channel, the one before]")),
            (
                "gains",
                _array("gains", tables.gains, "gain by noise: of 0, 1, (y0, a1, a2) an octave"),
            ),
            ("logs", _array("logs", tables.logs, "log2(1 + k/128) - k/128, 16 fractional bits")),
            ("even", tables.even),
            ("odd", tables.odd),
            ("min_signal", tables.min_signal),
            ("correction_bits", tables.correction_bits),
            ("log_shift", settings.log_shift),
        ),
    )


def _mel(settings: MelSettings) -> Struct:
    """nano_mel_params."""
    tables = mel_tables(settings)
    turns = _array("turns", tables.turns, "[points / 2][cos, sin], Q31")
    fft = Struct("nano_fft32", (("size", settings.fft_size), ("turns", turns)))
    return Struct(
        "nano_mel_params",
        (
            ("fft", fft),
            ("window_size", settings.window),
            ("step", settings.step),
            ("window", _array("window", tables.window, f"{settings.taper.title()}, Q15")),
            ("preemphasis", tables.preemphasis),
            ("bands", settings.bands),
            ("first", _array("first", tables.first, "first bin of each band")),
            ("bins", _array("bins", tables.bins, "bins of each band")),
            ("weights", _array("weights", tables.weights, "of each band's bins")),
            ("weight_bits", tables.weight_bits),
            ("logs", _array("logs", tables.logs, "log2(1 + k/128) - k/128, 16 fractional bits")),
            ("floor", tables.floor),
            ("coefficients", settings.coefficients),
            ("cosines", _array("cosines", tables.cosines, "[coefficients][bands], Q15")),
            ("fraction", settings.fraction),
        ),
    )


def _factor(multiplier: int, shift: int) -> Struct:
    return Struct("nano_factor", (("multiplier", multiplier), ("shift", shift)))


def _sensor(settings: SensorSettings) -> Struct:
    """nano_sensor_params."""
    tables = sensor_tables(settings)
    turns = _array("turns", tables.turns, "[points / 2][cos, sin], Q31")
    fft = Struct("nano_fft32", (("size", settings.fft_size), ("turns", turns)))
    return Struct(
        "nano_sensor_params",
        (
            ("channels", settings.channels),
            ("magnitudes", len(settings.magnitudes)),
            ("groups", _array("groups", tables.groups, "channels of each vector, as bits")),
            ("magnitudes_only", int(settings.magnitudes_only)),
            ("window_size", settings.window),
            ("step", settings.step),
            ("multipliers", _array("multipliers", tables.multipliers, "of each channel, Q31")),
            ("shifts", _array("shifts", tables.shifts, "of each channel")),
            ("fraction", settings.fraction),
            ("detrend", DETRENDS.index(settings.detrend)),
            ("mean", _factor(*tables.mean)),
            ("slope", _factor(*tables.slope)),
            ("slope_drop", tables.slope_drop),
            ("fft", fft),
            ("window", _array("window", tables.window, "Hann, Q15")),
            ("bands", settings.band_count),
            ("edges", _array("edges", tables.edges, "first bin of each band, and the end")),
            ("logs", _array("logs", tables.logs, "log2(1 + k/128) - k/128, 16 fractional bits")),
            ("floor", tables.floor),
        ),
    )


KINDS: dict[type[FrontEnd], Kind] = {
    MicroFrontendSettings: Kind(
        "micro_frontend",
        "nano_micro_front_end",
        np.uint16,
        MicroFrontendTwin,
        _micro_frontend,
        lambda s: f"NANO_MICRO_FRONTEND_ROOM({s.window}u, {s.fft_size}u, {s.channels}u)",
    ),
    MelSettings: Kind(
        "mel",
        "nano_mel_front_end",
        np.int16,
        MelTwin,
        _mel,
        lambda s: f"NANO_MEL_ROOM({s.window}u, {s.fft_size}u, {s.bands}u)",
    ),
    SensorSettings: Kind(
        "sensor",
        "nano_sensor_front_end",
        np.int16,
        SensorTwin,
        _sensor,
        lambda s: f"NANO_SENSOR_ROOM({s.channels}u, {s.width}u, {s.window}u, {s.fft_size}u)",
    ),
}
