"""User data to device data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nanotool.errors import NanoError
from nanotool.inputs import clipping, to_device, user_shape
from nanotool.ir import QGraph, QOp, QTensor, Quantize


def graph(shape: tuple[int, ...], permutation: tuple[int, ...] = (), dtype: str = "int8") -> QGraph:
    tensor = QTensor("input", shape, *((1.0, 0) if dtype == "float32" else (0.5, 3)), dtype)
    return QGraph(
        "g", {"input": tensor}, (), ("input",), ("input",), (permutation,) if permutation else ()
    )


IMAGE = graph((4, 5, 2), (1, 2, 0))


def test_user_shape() -> None:
    assert user_shape(IMAGE) == (2, 4, 5)
    assert user_shape(graph((7,))) == (7,)
    assert user_shape(graph((4, 5, 2))) == (4, 5, 2)


def test_images_are_turned() -> None:
    x = np.arange(3 * 40, dtype=np.float32).reshape(3, 2, 4, 5)
    y = to_device(IMAGE, x)
    assert y.dtype == np.int8
    assert y.shape == (3, 4, 5, 2)
    assert y.flags.c_contiguous
    assert y[1, 2, 3, 1] == min(127, x[1, 1, 2, 3] / 0.5 + 3)
    assert np.array_equal(to_device(IMAGE, x.transpose(0, 2, 3, 1)), y)


def test_a_shape_that_is_both_is_the_users() -> None:
    cube = graph((3, 3, 3), (1, 2, 0))
    x = np.arange(27, dtype=np.float64).reshape(1, 3, 3, 3)
    assert to_device(cube, x)[0, 1, 2, 0] == x[0, 0, 1, 2] * 2 + 3


def test_floats_are_rounded_away_from_zero_and_saturate() -> None:
    x = np.array([[0.0, 0.25, -0.25, 0.24, 1e30, -1e30, 1e38]], np.float32)
    assert to_device(graph((7,)), x).tolist() == [[3, 4, 2, 3, 127, -128, 127]]
    half = np.full((1, 7), 0.25, np.float16)
    assert (to_device(graph((7,)), half) == 4).all()


def test_int8_is_raw() -> None:
    x = np.arange(-4, 3, dtype=np.int8)[None]
    assert np.array_equal(to_device(graph((7,)), x), x)
    turned = np.zeros((1, 2, 4, 5), np.int8)
    turned[0, 1] = 9
    assert (to_device(IMAGE, turned)[..., 1] == 9).all()


def test_a_uint8_input() -> None:
    bytes_ = graph((4,), dtype="uint8")
    raw = np.array([[0, 3, 128, 255]], np.uint8)
    assert np.array_equal(to_device(bytes_, raw), raw)
    y = to_device(bytes_, np.array([[-9.0, 0.25, 100.0, 1e9]], np.float32))
    assert y.dtype == np.uint8
    assert y.tolist() == [[0, 4, 203, 255]]
    with pytest.raises(NanoError, match=r"int8.*-1\.5 to 126.*uint8 that is already"):
        to_device(bytes_, raw.astype(np.int8))


def test_a_float32_input() -> None:
    """Real values stay what they are; what is beyond float32 becomes its largest number."""
    real = graph((4, 5, 2), (1, 2, 0), dtype="float32")
    x = np.linspace(-3e3, 3e3, 40).reshape(1, 2, 4, 5)
    y = to_device(real, x)
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert np.array_equal(y, x.astype(np.float32).transpose(0, 2, 3, 1))
    assert to_device(real, np.full_like(x, -1e300))[0, 0, 0, 0] == np.finfo(np.float32).min
    with pytest.raises(NanoError, match=r"int8.*Pass floats scaled as in training\.$"):
        to_device(real, np.zeros((1, 2, 4, 5), np.int8))


def test_what_saturates_is_told() -> None:
    x = np.zeros((5, 7), np.float32)
    assert clipping(graph((7,)), x) is None
    assert clipping(graph((7,)), np.full((1, 7), 127, np.int8)) is None
    x[3, :2], x[4, 0] = (62.1, 500), -65.9  # covered: -65.5 to 62
    found = clipping(graph((7,)), x)
    assert found is not None and found.serious
    assert (found.worst, found.low, found.high, found.most) == (3, -65.5, 62.0, 500.0)
    assert found.share == pytest.approx(2 / 35) and found.worst_share == pytest.approx(1 / 7)
    assert "5.71% of the input values" in str(found) and "-65.5 to 62" in str(found)
    assert json.dumps(found.to_json())


def test_inputs_that_use_next_to_nothing_of_the_range_are_told() -> None:
    x = np.linspace(0, 1, 35).reshape(5, 7)
    found = clipping(graph((7,)), x)
    assert found is not None and found.serious and found.share == 0
    assert "from 0 to 1 only" in str(found)
    assert clipping(graph((7,)), x[:1]) is None


def test_a_float_input_saturates_where_the_model_quantizes_it() -> None:
    tensors = {"in": QTensor("in", (2,), 1.0, 0, "float32"), "q": QTensor("q", (2,), 0.5, 3)}
    model = QGraph("g", tensors, (QOp("q", Quantize(), ("in",)),), ("in",), ("q",))
    found = clipping(model, np.array([[0, 1e3]], np.float32))
    assert found is not None and found.share == 0.5


def test_no_samples() -> None:
    assert to_device(graph((7,)), np.zeros((0, 7), np.float32)).shape == (0, 7)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4, 5), np.float32), "x\\[None\\]"),
        (np.zeros((4, 5, 2), np.float32), "x\\[None\\]"),
        (np.zeros((1, 5, 4, 2), np.float32), "N x 2x4x5 or N x 4x5x2"),
        (np.zeros((), np.float32), "shape"),
        (np.zeros((1, 2, 4, 5), np.uint8), "uint8"),
        (np.zeros((1, 2, 4, 5), np.int64), "floats"),
        (np.zeros((1, 2, 4, 5), complex), "floats"),
        (np.full((1, 2, 4, 5), np.nan, np.float32), "NaN"),
        (np.full((1, 2, 4, 5), -np.inf, np.float32), r"infinity \(input 0\)"),
    ],
)
def test_what_is_refused(x: Any, message: str) -> None:
    with pytest.raises(NanoError, match=message):
        to_device(IMAGE, x)
