"""The memory planner: valid always, optimal on small graphs, and pictures that tell the truth."""

from __future__ import annotations

import random
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from handmade import GraphBuilder, digits_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import graphs, random_inputs

from nanotool import plan as planner
from nanotool.backends.c import emit
from nanotool.frontends.tflite.convert import load as load_tflite
from nanotool.ir import Lowered, Plan
from nanotool.lower import lower
from nanotool.plan import (
    Block,
    Problem,
    align,
    draw,
    lower_bound,
    overlaps,
    plan,
    problem_of,
    solve,
    svg,
)
from nanotool.runtime import Runtime
from nanotool.simulate import simulate_all

MODELS = Path(__file__).parent.parent / "models"

# --- An oracle that shares nothing with the planner -----------------------------------------------


def compatible(problem: Problem, i: int, at_i: int, j: int, at_j: int) -> bool:
    """Whether blocks i and j may lie at these offsets."""
    a, b = problem.blocks[i], problem.blocks[j]
    if a.last < b.first or b.last < a.first:
        return True
    if at_i + problem.rooms[i] <= at_j or at_j + problem.rooms[j] <= at_i:
        return True
    if (i, j) in problem.gaps and at_j - at_i >= problem.gaps[i, j]:
        return True
    return (j, i) in problem.gaps and at_i - at_j >= problem.gaps[j, i]


def smallest(problem: Problem) -> int:
    """The smallest arena, by trying every offset of every block."""

    def fits(size: int, offsets: tuple[int, ...]) -> bool:
        i = len(offsets)
        if i == len(problem.blocks):
            return True
        return any(
            all(compatible(problem, i, at, j, offsets[j]) for j in range(i))
            and fits(size, (*offsets, at))
            for at in range(0, size - problem.rooms[i] + 1, 4)
        )

    size = max(block.room for block in problem.blocks)
    while not fits(size, ()):
        size += 4
    return size


def check(problem: Problem, offsets: list[int]) -> int:
    """The arena's size, after a look at every pair."""
    for i in range(len(offsets)):
        assert offsets[i] >= 0
        assert offsets[i] % planner.TENSOR_ALIGN == 0
        for j in range(i):
            assert compatible(problem, i, offsets[i], j, offsets[j]), (problem, offsets)
    return max(offset + block.room for offset, block in zip(offsets, problem.blocks, strict=True))


def scattered(rng: random.Random, count: int) -> Problem:
    """Blocks that live at random."""
    blocks = []
    for i in range(count):
        first = rng.randint(0, 5)
        size = rng.randint(1, 18)
        blocks.append(Block(f"b{i}", size, first, first + rng.randint(0, 3)))
    return Problem(tuple(blocks), {})


def chained(rng: random.Random, count: int) -> Problem:
    """Layers, some with skip connections, scratch, and overlaps of every size."""
    blocks: list[Block] = []
    gaps: dict[tuple[int, int], int] = {}
    while len(blocks) < count:
        op = len(blocks)
        last = op + (rng.randint(0, 3) if rng.random() < 0.3 else 0)
        blocks.append(Block(f"b{op}", rng.randint(1, 18), op - 1, last))
        if op and blocks[op - 1].last == op - 1 and rng.random() < 0.7:
            gaps[op, op - 1] = 4 * rng.randint(0, 5)
    if count > 1 and rng.random() < 0.3:
        op = rng.randrange(count - 1)
        blocks[-1] = Block("scratch", rng.randint(1, 18), op, op, scratch=True)
        gaps = {pair: gap for pair, gap in gaps.items() if count - 1 not in pair}
    return Problem(tuple(blocks), gaps)


# --- The planner against it -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [scattered, chained])
def test_small_problems_are_solved_optimally(make: object) -> None:
    assert callable(make)
    rng = random.Random(20)
    searched = 0
    for _ in range(250):
        problem = make(rng, rng.randint(1, 6))
        offsets, method, bound = solve(problem)
        assert method == "exact"
        assert check(problem, offsets) == bound == smallest(problem)
        searched += bound > lower_bound(problem)
    if make is chained:
        assert searched, "no problem needed the search"


def test_large_problems_are_valid_and_close_to_the_bound() -> None:
    rng = random.Random(30)
    for count in (30, 60, 150):
        for make in (scattered, chained):
            problem = make(rng, count)
            offsets, _, bound = solve(problem)
            assert lower_bound(problem) <= bound <= check(problem, offsets) <= 1.3 * bound


def test_a_plan_that_the_search_gave_up_on_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the problems whose bound cannot be met, none is called exact unless searched through."""
    monkeypatch.setattr(planner, "SHORT_SEARCH", 3)
    monkeypatch.setattr(planner, "SEARCH_BUDGET", 3)
    rng = random.Random(20)
    methods = set()
    for _ in range(250):
        problem = chained(rng, 6)
        offsets, method, bound = solve(problem)
        size = check(problem, offsets)
        assert (method == "exact") == (size == bound)
        methods.add(method)
    assert "exact" in methods
    assert len(methods) > 1


def test_planning_repeats_itself() -> None:
    lowered = lower(digits_cnn())
    assert plan(lowered) == plan(lowered)


# --- Real nets ------------------------------------------------------------------------------------


def test_digits_arena() -> None:
    """No convolution's output is ever whole: what is left are the pools', over their inputs."""
    lowered = lower(digits_cnn())
    result = plan(lowered)
    assert result.arena_size == result.lower_bound == 1660
    assert result.method == "exact"


def test_without_overlap_the_digits_need_more() -> None:
    lowered = lower(digits_cnn())
    apart = replace(lowered, ops=tuple(replace(op, overlaps=(None,)) for op in lowered.ops))
    assert plan(apart).arena_size == 1568 + 784 + 64


def test_a_buffer_that_is_read_again_is_not_overwritten() -> None:
    """Only an input that dies may be overlapped: here the output itself is the third layer's
    input, the input the fourth's."""
    b = GraphBuilder("twice", (8, 8, 2))
    b.conv2d("a", 2, kernel=1)
    b.conv2d("b", 2, kernel=1)
    lowered = lower(b.graph())
    again = replace(lowered.ops[1], name="c", output="c", inputs=("input",))
    both = replace(
        lowered,
        ops=(*lowered.ops, again),
        buffers={**lowered.buffers, "c": lowered.buffers["b"]},
        outputs=("c",),
    )
    gaps = problem_of(both).gaps
    names = [block.name for block in problem_of(both).blocks]
    assert {(names[x], names[y]) for x, y in gaps} == {("b", "a"), ("c", "input")}


def test_the_output_lives_to_the_end() -> None:
    lowered = lower(digits_cnn())
    buffers = plan(lowered).buffers
    assert buffers[lowered.input].first == -1
    assert buffers[lowered.output].last == len(lowered.ops)


def test_scratch_is_placed_apart() -> None:
    lowered = lower(digits_cnn())
    ops = list(lowered.ops)
    ops[2] = replace(ops[2], scratch=333)
    result = plan(replace(lowered, ops=tuple(ops)))
    room = result.scratch[2]
    assert (room.size, room.first, room.last) == (333, 2, 2)
    for name in (*ops[2].inputs, ops[2].output):
        other = result.buffers[name]
        assert room.offset + 333 <= other.offset or other.offset + other.size <= room.offset
    assert "scratch" in draw(lowered, result)


def assert_apart(lowered: Lowered, result: Plan) -> None:
    """No two buffers that live at once share a byte, but an op's dying inputs and its output."""
    places = list(result.buffers.values())
    pairs: dict[tuple[str, str], int] = {}
    for index, op in enumerate(lowered.ops):
        for name, gap in overlaps(op).items():
            if result.buffers[name].last == index:
                pairs[name, op.output] = gap
    for i, a in enumerate(places):
        assert a.offset + a.size <= result.arena_size
        for b in places[:i]:
            if a.last < b.first or b.last < a.first:
                continue
            if a.offset + a.size <= b.offset or b.offset + b.size <= a.offset:
                continue
            source, output = (a, b) if (a.name, b.name) in pairs else (b, a)
            assert source.offset - output.offset >= pairs[source.name, output.name]


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_the_kernels_run_right_in_the_planned_arena(graph: object, seed: int) -> None:
    """Every tensor comes out as the simulator has it, wherever it lies: no live buffer is hurt."""
    from nanotool.ir import QGraph

    assert isinstance(graph, QGraph)
    lowered = lower(graph)
    result = plan(lowered)
    assert_apart(lowered, result)
    x = random_inputs(graph, 3, seed)
    expected = simulate_all(graph, x)
    got = Runtime(lowered, result).run_all(x)
    for op, values in zip(lowered.ops, got, strict=True):
        assert not op.source or np.array_equal(values, expected[op.output]), op.name


# --- The reference models of MLPerf Tiny ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arena", "allowed"),
    [("kws", 9_792, 10_500), ("ic", 32_784, 35_000), ("vww", 36_872, 40_000), ("ad", 768, 1_400)],
)
def test_arenas_of_the_reference_models(name: str, arena: int, allowed: int) -> None:
    """The whole arena on the portable target; ``allowed`` is what it may take at most."""
    begin = time.perf_counter()
    lowered = lower(load_tflite(MODELS / f"{name}.tflite"))
    result = plan(lowered)
    emit.sources([(lowered, result)], golden=0)
    assert time.perf_counter() - begin < 5
    assert_apart(lowered, result)
    assert result.arena_size == arena <= allowed
    assert result.method == "exact"


def test_a_graph_of_sixty_branching_ops_is_planned_well_and_soon() -> None:
    """Residual blocks, each with a convolution, a depthwise one and an addition."""
    rng = random.Random(40)
    blocks: list[Block] = [Block("x", 4000, -1, 0)]
    gaps: dict[tuple[int, int], int] = {}
    for op in range(0, 60, 3):
        size = rng.randint(500, 4000)
        skip = len(blocks) - 1
        blocks[skip] = replace(blocks[skip], last=op + 2)
        blocks += [
            Block(f"a{op}", 3 * size, op, op + 1),
            Block(f"b{op}", size, op + 1, op + 2),
            Block(f"c{op}", size, op + 2, op + 3),
        ]
        gaps[skip + 2, skip + 1] = 256
        gaps[skip + 3, skip + 2] = 0
        gaps[skip + 3, skip] = 0
    problem = Problem(tuple(blocks), gaps)
    begin = time.perf_counter()
    offsets, _, bound = solve(problem)
    assert time.perf_counter() - begin < 10
    assert check(problem, offsets) <= 1.05 * bound


# --- Pictures -------------------------------------------------------------------------------------


def test_the_picture() -> None:
    lowered = lower(digits_cnn())
    lines = draw(lowered, plan(lowered), ascii_only=True).splitlines()
    assert lines[0] == (
        "1,660 bytes of arena for 4 tensors of 3,146 bytes; no smaller arena is possible"
    )
    assert "\n".join(lines[3:]) == "\n".join(
        (
            "    input                        ........................########################"
            "       784 B",
            "  0 features.0 + features.2      ########################%%%%%%%%%%%%%%%%%%%%%%=="
            "     1,652 B",
            "  1 features.3 + features.5      %%%%%%%%%%%%%%%%%%%%%%%=======================xx"
            "     1,640 B",
            "  2 classifier                   ======================#........................."
            "       794 B",
            "    output                       ......................#........................."
            "        10 B",
            "",
            ". free   x scratch   = read   # written   % written over what is read",
        )
    )


def test_pictures_of_any_net_are_narrow_and_well_formed() -> None:
    b = GraphBuilder("wide", (40, 40, 4))
    b.conv2d("a.very.long.module.path.that.does.not.fit.<into>.the.column&.conv", 16)
    b.flatten("flat")
    b.dense("out", 300)
    lowered = lower(b.graph(samples=1))
    result = plan(lowered)
    assert max(map(len, draw(lowered, result).splitlines())) <= 100
    root = ET.fromstring(svg(lowered, result))
    titles = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    assert len(titles) == len(lowered.buffers)
    assert any("25,600 bytes" in title for title in titles)


def test_a_model_without_ops_has_a_picture() -> None:
    b = GraphBuilder("still", (4, 4, 1))
    b.flatten("flat")
    lowered = lower(b.graph())
    result = plan(lowered)
    assert result.arena_size == align(16) == 16
    assert draw(lowered, result).count("16 B") == 2
    ET.fromstring(svg(lowered, result))


def test_long_names_keep_their_end() -> None:
    for name, shown in (
        ("short", "short"),
        ("functional_1/activation_1/Relu", ".../activation_1/Relu"),
        ("a_single_part_that_is_longer_than_the_column", "...is_longer_than_the_column"),
        ("model/" + "x" * 40, "..." + "x" * 25),
    ):
        builder = GraphBuilder("names", (4,))
        builder.dense(name, 4)
        lowered = lower(builder.graph())
        line = draw(lowered, plan(lowered), ascii_only=True).splitlines()[4]
        assert line.startswith(f"  0 {shown}") and len(line) <= 100
