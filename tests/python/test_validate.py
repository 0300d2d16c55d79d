"""What a graph has to be, in figures that a hostile file may name."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_graphs import examples

from nanotool.errors import InvalidModel
from nanotool.ir import MaxPool2D, QGraph, QOp, QTensor, Window
from nanotool.validate import validate


@pytest.mark.parametrize("gap", [1, 3])
def test_a_pool_of_millions_of_windows_costs_nothing(gap: int) -> None:
    """They are not looked at one by one."""
    length = 2**27
    window = Window((2, 1), padding=(1, 0, 1, 0), dilation=(gap, 1))
    source = QTensor("x", (length, 1, 1), 0.1, 0)
    target = QTensor("y", (*window.output_size(length, 1), 1), 0.1, 0)
    graph = QGraph(
        "pool", {"x": source, "y": target}, (QOp("y", MaxPool2D(window), ("x",)),), ("x",), ("y",)
    )
    tracemalloc.start()
    try:
        validate(graph)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@examples(500)
@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 6),
    padding=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    dilation=st.integers(1, 5),
)
def test_pools_need_something_under_every_window(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> None:
    window = Window((kernel, 1), (stride, 1), (padding[0], 0, padding[1], 0), (dilation, 1))
    count = window.output_size(size, 1)[0]
    assume(count >= 1)
    taps = [range(k * stride - padding[0], 10**6, dilation)[:kernel] for k in range(count)]
    sound = all(any(0 <= tap < size for tap in window_taps) for window_taps in taps)
    tensors = {"x": QTensor("x", (size, 1, 1), 0.1, 0), "y": QTensor("y", (count, 1, 1), 0.1, 0)}
    graph = QGraph("pool", tensors, (QOp("y", MaxPool2D(window), ("x",)),), ("x",), ("y",))
    with contextlib.nullcontext() if sound else pytest.raises(InvalidModel, match="padding alone"):
        validate(graph)
