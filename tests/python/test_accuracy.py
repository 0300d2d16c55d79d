"""How far the int8 networks are from PyTorch's floats, in steps of the output (LSBs).

Real data: networks are calibrated on MNIST's train images and judged on test images, of which some
reach beyond the calibrated range; a value that saturates counts with its full error. The limits
are those of the project's first promise. `pytest -rP` prints the maxima.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from float_nets import device_order, reference
from torch import nn

from examples.digits.train import train
from nanotool.datasets import Dataset, load_mnist
from nanotool.errors import NanoError
from nanotool.frontends.torch import capture
from nanotool.inputs import to_device
from nanotool.ir import FloatArray, QGraph
from nanotool.passes import prepare
from nanotool.quantize import quantize
from nanotool.simulate import simulate

CALIBRATION, HELD_OUT, BATCH = 5000, 1000, 250


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    try:
        return load_mnist()
    except NanoError as error:
        pytest.skip(f"MNIST cannot be had here: {error}")


def int8_of(model: nn.Module, calibration: FloatArray) -> QGraph:
    graph = prepare(capture(model, torch.zeros(1, *calibration.shape[1:])))
    return quantize(graph, [calibration[i : i + BATCH] for i in range(0, len(calibration), BATCH)])


def error_in_steps(model: nn.Module, calibration: FloatArray, held_out: FloatArray) -> float:
    """The greatest |de-quantized int8 output - PyTorch's output| / output scale."""
    graph = int8_of(model.eval(), calibration)
    y = graph.output_tensor.dequantize(simulate(graph, to_device(graph, held_out)))
    difference = np.abs(y - device_order(reference(model, held_out)))
    return float(difference.max() / graph.output_tensor.scale)


def on_digits(model: nn.Module, mnist: Dataset) -> float:
    return error_in_steps(model, mnist.train_x[:CALIBRATION], mnist.test_x[:HELD_OUT])


def dense_relu() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU())


def conv_relu_dense() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 784, 10)
    )


def deep_cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU6(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.AvgPool2d(7)),
        *(nn.Flatten(), nn.Linear(16, 10)),
    )


def sigmoid_net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Sigmoid(), nn.Linear(32, 10))


def sigmoid_output() -> nn.Module:
    return nn.Sequential(*sigmoid_net(), nn.Sigmoid())  # type: ignore[misc]


def tanh_net() -> nn.Module:
    layers = (nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 10))
    return nn.Sequential(nn.Flatten(), *layers)


def tanh_output() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.Tanh(), nn.Linear(32, 10), nn.Tanh())


def conv_tanh_sigmoid() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 8, 3, stride=2), nn.Sigmoid(), nn.Flatten(), nn.Linear(8 * 36, 10)),
    )


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("build", "limit"),
    [
        (dense_relu, 2),
        (conv_relu_dense, 3),
        (deep_cnn, 5),
        (sigmoid_net, 4),
        (sigmoid_output, 4),
        (tanh_net, 4),
        (tanh_output, 4),
        (conv_tanh_sigmoid, 4),
    ],
)
def test_error_against_pytorch(
    build: Callable[[], nn.Module], limit: int, seed: int, mnist: Dataset
) -> None:
    torch.manual_seed(seed)
    worst = on_digits(build(), mnist)
    print(f"{build.__name__} seed {seed}: {worst:.2f} of at most {limit} LSBs")
    assert worst <= limit


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_error_of_small_vectors(seed: int) -> None:
    """Sensor-like data: sixteen uniform numbers."""
    rng = np.random.default_rng(seed)
    calibration, held_out = (
        rng.uniform(-2, 3, (count, 16)).astype(np.float32) for count in (CALIBRATION, HELD_OUT)
    )
    torch.manual_seed(seed)
    worst = error_in_steps(nn.Sequential(nn.Linear(16, 8), nn.ReLU()), calibration, held_out)
    assert worst <= 2


def test_trained_digits(mnist: Dataset) -> None:
    """A short training is enough: int8 is within 0.3 points of float, logits within 5 LSBs but for
    those of outliers, of which there may be one in a thousand."""
    model, accuracy = train(epochs=1, data=mnist)
    assert accuracy >= 0.95
    graph = int8_of(model, mnist.train_x[:CALIBRATION])
    y = simulate(graph, to_device(graph, mnist.test_x))
    int8_accuracy = float((y.argmax(axis=1) == mnist.test_y).mean())
    assert abs(int8_accuracy - accuracy) <= 0.003
    real = graph.output_tensor.dequantize(y)
    steps = np.abs(real - reference(model, mnist.test_x)) / graph.output_tensor.scale
    print(f"float {accuracy:.4f} int8 {int8_accuracy:.4f} most {steps.max():.2f} LSBs")
    assert float((steps.max(axis=1) > 5).mean()) <= 0.001
    assert math.isfinite(min(entry.sqnr_db for entry in graph.quality))
    assert min(entry.sqnr_db for entry in graph.quality) > 25
