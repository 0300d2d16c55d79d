"""What stands in front of a model that senses, and behind it: a description, kept with the model.

    samples ─ front end ─ scaling ─► model's input … output ─ rule ─► decisions

`nanotool.sensing.stream` runs it, `nanotool.backends.c` writes it as C, docs/streams.md has the
formulas.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from nanotool.errors import NanoError

MOST_CLASSES, MOST_WINDOW, MOST_WARM_UP = 256, 4096, 65535
MOST_MULTIPLIER, MOST_ADDEND = 1 << 14, 1 << 29
FORMATS = {"grey": 1, "rgb565": 2, "rgb565be": 2, "rgb888": 3}  # bytes of a pixel; NANO_CAMERA_...
RESIZES = ("box", "bilinear")


@dataclass(frozen=True, slots=True)
class MicroFrontendSettings:
    """What can be chosen. The defaults are what ESPHome's wake words were trained with."""

    sample_rate: int = 16000  # samples a second
    window_ms: int = 30
    step_ms: int = 10
    channels: int = 40  # mel bands
    lower_hz: float = 125.0
    upper_hz: float = 7500.0
    even_smoothing: float = 0.025  # share of the newest frame in the noise estimate: channels 0, 2
    odd_smoothing: float = 0.06  # channels 1, 3
    min_signal: float = 0.05  # of a channel's signal that noise reduction leaves at least
    pcan: bool = True
    pcan_strength: float = 0.95
    pcan_offset: float = 80.0
    log: bool = True
    log_shift: int = 6  # the logarithm's fractional bits

    def __post_init__(self) -> None:
        nyquist = self.sample_rate / 2
        if not 0 < self.step <= self.window <= 1024:
            raise NanoError(
                f"A window of {self.window} samples every {self.step} does not fit.",
                "A window has at most 1024 samples, a step at most a window's.",
            )
        if not 0 <= self.lower_hz < self.upper_hz <= nyquist:
            raise NanoError(
                f"Bands from {self.lower_hz} to {self.upper_hz} Hz do not fit "
                f"{self.sample_rate} Hz.",
                f"They lie between 0 and {nyquist:g} Hz.",
            )
        if not 1 <= self.channels <= 128:
            raise NanoError(f"{self.channels} channels are not between 1 and 128.")
        shares = (self.even_smoothing, self.odd_smoothing, self.min_signal)
        if not all(0 <= share <= 1 for share in shares):
            raise NanoError(f"Of {shares} (smoothing, least signal) one is no share from 0 to 1.")
        if not 0 <= self.log_shift <= 8:
            raise NanoError(
                f"A logarithm with {self.log_shift} fractional bits does not fit 16 bits."
            )

    @property
    def features(self) -> int:
        """Of a frame."""
        return self.channels

    @property
    def values(self) -> int:
        """Of a sample: sound has one."""
        return 1

    @property
    def window(self) -> int:
        """Samples of a window."""
        return self.sample_rate * self.window_ms // 1000

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return self.sample_rate * self.step_ms // 1000

    @property
    def fft_size(self) -> int:
        """Points of the FFT: the least power of two that holds a window."""
        return 1 << max(6, (self.window - 1).bit_length())


@dataclass(frozen=True, slots=True)
class MelSettings:
    """Log-mel energies, or MFCC. The defaults are torchaudio's scale and norm; `librosa` has
    librosa's. Frames are not centred."""

    sample_rate: int = 16000  # samples a second
    window: int = 400  # samples of a window
    step: int = 160  # samples from one window to the next
    fft_size: int = 512  # points
    bands: int = 40
    coefficients: int = 0  # of the cosine transform; 0: log-mel energies
    lower_hz: float = 20.0
    upper_hz: float = 7600.0
    preemphasis: float = 0.0  # y[i] = x[i] - preemphasis * x[i - 1]
    scale: Literal["htk", "slaney"] = "htk"
    slaney_norm: bool = False  # each triangle by its width
    floor: float = 1e-10  # what an energy is at least, for the logarithm
    taper: Literal["hann", "hamming"] = "hann"  # of a window, periodic
    slopes: Literal["hz", "mel"] = "hz"  # on which scale a triangle's sides are straight

    def __post_init__(self) -> None:
        if self.fft_size not in (64, 128, 256, 512, 1024):
            raise NanoError(f"There is no FFT of {self.fft_size} points.", "64 to 1024, by twos.")
        if not 0 < self.step <= self.window <= self.fft_size:
            raise NanoError(
                f"A window of {self.window} samples every {self.step} does not fit an FFT of "
                f"{self.fft_size}.",
                "A step is at most a window, a window at most the FFT.",
            )
        if not 0 <= self.lower_hz < self.upper_hz <= self.sample_rate / 2 <= 1e6:
            raise NanoError(
                f"Bands from {self.lower_hz} to {self.upper_hz} Hz do not fit "
                f"{self.sample_rate} Hz.",
                f"They lie between 0 and {self.sample_rate / 2:g} Hz.",
            )
        if not 1 <= self.bands <= 128 or not 0 <= self.coefficients <= self.bands:
            raise NanoError(
                f"{self.coefficients} coefficients of {self.bands} bands cannot be.",
                "1 to 128 bands, at most as many coefficients.",
            )
        if not 0 <= self.preemphasis <= 1 or not 1e-15 <= self.floor <= 1:
            raise NanoError(
                f"A pre-emphasis of {self.preemphasis} or a floor of {self.floor} cannot be.",
                "0 to 1; 1e-15 to 1.",
            )
        if self.scale not in ("htk", "slaney"):
            raise NanoError(f"There is no mel scale {self.scale!r}.", "Scales: htk, slaney.")
        if self.taper not in ("hann", "hamming"):
            raise NanoError(f"There is no window {self.taper!r}.", "There are hann and hamming.")
        if self.slopes not in ("hz", "mel"):
            raise NanoError(f"There are no slopes on {self.slopes!r}.", "They are on hz or mel.")

    @staticmethod
    def librosa(**settings: Any) -> MelSettings:
        """librosa.filters.mel's scale and norm, with other ``settings`` as asked."""
        return MelSettings(**{"scale": "slaney", "slaney_norm": True, **settings})

    @staticmethod
    def tensorflow(**settings: Any) -> MelSettings:
        """tf.signal.linear_to_mel_weight_matrix's triangles, with other ``settings`` as asked."""
        return MelSettings(**{"slopes": "mel", **settings})

    @property
    def features(self) -> int:
        """Of a frame."""
        return self.coefficients or self.bands

    @property
    def values(self) -> int:
        """Of a sample: sound has one."""
        return 1

    @property
    def fraction(self) -> int:
        """Fractional bits of a feature: its real value is x / 2^fraction."""
        return 6 if self.coefficients else 8


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """Windows of a sensor with several channels, as an accelerometer's axes: its samples, or with
    ``fft_size`` logarithms of the energies at its frequencies.

    A real value is a sample times its channel's ``scale``; the device keeps 16 bits of it, up to
    ``limit``. Windows come out as [window or bands][channels, then magnitudes].
    """

    sample_rate: int = 100  # samples a second, each of all channels
    channels: int = 3
    window: int = 1  # samples of a window
    step: int = 1  # samples from one window to the next
    scale: tuple[float, ...] = ()  # of each channel: what a sample of 1 is in reality; none: 1
    limit: float = 0.0  # the largest real value that is not clipped; 0: that of the samples
    magnitudes: tuple[tuple[int, ...], ...] = ()  # channels whose vector's length is one more
    magnitudes_only: bool = False  # without the channels themselves
    detrend: Literal["none", "constant", "linear"] = "none"  # what each window's channels lose
    fft_size: int = 0  # points; 0: the samples come out
    bands: tuple[float, ...] = ()  # with an FFT: edges in Hz, one more than bands; none: each bin
    floor: float = 1e-9  # what an energy is at least, for the logarithm

    def __post_init__(self) -> None:
        if not 1 <= self.sample_rate <= 1_000_000 or not 1 <= self.channels <= 32:
            raise NanoError(
                f"{self.channels} channels at {self.sample_rate} Hz cannot be.",
                "1 to 32 channels at 1 to 1,000,000 Hz.",
            )
        if not 1 <= self.step <= self.window <= 1024:
            raise NanoError(
                f"A window of {self.window} samples every {self.step} does not fit.",
                "A window has at most 1024 samples, a step at most a window's.",
            )
        self._check_values()
        self._check_bands()
        if self.features > 65535:
            raise NanoError(f"A window of {self.features:,} values is larger than 65,535.")

    def _check_values(self) -> None:
        if self.scale and len(self.scale) != self.channels:
            raise NanoError(
                f"{len(self.scale)} scales are not those of {self.channels} channels.",
                "Give one for each channel.",
            )
        if not all(1e-9 <= one <= 1e9 for one in self.scales) or not 0 <= self.limit <= 1e9:
            raise NanoError("A scale is 1e-9 to 1e9, a limit at most 1e9.")
        factors = [math.log2(one) + self.fraction for one in self.scales]
        if not all(-15 <= factor < 16 for factor in factors):
            raise NanoError(
                f"Values up to {self.reach:g} in 16 bits do not fit samples of scale "
                f"{min(self.scales):g} to {max(self.scales):g}.",
                "The limit is about the largest value of each channel: choose scales by which "
                "the channels are of one size.",
            )
        known = all(
            group and list(group) == sorted(set(group)) and group[-1] < self.channels
            for group in self.magnitudes
        )
        if not known or any(min(group) < 0 for group in self.magnitudes):
            raise NanoError(
                f"The magnitudes {self.magnitudes} are not of channels 0 to {self.channels - 1}.",
                "Each is a tuple of channels' numbers, rising: ((0, 1, 2), (3, 4, 5)).",
            )
        if len(self.magnitudes) > 32 or (self.magnitudes_only and not self.magnitudes):
            raise NanoError("Of a sensor's values 1 to 32 channels and magnitudes are kept.")
        least = {"none": 1, "constant": 2, "linear": 3}.get(self.detrend)
        if least is None:
            raise NanoError(
                f"There is no detrend {self.detrend!r}.", "There are none, constant and linear."
            )
        if self.window < least:
            raise NanoError(
                f"A window of {self.window} samples has no {self.detrend} trend to lose.",
                f"It has at least {least} samples.",
            )

    def _check_bands(self) -> None:
        if self.fft_size == 0:
            if self.bands:
                raise NanoError("Bands need an FFT.", "Give its size: fft_size=64.")
            return
        if self.fft_size not in (64, 128, 256, 512, 1024) or self.window > self.fft_size:
            raise NanoError(
                f"There is no FFT of {self.fft_size} points for a window of {self.window}.",
                "64 to 1024, by twos, and at least the window.",
            )
        if not 1e-15 <= self.floor <= 1e9:
            raise NanoError(f"A floor of {self.floor} is not between 1e-15 and 1e9.")
        edges, nyquist = self.bands, self.sample_rate / 2
        rising = all(low < high for low, high in itertools.pairwise(edges))
        if len(edges) == 1 or not rising or (edges and not 0 <= edges[0] < edges[-1] <= nyquist):
            raise NanoError(
                f"The edges {edges} are not those of bands.",
                f"They rise from 0 to {nyquist:g} Hz at most, one more than there are bands.",
            )
        if len(edges) > self.fft_size // 2 + 2:
            raise NanoError(f"{len(edges) - 1} bands are more than the FFT's bins.")

    @property
    def scales(self) -> tuple[float, ...]:
        """`scale`, of every channel."""
        return self.scale or (1.0,) * self.channels

    @property
    def reach(self) -> float:
        """The limit, also where it is that of the samples."""
        return self.limit or 32768 * max(self.scales)

    @property
    def fraction(self) -> int:
        """Fractional bits of a value on the device; below 0: of its unit."""
        return math.floor(math.log2(32768 / self.reach))

    @property
    def width(self) -> int:
        """Channels that are kept, magnitudes among them."""
        return len(self.magnitudes) + (0 if self.magnitudes_only else self.channels)

    @property
    def features(self) -> int:
        """Of a frame, which is a window."""
        return self.width * (self.band_count or self.window)

    @property
    def band_count(self) -> int:
        """Of each channel; 0 where the samples come out."""
        if not self.fft_size:
            return 0
        return len(self.bands) - 1 if self.bands else self.fft_size // 2

    @property
    def values(self) -> int:
        """Of a sample: one a channel."""
        return self.channels


FrontEnd: TypeAlias = MicroFrontendSettings | MelSettings | SensorSettings


@dataclass(frozen=True, slots=True)
class Scaling:
    """From a feature x to the model's q = floor((x · multiplier + addend) / divisor) + zero point,
    clamped to the input's type."""

    multiplier: int
    addend: int
    divisor: int

    def __post_init__(self) -> None:
        if not (
            1 <= self.multiplier <= MOST_MULTIPLIER
            and abs(self.addend) <= MOST_ADDEND
            and 1 <= self.divisor < 1 << 31
        ):
            raise NanoError(
                f"A scaling of (x · {self.multiplier} + {self.addend}) / {self.divisor} does not "
                "fit 32 bits.",
                f"The multiplier is 1 to {MOST_MULTIPLIER}, the addend at most 2^29.",
            )

    @staticmethod
    def of(unit: float, scale: float) -> Scaling:
        """The nearest for features whose real value is x · ``unit`` and an input of ``scale``:
        rounded, halves up."""
        if not (unit > 0 and scale > 0):
            raise NanoError(f"Features of unit {unit} do not become an input of scale {scale}.")
        inverse = (Fraction(scale) / Fraction(unit)).limit_denominator(MOST_MULTIPLIER)
        if inverse == 0:
            raise NanoError(f"An input of scale {scale} is too fine for features of unit {unit}.")
        return Scaling(inverse.denominator, inverse.numerator // 2, inverse.numerator)


ESPHOME = Scaling(256, 333, 666)  # as ESPHome quantizes the micro frontend's features


@dataclass(frozen=True, slots=True)
class ClassRule:
    """When one of the output's elements is decided for."""

    index: int  # of the first output's elements
    # The mean of the last `window` real outputs has to exceed it; of votes: their share.
    threshold: float
    release: float | None = None  # hysteresis: no other decision before the mean was at it
    refractory: float = 2.0  # seconds from a decision to the next one of this class, at least

    def __post_init__(self) -> None:
        ends = [self.threshold, *([] if self.release is None else [self.release])]
        if self.index < 0 or not all(-1e6 < end < 1e6 for end in ends):
            raise NanoError(f"Class {self.index} cannot have the threshold {self.threshold}.")
        if self.release is not None and self.release > self.threshold:
            raise NanoError(
                f"Class {self.index} is released at {self.release}, above its threshold "
                f"{self.threshold}.",
                "A release is at most the threshold.",
            )
        if not 0 <= self.refractory <= 3600:
            raise NanoError(f"A refractory time of {self.refractory} s is not 0 to 3600 s.")


@dataclass(frozen=True, slots=True)
class Rule:
    """From outputs to decisions; nano/stream.h says it in full."""

    classes: tuple[ClassRule, ...]
    window: int = 1  # steps that a mean is taken over
    vote: bool = False  # a step counts for the largest output alone, as 1
    top: int = 1  # most decisions in a step
    warm_up: int = 0  # steps after a reset that decide nothing

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MOST_CLASSES:
            raise NanoError(f"A rule has 1 to {MOST_CLASSES} classes, not {len(self.classes)}.")
        if not 1 <= self.window <= MOST_WINDOW:
            raise NanoError(f"A mean over {self.window} steps is not one over 1 to {MOST_WINDOW}.")
        if not 1 <= self.top <= 255 or not 0 <= self.warm_up <= MOST_WARM_UP:
            raise NanoError(
                f"{self.top} decisions a step after {self.warm_up} steps cannot be.",
                f"1 to 255 decisions, 0 to {MOST_WARM_UP} steps.",
            )


@dataclass(frozen=True, slots=True)
class StreamRule:
    """All that a stream is beside its model."""

    front_end: FrontEnd
    scaling: Scaling
    rule: Rule
    hop: int  # frames from one step to the next, 1 to those that the model takes


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """A camera, what is looked at of its frames, and the picture that comes out."""

    width: int  # pixels of a line
    height: int  # lines of a frame
    out_width: int
    out_height: int
    format: Literal["grey", "rgb565", "rgb565be", "rgb888"] = "grey"  # be: the upper byte first
    channels: int = 1  # that come out: 1, grey, or 3
    crop: tuple[int, int, int, int] | None = None  # left, top, width, height; None: all
    resize: Literal["box", "bilinear"] = "box"
    mean: tuple[float, ...] = (0.0,)  # real value: (brightness / 255 - mean) / std, of each
    std: tuple[float, ...] = (1.0,)  # channel, or one for all

    def __post_init__(self) -> None:
        if self.format not in FORMATS or self.resize not in RESIZES:
            raise NanoError(
                f"There is no format {self.format!r}, or no resize {self.resize!r}.",
                f"Formats: {', '.join(FORMATS)}; resizes: {', '.join(RESIZES)}.",
            )
        sizes = (self.width, self.height, self.out_width, self.out_height)
        if not all(1 <= size <= 8192 for size in sizes):
            raise NanoError(f"Of the sizes {sizes} one is not 1 to 8192.")
        left, top, width, height = self.window
        inside = 0 <= left < left + width <= self.width and 0 <= top < top + height <= self.height
        if not inside or width * height > 1 << 24:
            raise NanoError(
                f"{width} x {height} at {left}, {top} is no part of {self.width} x {self.height} "
                "that can be looked at.",
                "The crop is (left, top, width, height), inside, at most 16 million pixels.",
            )
        several = {len(self.mean), len(self.std)}
        if self.channels not in (1, 3) or not several <= {1, self.channels}:
            raise NanoError(
                f"{self.channels} channels with {len(self.mean)} means and {len(self.std)} "
                "deviations cannot be.",
                "1 or 3 channels, and one number for all or one for each.",
            )
        if not all(1e-6 <= one <= 1e6 for one in self.std):
            raise NanoError(f"Of the deviations {self.std} one is not positive.")
        if not all(abs(one) <= 1e6 for one in self.mean):
            raise NanoError(f"Of {self.mean} one is no mean.")

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Left, top, width, height of what is looked at."""
        return self.crop or (0, 0, self.width, self.height)

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width, channels of what comes out."""
        return self.out_height, self.out_width, self.channels

    @property
    def pitch(self) -> int:
        """Bytes of a line."""
        return self.width * FORMATS[self.format]

    @property
    def frame(self) -> tuple[int, int]:
        """Lines, and bytes of a line."""
        return self.height, self.pitch
