"""Pictures from a camera's lines: crop, resize, grey, to what a model takes.

`Camera` runs lib/nano/src/signal/camera.c in this process, or its twin in NumPy; `CameraTransform`
(nanotool.signal.transform) makes the same pictures for training. docs/signal.md has conventions
and errors.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Array, QTensor, Struct
from nanotool.sensing.description import FORMATS, RESIZES, CameraSettings

UInt8Array = NDArray[np.uint8]
PART = 256  # of a pixel, bilinear
GREY = (77, 150, 29)  # of 256: BT.601


def real_values(settings: CameraSettings, picture: NDArray[Any]) -> NDArray[np.float64]:
    """The values [..., channels] that a net is trained on, of brightness 0 to 255."""
    brightness = np.asarray(picture, np.float64) / 255
    return np.asarray((brightness - settings.mean) / settings.std)


def values_for(settings: CameraSettings, tensor: QTensor | None) -> UInt8Array:
    """[channels, 256]: what stands for each brightness: itself, or the bytes of the input
    ``tensor``, int8 or uint8."""
    levels = np.repeat(np.arange(256)[:, None], settings.channels, axis=1)
    if tensor is None:
        return np.ascontiguousarray(levels.T).astype(np.uint8)
    expected = settings.out_height * settings.out_width * settings.channels
    if tensor.dtype not in {"int8", "uint8"} or tensor.size != expected:
        raise NanoError(
            f"The model takes {list(tensor.shape)} {tensor.dtype}, the picture has "
            f"{settings.out_height} x {settings.out_width} x {settings.channels}.",
            "Choose out_width, out_height and channels by the model.",
        )
    q = tensor.quantize(real_values(settings, levels).astype(np.float32))
    return np.ascontiguousarray(q.T).view(np.uint8)


def _places(size: int, out: int) -> NDArray[np.uint16]:
    """[out, 2]: pixel, and the part of its neighbour, of (i + 1/2) size / out - 1/2."""
    rows = []
    for i in range(out):
        whole = round((Fraction(2 * i + 1, 2) * Fraction(size, out) - Fraction(1, 2)) * PART)
        at = min(max(whole, 0), (size - 1) * PART)
        rows.append((at // PART, at % PART))
    return np.array(rows, np.uint16)


def camera_struct(settings: CameraSettings, tensor: QTensor | None = None) -> Struct:
    """nano_camera_params."""
    left, top, width, height = settings.window
    bilinear = settings.resize == "bilinear"

    def places(name: str, size: int, out: int, note: str) -> Array | None:
        return Array(name, _places(size, out).reshape(-1), note) if bilinear else None

    return Struct(
        "nano_camera_params",
        (
            ("format", list(FORMATS).index(settings.format)),
            ("resize", RESIZES.index(settings.resize)),
            ("channels", settings.channels),
            ("left", left),
            ("top", top),
            ("width", width),
            ("height", height),
            ("out_width", settings.out_width),
            ("out_height", settings.out_height),
            ("columns", places("columns", width, settings.out_width, "[pixel, part of the next]")),
            ("rows", places("rows", height, settings.out_height, "[line, part of the next]")),
            (
                "values",
                Array(
                    "values",
                    values_for(settings, tensor).reshape(-1),
                    "of each brightness, by channels",
                ),
            ),
        ),
    )


# --- Pixels ---------------------------------------------------------------------------------------


def encode(settings: CameraSettings, pictures: UInt8Array) -> UInt8Array:
    """Frames [n, height, pitch] as the camera would send ``pictures`` [n, height, width] (grey) or
    [n, height, width, 3]."""
    colour = pictures.ndim == 4
    if settings.format == "grey":
        return _grey(pictures.astype(np.int64)) if colour else pictures
    rgb = pictures if colour else np.repeat(pictures[..., None], 3, axis=-1)
    if settings.format == "rgb888":
        return rgb.reshape(*rgb.shape[:2], -1)
    r, g, b = (rgb[..., c].astype(np.uint16) for c in range(3))
    bits = (r >> 3) << 11 | (g >> 2) << 5 | b >> 3
    order = "<u2" if settings.format == "rgb565" else ">u2"
    return np.ascontiguousarray(bits.astype(order)).view(np.uint8)


def _grey(rgb: NDArray[np.int64]) -> UInt8Array:
    grey: UInt8Array = ((rgb @ np.array(GREY) + 128) >> 8).astype(np.uint8)
    return grey


def decode(settings: CameraSettings, frames: UInt8Array) -> NDArray[np.int64]:
    """[n, height, width, channels] brightness of ``frames`` [n, height, pitch]."""
    if settings.format == "grey":
        return np.repeat(frames[..., None].astype(np.int64), settings.channels, axis=-1)
    if settings.format == "rgb888":
        rgb = frames.reshape(*frames.shape[:2], -1, 3).astype(np.int64)
    else:
        order = "<u2" if settings.format == "rgb565" else ">u2"
        bits = np.ascontiguousarray(frames).view(order).astype(np.int64)
        r, g, b = bits >> 11, bits >> 5 & 63, bits & 31
        rgb = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=-1)
    return rgb if settings.channels == 3 else _grey(rgb)[..., None].astype(np.int64)


def _shares(size: int, out: int) -> NDArray[np.int64]:
    """[out, size]: of each pixel in each of the output's, in units of 1 / out."""
    edges, borders = np.arange(size) * out, np.arange(out)[:, None] * size
    overlap = np.minimum(edges + out, borders + size) - np.maximum(edges, borders)
    return overlap.clip(0)


def _parts(size: int, out: int) -> NDArray[np.int64]:
    """[out, size]: bilinear weights, of `PART`."""
    weights = np.zeros((out, size), np.int64)
    for i, (at, part) in enumerate(_places(size, out).tolist()):
        weights[i, at] += PART - part
        if part:
            weights[i, at + 1] += part
    return weights


def _resized(settings: CameraSettings, pixels: NDArray[Any], weigh: Any) -> NDArray[Any]:
    left, top, width, height = settings.window
    part = pixels[:, top : top + height, left : left + width]
    across, down = weigh(width, settings.out_width), weigh(height, settings.out_height)
    return np.asarray(np.einsum("oh,nhwc,pw->nopc", down, part, across, optimize=True))


def twin(settings: CameraSettings, frames: UInt8Array) -> UInt8Array:
    """The device's arithmetic in NumPy: [n, out_height, out_width, channels] of brightness."""
    _, _, width, height = settings.window
    box = settings.resize == "box"
    sums = _resized(settings, decode(settings, frames), _shares if box else _parts)
    whole = width * height if box else PART * PART
    picture: UInt8Array = ((sums + whole // 2) // whole).astype(np.uint8)
    return picture


def camera_reference(settings: CameraSettings, frames: UInt8Array) -> NDArray[np.float64]:
    """The same in float64, without rounding."""

    def tents(size: int, out: int) -> NDArray[np.float64]:
        at = ((np.arange(out) + 0.5) * size / out - 0.5).clip(0, size - 1)
        return np.asarray((1 - np.abs(np.arange(size) - at[:, None])).clip(0))

    _, _, width, height = settings.window
    pixels = decode(settings, frames)
    if settings.resize == "bilinear":
        return _resized(settings, pixels, tents)
    return _resized(settings, pixels, _shares) / (width * height)


# --- At work --------------------------------------------------------------------------------------


class Camera:
    """Frames in, pictures out, as on the board.

    >>> camera = Camera(CameraSettings(160, 120, 28, 28, format="rgb565be"))
    >>> camera.process(frames)  # uint8 [n, 120, 320] → uint8 [n, 28, 28, 1]
    """

    def __init__(
        self, settings: CameraSettings, tensor: QTensor | None = None, *, engine: str = "c"
    ) -> None:
        """``tensor``: the model's input, whose bytes come out; None: brightness. ``engine``: "c",
        the library in this process, or "numpy", its twin."""
        if engine not in {"c", "numpy"}:
            raise NanoError(f"There is no engine {engine!r}.", "Engines are c, numpy.")
        self.settings, self.tensor = settings, tensor
        self._values = values_for(settings, tensor)
        self._run = _Compiled(settings, tensor).run if engine == "c" else self._twin

    def process(self, frames: UInt8Array) -> NDArray[Any]:
        """Pictures [n, out_height, out_width, channels] of ``frames``, bytes
        [n, height, bytes of a line] or one frame of them."""
        s = self.settings
        one = np.asarray(frames)[None] if np.ndim(frames) == 2 else np.asarray(frames)
        if one.dtype != np.uint8 or one.ndim != 3 or one.shape[1:] != (s.height, s.pitch):
            raise NanoError(
                f"Frames are uint8 [n, {s.height}, {s.pitch}], not {one.dtype} {list(one.shape)}.",
                "nanotool.signal.camera.encode makes them of pictures.",
            )
        made = self._run(np.ascontiguousarray(one))
        return made.view(np.int8) if self.tensor and self.tensor.dtype == "int8" else made

    def _twin(self, frames: UInt8Array) -> UInt8Array:
        brightness = twin(self.settings, frames)
        channels = np.arange(self.settings.channels)
        return np.ascontiguousarray(self._values[channels, brightness])


class _Compiled:
    """lib/nano/src/signal/camera.c."""

    def __init__(self, settings: CameraSettings, tensor: QTensor | None) -> None:
        from nanotool.runtime.arena import new_arena  # noqa: PLC0415
        from nanotool.runtime.extension import load  # noqa: PLC0415
        from nanotool.runtime.structs import Structs  # noqa: PLC0415

        extension = load()
        self._settings, self._ffi, self._lib = settings, extension.ffi, extension.lib
        self._structs = Structs(self._ffi)
        params = self._structs.of(camera_struct(settings, tensor))
        self._arena = new_arena(extension, 8 * settings.out_width * settings.channels + 64)
        self._state = self._structs.new("nano_camera *", None)
        status = self._lib.nano_camera_init(self._state, params, self._arena)
        assert status == self._lib.NANO_OK

    def run(self, frames: UInt8Array) -> UInt8Array:
        s = self._settings
        out = np.empty((len(frames), s.out_height, s.out_width, s.channels), np.uint8)
        self._lib.nanotool_camera(
            self._state,
            len(frames),
            s.height,
            s.pitch,
            self._ffi.from_buffer("uint8_t[]", frames),
            self._ffi.from_buffer("uint8_t[]", out, require_writable=True),
        )
        return out
