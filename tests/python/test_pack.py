"""Packed scales and row pairs: exact wherever lowering says so, and the C forms of instructions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
from handmade import GraphBuilder
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_graphs import examples, random_graph

from nanotool import numerics
from nanotool.ir import Conv2D, Dense, QGraph, QOp
from nanotool.lower import pack
from nanotool.lower.layer import TargetLayer
from nanotool.ops import Layer, layer_of

Int64s: TypeAlias = NDArray[np.int64]


def layers(graph: QGraph) -> list[TargetLayer[Any]]:
    """Every layer of ``graph`` that has weights."""
    return [target_layer(graph, op) for op in graph.ops if isinstance(op.op, (Conv2D, Dense))]


def target_layer(graph: QGraph, op: QOp) -> TargetLayer[Any]:
    layer = layer_of(graph, op)
    return TargetLayer(op, layer.inputs, layer.output, layer.constants, (op.name,))


def smmlar(a: Int64s, b: Int64s, add: Int64s) -> Int64s:
    return add + ((a * b + 2**31) >> 32)


def requantize_dsp(layer: Layer[Any], scales: NDArray[Any], sums: Int64s) -> Int64s:
    """nano_requantize_dsp() of sums [n, out] without bias, with 64 bits, and none may be needed."""
    word, multiplier = scales[:, 0].astype(np.int64), scales[:, 1].astype(np.int64)
    shift = word & 0xFF
    acc2 = 2 * sums + (word >> 7)
    offset = ((2 * layer.output.zero_point + 1) << shift) - (acc2 < 0)
    total = smmlar(acc2, multiplier, offset)
    for value in (acc2, offset, total):
        assert (np.abs(value) < 2**31).all()
    bounded: Int64s = np.clip(np.clip((total >> shift) >> 1, -128, 127), *layer.clamp)
    return bounded


@pytest.mark.parametrize("block", range(4))
def test_scales_give_the_references_bytes(block: int) -> None:
    """At the ends of what the accumulators reach, and between."""
    taken = constant = 0
    for seed in range(100 * block, 100 * block + 100):
        for layer in layers(random_graph(seed, kinds=("conv2d", "dense"))):
            packed = pack.scaled(layer)
            if packed is None:
                continue
            taken += 1
            rows = layer.weight.reshape(len(packed.scales), -1)
            factors = layer.multipliers()
            bias = layer.bias - layer.input.zero_point * rows.sum(axis=1, dtype=np.int64)
            rng = np.random.default_rng(seed)
            x = rng.integers(-128, 128, (40, rows.shape[1]))
            ends = [np.where(rows > 0, 127, -128), np.where(rows > 0, -128, 127)]
            for sums, packed_sums in [
                (x @ rows.T.astype(np.int64), x @ packed.weight.T.astype(np.int64)),
                *(
                    ((end * rows).sum(axis=1)[None], (end * packed.weight).sum(axis=1)[None])
                    for end in ends
                ),
            ]:
                acc = (sums + bias).astype(np.int32)
                wanted = numerics.requantize(acc, *factors, layer.output.zero_point, *layer.clamp)
                got = requantize_dsp(layer, packed.scales, packed_sums)
                assert np.array_equal(got, wanted), (seed, layer.name)
            constant += int((packed.weight != rows).any(axis=1).sum())
    assert taken > 100
    assert constant > 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 700))
@examples(60)
def test_row_pairs_give_both_sums(seed: int, outputs: int, terms: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-128, 128, (outputs, terms)).astype(np.int8)
    if seed % 2:
        rows = np.maximum(rows, -127)
    halves = pack.row_pairs(rows)
    even, odd = rows[0::2].astype(np.int64), rows[1::2].astype(np.int64)
    if halves is None:
        below = (odd == -128) & (even[: len(odd)] < 0)
        assert below.any() or 128 * np.abs(odd).sum(axis=1).max() >= 2**23
        return
    for x in (rng.integers(-128, 128, terms), *np.where(odd < 0, -128, 127)):
        whole = (halves.astype(np.int64) * x).sum(axis=1)
        low = (((halves.astype(np.int64) & 0xFF) ^ 0x80) - 0x80) @ x
        apart = (whole - low).astype(np.int32)
        assert np.array_equal(low, even @ x)
        assert np.array_equal((apart >> 8)[: len(odd)], odd @ x)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_blocks_have_two_pairs_of_rows_side_by_side(count: int) -> None:
    rows = np.arange(5 * 3 * 4, dtype=np.int16).reshape(5, 3, 4)  # [pairs][quads][4]
    expected = [rows[2 * block + pair, quad] for block in range(count)
                for quad in range(3) for pair in (0, 1)]  # fmt: skip
    expected += [row for pair in rows[2 * count :] for row in pair]
    assert np.array_equal(pack.blocks(rows, count), np.concatenate(expected))


def test_minus_128_above_a_negative_number_does_not_fit() -> None:
    assert pack.row_pairs(np.array([[-1], [-128]], np.int8)) is None
    assert pack.row_pairs(np.array([[0], [-128]], np.int8)) is not None
    assert pack.row_pairs(np.array([[-128], [-127]], np.int8)) is not None


def test_sums_beyond_24_bits_are_no_pair() -> None:
    for terms in (516, 517):
        rows = np.full((2, terms), 127, np.int8)
        assert (pack.row_pairs(rows) is None) == (127 * 128 * terms > 2**23)
    assert pack.row_pairs(np.full((1, 600), 127, np.int8)) is not None  # alone it is the low one


def test_parts_of_a_row_hold_what_it_does_not() -> None:
    for terms in (517, 1024, 1025, 5000):
        for block in (4, 8):
            ends = pack.part_ends(terms, block)
            parts = np.diff([0, *ends, -(-terms // block) * block])
            assert (parts[:-1][1:] == 512).all() and 0 < parts[-1] <= 512
            assert 512 - 8 * block < parts[0] <= 512
            rows = np.full((2, terms), 127, np.int8)
            assert pack.row_pairs(rows) is None
            assert pack.row_pairs(rows, ends) is not None
    assert pack.row_pairs(np.full((2, 600), -128, np.int8), [512]) is None


def test_no_right_shift_takes_the_portable_kernel() -> None:
    b = GraphBuilder("steep", (3,))
    b.dense("dense", 2)
    graph = b.graph()
    scale = np.array([2.0 * graph.output_tensor.scale / graph.input_tensor.scale], np.float32)
    (layer,) = layers(graph)
    assert pack.scaled(layer) is not None
    assert pack.scaled(replace(layer, qop=replace(layer.qop, weight_scale=scale))) is None
