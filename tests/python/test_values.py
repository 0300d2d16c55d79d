"""nano/values.h against nanotool's own arithmetic: rounding, ends, the largest outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nanotool.ir import DTYPES, QTensor
from nanotool.runtime.extension import load

TYPES = {"int8": 0, "uint8": 1, "int32": 2, "float32": 3, "int16": 4}
NATIVE = load()
FFI, LIB = NATIVE.ffi, NATIVE.lib
COUNT = 4096
UNLIKE = -1  # NANO_ERR_ARGUMENT


class Net:
    """A net without ops whose only input, and output, has ``count`` elements."""

    def __init__(self, tensor: QTensor) -> None:
        self.tensor = tensor
        self.bytes = FFI.new("uint8_t[]", tensor.nbytes)
        end = {
            **{"offset": 0, "size": tensor.nbytes, "shape": [tensor.size, 0, 0, 0]},
            **{"scale": tensor.scale, "zero_point": tensor.zero_point, "name": FFI.NULL},
            "type": TYPES[tensor.dtype],
        }
        self.ends = FFI.new("nano_tensor[1]", [end])
        counts = {"input_count": 1, "output_count": 1}
        self.model = FFI.new("nano_model *", {"inputs": self.ends, "outputs": self.ends, **counts})
        self.net = FFI.new("nano_net *", {"model": self.model, "base": self.bytes})

    def quantize(self, real: NDArray[np.float32]) -> NDArray[Any]:
        assert LIB.nano_quantize_input(self.net, 0, FFI.from_buffer("float[]", real)) == 0
        return self.values()

    def values(self) -> NDArray[Any]:
        return np.array(np.frombuffer(FFI.buffer(self.bytes), DTYPES[self.tensor.dtype]))

    def fill(self, values: NDArray[Any]) -> None:
        FFI.memmove(self.bytes, values.tobytes(), self.tensor.nbytes)

    def top(self, count: int) -> list[int]:
        best = FFI.new("uint16_t[]", count)
        return list(best[0 : LIB.nano_top_classes(self.net, 0, best, count)])


def near_halves(scale: float, rng: np.random.Generator, most: int) -> NDArray[np.float32]:
    """Floats at, just below and just above the numbers where rounding turns."""
    halves = (rng.integers(-most, most, COUNT) + 0.5) * scale
    real = halves.astype(np.float32)
    for _ in range(2):
        step = rng.integers(-1, 2, COUNT)
        real = np.where(step < 0, np.nextafter(real, np.float32(-np.inf)), real)
        real = np.where(step > 0, np.nextafter(real, np.float32(np.inf)), real)
    return real


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_floats_become_the_bytes_that_nanotool_makes(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        scale = float(np.float32(rng.uniform(0.5, 1) * 2.0 ** rng.integers(-96, 40)))
        low = {"int8": -128, "uint8": 0, "int16": 0}[dtype]
        zero_point = int(rng.integers(low, low + (1 if dtype == "int16" else 256)))
        tensor = QTensor("x", (COUNT,), scale, zero_point, dtype)
        most = 40000 if dtype == "int16" else 300
        real = near_halves(scale, rng, most)
        real[:8] = [0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, scale, -scale]
        found = Net(tensor).quantize(real)
        assert (found == tensor.quantize(real)).all()


def test_what_is_no_number_and_what_is_no_quantized_input() -> None:
    net = Net(QTensor("x", (3,), 0.5, -7, "int8"))
    real = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert net.quantize(real).tolist() == [-7, 127, -128]
    kept = Net(QTensor("x", (3,), 1.0, 0, "float32")).quantize(real)
    assert np.array_equal(kept, real, equal_nan=True)
    data = FFI.from_buffer("float[]", real)
    whole = Net(QTensor("x", (3,), 1.0, 0, "int32"))
    assert LIB.nano_quantize_input(whole.net, 0, data) == UNLIKE
    assert LIB.nano_quantize_input(net.net, 1, data) == UNLIKE
    assert LIB.nano_quantize_input(net.net, 0, FFI.NULL) == UNLIKE


@pytest.mark.parametrize("dtype", TYPES)
def test_outputs_are_read_and_ranked(dtype: Any) -> None:
    rng = np.random.default_rng(2)
    quantized = dtype in {"int8", "uint8"}
    tensor = QTensor(
        "y", (50,), 0.25 if quantized or dtype == "int16" else 1.0, 3 if quantized else 0, dtype
    )
    net = Net(tensor)
    values = rng.integers(0, 12, 50).astype(DTYPES[dtype])  # many are equal
    if dtype != "uint8":
        values -= np.array(6, DTYPES[dtype])
    net.fill(values)
    real = [LIB.nano_output_real(net.net, 0, i) for i in range(50)]
    assert real == [float(value) for value in tensor.dequantize(values)]
    assert LIB.nano_output_real(net.net, 0, 50) == LIB.nano_output_real(net.net, 1, 0) == 0
    order = np.argsort(-values.astype(np.float64), kind="stable").tolist()
    assert [net.top(count) for count in (1, 5, 50, 60)] == [order[:1], order[:5], order, order]


def test_no_number_is_never_the_likeliest() -> None:
    net = Net(QTensor("y", (6,), 1.0, 0, "float32"))
    net.fill(np.array([np.nan, -np.inf, 1, -0.0, 0.0, np.nan], np.float32))
    assert net.top(6) == [2, 3, 4, 1, 0, 5]
