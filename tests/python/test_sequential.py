"""SequentialModel: NANO-RUST's formulas within one unit, errors, memory, and the exported model."""

from __future__ import annotations

import gc
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples

from nanotool import NanoError, SequentialModel
from nanotool.ir import Int8Array
from nanotool.models import load_model
from nanotool.pipeline import prepare
from nanotool.runtime import Runtime
from nanotool.sequential.layers import LayerError
from nanotool.simulate import simulate


def random_bytes(rng: np.random.Generator, *shape: int) -> Int8Array:
    return rng.integers(-128, 128, shape).astype(np.int8)


def all_int8() -> Int8Array:
    return np.arange(-128, 128).astype(np.int8)


def exact_dense(x: Int8Array, w: Int8Array, bias: Int8Array, ratio: float) -> list[int]:
    """NANO-RUST's formula, which rounds down: clamp(floor(acc · ratio) + bias)."""
    sums = (w.astype(int) @ x.astype(int)).tolist()
    return [
        max(-128, min(127, math.floor(acc * ratio) + b))
        for acc, b in zip(sums, bias.tolist(), strict=True)
    ]


def close(ours: Any, theirs: Any) -> bool:
    """We round to the nearest, they round down: equal, or one more."""
    return set(np.unique(np.asarray(ours, int).ravel() - np.asarray(theirs, int).ravel())) <= {0, 1}


def test_no_inputs_and_ragged_ones() -> None:
    for trainable in (False, True):
        model = SequentialModel([2, 3, 3])
        model.add_conv2d([1] * 4, [0, 0], 2, 2, 1, 1, 1, 0)
        if trainable:
            model.add_trainable_dense(18, 4)
        empty = model.forward(np.zeros((0, 2, 3, 3), np.int8))
        assert empty.shape == ((0, 4) if trainable else (0, 2, 3, 3))
        if trainable:
            with pytest.raises(NanoError, match="has seen no input"):
                model.graph()
            model.forward([5] * 18)
        assert model.graph(samples=np.zeros((0, 2, 3, 3), np.int8)).samples
        with pytest.raises(NanoError, match="no array"):
            model.forward([[1, 2], [3]])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        model.train_step([0] * 18, 1.5)  # type: ignore[arg-type]


# --- Layers against their formulas ----------------------------------------------------------------


@examples(40)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 2**32 - 1), st.booleans())
def test_dense_is_within_one_unit(inputs: int, outputs: int, seed: int, calibrated: bool) -> None:
    rng = np.random.default_rng(seed)
    w, b, x = (random_bytes(rng, *s) for s in ((outputs, inputs), (outputs,), (inputs,)))
    model = SequentialModel([inputs], 1 << 20)
    if calibrated:
        shift = int(rng.integers(12, 32))
        multiplier = max(1, int(2**shift / (math.sqrt(inputs) * rng.uniform(50, 500))))
        model.add_dense_with_requant(w.ravel().tolist(), b.tolist(), multiplier, shift)
        ratio = multiplier / 2**shift
    else:
        model.add_dense(w, b)
        ratio = 2.0 ** -(7 + math.ceil(math.log2(inputs)))
    assert close(model.forward(x), exact_dense(x, w, b, ratio))


@examples(40)
@given(
    st.tuples(st.integers(1, 5), st.integers(3, 9), st.integers(3, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
def test_conv2d_is_within_one_unit(
    shape: tuple[int, int, int], kernel: tuple[int, int, int], steps: tuple[int, int], seed: int
) -> None:
    """C, H, W in and out, zeros around; against one dense product for each place."""
    rng = np.random.default_rng(seed)
    (channels, _, _), (out, kh, kw), (stride, pad) = shape, kernel, steps
    w, b = random_bytes(rng, out, channels, kh, kw), random_bytes(rng, out)
    x = random_bytes(rng, *shape)
    model = SequentialModel(list(shape), 1 << 20)
    model.add_conv2d(w.ravel().tolist(), b.tolist(), channels, out, kh, kw, stride, pad)
    y = model.forward(x)
    assert list(y.shape) == model.output_shape()
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    ratio = 2.0 ** -(7 + (channels * kh * kw - 1).bit_length())
    for i, j in np.ndindex(*y.shape[1:]):
        patch = padded[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
        wanted = exact_dense(patch.reshape(-1), w.reshape(out, -1), b, ratio)
        assert close(y[:, i, j], wanted)


@pytest.mark.parametrize(("name", "steps"), [("sigmoid", 16), ("tanh", 32)])
def test_tables(name: str, steps: int) -> None:
    def entry(index: int) -> int:
        real = math.tanh(index / 32) if name == "tanh" else 1 / (1 + math.exp(-index / 16))
        return int(math.copysign(math.floor(abs(127 * real) + 0.5), real))

    x = all_int8()
    model = SequentialModel([256], 4096)
    getattr(model, f"add_{name}")()
    assert model.forward(x).tolist() == [entry(q) for q in range(-128, 128)]
    rng = np.random.default_rng(1)
    for mult, shift in [
        *rng.integers(0, (2**15, 16), (50, 2)).tolist(),
        (-300, 8),
        (2**31 - 1, 29),
    ]:
        scaled = SequentialModel([256], 4096)
        getattr(scaled, f"add_{name}_scaled")(mult, shift)
        indices = [max(-128, min(127, (q * mult) >> shift)) for q in range(-128, 128)]
        assert scaled.forward(x).tolist() == [entry(i) for i in indices], (mult, shift)
        after = SequentialModel([256], 8192)  # behind a layer whose outputs have another scale
        after.add_sigmoid()
        getattr(after, f"add_{name}_scaled")(mult, shift)
        inner = SequentialModel([256], 4096)
        inner.add_sigmoid()
        indices = [max(-128, min(127, (q * mult) >> shift)) for q in inner.forward(x).tolist()]
        assert after.forward(x).tolist() == [entry(i) for i in indices], (mult, shift)


def test_softmax_is_a_true_one() -> None:
    rng = np.random.default_rng(0)
    model = SequentialModel([10], 4096)
    model.add_softmax()
    for x in random_bytes(rng, 200, 10):
        real = np.exp(x / 16 - x.max() / 16)
        assert np.abs(model.forward(x) - 127 * real / real.sum()).max() <= 1
    sharp = SequentialModel([3], 4096)
    sharp.add_softmax(scale=1.0)
    assert sharp.forward([0, 100, 0]) == [0, 127, 0]


def test_relu_pool_and_flatten() -> None:
    x = random_bytes(np.random.default_rng(0), 3, 6, 6)
    model = SequentialModel([3, 6, 6], 4096)
    model.add_max_pool2d(2, 2, 0)
    pooled = x.reshape(3, 3, 2, 3, 2).max((2, 4))
    assert np.array_equal(model.forward(x), pooled)
    model.add_relu()
    model.add_flatten()
    assert model.output_shape() == [27]
    assert np.array_equal(model.forward(x), np.maximum(pooled, 0).ravel())
    assert model.forward(x.ravel().tolist()) == np.maximum(pooled, 0).ravel().tolist()
    assert model.predict(x) == int(np.maximum(pooled, 0).ravel().argmax())
    assert model.layer_names() == ["MaxPool2D", "ReLU", "Flatten"]
    assert model.num_layers() == 3


@pytest.mark.parametrize(
    ("sizes", "named", "shape"),
    [
        ((2, 2, 0), {}, [1, 3, 3]),
        ((2, 2, 2), {}, [1, 3, 3]),  # NANO-RUST's code: pool_h, pool_w, stride
        ((3, 2, 2), {}, [1, 2, 3]),
        ((2,), {}, [1, 3, 3]),
        ((3, 3), {}, [1, 2, 2]),
        ((3,), {"stride": 2, "padding": 1}, [1, 3, 3]),
        ((), {"kernel": 3, "stride": 2, "padding": 1}, [1, 3, 3]),
        ((), {"pool_h": 3, "pool_w": 2, "stride": 1}, [1, 4, 5]),
        ((3, 2), {"stride": 1}, [1, 4, 5]),
    ],
)
def test_both_ways_to_say_a_pool(
    sizes: tuple[int, ...], named: dict[str, int], shape: list[int]
) -> None:
    model = SequentialModel([1, 6, 6], 4096)
    model.add_max_pool2d(*sizes, **named)
    assert model.output_shape() == shape


def test_batches_and_lists() -> None:
    rng = np.random.default_rng(0)
    model = small_cnn(rng)
    x = random_bytes(rng, 5, 2, 8, 8)
    y = model.forward(x)
    assert y.shape == (5, 4)
    for one, wanted in zip(x, y, strict=True):
        assert model.forward(one.ravel().tolist()) == wanted.tolist()
        assert model.predict(one) == int(wanted.argmax())
    nothing = SequentialModel([3], 0)
    assert nothing.forward([1, 2, 3]) == [1, 2, 3]


def small_cnn(rng: np.random.Generator, arena_size: int | None = None) -> SequentialModel:
    model = SequentialModel([2, 8, 8], arena_size)
    kernel = random_bytes(rng, 4 * 2 * 3 * 3)
    model.add_conv2d_with_requant(kernel, random_bytes(rng, 4), 2, 4, 3, 3, 1, 1, 3_000_000, 31)
    model.add_relu()
    model.add_max_pool2d(2, 2, 0)
    model.add_tanh_scaled(11000, 14)
    model.add_flatten()
    weights = random_bytes(rng, 4, 4 * 4 * 4)
    model.add_dense_with_requant(weights, random_bytes(rng, 4), 7_000_000, 31)
    model.add_softmax()
    return model


# --- A layer that learns ------------------------------------------------------------------------


def trainable_model(rng: np.random.Generator, arena_size: int | None = None) -> SequentialModel:
    model = SequentialModel([2, 4, 4], arena_size)
    model.add_conv2d(random_bytes(rng, 3 * 2 * 3 * 3), [0, 0, 0], 2, 3, 3, 3, 1, 1)
    model.add_tanh()
    model.add_trainable_dense(48, 3, rate=0.1)
    return model


def test_a_head_learns_and_freezes(tmp_path: Path) -> None:
    """Three classes of noisy patterns; then the exported model says what that one says."""
    rng = np.random.default_rng(8)
    model = trainable_model(rng)
    patterns = rng.integers(-90, 91, (3, 2, 4, 4))
    labels = rng.integers(0, 3, 300)
    noisy = patterns[labels] + rng.integers(-40, 41, (300, 2, 4, 4))
    x = np.clip(noisy, -128, 127).astype(np.int8)
    before = model.forward(x[200:]).argmax(1)
    losses = [
        model.train_step(one, int(label)) for one, label in zip(x, labels[:200], strict=False)
    ]
    after = model.forward(x[200:])
    assert np.mean(losses[-50:]) < 0.5 * np.mean(losses[:20])
    assert np.mean(after.argmax(1) == labels[200:]) > 0.95 > np.mean(before == labels[200:])
    assert model.predict(x[200]) == int(after[0].argmax())
    assert model.layer_names()[-1] == "TrainableDense"
    model.export(tmp_path / "model", "learnt")
    graph = load_model(tmp_path / "model")
    assert np.array_equal(simulate(graph, x[200:].transpose(0, 2, 3, 1)), after)


def test_first_weights_are_the_users_or_the_seeds() -> None:
    """Real numbers in C, H, W order: the outputs are those of the formula."""
    rng = np.random.default_rng(9)
    weights, x = rng.standard_normal((5, 24)), random_bytes(rng, 20, 2, 3, 4)
    model = SequentialModel([2, 3, 4])
    model.add_trainable_dense(24, 5, weights=weights, bias=[0, 1, 0, 0, 0])
    real = (x.reshape(20, 24) / 128) @ weights.T + [0, 1, 0, 0, 0]
    outputs = model.forward(x).astype(int)
    slope = (outputs.max() - outputs.min()) / (real.max() - real.min())
    shift = (outputs - slope * real).mean()
    assert np.abs(outputs - slope * real - shift).max() < 4
    one, same, other = (SequentialModel([24]) for _ in range(3))
    for part, seed in ((one, 1), (same, 1), (other, 2)):
        part.add_trainable_dense(24, 5, seed=seed)
    flat = x.reshape(20, 24)
    assert np.array_equal(one.forward(flat), same.forward(flat))
    assert not np.array_equal(one.forward(flat), other.forward(flat))


def test_errors_of_a_layer_that_learns() -> None:
    rng = np.random.default_rng(0)
    model = trainable_model(rng)
    with pytest.raises(LayerError, match="It is the last"):
        model.add_relu()
    with pytest.raises(NanoError, match="0 to 2"):
        model.train_step(np.zeros(32, np.int8), 3)
    with pytest.raises(LayerError, match="Its input has 9 elements"):
        SequentialModel([9]).add_trainable_dense(8, 2)
    with pytest.raises(LayerError, match="needs 2 x 9 finite"):
        SequentialModel([9]).add_trainable_dense(9, 2, weights=[1.0])
    with pytest.raises(NanoError, match="nothing that learns"):
        SequentialModel([9]).train_step([0] * 9, 0)
    needed = model.estimate_arena_size()
    assert trainable_model(rng, needed).estimate_arena_size() == needed
    with pytest.raises(LayerError, match=rf"TrainableDense.*needs {needed:,} bytes"):
        trainable_model(rng, needed - 1)


# --- Errors ---------------------------------------------------------------------------------------


def one_by_one(model: SequentialModel) -> dict[str, Callable[[], None]]:
    """A wrong call for each part of its message; the model takes 2 x 4 x 4."""
    fours = [1, 1, 1, 1]
    return {
        "Layer 1 (FrozenDense): 3 values as weights. It needs 32": lambda: model.add_dense(
            [1, 2, 3], [1]
        ),
        "bias from 200 to 200. int8": lambda: model.add_dense([1] * 32, [200]),
        "weights of type float64": lambda: model.add_dense([0.5] * 32, [1]),  # type: ignore[list-item]
        "in_ch is 3. Its input has 2": lambda: model.add_conv2d([1] * 3, [1], 3, 1, 1, 1, 1, 0),
        "kernel of 5 x 5 is larger than its input of 4 x 4": lambda: model.add_conv2d(
            [1] * 50, [1], 2, 1, 5, 5, 1, 0
        ),
        "stride 0, padding 0": lambda: model.add_conv2d(fours, [1, 1], 2, 2, 1, 1, 0, 0),
        "requant_m 0": lambda: model.add_dense_with_requant([1] * 32, [1], 0, 3),
        "does not fit the 32-bit": lambda: model.add_dense_with_requant([1] * 32, [9], 1, 40),
        "coarser than the bias": lambda: model.add_dense_with_requant([1] * 32, [1], 3, 1),
        "Layer 1 (MaxPool2D): (3, 2, 1) can be": lambda: model.add_max_pool2d(3, 2, 1),
        "its kernel of 6 x 6": lambda: model.add_max_pool2d(6),
        "padding 3": lambda: model.add_max_pool2d(kernel=3, stride=1, padding=3),
        "Softmax): its input is C, H, W": model.add_softmax,
        "scale_shift 40": lambda: model.add_sigmoid_scaled(1, 40),
        "with it the model needs 2,": lambda: model.add_conv2d(
            np.zeros(2 * 90, np.int8), [0] * 90, 2, 90, 1, 1, 1, 0
        ),
    }


def test_errors_say_which_layer_and_what_it_needs() -> None:
    model = SequentialModel([2, 4, 4], 1000)
    model.add_relu()
    before = model.forward(np.ones(32, np.int8))
    for words, call in one_by_one(model).items():
        with pytest.raises(LayerError, match=re.escape(words)):
            call()
        assert model.layer_names() == ["ReLU"]
        assert np.array_equal(model.forward(np.ones(32, np.int8)), before)
    with pytest.raises(NanoError, match="It needs 32"):
        model.forward([1, 2, 3])
    with pytest.raises(NanoError, match="1 to 4 sizes"):
        SequentialModel([], 10)
    with pytest.raises(NanoError, match="computes nothing"):
        SequentialModel([3], 10).graph()
    vector = SequentialModel([9], 1000)
    with pytest.raises(LayerError, match="channels, height, width"):
        vector.add_conv2d([1], [1], 1, 1, 1, 1, 1, 0)


def test_the_arena_is_exact() -> None:
    rng = np.random.default_rng(3)
    needed = small_cnn(rng).estimate_arena_size()
    assert small_cnn(np.random.default_rng(3), needed).estimate_arena_size() == needed
    with pytest.raises(LayerError, match=rf"\(.*the model needs {needed:,} bytes of arena") as info:
        small_cnn(np.random.default_rng(3), needed - 1)
    assert f"arena_size of {needed:,} or more" in str(info.value)


LEAK = """
import numpy as np, resource
from pathlib import Path
from nanotool import SequentialModel
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
def one():
    model = SequentialModel([1024], 1 << 16)
    model.add_dense(np.ones((256, 1024), np.int8), np.ones(256, np.int8))
    model.add_relu()
    model.forward(np.ones(1024, np.int8))
for _ in range(20):
    one()
before = resident()
for _ in range(500):
    one()
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells a process's memory")
def test_500_models_leave_nothing() -> None:
    """Each has 256 KB of weights and 64 KB of arena; all of them would be 160 MB."""
    done = subprocess.run(
        [sys.executable, "-c", LEAK], check=True, capture_output=True, text=True, timeout=120
    )
    assert int(done.stdout) < 2 << 20
    gc.collect()


def test_it_does_not_need_torch() -> None:
    code = "import sys; from nanotool import SequentialModel; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- The exported model ---------------------------------------------------------------------------


def awkward(rng: np.random.Generator, kind: str) -> SequentialModel:
    """Models whose values end as an image, or as a vector in another order than the device's."""
    model = SequentialModel([3, 5, 4])
    model.add_conv2d(random_bytes(rng, 2 * 3 * 2 * 2), [1, -9], 3, 2, 2, 2, 1, 1)
    if kind != "image":
        model.add_flatten()
    if kind == "vector":
        model.add_sigmoid_scaled(700, 9)
        model.add_softmax(0.5)
    if kind == "dense":
        model.add_dense(random_bytes(rng, 7 * 2 * 6 * 5), random_bytes(rng, 7))
    return model


@pytest.mark.parametrize("kind", ["cnn", "image", "vector", "dense"])
@pytest.mark.parametrize("target", ["portable", "armv7em"])
def test_the_exported_model_gives_the_same_bytes(tmp_path: Path, kind: str, target: str) -> None:
    rng = np.random.default_rng(5)
    model = small_cnn(rng) if kind == "cnn" else awkward(rng, kind)
    shape = (2, 8, 8) if kind == "cnn" else (3, 5, 4)
    x = random_bytes(rng, 40, *shape)
    folder = tmp_path / "model"
    model.export(folder, "by_hand", samples=x[:2])
    graph = load_model(folder)
    assert (folder / "by_hand.c").is_file()
    device = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    wanted = model.forward(x)
    assert np.array_equal(simulate(graph, device), wanted)
    assert np.array_equal(Runtime(*prepare(graph, target)).run(device), wanted)


def test_the_firmware_gives_the_same_bytes(tmp_path: Path) -> None:
    """On the native board: the generated C, its own compiler, the serial line."""
    from nanotool.bench import connect
    from nanotool.boards import find_board
    from nanotool.build import build

    rng = np.random.default_rng(6)
    model = small_cnn(rng)
    x = random_bytes(rng, 20, 2, 8, 8)
    model.export(tmp_path / "model", "by_hand")
    board = find_board("native")
    built = build(tmp_path / "model", board)
    with connect(board, built.elf) as device:
        for one, wanted in zip(x, model.forward(x), strict=True):
            answer = device.run(np.ascontiguousarray(one.transpose(1, 2, 0)))
            assert np.array_equal(answer, wanted)
