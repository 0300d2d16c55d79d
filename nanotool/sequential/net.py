"""A sequential model in the C library, built by sequential.h in an arena of a given size."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from nanotool import numerics
from nanotool.errors import NanoError
from nanotool.ir import INT8_MAX, INT8_MIN, Int8Array, Window
from nanotool.runtime import load
from nanotool.runtime.arena import new_arena
from nanotool.sequential.layers import (
    Elementwise,
    Flatten,
    Layer,
    MaxPool2D,
    Softmax,
    Values,
    Weighted,
)

CData: TypeAlias = Any  # cffi objects have no static types

_FIRST_GUESS = 1 << 12  # bytes of arena, doubled until the model fits
_LARGEST = 1 << 31


class Refused(NanoError):
    """The C library refuses the layer ``index``; ``memory``: only because the arena is full."""

    def __init__(self, index: int, reason: str, *, memory: bool) -> None:
        super().__init__(reason)
        self.index = index
        self.memory = memory


class SequentialNet:
    """``layers`` behind ``source`` as one net. Threads may share it; they run one by one."""

    def __init__(self, source: Values, layers: Sequence[Layer], arena_size: int | None) -> None:
        """In an arena of ``arena_size`` bytes; None: as large as needed. Raises `Refused`."""
        self._extension = load()
        self._ffi, self._lib = self._extension.ffi, self._extension.lib
        self._source, self._layers = source, tuple(layers)
        self._lock = threading.Lock()
        if arena_size is not None:
            self._build(arena_size)
            return
        size = _FIRST_GUESS
        while True:
            try:
                self._build(size)
            except Refused as error:
                if not error.memory or size >= _LARGEST:
                    raise
                size *= 2
            else:
                return

    @property
    def used(self) -> int:
        """Bytes of arena that the net takes: exactly what it needs."""
        return int(self._arena.high)

    def run(self, rows: Int8Array) -> Int8Array:
        """[n, output size] for ``rows`` [n, input size], both in the device's order."""
        target = self._layers[-1].target
        results = np.empty((len(rows), target.size), np.int8)
        given = self._ffi.from_buffer("int8_t[]", rows)
        taken = self._ffi.from_buffer("int8_t[]", results, require_writable=True)
        with self._lock:
            status = self._lib.nanotool_run(
                self._net,
                len(rows),
                0,  # no states to reset
                self._ffi.new("size_t *"),
                self._ffi.new("int8_t *[]", [given]),
                self._ffi.new("int8_t *[]", [taken]),
            )
            self._check(len(self._layers) - 1, status)
        return results

    # --- Building ---------------------------------------------------------------------------------

    def _build(self, size: int) -> None:
        lib = self._lib
        self._keep: list[Any] = []  # what C points to, for as long as this object lives
        self._arena = new_arena(self._extension, size)
        self._sequence = self._new("nano_sequential *")
        shape = dict(zip("hwc", self._source.device_shape, strict=True))
        ops = sum(_op_count(layer) for layer in self._layers)
        status = lib.nano_sequential_begin(
            self._sequence, self._arena, ops, shape, self._source.scale, 0
        )
        self._check(0, status)
        for index, layer in enumerate(self._layers):
            self._add(index, layer)
        self._net = self._new("nano_net *")
        self._check(len(self._layers) - 1, lib.nano_sequential_end(self._sequence, self._net))

    def _add(self, index: int, layer: Layer) -> None:
        lib, sequence = self._lib, self._sequence
        match layer:
            case Flatten():
                self._check(index, lib.nano_sequential_flatten(sequence))
            case Weighted(window=None):
                self._check(index, lib.nano_sequential_flatten(sequence))
                self._check(index, lib.nano_sequential_dense(sequence, self._dense(layer)))
            case Weighted():
                self._check(index, lib.nano_sequential_conv2d(sequence, self._conv2d(layer)))
            case MaxPool2D():
                pool = self._new("nano_pool_layer *", _window(layer.window))
                self._check(index, lib.nano_sequential_max_pool(sequence, pool))
            case Elementwise():
                self._add_table(index, layer.table(), layer.target)
            case Softmax():
                self._check(index, lib.nano_sequential_softmax(sequence, layer.beta))
                self._add_table(index, layer.table(), layer.target)

    def _add_table(self, index: int, table: Int8Array, target: Values) -> None:
        status = self._lib.nano_sequential_table(
            self._sequence, self._array("int8_t[]", table), target.scale, 0
        )
        self._check(index, status)

    def _dense(self, layer: Weighted) -> CData:
        values = {
            "weights": self._array("int8_t[]", layer.weight),
            "bias": self._array("int32_t[]", layer.bias),
            "out_features": len(layer.bias),
            "output": self._output(layer),
        }
        return self._new("nano_dense_layer *", values)

    def _conv2d(self, layer: Weighted) -> CData:
        assert layer.window is not None
        values = {
            "weights": self._array("int8_t[]", layer.weight),
            "bias": self._array("int32_t[]", layer.bias),
            "out_c": len(layer.bias),
            **_window(layer.window),
            "dilation_h": 1,
            "dilation_w": 1,
            "groups": 1,
            "output": self._output(layer),
        }
        return self._new("nano_conv2d_layer *", values)

    def _output(self, layer: Weighted) -> dict[str, Any]:
        """nano_layer_output: the same multiplier that the lowering finds for the graph."""
        multiplier, shift = numerics.conv_multipliers(
            layer.source.scale, layer.weight_scale, layer.target.scale
        )
        requant = {
            "multiplier": self._array("int32_t[]", multiplier),
            "shift": self._array("int8_t[]", shift),
            "per_channel": 0,
            "zero_point": 0,
            "min": INT8_MIN,
            "max": INT8_MAX,
        }
        return {"requant": requant, "scale": layer.target.scale}

    # --- Memory and errors ------------------------------------------------------------------------

    def _new(self, ctype: str, *value: Any) -> CData:
        """A C object that lives as long as the net."""
        made = self._ffi.new(ctype, *value)
        self._keep.append(made)
        return made

    def _array(self, ctype: str, data: Any) -> CData:
        """``data`` where it lies, kept."""
        view = self._ffi.from_buffer(ctype, data)
        self._keep.append(view)
        return view

    def _check(self, index: int, status: int) -> None:
        if status == self._lib.NANO_OK:
            return
        text = self._ffi.string(self._lib.nano_status_text(status)).decode()
        raise Refused(index, f"{text}.", memory=status == self._lib.NANO_ERR_MEMORY)


def _op_count(layer: Layer) -> int:
    return 0 if isinstance(layer, Flatten) else 2 if isinstance(layer, Softmax) else 1


def _window(window: Window) -> dict[str, int]:
    """The fields that nano_conv2d_layer and nano_pool_layer share."""
    top, left, bottom, right = window.padding
    return {
        "kernel_h": window.kernel[0],
        "kernel_w": window.kernel[1],
        "stride_h": window.stride[0],
        "stride_w": window.stride[1],
        "pad_top": top,
        "pad_left": left,
        "pad_bottom": bottom,
        "pad_right": right,
    }
