"""The front ends as Python objects, run by the C library in this process or by their twins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Array, Struct
from nanotool.sensing.description import MicroFrontendSettings
from nanotool.signal.micro_frontend import (
    MicroFrontendTables,
    MicroFrontendTwin,
    micro_frontend_tables,
)

ENGINES = ("c", "numpy")


class MicroFrontend:
    """Sound in, mel features out, as TensorFlow Lite Micro's wake words are fed.

    A frame is ``settings.window`` samples long and comes every ``settings.step``; samples that make
    no whole frame yet wait for the next call. Both engines give the same values.
    """

    def __init__(self, settings: MicroFrontendSettings | None = None, *, engine: str = "c") -> None:
        """``engine``: "c", the library in this process, or "numpy", its twin. NanoError for
        settings that contradict each other."""
        if engine not in ENGINES:
            raise NanoError(f"There is no engine {engine!r}.", f"Engines are {', '.join(ENGINES)}.")
        self.settings = settings or MicroFrontendSettings()
        make = _Compiled if engine == "c" else MicroFrontendTwin
        self._engine = make(self.settings)

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
        """The frames [n, channels] that ``samples``, int16 of any number, complete."""
        check_samples(samples)
        return self._engine.process(samples)

    def reset(self) -> None:
        """Forget what was heard: samples that wait, and the noise estimate."""
        self._engine.reset()


def check_samples(samples: Any) -> None:
    """`NanoError` unless ``samples`` are a row of int16."""
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16 or samples.ndim != 1:
        found = getattr(samples, "dtype", type(samples).__name__)
        raise NanoError(
            f"Samples are a row of int16, not {found} {np.shape(samples)}.",
            "Scale floats from -1..1 by 32767, take one channel of several, then .astype.",
        )


class _Compiled:
    """lib/nano/src/signal/micro_frontend.c."""

    def __init__(self, settings: MicroFrontendSettings) -> None:
        # Late, so that the twin works where nothing is compiled.
        from nanotool.runtime.extension import load  # noqa: PLC0415
        from nanotool.runtime.structs import Structs  # noqa: PLC0415

        self._channels, self._step = settings.channels, settings.step
        extension = load()
        self._ffi, self._lib = extension.ffi, extension.lib
        self._structs = Structs(self._ffi)
        params = self._structs.of(as_struct(settings, micro_frontend_tables(settings)))
        align = int(self._lib.NANO_ALIGN)
        size = 2 * settings.window + 2 * settings.fft_size + 4 * settings.channels + 4 * align
        room = self._structs.new("uint8_t[]", size + align)
        arena = self._structs.new("nano_arena *", None)
        start = room + -int(self._ffi.cast("uintptr_t", room)) % align
        self._state = self._structs.new("nano_micro_frontend *", None)
        for status in (
            self._lib.nano_arena_init(arena, start, size),
            self._lib.nano_micro_frontend_init(self._state, params, arena),
        ):
            if status != self._lib.NANO_OK:
                text = self._ffi.string(self._lib.nano_status_text(status)).decode()
                raise NanoError(f"The front end cannot be made: {text}.")

    def process(self, samples: NDArray[np.int16]) -> NDArray[np.uint16]:
        """As `MicroFrontend.process`."""
        frames = np.empty((len(samples) // self._step + 1, self._channels), np.uint16)
        count = self._lib.nanotool_micro_frontend(
            self._state,
            len(samples),
            self._ffi.from_buffer("int16_t[]", np.ascontiguousarray(samples)),
            self._ffi.from_buffer("uint16_t[]", frames, require_writable=True),
        )
        complete: NDArray[np.uint16] = frames[:count].copy()
        return complete

    def reset(self) -> None:
        """As `MicroFrontend.reset`."""
        self._lib.nano_micro_frontend_reset(self._state)


def as_struct(settings: MicroFrontendSettings, tables: MicroFrontendTables) -> Struct:
    """nano_micro_frontend_params."""

    def array(name: str, data: NDArray[Any] | None, note: str) -> Array | None:
        return None if data is None else Array(name, data.reshape(-1), note)

    fft = Struct(
        "nano_fft",
        (
            ("size", tables.fft.size),
            ("twiddles", array("twiddles", tables.fft.twiddles, "[points][cos, sin], Q15")),
            ("unpacking", array("unpacking", tables.fft.unpacking, "[points / 2][cos, sin], Q15")),
        ),
    )
    return Struct(
        "nano_micro_frontend_params",
        (
            ("fft", fft),
            ("window_size", settings.window),
            ("step", settings.step),
            ("window", array("window", tables.window, "Hann, 12 fractional bits")),
            ("channels", settings.channels),
            ("first_bin", tables.first_bin),
            ("bands", array("bands", tables.bands, "bins a band")),
            ("weights", array("weights", tables.weights, "[bins][own channel, the one before]")),
            (
                "gains",
                array("gains", tables.gains, "gain by noise: of 0, 1, (y0, a1, a2) an octave"),
            ),
            ("logs", array("logs", tables.logs, "log2(1 + k/128) - k/128, 16 fractional bits")),
            ("even", tables.even),
            ("odd", tables.odd),
            ("min_signal", tables.min_signal),
            ("correction_bits", tables.correction_bits),
            ("log_shift", settings.log_shift),
        ),
    )
