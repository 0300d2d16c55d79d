"""What PyTorch quantized: scales are kept, weights are the same integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.ao.quantization.fx._decomposed  # (registers the steps)
import torch.nn.functional as F
from torch import Tensor, nn

import nanotool
from nanotool.errors import UnsupportedOp
from nanotool.ir import LayerQuality
from nanotool.quantization.doubts import noisy

STEPS = torch.ops.quantized_decomposed
pytestmark = pytest.mark.filterwarnings("ignore::nanotool.errors.NanoWarning")


class Twice(nn.Module):
    """Quantized and back."""

    def __init__(self, scale: float, zero_point: int, low: int = -128) -> None:
        super().__init__()
        kind = torch.int8 if low else torch.uint8
        self.given = (scale, zero_point, low, low + 255, kind)

    def forward(self, x: Tensor) -> Tensor:
        q = STEPS.quantize_per_tensor.default(x, *self.given)
        return STEPS.dequantize_per_tensor.default(q, *self.given)  # type: ignore[no-any-return]


class Net(nn.Module):
    """As PT2E leaves one: int8 weights, a scale a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = nn.ModuleList([Twice(0.03, -5), Twice(0.02, 0, low=0), Twice(0.05, 10)])
        conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 16, 5)
        weight, self.bias = conv.weight.detach(), conv.bias
        scale = weight.abs().amax((1, 2, 3)) / 127
        steps = torch.round(weight / scale[:, None, None, None])
        self.register_buffer("weight", steps.to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros(8, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        given = (self.weight, self.scale, self.zero, 0, -127, 127, torch.int8)
        weight = STEPS.dequantize_per_channel.default(*given)
        x = F.relu(F.conv2d(self.ends[0](x), weight, self.bias, padding=1))
        x = F.max_pool2d(self.ends[1](x), 2)
        return self.ends[2](self.head(x.flatten(1)))  # type: ignore[no-any-return]


def test_scales_and_weights_are_kept() -> None:
    torch.manual_seed(0)
    net = Net().eval()
    x = torch.randn(32, 3, 8, 8)
    model = nanotool.quantize(net, x)
    ends = {(round(t.scale, 6), t.zero_point) for t in model.graph.tensors.values()}
    assert ends == {(0.03, -5), (0.02, -128), (0.05, 10)}
    (convolution, _) = (op for op in model.graph.ops if op.weight is not None)
    assert isinstance(net.weight, Tensor)
    assert convolution.weight is not None
    np.testing.assert_array_equal(convolution.weight.transpose(0, 3, 1, 2), net.weight.numpy())
    off = np.abs(model.run(x.numpy()) - net(x).detach().numpy()) / 0.05
    assert off.max() < 1.001
    assert (off > 0.5).mean() < 0.1


def test_fake_quantization_is_kept() -> None:
    class Fake(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.fake_quantize_per_tensor_affine(x, 0.04, 3, -128, 127)
            y = self.layer(x)
            return torch.fake_quantize_per_tensor_affine(y, 0.02, -7, -128, 127)

    model = nanotool.quantize(Fake().eval(), torch.randn(16, 6))
    assert [(round(t.scale, 6), t.zero_point) for t in model.graph.tensors.values()] == [
        (0.04, 3),
        (0.02, -7),
    ]


def test_activations_of_16_bits_are_refused() -> None:
    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fake_quantize_per_tensor_affine(x, 1e-3, 0, -32768, 32767)

    with pytest.raises(UnsupportedOp, match="16 bits"):
        nanotool.quantize(Wide(), torch.randn(16, 6))


def test_a_noisy_output_is_told_with_the_layer() -> None:
    from dataclasses import replace

    layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    graph = nanotool.quantize(layers, torch.randn(32, 6), observer="minmax").graph
    assert noisy(graph) == []
    first, second, last = (op.name for op in graph.ops)
    levels = {first: 44.0, second: 26.0, last: 24.0}
    told = replace(graph, quality=tuple(LayerQuality(n, db, 0.0) for n, db in levels.items()))
    (sentence,) = noisy(told)
    assert f"The output {last} keeps 24.0 dB" in sentence
    assert f"at {second}: 44.0 dB in front of it, 26.0 behind" in sentence
