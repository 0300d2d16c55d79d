"""Quantization-aware training: the module's outputs are the int8 model's, and it learns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from numpy.typing import NDArray
from random_nets import RandomNet
from torch import nn

import nanotool
from nanotool.errors import NanoError
from nanotool.ops import float_layer_of
from nanotool.quantization.aware.forms import Learned, compute
from nanotool.quantization.evaluate import evaluate


def outputs(aware: nn.Module, x: torch.Tensor) -> NDArray[Any]:
    with torch.no_grad():
        result: NDArray[Any] = aware(x).numpy()
    return result.transpose(0, 2, 3, 1) if result.ndim == 4 else result


@pytest.mark.parametrize(
    ("seed", "activations"), [*((seed, "int8") for seed in range(4)), (1, "int16"), (6, "int16")]
)
def test_any_net_gives_the_integer_models_outputs_before_and_after_a_step(
    seed: int, activations: str
) -> None:
    net = RandomNet(seed, 12)
    torch.manual_seed(seed)
    data = torch.randn(40, *net.shape)
    ranges = "learned" if seed % 2 else "observed"
    aware = nanotool.prepare_qat(
        net, data, observer="minmax", ranges=ranges, activations=activations
    )
    assert {tensor.dtype for tensor in aware.int8.tensors.values()} >= {activations}
    x = 1.5 * torch.randn(60, *net.shape)  # some saturate
    assert (outputs(aware, x) == nanotool.quantize(aware, data).simulate(x)).all()
    optimizer = torch.optim.SGD(aware.parameters(), 1e-3)
    if any(p.requires_grad for p in aware.parameters()):
        nn.functional.mse_loss(aware(data), torch.zeros_like(aware(data))).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    int8 = nanotool.quantize(aware, data)
    assert (outputs(aware, x) == int8.simulate(x)).all()
    copied = copy.deepcopy(aware)
    assert (outputs(copied, x) == outputs(aware, x)).all()


@pytest.mark.parametrize("seed", range(12, 15))
def test_float_forms_are_those_of_numpy(seed: int) -> None:
    net = RandomNet(seed, 12)
    x = torch.randn(4, *net.shape)
    aware = nanotool.prepare_qat(net, x, observer="minmax")
    graph = aware.graph
    real = evaluate(graph, x.numpy())
    tensors = {name: torch.tensor(values) for name, values in real.items()}
    tensors |= {name: torch.tensor(data)[None] for name, data in graph.constants.items()}
    for node in graph.nodes:
        parts = (None if a is None else torch.tensor(a) for a in (node.weight, node.bias))
        inputs = [tensors[name] for name in node.inputs]
        found = compute(float_layer_of(graph, node), Learned(*parts), inputs)
        expected = tensors[node.name]
        assert torch.allclose(found.to(expected.dtype), expected, rtol=1e-4, atol=1e-4), node


@pytest.mark.parametrize("ranges", ["learned", "observed"])
def test_it_learns_and_its_ranges_are_kept(ranges: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, 2)).eval()
    x = torch.randn(200, 4)
    y = torch.stack([x[:, 0] - x[:, 1], x[:, 2].abs()], 1)
    aware = nanotool.prepare_qat(net, torch.cat([x, 8 * x[:1]]), observer="minmax", ranges=ranges)
    before = aware.ranges
    optimizer = torch.optim.Adam(aware.parameters(), 2e-2)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(aware(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 3
    assert (aware.ranges == before) == (ranges == "observed")
    kept = nanotool.quantize(aware, x / 100).graph.tensors  # ranges are not observed anew
    assert all(kept[name].scale == tensor.scale for name, tensor in aware.int8.tensors.items())


class Last(nn.Module):
    """The last step of a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = nn.GRU(4, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.loop(x)[0][:, -1]
        return result


def test_what_prepare_refuses() -> None:
    with pytest.raises(NanoError, match="guessed"):
        nanotool.prepare_qat(nn.ReLU(), torch.randn(8, 4), ranges="guessed")
    with pytest.raises(NanoError, match="recurrent"):
        nanotool.prepare_qat(Last(), torch.randn(8, 5, 4), observer="minmax")
    aware = nanotool.prepare_qat(nn.Linear(4, 2), torch.randn(8, 4))
    with torch.no_grad():
        aware.weights["linear"].fill_(float("nan"))
    with pytest.raises(NanoError, match="not finite"):
        aware(torch.randn(2, 4))
