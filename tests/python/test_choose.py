"""Memory against time: every choice gives the same bytes, and none is chosen that another beats."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn

from nanotool.errors import NanoError
from nanotool.ir import AveragePool2D, Conv2D, MaxPool2D, QGraph, Window
from nanotool.lower import assemble, groups_for, lower
from nanotool.pipeline import curve, prepare
from nanotool.plan import plan
from nanotool.runtime import Runtime
from nanotool.simulate import simulate
from nanotool.slow import sentences, slow_layers
from nanotool.targets import TARGETS, ram_goal, ram_of

FAST = tuple(name for name in TARGETS if name != "portable")


def conv_and_pool(seed: int) -> QGraph:
    """A convolution and the pool behind it, of any geometry that is valid."""
    rng = np.random.default_rng(seed)

    def window(size: tuple[int, ...], *, dilate: bool) -> tuple[Window, tuple[int, int]]:
        kernel = [int(rng.integers(1, min(n, 4) + 1)) for n in size[:2]]
        stride = [int(rng.integers(1, 4)) for _ in kernel]
        dilation = [int(rng.integers(1, 3)) if dilate and n > 6 else 1 for n in size[:2]]
        most = [k - 1 for k in kernel]
        padding = [int(rng.integers(0, m + 1)) for m in (*most, *most)]
        out = [
            (n + a + b - d * (k - 1) - 1) // s + 1
            for n, a, b, d, k, s in zip(
                size, padding[:2], padding[2:], dilation, kernel, stride, strict=False
            )
        ]
        top, left, bottom, right = padding
        pairs = ((one[0], one[1]) for one in (kernel, stride, dilation))
        reach, steps, apart = pairs
        return Window(reach, steps, (top, left, bottom, right), apart), (out[0], out[1])

    shape = (int(rng.integers(5, 14)), int(rng.integers(5, 14)), int(rng.choice([1, 2, 3, 4, 8])))
    b = GraphBuilder(f"pooled{seed}", shape, seed)
    channels = int(rng.choice([1, 3, 4, 5, 8, 12]))
    conv, out = window(shape, dilate=bool(rng.integers(0, 2)))
    weights = (channels, *conv.kernel, shape[2])
    b.weighted("conv", Conv2D(conv), (*out, channels), weights, relu=bool(rng.integers(0, 2)))
    pool, pooled = window(out, dilate=False)
    kind = MaxPool2D if rng.integers(0, 3) else AveragePool2D
    b.plain("pool", kind(pool), (*pooled, channels))
    return b.graph()


@pytest.mark.parametrize("target", FAST)
def test_every_way_gives_the_same_bytes(target: str) -> None:
    kernels = set()
    for seed in range(30):
        graph = conv_and_pool(seed)
        if min(min(tensor.shape) for tensor in graph.tensors.values()) < 1:
            continue
        x = graph.samples[0]
        wanted = simulate(graph, x)
        (group,) = groups_for(graph, target)
        for way in group.ways():
            lowered = assemble(graph, target, "balanced", way)
            kernels |= {op.kernel for op in lowered.ops}
            given = Runtime(lowered, plan(lowered)).run(x)
            assert np.array_equal(given, wanted), (seed, [op.kernel for op in lowered.ops])
    ending = {"armv7em": "dsp", "armv81m": "mve"}.get(target, target)
    both = {f"nano_conv2d_{kind}_pool_{ending}" for kind in ("max", "average")}
    assert both <= kernels


def test_the_knee_of_digits() -> None:
    """Conv and pool in one call: a third of the arena, at about the fastest plan's time."""
    graph = digits_cnn()
    fast, knee = (lower(graph, "armv7em", goal) for goal in ("speed", "balanced"))
    assert "nano_conv2d_max_pool_relu_dsp" in {op.kernel for op in knee.ops}
    assert plan(knee).arena_size <= 3200 < plan(fast).arena_size
    cost = [sum(op.cost for op in one.ops) for one in (fast, knee)]
    assert cost[0] <= cost[1] <= 1.3 * cost[0]


@pytest.mark.parametrize("target", ["armv7em", "scalar"])
def test_the_fastest_plan_that_fits(target: str) -> None:
    graph = digits_cnn()
    points = curve(graph, target)
    assert len(points) >= 3
    assert sum(point.chosen for point in points) == 1
    for before, after in pairwise(points):
        assert before.arena_bytes > after.arena_bytes
        assert before.instructions < after.instructions
    for point in points:
        lowered, planned = prepare(graph, target, ram_goal(point.arena_bytes))
        assert planned.arena_size <= point.arena_bytes
        assert sum(op.cost for op in lowered.ops) <= 1.06 * point.instructions
        assert ram_of(lowered.optimize) == point.arena_bytes
    least = points[-1].arena_bytes
    with pytest.raises(NanoError, match=f"smallest that was found takes {least:,}"):
        prepare(graph, target, ram_goal(least - 1))


def test_a_slow_layer_says_why() -> None:
    b = GraphBuilder("slow", (8, 8, 3))
    b.plain("pool", MaxPool2D(Window((2, 2), (2, 2))), (4, 4, 3))
    graph = b.graph()
    (slow,) = slow_layers(lower(graph, "armv7em"))
    assert (slow.label, slow.kernel) == ("pool", "nano_max_pool")
    assert slow.reason == "fewer than 4 channels: 3"
    assert 0 < slow.saved < slow.cost
    (sentence,) = sentences(lower(graph, "armv7em"))
    assert sentence.startswith("pool runs on a portable kernel: fewer than 4 channels: 3, which")
    assert not slow_layers(lower(graph, "portable"))


def test_a_scale_that_no_fast_kernel_has_is_named() -> None:
    b = GraphBuilder("steep", (3,))
    b.dense("dense", 2)
    graph = b.graph()
    steep = np.array([2.0 * graph.output_tensor.scale / graph.input_tensor.scale], np.float32)
    graph = replace(graph, ops=(replace(graph.ops[0], weight_scale=steep),))
    (slow,) = slow_layers(lower(graph, "armv7em", "speed"))
    assert slow.reason == "an output rises by half a unit or more as its sum rises by one"
