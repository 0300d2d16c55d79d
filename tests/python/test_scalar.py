"""The kernels for 32-bit cores without SIMD instructions, and those for Xtensa's MAC16: every byte
the simulator's.

What runs them in the same way as those of Armv7E-M is in test_armv7em.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from exported import compile_c, library, run_exported  # noqa: F401
from handmade import GraphBuilder
from kernel_checks import lies_anywhere_below, reference_model
from operators import OPERATORS, inputs_of, operator_graph
from random_graphs import KINDS, random_graph, random_inputs
from test_armv7em import WINDOWS as CONVOLUTIONS
from test_armv7em import convolution, differ
from test_armv7em_depthwise import OTHERS, depthwise
from test_armv7em_depthwise import WINDOWS as DEPTHWISE
from test_overlap import check

from nanotool.ir import Int8Array, QGraph, Window
from nanotool.lower import lower
from nanotool.lower.scalar import limbs
from nanotool.sources import lib_dir

TARGET, MAC16 = TARGETS = ("scalar", "mac16")
DENSE = {target: f"nano_dense_{target}" for target in TARGETS}
CONV2D = {target: f"nano_conv2d_{target}" for target in TARGETS}
FEW = "nano_dense_few_scalar"
LINES = {target: f"nano_depthwise_conv2d_3x3_{target}" for target in TARGETS}
GUARDS = {TARGET: "-D__riscv=1", MAC16: "-DNANO_MAC16=1"}  # what exported sources ask for
both = pytest.mark.parametrize("target", TARGETS)


def kernel(graph: QGraph, x: Int8Array, optimize: str = "speed", target: str = TARGET) -> str:
    """The kernel of ``graph``'s only op; fails where it wrote another byte than the simulator."""
    (name,) = differ(graph, x, target, optimize)
    return name


def dense_kernel(target: str, outputs: int, macs: int) -> str:
    """What takes a dense layer of sums that fit."""
    return FEW if target == TARGET and outputs <= 3 and macs >= 1024 else DENSE[target]


@both
@pytest.mark.parametrize("block", range(2))
def test_random_models(block: int, target: str) -> None:
    kernels: Counter[str] = Counter()
    for seed in range(50 * block, 50 * block + 50):
        graph = random_graph(seed, kinds=("conv2d", "dense") if seed % 2 else KINDS)
        kernels += differ(graph, random_inputs(graph, 6, seed), target)
    assert min(kernels[DENSE[target]], kernels[CONV2D[target]]) >= 5, kernels


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator(kind: str) -> None:
    for seed in range(8):
        graph = operator_graph(kind, seed)
        differ(graph, inputs_of(graph, 5, seed), TARGET)


@both
@pytest.mark.parametrize("window", CONVOLUTIONS, ids=str)
def test_convolutions_of_every_remainder(window: Window, target: str) -> None:
    """Terms that are whole fours and others, blocks that are full and others, pairs of pixels and
    one that is left."""
    for channels in (1, 2, 3, 5, 8):
        for outputs in (1, 2, 3, 4, 9):
            for width in (7, 8):
                graph = convolution((5, width, channels), outputs, window, relu=width == 8)
                assert kernel(graph, random_inputs(graph, 4), target=target) == CONV2D[target]


@both
def test_dense_layers_of_every_remainder(target: str) -> None:
    for inputs in (*range(1, 10), 63, 64, 65, 200, 514, 515):
        for outputs in range(1, 10):
            b = GraphBuilder("dense", (1 + outputs % 3, inputs), seed=inputs)
            b.dense("dense", outputs, relu=bool(outputs % 2))
            wanted = dense_kernel(target, outputs, inputs * outputs * (1 + outputs % 3))
            assert kernel(b.graph(), random_inputs(b.graph(), 4), target=target) == wanted


@pytest.mark.parametrize("inputs", [*range(1, 9), 63, 64, 65])
def test_weights_of_a_byte_for_mac16(inputs: int) -> None:
    """Terms that are whole eights, a four more, and others; inputs that are whole words or not."""
    for outputs in (1, 5):
        b = GraphBuilder("dense", (1 + outputs % 3, inputs), seed=inputs)
        b.dense("dense", outputs, relu=outputs == 5)
        x = random_inputs(b.graph(), 4)
        assert kernel(b.graph(), x, "size", MAC16) == "nano_dense_bytes_mac16"
        assert (
            4 * outputs > lower(b.graph(), MAC16, "size").arrays()[0].data.size - inputs * outputs
        )
    graph = convolution((5, 7, 1 + inputs % 8), 3, CONVOLUTIONS[inputs % 6], relu=inputs == 8)
    assert kernel(graph, random_inputs(graph, 4), "size", MAC16) == "nano_conv2d_bytes_mac16"


@both
@pytest.mark.parametrize("window", [*DEPTHWISE, *OTHERS], ids=str)
def test_depthwise_convolutions_of_every_size(window: Window, target: str) -> None:
    """Lines of one output and more; channels that are whole words and others; rows and columns as
    lines; in one band and in several."""
    seen = set()
    for height, width in [(1, 1), (2, 3), (3, 3), (4, 9), (9, 4), (25, 5), (12, 12), (40, 33)]:
        if min(window.output_size(height, width)) < 1:
            continue
        for channels in (2, 3, 4, 5, 6, 8):
            graph = depthwise((height, width, channels), window, channels % 2 == 0, channels)
            seen.add(kernel(graph, random_inputs(graph, 4), target=target))
    if window in DEPTHWISE:
        assert seen == {LINES[target]}
    else:
        assert LINES[target].replace("_3x3", "") in seen


def extreme(weight: int, terms: int) -> tuple[QGraph, Int8Array]:
    """A dense layer whose sums reach the ends of their ranges, and inputs that bring them there."""
    b = GraphBuilder("extreme", (2, terms))
    b.dense("dense", 4, relu=False)
    graph = b.graph()
    rows = np.tile(np.array([-weight, weight], np.int8), (4, terms // 2 + 1))[:, :terms]
    scale = np.full(4, 40 * graph.output_tensor.scale / graph.input_tensor.scale / terms / 127**2)
    op = replace(graph.ops[0], weight=rows, weight_scale=scale.astype(np.float32))
    graph = replace(graph, ops=(op,))
    signs = np.resize([-1, 1], (2, 2, terms)) * np.array([[[128]], [[-128]]])
    x = np.clip(signs, -128, 127).astype(np.int8)
    return graph, x


@both
@pytest.mark.parametrize("terms", [64, 65, 512, 515])
@pytest.mark.parametrize("weight", [127, -127])
def test_sums_at_the_ends_of_their_ranges(weight: int, terms: int, target: str) -> None:
    """Accumulators up to 2^20 and beyond, of both signs, in both forms of the scaling."""
    graph, x = extreme(weight, terms)
    assert kernel(graph, x, target=target) == DENSE[target]
    (call,) = lower(graph, target, "speed").ops
    assert dict(call.params.fields)["wide"] == int(terms > 64)  # 64 * 127 * 128 < 2^20


@both
def test_what_is_not_proved_takes_the_portable_kernel(target: str) -> None:
    """More terms than sums hold; small memory wanted."""
    b = GraphBuilder("steep", (3,))
    b.dense("dense", 2)
    graph, x = b.graph(), random_inputs(b.graph(), 4)
    assert kernel(graph, x, target=target) == DENSE[target]
    small = "nano_dense" if target == TARGET else "nano_dense_bytes_mac16"
    assert kernel(graph, x, "size", target) == small
    b = GraphBuilder("long", (2**15 + 1,))
    b.dense("dense", 1)
    assert kernel(b.graph(), random_inputs(b.graph(), 2), target=target) == "nano_dense"


def test_sums_of_any_size() -> None:
    """Accumulators beyond 2^23, of both signs; scales that shift left."""
    for outputs, relu in ((1, True), (7, False)):
        for window in CONVOLUTIONS[:3]:
            graph = convolution((6, 7, 700), outputs, window, relu=relu)
            weight = graph.ops[0].weight
            assert weight is not None
            weight = np.where(weight < 0, np.int8(-127), np.int8(127))
            graph = replace(graph, ops=(replace(graph.ops[0], weight=weight),))
            x = random_inputs(graph, 4)
            x[0], x[1] = -128, 127
            few = outputs == 1 and window == Window((1, 1))
            wanted = "nano_dense_few_long_scalar" if few else "nano_conv2d_long_scalar"
            assert kernel(graph, x) == wanted
        b = GraphBuilder("steep", (2, 3))
        b.dense("dense", outputs, relu=relu)
        graph = b.graph()
        scale = np.full(outputs, 2 * graph.output_tensor.scale / graph.input_tensor.scale)
        op = replace(graph.ops[0], weight_scale=scale.astype(np.float32))
        graph = replace(graph, ops=(op,))
        assert kernel(graph, random_inputs(graph, 4)) == "nano_dense_long_scalar"


@pytest.mark.parametrize("name", ["ad", "kws", "ic", "vww"])
def test_the_reference_models(name: str) -> None:
    """TFLite Micro's answers, within the memory that each is promised."""
    lowered, *_ = reference_model(name, TARGET)
    portable = {"nano_dense", "nano_conv2d", "nano_conv2d_add"}
    assert portable.isdisjoint(op.kernel for op in lowered.ops)


@both
def test_overlaps_are_what_the_kernels_bear(target: str) -> None:
    """One byte closer than stated something is overwritten too early, in most nets."""
    tight = wrong = 0
    for seed in range(30):
        graph = random_graph(seed, kinds=("conv2d", "dense"), layers=2)
        counts = check(graph, random_inputs(graph, 6, seed), target)
        tight, wrong = tight + counts[0], wrong + counts[1]
    assert tight >= 10
    assert wrong >= 0.5 * tight, f"{wrong} of {tight}"


@both
def test_a_depthwise_output_may_lie_anywhere_below_the_input(target: str) -> None:
    for number, window in enumerate(DEPTHWISE):
        for shape in ((5, 6, 5), (14, 5, 4), (9, 16, 8)):
            graph = depthwise(shape, window, seed=number)
            lies_anywhere_below(graph, target, (1, 4), number)


# --- Exported, under the sanitizers ---------------------------------------------------------------


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel of Armv6-M, whose inputs of two windows are not side by side."""
    made = tmp_path_factory.mktemp("tile") / "tile.o"
    source = lib_dir() / "src" / "ops" / "conv2d" / "tile_scalar.c"
    compile_c("-DNANO_TILE_PAIRED=0", "-c", source, "-o", made)
    return made


@both
@pytest.mark.parametrize("seed", range(6))
def test_small_convolutions_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    seed: int,
    target: str,
) -> None:
    """Whole words of inputs and others; lines of an odd number of outputs; what is read ahead is
    there."""
    graph = convolution((6, 5, 3 + seed), 5, CONVOLUTIONS[seed], relu=seed % 4 == 0)
    x = random_inputs(graph, 8, seed)
    run_exported(library, tmp_path, lower(graph, target, "speed"), x, GUARDS[target])
    graph = depthwise((9, 8 + seed, 4), (*DEPTHWISE[:3], *OTHERS[-3:])[seed], seed % 2 == 0, seed)
    run_exported(
        library, tmp_path, lower(graph, target, "speed"), random_inputs(graph, 4), GUARDS[target]
    )


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_exported_models_under_the_sanitizers(
    library: Path,  # noqa: F811
    one_by_one: Path,
    tmp_path: Path,
    seed: int,
    paired: bool,
) -> None:
    if seed % 2:
        graph = random_graph(seed, kinds=("conv2d", "dense"))
    elif paired:
        graph = depthwise((13, 10 - seed, 4 + seed // 2), DEPTHWISE[seed], seed % 4 == 0, seed)
    else:
        graph = convolution((6, 5, 3 + seed), 5, CONVOLUTIONS[seed], relu=seed % 4 == 0)
    x = random_inputs(graph, 8, seed)
    tile = () if paired else (one_by_one,)
    run_exported(library, tmp_path, lower(graph, TARGET, "speed"), x, GUARDS[TARGET], *tile)


@both
def test_the_wide_scaling_under_the_sanitizers(
    library: Path,  # noqa: F811
    tmp_path: Path,
    target: str,
) -> None:
    """Sums of a block of outputs serve several turns of its loop."""
    graph, x = extreme(127, 515)
    run_exported(library, tmp_path, lower(graph, target, "speed"), x, GUARDS[target])
    run_exported(library, tmp_path, lower(graph, target, "size"), x, GUARDS[target])


def channels(most: int, answers: tuple[int, int]) -> limbs._Channels:
    """A channel of sums up to ``most``, of both signs, halved and shifted by 12 bits."""
    layer = SimpleNamespace(output=SimpleNamespace(zero_point=0), clamp=answers)
    numbers = (np.array([[number]], np.int64) for number in (-most, most, 2**30, 12))
    return limbs._Channels.between(layer, *numbers)  # type: ignore[arg-type]


def test_two_limbs_hold_sums_below_two_to_the_20() -> None:
    assert channels(2**20 - 1, (-128, 127)).words(15) is not None
    assert channels(2**20, (-128, 127)).words(15) is None


def test_roundings_reach_to_the_ends_of_int32() -> None:
    """Where the output is the same for every sum nothing else bounds them."""
    most = 2**20 - 1
    for factor in (2**12, 3 * 2**11):
        numbers = (np.array([[number]], np.int64) for number in (factor, 1))
        low, high = channels(most, (5, 5))._roundings(*numbers)
        assert ((-most * factor) >> 12) - 2 + low.item() == -(2**31)
        assert (most * factor >> 12) + high.item() == 2**31 - 1
