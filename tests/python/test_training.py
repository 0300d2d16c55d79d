"""Training on the device: the library's trainer against PyTorch, against its twins in NumPy, and
its int8 head against nanotool's quantizer."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_twins import FloatTwin, Int16Twin, fixed

from nanotool.errors import NanoError
from nanotool.numerics import dense_multipliers, requantize
from nanotool.quantization.ranges import activation, with_headroom
from nanotool.quantization.weights import (
    natural_scales,
    quantized_bias,
    quantized_weights,
    weight_scales,
)
from nanotool.training import (
    Head,
    HeadConfig,
    Layer,
    Part,
    Recipe,
    arena_size,
    config_hash,
    state_size,
)
from nanotool.training.config import arena_size_macro
from nanotool.training.head import LOSS_ONE

torch.set_num_threads(1)  # the nets are tiny

LIBRARY = Path(__file__).resolve().parents[2] / "lib" / "nano"

Samples = list[tuple[np.ndarray, int]]


def head_config(*outputs: int, features: int = 24, seed: int = 3, **changes: Any) -> HeadConfig:
    """Layers of so many outputs, with first weights as PyTorch would draw them."""
    rng, layers, inputs = np.random.default_rng(seed), [], features
    for count in outputs:
        bound = inputs**-0.5
        weights = rng.uniform(-bound, bound, (count, inputs)).astype(np.float32)
        layers.append(Layer(count, weights, rng.uniform(-bound, bound, count).astype(np.float32)))
        inputs = count
    return HeadConfig(features, 0.02, tuple(layers), feature_zero_point=-7, **changes)


def clusters(features: int, classes: int, count: int, seed: int = 5, noise: float = 25) -> Samples:
    """Samples around a random centre a class."""
    centres = np.random.default_rng(99).uniform(-90, 90, (classes, features))
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    x = np.clip(centres[labels] + rng.normal(0, noise, (count, features)), -128, 127)
    return [(row.astype(np.int8), int(label)) for row, label in zip(x, labels, strict=True)]


def real(config: HeadConfig, x: np.ndarray) -> np.ndarray:
    centred = x.astype(np.float32) - np.float32(config.feature_zero_point)
    return np.asarray(np.float32(config.feature_scale) * centred)


def torch_net(config: HeadConfig) -> torch.nn.Sequential:
    net = torch.nn.Sequential()
    for index, layer in enumerate(config.layers):
        linear = torch.nn.Linear(config.inputs(index), layer.outputs)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer.weights))
            linear.bias.copy_(torch.tensor(layer.bias))
        net.append(linear)
        if index < len(config.layers) - 1:
            net.append(torch.nn.ReLU())
    return net


def torch_loss(config: HeadConfig, y: torch.Tensor, labels: list[int]) -> torch.Tensor:
    if config.loss == "mse":
        hot = torch.nn.functional.one_hot(torch.tensor(labels), y.shape[1]).float()
        return torch.nn.functional.mse_loss(y, hot)
    return torch.nn.functional.cross_entropy(y, torch.tensor(labels))


def linears(net: torch.nn.Sequential) -> list[torch.nn.Linear]:
    return [module for module in net if isinstance(module, torch.nn.Linear)]


# --- Memory and meaning ---------------------------------------------------------------------------

SHAPES = [
    head_config(10),
    head_config(7, 5, features=3, optimizer="sgd", class_means=True),
    head_config(33, 17, 9, features=50, optimizer="adam", replay_slots=21),
    head_config(5, features=1, arithmetic="int16", replay_slots=3, class_means=True),
    head_config(9, 4, 6, 2, features=129, arithmetic="int16", optimizer="sgd", backbone="0123abcd"),
]


@pytest.mark.parametrize("config", SHAPES)
def test_the_arena_is_exact(config: HeadConfig) -> None:
    size = arena_size(config)
    head = Head(config, arena=size)
    assert head.arena_used == size
    with pytest.raises(NanoError, match="room"):
        Head(config, arena=size - 1)
    for part in Part:
        assert len(head.state(part)) == state_size(config, part)
    assert head.hash == config_hash(config)


def test_the_macro_says_the_same(tmp_path: Path) -> None:
    lines = [
        f"NANO_STATIC_ASSERT({arena_size_macro(config)} == {arena_size(config)}u, s{index});"
        for index, config in enumerate(SHAPES)
    ]
    source = tmp_path / "sizes.c"
    source.write_text('#include "nano/train.h"\n' + "\n".join(lines) + "\n")
    flags = ["-std=c99", "-pedantic", "-Wall", "-Werror", "-fsyntax-only"]
    subprocess.run(["gcc", *flags, f"-I{LIBRARY}/include", str(source)], check=True)


def test_hashes_differ_where_bytes_mean_something_else() -> None:
    base = head_config(6, 4)
    other = [
        replace(base, backbone="x"),
        replace(base, feature_scale=0.03),
        replace(base, feature_zero_point=0),
        replace(base, arithmetic="int16"),
        replace(base, optimizer="sgd"),
        replace(base, replay_slots=1),
        replace(base, class_means=True),
        replace(base, layers=(base.layers[0], replace(base.layers[1], outputs=5))),
    ]
    assert len({config_hash(config) for config in [base, *other]}) == len(other) + 1
    assert config_hash(replace(base, seed=9, recipe=Recipe(rate=1))) == config_hash(base)


@pytest.mark.parametrize(
    "changes",
    [
        {"arithmetic": "int16", "optimizer": "adam"},
        {"classes": 0},
        {"classes": 5},
        {"feature_scale": 0.0},
        {"feature_scale": float("nan")},
        {"feature_zero_point": 128},
        {"layers": (Layer(4),) * 5},
        {"layers": (Layer(0),)},
        {"layers": (Layer(16385),)},
        {"layers": (Layer(4, weight_bits=16),)},
        {"layers": (Layer(4, low=1, high=2),)},
        {"recipe": Recipe(rate=0)},
        {"recipe": Recipe(rate=float("inf"))},
        {"recipe": Recipe(momentum=1)},
        {"recipe": Recipe(batch=0)},
        {"recipe": Recipe(batch=1025)},
        {"recipe": Recipe(schedule="cosine", period=0)},
        {"recipe": Recipe(schedule="step", gamma=1.5)},
        {"recipe": Recipe(weight_decay=-1)},
    ],
)
def test_impossible_configs_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NanoError):
        Head(replace(head_config(6, 4), **changes), arena=1 << 20)


# --- PyTorch --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("outputs", [(5,), (8, 5), (9, 8, 5)])
@pytest.mark.parametrize("arithmetic", ["float32", "int16"])
def test_gradients_are_autograds(loss: Any, outputs: tuple[int, ...], arithmetic: Any) -> None:
    batch = Recipe(batch=8)
    config = head_config(*outputs, loss=loss, arithmetic=arithmetic, recipe=batch)
    head, net, data = Head(config), torch_net(config), clusters(24, 5, 7)
    for x, label in data:
        result = head.sample(x, label)
        y = net(torch.tensor(real(config, x)))[None]
        value = torch_loss(config, y, [label])
        assert result.loss == pytest.approx(
            value.item(), rel=1e-5 if head.config.element == 4 else 0.01, abs=2e-6
        )
        assert result.predicted == int(y.argmax())
        value.backward()  # type: ignore[no-untyped-call]
    twin = Int16Twin(config)
    for index, linear in enumerate(linears(net)):
        found, found_bias = (g.astype(np.float64) for g in head.gradient(index))
        tolerance = 1e-5
        if arithmetic == "int16":
            tolerance = 0.01
            units = (twin._gradient_unit(index, biases) for biases in (False, True))
            scale, scale_bias = (u.mantissa * 2.0 ** (u.exponent - 32) for u in units)
            found, found_bias = found * scale, found_bias * scale_bias
        assert linear.weight.grad is not None and linear.bias.grad is not None
        for mine, theirs in ((found, linear.weight.grad), (found_bias, linear.bias.grad)):
            assert np.abs(mine - theirs.numpy()).max() <= tolerance * theirs.abs().max()


OPTIMIZED: list[tuple[str, Recipe, Any]] = [
    ("sgd", Recipe(rate=0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (
        "momentum",
        Recipe(rate=0.05, momentum=0.9, weight_decay=1e-3),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-3),
    ),
    ("adam", Recipe(rate=0.01), lambda p: torch.optim.Adam(p, 0.01)),
    (
        "adam",
        Recipe(rate=0.003, beta1=0.8, beta2=0.99, epsilon=1e-6, weight_decay=1e-2),
        lambda p: torch.optim.Adam(p, 0.003, betas=(0.8, 0.99), eps=1e-6, weight_decay=1e-2),
    ),
]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("outputs", [(5,), (16, 5)])
@pytest.mark.parametrize("which", range(len(OPTIMIZED)))
def test_200_steps_are_torchs(loss: Any, outputs: tuple[int, ...], which: int) -> None:
    """SGD: weights within 1e-5 of the largest. Adam: the loss curve within 1e-3."""
    optimizer, recipe, make = OPTIMIZED[which]
    recipe = replace(recipe, batch=8, clip=1.5, schedule="cosine", warmup=10, period=250)
    config = head_config(*outputs, loss=loss, optimizer=optimizer, recipe=recipe)
    head, twin, net = Head(config), FloatTwin(config), torch_net(config)
    theirs = make(net.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(
        theirs,
        lambda t: (t + 1) / 10 if t < 10 else (1 + np.cos(np.pi * (t - 10) / 250)) / 2,
    )
    data = clusters(24, 5, 1600, noise=60)
    for step in range(200):
        part = data[8 * step : 8 * step + 8]
        mine = np.mean([head.sample(x, label).loss for x, label in part])
        ours = np.mean([twin.sample(x, label) for x, label in part])
        y = net(torch.tensor(np.array([real(config, x) for x, _ in part])))
        value = torch_loss(config, y, [label for _, label in part])
        theirs.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.5)
        theirs.step()
        schedule.step()
        assert mine == pytest.approx(value.item(), rel=1e-3, abs=2e-6), step
        assert ours == pytest.approx(value.item(), rel=1e-3, abs=2e-6), step
    assert head.steps == twin.steps == 200
    assert value.item() < 0.5
    for index, linear in enumerate(linears(net)):
        expected = linear.weight.detach().numpy()
        bound = (1e-5 if optimizer != "adam" else 1e-3) * np.abs(expected).max()
        assert np.abs(head.weights(index) - expected).max() <= bound
        assert np.abs(twin.weights[index] - expected).max() <= bound
        bias = linear.bias.detach().numpy()
        assert np.abs(head.bias(index) - bias).max() <= bound


def test_learning_rates_are_torchs() -> None:
    recipe = Recipe(rate=1, schedule="step", period=7, gamma=0.3, warmup=5)
    cosine = replace(recipe, schedule="cosine", period=50)
    for r in (recipe, cosine, replace(recipe, schedule="constant")):
        head = Head(head_config(3, recipe=r))
        for step in range(70):
            factor = head.rate_factor(step)
            assert factor == fixed.rate_factor(r, step)
            t = step - 5
            expected = {
                "step": 0.3 ** (t // 7),
                "cosine": (1 + np.cos(np.pi * min(t, 50) / 50)) / 2,
                "constant": 1,
            }[r.schedule]
            expected = (step + 1) / 5 if step < 5 else expected
            assert factor / 2**31 == pytest.approx(expected, abs=2e-8)


# --- Integers -------------------------------------------------------------------------------------

INTEGER = [
    head_config(5, recipe=Recipe(rate=0.05, weight_decay=1e-3, clip=1.0)),
    head_config(5, optimizer="sgd", recipe=Recipe(rate=0.3, batch=1)),
    head_config(12, 5, recipe=Recipe(rate=0.05, schedule="cosine", warmup=5, period=60)),
    head_config(9, 11, 5, features=300, loss="mse", recipe=Recipe(rate=0.1, clip=0.5, batch=64)),
    head_config(8, 5, features=140, loss="mse", optimizer="sgd", recipe=Recipe(weight_decay=0.01)),
    HeadConfig(24, 0.02, (Layer(10, weight_bits=13), Layer(6)), classes=5, seed=77),
    HeadConfig(24, 2.0, (Layer(8, weight_bits=15), Layer(5)), recipe=Recipe(rate=30)),  # saturates
    # An update's multipliers at their ends: hardly any rate, far too much of it, much decay.
    head_config(8, 5, recipe=Recipe(rate=1e-12)),
    head_config(8, 5, recipe=Recipe(rate=1e12)),
    HeadConfig(24, 1e-5, (Layer(8), Layer(5)), recipe=Recipe(rate=0.1, weight_decay=0.5)),
]


@pytest.mark.parametrize("which", range(len(INTEGER)))
def test_integers_equal_the_twin(which: int) -> None:
    config = replace(INTEGER[which], arithmetic="int16")
    head, twin = Head(config), Int16Twin(config)
    data = clusters(config.features, 5, 500)
    rng = np.random.default_rng(2)
    for number, (x, label) in enumerate(data):
        if config.loss == "mse" and number % 2:
            target = rng.normal(0, 3, twin.classes).astype(np.float32)
            mine, ours = head.sample_target(x, target), twin.sample(x, target=target)
        else:
            mine, ours = head.sample(x, label), twin.sample(x, label)
        assert mine.loss * LOSS_ONE == ours, number
        if number == 250:
            head.flush()
            twin.flush()
            if twin.classes < config.outputs:
                twin.classes += 1
                assert head.add_class() == twin.classes - 1
    for index in range(len(config.layers)):
        assert np.array_equal(head.weights(index), twin.weights[index])
        assert np.array_equal(head.bias(index), twin.biases[index])
        assert head.observed(index) == tuple(twin.ranges[index])
    assert head.steps == twin.steps
    words = np.frombuffer(head.state(), np.uint32)
    assert words[3] == twin.random.state


def test_tiny_updates_arrive_and_zero_mean_ones_do_not_drift() -> None:
    """Updates of 1/50 of a weight's step: on average right, where rounding to nearest loses them
    all; alternating ones leave the mean where it was."""
    count, outputs = 64, 16
    zero = Layer(outputs, np.zeros((outputs, count)), np.zeros(outputs), weight_bits=8)
    layers, rate = (zero,), 2.0**-17
    recipe = Recipe(rate=rate, batch=1)
    config = HeadConfig(
        count, 0.01, layers, loss="mse", optimizer="sgd", arithmetic="int16", recipe=recipe
    )
    x = np.full(count, 100, np.int8)  # real: 1
    steps = 4000
    for offset in (0.0, 4.0):  # the targets' mean
        head = Head(config)
        moved = 0.0
        for step in range(steps):
            target = np.full(outputs, offset + (8.0 if step % 2 else -8.0), np.float32)
            y = head.outputs() / 2**16 if step else np.zeros(outputs)
            head.sample_target(x, target)
            moved += float(np.mean(2 * (target - y) / outputs)) * rate * 2**8
        found = head.weights(0).astype(np.float64)
        # Each step moves a weight by one unit with probability about 1/500 .. 1/250.
        sigma = np.sqrt(steps * 2 * 12 / outputs * rate * 2**8) / np.sqrt(found.size)
        assert abs(found.mean() - moved) < 5 * sigma
        assert moved > 3 if offset else abs(moved) < 0.1
        assert sigma < 0.2


def test_momentum_dies_out() -> None:
    """Without gradients a momentum of a few units fades; rounded to nearest it would stay."""
    config = head_config(
        4, arithmetic="int16", recipe=Recipe(rate=2.0**-20, momentum=0.9, batch=1), loss="mse"
    )
    twin = Int16Twin(config)
    twin.moments[0][...] = 5
    for _ in range(200):
        twin.pending = 1
        twin.flush()
    assert not twin.moments[0].any()


# --- Learning -------------------------------------------------------------------------------------


def accuracy(head: Head, data: Samples) -> float:
    return float(np.mean([head.evaluate(x, label).predicted == label for x, label in data]))


@pytest.mark.parametrize("arithmetic", ["float32", "int16"])
@pytest.mark.parametrize("outputs", [(6,), (16, 6)])
def test_it_learns_a_new_class_and_its_int8_head_knows_it(
    arithmetic: Any, outputs: tuple[int, ...]
) -> None:
    recipe = Recipe(rate=0.03, batch=8, clip=5.0)
    layers = tuple(Layer(count) for count in outputs)
    config = HeadConfig(
        32, 0.02, layers, -10, arithmetic=arithmetic, classes=5, replay_slots=60, recipe=recipe
    )
    head = Head(config)
    data, test = clusters(32, 6, 600, noise=70), clusters(32, 6, 600, seed=8, noise=70)
    for x, label in data:
        if label < 5:
            head.sample(x, label)
            head.remember(x, label)
    head.flush()
    old = [(x, label) for x, label in test if label < 5]
    before = accuracy(head, old)
    assert before > 0.9
    assert head.add_class() == 5
    with pytest.raises(NanoError, match="room"):
        head.add_class()
    for x, label in data:
        if label == 5:
            head.sample(x, label)
            head.remember(x, label)
            head.rehearse(8)
    head.flush()
    assert accuracy(head, test) > 0.9
    assert accuracy(head, old) > before - 0.08  # ten seeds: 0.89 to 0.95 of 0.944
    head.quantize()
    y = head.infer(np.array([x for x, _ in test]))
    found = np.mean(y.argmax(axis=1) == [label for _, label in test])
    assert found > accuracy(head, test) - 0.02


# --- The int8 head --------------------------------------------------------------------------------


def twin_layers(head: Head) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The real weights and biases."""
    for index, layer in enumerate(head.config.layers):
        w, b = head.weights(index).astype(np.float64), head.bias(index).astype(np.float64)
        if head.config.arithmetic == "int16":
            w, b = w * 2.0**-layer.weight_bits, b * 2.0**-16
        yield w, b


@pytest.mark.parametrize("arithmetic", ["float32", "int16"])
@pytest.mark.parametrize("outputs", [(5,), (16, 5), (7, 9, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_the_int8_head_is_nanotools(arithmetic: Any, outputs: tuple[int, ...], seed: int) -> None:
    config = head_config(*outputs, arithmetic=arithmetic, seed=seed)
    if seed == 1:  # a channel without weights, and one whose bias dwarfs them
        first = config.layers[0]
        assert first.weights is not None and first.bias is not None
        first.weights[2], first.bias[2] = 0, 0
        first.weights[3] *= 1e-3
        first.bias[3] = 3
    if seed in (2, 3):
        first_range = replace(config.layers[-1], low=-300 << 16, high=500 << 16)
        config = replace(config, layers=(*config.layers[:-1], first_range))
    head = Head(config)
    for x, label in clusters(24, 5, 60, seed):
        head.sample(x, label)
    head.flush()
    if seed == 3:
        head.reset()  # nothing observed
    head.quantize()
    scale, zero_point = float(np.float32(config.feature_scale)), config.feature_zero_point
    x = np.array([features for features, _ in clusters(24, 5, 30, seed + 50)])
    y = x
    for index, (w, b) in enumerate(twin_layers(head)):
        last = index == len(config.layers) - 1
        low, high = head.observed(index)
        bounds = (low * 2.0**-16 if last else 0.0, high * 2.0**-16)
        if last and seed == 3:
            assert bounds == (-300, 500)
        if last:
            margin = (high - low) // 16 * 2.0**-16  # with_headroom's, cut to 2^-16
            assert with_headroom(bounds, (-np.inf, np.inf))[1] - bounds[1] - margin < 2**-16
            bounds = (bounds[0] - margin, bounds[1] + margin)
        grid = activation("y", (), bounds)
        out = float(np.float32(grid.scale))
        steps = weight_scales(natural_scales(w), b, scale, out)
        integers, steps = quantized_weights(w, b, steps, scale)
        bias = quantized_bias(b, steps, scale).astype(np.int64)
        multipliers, shifts = dense_multipliers(scale, steps, out)
        mine = head.int8_layer(index)
        assert np.array_equal(mine[0], integers)
        folded = bias - zero_point * integers.astype(np.int64).sum(axis=1)
        assert np.array_equal(mine[1], folded)
        assert np.array_equal(mine[2], multipliers)
        assert np.array_equal(mine[3], shifts)
        acc = y.astype(np.int64) @ integers.T.astype(np.int64) + folded
        floor = -128 if last else grid.zero_point
        y = requantize(acc, multipliers, shifts, grid.zero_point, floor, 127)
        scale, zero_point = out, grid.zero_point
    assert head.output_scale == scale
    assert head.output_zero_point == zero_point
    assert np.array_equal(head.infer(x), y)


# --- Replay, means, saving ------------------------------------------------------------------------


def stream(count: int) -> Samples:
    """Sample n has n in its first two features; class 0 is nine of ten."""
    rng = np.random.default_rng(4)
    return [
        (np.array([n % 100, n // 100, 0], np.int8), int(rng.integers(1, 4) * (rng.random() < 0.1)))
        for n in range(count)
    ]


def test_the_reservoir_is_uniform() -> None:
    config = head_config(4, features=3, replay="reservoir", replay_slots=40)
    counts = np.zeros(10)
    for seed in range(60):
        head = Head(replace(config, seed=seed))
        for x, label in stream(400):
            head.remember(x, label)
        features, _ = head.replay()
        numbers = features[:, 0] + 100 * features[:, 1].astype(int)
        assert len(set(numbers)) == 40
        counts += np.bincount(numbers // 40, minlength=10)
    assert counts.sum() == 2400
    assert ((counts - 240) ** 2 / 240).sum() < 27.9  # chi-square, 9 degrees, 0.1 %


def test_the_balanced_buffer_gives_rare_classes_their_share() -> None:
    head = Head(head_config(4, features=3, replay_slots=40))
    for x, label in stream(1000):
        head.remember(x, label)
    features, labels = head.replay()
    assert np.bincount(labels, minlength=4).tolist() == [10, 10, 10, 10]
    truth = {(x[0], x[1]): label for x, label in stream(1000)}
    assert all(truth[x[0], x[1]] == label for x, label in zip(features, labels, strict=True))
    x, label = head.recall()
    assert truth[x[0], x[1]] == label


def test_the_nearest_mean() -> None:
    data = clusters(24, 5, 200, noise=80)
    head = Head(head_config(5, class_means=True))
    with pytest.raises(NanoError, match="order"):
        head.nearest_mean(data[0][0])
    for x, label in reversed(data):
        if label != 3:
            head.add_to_mean(x, label)
    means = {}
    for label in (0, 1, 2, 4):
        total = np.sum([x.astype(np.int64) for x, mine in data if mine == label], axis=0)
        count = sum(mine == label for _, mine in data)
        means[label] = np.sign(total) * ((16 * abs(total) + count // 2) // count)
    for x, _ in clusters(24, 5, 100, seed=1, noise=80):
        distances = {c: int(((16 * x.astype(int) - m) ** 2).sum()) for c, m in means.items()}
        assert head.nearest_mean(x) == min(distances, key=lambda c: (distances[c], c))


@pytest.mark.parametrize("arithmetic", ["float32", "int16"])
def test_a_restored_head_goes_on_alike(arithmetic: Any) -> None:
    config = head_config(
        8, 5, arithmetic=arithmetic, replay_slots=20, class_means=True, recipe=Recipe(batch=4)
    )
    data = clusters(24, 5, 200)

    def go_on(head: Head) -> bytes:
        for x, label in data[100:]:
            head.sample(x, label)
            head.remember(x, label)
            head.rehearse(1)
            head.add_to_mean(x, label)
        return head.state()

    first, second, third = Head(config), Head(replace(config, seed=9)), Head(config)
    for x, label in data[:100]:
        first.sample(x, label)
        first.remember(x, label)
    saved = first.state()
    short = first.state(Part.HEAD)
    expected = go_on(first)
    second.sample(*data[3])  # an unfinished mini-batch and other weights
    second.restore(saved)
    assert go_on(second) == expected
    third.restore(short)
    assert np.array_equal(third.weights(0).tobytes(), second.weights(0).tobytes()) is False
    assert third.state(Part.HEAD)[64:] == short[64:]
    with pytest.raises(NanoError):
        third.recall()


def test_what_does_not_fit_is_not_restored() -> None:
    config = head_config(8, 5, replay_slots=20, class_means=True)
    head = Head(config)
    for x, label in clusters(24, 5, 40):
        head.sample(x, label)
        head.remember(x, label)
        head.add_to_mean(x, label)
    state = head.state()
    words = np.frombuffer(state, np.uint32)
    weights, counts = 16, (state_size(config, Part.HEAD) // 4) - 5
    held = state_size(config, Part.OPTIMIZER) // 4
    wrong: dict[int, int] = {
        0: 2,  # layout
        1: 5,  # config
        2: 64,  # size
        6: 6,  # classes
        7: 21,  # slots in use
        8: 19,  # samples seen, of which 20 are kept
        weights + 3: 0x7FC00000,  # NaN
        counts: 2**19 + 1,
        counts - 1: 0x7FFFFFFF,  # a sum
        held - 1: 0xFF800000,  # a moment: -infinity
        held: int(words[held]) + 1,
        held + 10: 0x00070001,  # labels 1 and 7
    }
    for index, value in wrong.items():
        changed = words.copy()
        changed[index] = value
        with pytest.raises(NanoError):
            head.restore(changed.tobytes())
        assert head.state() == state, index
    for size in (0, 63, len(state) - 4, len(state) + 4):
        with pytest.raises(NanoError):
            head.restore((state + bytes(4))[:size])
    with pytest.raises(NanoError):
        Head(replace(config, backbone="other")).restore(state)
    head.restore(state)
    assert head.state() == state


def test_a_moment_that_no_step_leaves_is_not_restored() -> None:
    config = head_config(8, 5, arithmetic="int16")
    head = Head(config)
    for x, label in clusters(24, 5, 40):
        head.sample(x, label)
    state = head.state(Part.OPTIMIZER)
    words = np.frombuffer(state, np.int32).copy()
    for value, good in ((2**30 - 1, True), (2**30, False), (-(2**30), True), (-(2**30) - 1, False)):
        words[-1] = value
        if good:
            head.restore(words.tobytes())
            assert head.state(Part.OPTIMIZER) == words.tobytes()
            continue
        with pytest.raises(NanoError):
            head.restore(words.tobytes())


def test_calls_in_the_wrong_order() -> None:
    head = Head(head_config(5, classes=3))
    x = np.zeros(24, np.int8)
    with pytest.raises(NanoError, match="range"):
        head.sample(x, 3)
    with pytest.raises(NanoError, match="order"):
        head.sample_target(x, np.zeros(3))
    with pytest.raises(NanoError, match="order"):
        head.infer(x[None])
    for call in (lambda: head.remember(x, 0), lambda: head.add_to_mean(x, 0), head.recall):
        with pytest.raises(NanoError, match="order"):
            call()
    head.sample(x, 0)
    for change in (head.add_class, lambda: head.set_recipe(Recipe())):
        with pytest.raises(NanoError, match="order"):
            change()
    with pytest.raises(NanoError, match="not int8"):
        head.sample(x[:5], 0)


# --- Functions ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """real.c and fixed.c by themselves."""
    product = tmp_path_factory.mktemp("functions") / "functions.so"
    sources = [str(LIBRARY / "src" / "train" / name) for name in ("real.c", "fixed.c")]
    flags = ["-std=c99", "-O2", "-shared", "-fPIC", f"-I{LIBRARY}/include"]
    subprocess.run(["gcc", *flags, *sources, "-o", str(product)], check=True)
    library = ctypes.CDLL(str(product))
    for name in ("expf", "logf", "sqrtf"):
        function = getattr(library, f"nano_train_{name}")
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return library


def call(function: Any, x: np.ndarray) -> np.ndarray:
    return np.array([function(float(value)) for value in x])


def test_float_functions_keep_their_bounds(functions: ctypes.CDLL) -> None:
    rng = np.random.default_rng(6)
    x = -np.concatenate([rng.uniform(0, 87, 20000), rng.uniform(0, 1, 5000), [0.0, 1e-20]])
    x = x.astype(np.float32)
    expected = np.exp(x.astype(np.float64))
    ulp = np.spacing(expected.astype(np.float32)).astype(np.float64)
    assert (np.abs(call(functions.nano_train_expf, x) - expected) / ulp).max() < 2
    assert functions.nano_train_expf(-88.0) == 0
    x = np.concatenate([rng.uniform(1, 3, 10000), 10 ** rng.uniform(0, 30, 10000), [1.0]])
    x = x.astype(np.float32)
    expected = np.log(x.astype(np.float64))
    ulp = np.maximum(np.spacing(expected.astype(np.float32)), 2.0**-25).astype(np.float64)
    assert (np.abs(call(functions.nano_train_logf, x) - expected) / ulp).max() < 2
    x = np.concatenate([10 ** rng.uniform(-44, 38, 20000), [0.0, 1.0, 4.0]]).astype(np.float32)
    expected = np.sqrt(x.astype(np.float64))
    ulp = np.spacing(expected.astype(np.float32)).astype(np.float64)
    assert (np.abs(call(functions.nano_train_sqrtf, x) - expected) / ulp).max() <= 1


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_c_cannot_hold_is_refused(seed: int) -> None:
    with pytest.raises(NanoError, match="seed"):
        HeadConfig(4, 0.1, (Layer(2),), seed=seed)


def test_integer_functions_keep_their_bounds(functions: ctypes.CDLL) -> None:
    distances = np.concatenate([np.arange(0, 1 << 21, 97), [2**31 - 1]])
    mine = call_integer(functions.nano_train_exp, distances)
    assert np.array_equal(mine, fixed.exp(distances))
    expected = np.exp(-distances / 2**16) * 2**30
    assert (np.abs(mine - expected) <= 0.501 + expected * 2.0**-22).all()
    for bits in (16, 26, 30):
        for value in np.unique(np.geomspace(2**bits, 2**31, 400).astype(np.int64)):
            found = functions.nano_train_log(int(value), bits)
            assert found == fixed.log(int(value), bits)
            assert abs(found - np.log(value / 2**bits) * 2**20) <= 1


def call_integer(function: Any, x: np.ndarray) -> np.ndarray:
    function.restype = ctypes.c_uint32
    return np.array([function(ctypes.c_uint32(int(value))) for value in x], np.int64)
