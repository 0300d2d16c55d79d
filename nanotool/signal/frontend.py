"""The front ends as Python objects, run by the C library in this process or by their twins."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Array, Struct
from nanotool.sensing.description import FrontEnd, MelSettings, MicroFrontendSettings
from nanotool.signal.mel import MelTwin, mel_tables
from nanotool.signal.micro_frontend import MicroFrontendTwin, micro_frontend_tables

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


def front_end(settings: FrontEnd, *, engine: str = "c") -> MicroFrontend | Mel:
    """The front end of these settings."""
    if isinstance(settings, MelSettings):
        return Mel(settings, engine=engine)
    return MicroFrontend(settings, engine=engine)


def check_samples(samples: Any) -> None:
    """`NanoError` unless ``samples`` are a row of int16."""
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 1:
        found = getattr(samples, "dtype", type(samples).__name__)
        raise NanoError(
            f"Samples are a row of int16, not {found} {np.shape(samples)}.",
            "Scale floats from -1..1 by 32767, take one channel of several, then .astype.",
        )


def _engine(settings: FrontEnd, engine: str) -> _Engine:
    if engine not in ENGINES:
        raise NanoError(f"There is no engine {engine!r}.", f"Engines are {', '.join(ENGINES)}.")
    if engine == "c":
        return _Compiled(settings)
    return MelTwin(settings) if isinstance(settings, MelSettings) else MicroFrontendTwin(settings)


class _Compiled:
    """lib/nano/src/signal/micro_frontend.c, or mel.c."""

    def __init__(self, settings: FrontEnd) -> None:
        # Late, so that the twin works where nothing is compiled.
        from nanotool.runtime.arena import new_arena  # noqa: PLC0415
        from nanotool.runtime.extension import load  # noqa: PLC0415
        from nanotool.runtime.structs import Structs  # noqa: PLC0415

        self._features, self._step = settings.features, settings.step
        extension = load()
        self._ffi, lib = extension.ffi, extension.lib
        self._structs = Structs(self._ffi)
        params = self._structs.of(as_struct(settings))
        mel = isinstance(settings, MelSettings)
        kind = "mel" if mel else "micro_frontend"
        self._dtype = np.dtype(np.int16 if mel else np.uint16)
        self._feed, self._reset = (
            getattr(lib, f"nanotool_{kind}"),
            getattr(lib, f"nano_{kind}_reset"),
        )
        self._arena = new_arena(extension, room(settings))
        self._state = self._structs.new(f"nano_{kind} *", None)
        status = getattr(lib, f"nano_{kind}_init")(self._state, params, self._arena)
        if status != lib.NANO_OK:
            text = self._ffi.string(lib.nano_status_text(status)).decode()
            raise NanoError(f"The front end cannot be made: {text}.")

    def process(self, samples: NDArray[np.int16]) -> NDArray[Any]:
        """As `MicroFrontend.process`."""
        frames = np.empty((len(samples) // self._step + 1, self._features), self._dtype)
        count = self._feed(
            self._state,
            len(samples),
            self._ffi.from_buffer("int16_t[]", np.ascontiguousarray(samples)),
            self._ffi.from_buffer(f"{self._dtype.name}_t[]", frames, require_writable=True),
        )
        complete: NDArray[Any] = frames[:count].copy()
        return complete

    def reset(self) -> None:
        """As `MicroFrontend.reset`."""
        self._reset(self._state)


def room(settings: FrontEnd) -> int:
    """Bytes of arena, generously: as the headers' macros count, on a machine of 64 bits."""
    widths = 2 * settings.window + 4 * settings.fft_size
    bands = settings.bands if isinstance(settings, MelSettings) else 2 * settings.channels
    return widths + 2 * bands + 192


def as_struct(settings: FrontEnd) -> Struct:
    """The C params with their tables."""
    return _mel(settings) if isinstance(settings, MelSettings) else _micro_frontend(settings)


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
            ("window", _array("window", tables.window, "Hann, Q15")),
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
