"""PyTorch in: what is captured computes what the module computes; the rest is refused well."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from float_nets import Functional, assert_close, check, random_input, reference, settle
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nanotool.errors import InvalidModel, NanoError, UnsupportedOp
from nanotool.frontends.torch import capture, capture_program
from nanotool.ir import AveragePool2D, Clamp, Conv2D, MaxPool2D, Window
from nanotool.quantization import evaluate


class Forward(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function, *layers: nn.Module) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.function(x, *self.layers)
        return result


IMAGE = (4, 9, 11)
SUPPORTED = {
    "conv": nn.Conv2d(4, 6, 3),
    "conv stride": nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0)),
    "conv same": nn.Conv2d(4, 6, (4, 3), padding="same", dilation=(1, 2)),
    "conv valid": nn.Conv2d(4, 6, 5, padding="valid"),
    "conv groups": nn.Conv2d(4, 6, 3, groups=2, bias=False),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding=1),
    "max pool": nn.MaxPool2d(3, stride=2, padding=1),
    "max pool dilation": nn.MaxPool2d(2, dilation=3),
    "max pool ceil": nn.MaxPool2d(2, ceil_mode=True),
    "max pool ceil padding": nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    "avg pool": nn.AvgPool2d((2, 3)),
    "avg pool padding": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "avg pool ceil": nn.AvgPool2d(2, ceil_mode=True),
    "avg pool ceil padding": nn.AvgPool2d(
        3, stride=3, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "adaptive 1": nn.AdaptiveAvgPool2d(1),
    "adaptive 3x11": nn.AdaptiveAvgPool2d((3, None)),
    "batch norm": nn.BatchNorm2d(4),
    "batch norm plain": nn.BatchNorm2d(4, affine=False),
    "relu": nn.ReLU(),
    "relu in place": nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)),
    "relu6": nn.ReLU6(),
    "hardtanh": nn.Hardtanh(-0.5, 0.75),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "identity": nn.Identity(),
    "dropout": nn.Dropout2d(0.5),
    "flatten": nn.Flatten(),
    "flatten 2": nn.Flatten(2),
    "softmax channels": nn.Softmax(1),
    "softmax rows": nn.Softmax(2),
    "softmax last": nn.Softmax(-1),
    "linear over rows": nn.Linear(11, 5),
    "mean": Forward(lambda x: x.mean((2, 3))),
    "mean kept": Forward(lambda x: x.mean((-1, -2), keepdim=True)),
    "clip": Forward(lambda x: torch.clip(x, max=0.25)),
    "clamp min": Forward(lambda x: x.clamp_min(-0.125)),
    "clamp max": Forward(lambda x: torch.clamp_max(x, 0.5)),
    "functions": Forward(lambda x: torch.tanh(F.relu6(F.hardtanh(x, -1, 2)))),
    "methods": Forward(lambda x: x.sigmoid().relu().tanh()),
    "pools": Forward(lambda x: F.avg_pool2d(F.max_pool2d(x, 2), 2)),
    "adaptive function": Forward(lambda x: F.adaptive_avg_pool2d(x, (9, 1))),
    "reshape": Forward(lambda x: x.reshape(len(x), 2, -1)),
    "reshape to image": Forward(lambda x: x.reshape(-1, 2, 18, 11).relu()),
    "permute": Forward(lambda x: x.permute(0, 3, 1, 2)),
    "transpose": Forward(lambda x: x.transpose(1, 2)),
    "channel shuffle": Forward(
        lambda x: x.view(-1, 2, 2, 9, 11).transpose(1, 2).reshape(-1, 4, 9, 11)
    ),
    "squeeze": Forward(lambda x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1)),
    "unsqueeze": Forward(lambda x: x.flatten(1).unsqueeze(1).flatten(2)),
    "casts": Forward(lambda x: x.contiguous().to(torch.float32).clone().detach()),
    "frozen weight": Forward(
        lambda x, conv: F.conv2d(x, conv.weight.abs() * 2), nn.Conv2d(4, 3, 2)
    ),
    "shared module": Forward(lambda x, conv: conv(conv(x)), nn.Conv2d(4, 4, 3, padding=1)),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 3)),
    "no grad inside the layers": nn.Sequential(nn.Conv2d(4, 4, 1).requires_grad_(False)),
    "in place, then read again": Forward(lambda x, conv: _reuse(conv(x)), nn.Conv2d(4, 4, 1)),
}


def _reuse(x: torch.Tensor) -> torch.Tensor:
    x.relu_()
    return x.tanh()  # of the rectified x


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", SUPPORTED)
def test_layer_computes_the_same(name: str) -> None:
    check(settle(SUPPORTED[name]), *IMAGE)


VECTORS = {
    "linear": nn.Linear(7, 3),
    "no bias": nn.Linear(7, 3, bias=False),
    "batch norm 1d": nn.BatchNorm1d(7),
    "norm between": nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)),
    "softmax": nn.Softmax(1),
    "hardtanh alone": nn.Hardtanh(-0.1, 0.2),
    "one value": nn.Linear(7, 1),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector_layer_computes_the_same(name: str) -> None:
    check(settle(VECTORS[name]), 7)


def test_nested_modules_and_functions() -> None:
    captured, prepared = check(settle(Functional()), 2, 12, 16)
    assert [node.name for node in captured.nodes] == [
        "one.conv",
        "one.norm",
        "one.relu",
        "one.max_pool2d",
        "two.conv",
        "two.norm",
        "two.relu",
        "two.max_pool2d",
        "view",
        "hidden",
        "clamp",
        "out",
        "softmax",
    ]
    assert [node.name for node in prepared.nodes] == [
        *("one.conv", "one.max_pool2d", "two.conv", "two.max_pool2d"),
        *("view", "hidden", "out", "softmax"),
    ]


def test_names_are_unique() -> None:
    model = Forward(lambda x, conv: conv(torch.relu(conv(torch.relu(x)))), nn.Conv2d(4, 4, 1))
    names = [node.name for node in capture(model, torch.zeros(1, *IMAGE)).nodes]
    assert names == ["relu", "layers.0", "relu_2", "layers.0_2"]


def test_module_named_like_the_input() -> None:
    model = nn.Sequential()
    model.add_module("input", nn.Linear(7, 3))
    graph, _ = check(model, 7)
    assert graph.input == "input"
    assert graph.output == "input_2"


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    model.train()
    norm, conv = model[1], model[0]
    assert isinstance(conv, nn.Conv2d)
    norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = capture(model, random_tensor(3, *IMAGE))
    assert [module.training for module in model] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    weight = graph.node("0").weight
    assert weight is not None
    assert not weight.flags.writeable
    with torch.no_grad():
        conv.weight.zero_()
    assert np.abs(weight).max() > 0


def random_tensor(*shape: int) -> torch.Tensor:
    return torch.tensor(random_input(*shape))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_batch_size_as_example(count: int) -> None:
    model = nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten())
    graph = capture(model, torch.zeros(count, *IMAGE), name="net")
    assert graph.name == "net"
    assert graph.input_shape == IMAGE
    x = random_input(3, *IMAGE)
    assert_close(evaluate(graph, x)[graph.output], reference(model, x))


def test_double_precision_model() -> None:
    model = nn.Linear(7, 3).double()
    graph = capture(model, torch.zeros(1, 7, dtype=torch.float64))
    x = random_input(4, 7)
    with torch.no_grad():
        expected = model(torch.tensor(x, dtype=torch.float64)).numpy()
    assert_close(evaluate(graph, x)[graph.output], expected)


def test_operators_have_the_module_attributes() -> None:
    graph = capture(nn.Conv2d(4, 6, (2, 3), (2, 1), "valid", groups=2), torch.zeros(1, *IMAGE))
    assert graph.nodes[0].op == Conv2D(Window((2, 3), (2, 1)), groups=2)
    graph = capture(nn.MaxPool2d(2, ceil_mode=True), torch.zeros(1, *IMAGE))
    assert graph.nodes[0].op == MaxPool2D(Window((2, 2), (2, 2), (0, 0, 1, 1)))
    graph = capture(nn.AdaptiveAvgPool2d((3, 1)), torch.zeros(1, *IMAGE))
    assert graph.nodes[0].op == AveragePool2D(Window((3, 11), (3, 11)))
    graph = capture(nn.ReLU(), torch.zeros(1, *IMAGE))
    assert graph.nodes[0].op == Clamp(0.0, math.inf)


CAPTURED = {
    "grouped transposed": (nn.ConvTranspose2d(4, 4, 3, groups=2), IMAGE),
    "dilated transposed": (nn.ConvTranspose2d(4, 2, 3, dilation=2), IMAGE),
    "Softplus": (nn.Softplus(), IMAGE),
    "LayerNorm": (nn.LayerNorm(11), IMAGE),
    "InstanceNorm": (nn.InstanceNorm2d(4), IMAGE),
    "reflected": (nn.ReflectionPad2d(1), IMAGE),
    "adaptive": (nn.AdaptiveAvgPool2d(2), IMAGE),
    "adaptive max": (nn.AdaptiveMaxPool2d(4), IMAGE),
    "quotient": (Forward(lambda x: x / (x.abs() + 1)), IMAGE),
    "reciprocal": (Forward(lambda x: 1 / (x.abs() + 1)), IMAGE),
    "cube": (Forward(lambda x: x**3), IMAGE),
    "matrix product": (Forward(lambda x: x @ x.transpose(1, 2)), (9, 11)),
    "attention": (Forward(lambda x: F.scaled_dot_product_attention(x, x, x)), (9, 11)),
    "choice by data": (Forward(lambda x: torch.where(x > 0, x, 2 * x)), IMAGE),
    "mirror": (Forward(lambda x: x.flip(2)), IMAGE),
    "gather": (Forward(lambda x: x[:, [0, 2]]), IMAGE),
    "maximum along rows": (Forward(lambda x: x.amax(3)), IMAGE),
    "attention module": (
        Forward(lambda x, m: m(x, x, x)[0], nn.MultiheadAttention(12, 2, batch_first=True)),
        (9, 12),
    ),
    "values of a maximum": (Forward(lambda x: x.max(1)[0]), IMAGE),
    "rounded division": (Forward(lambda x: torch.div(x, 2, rounding_mode="floor")), IMAGE),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_what_pytorch_computes_is_captured(name: str) -> None:
    model, shape = CAPTURED[name]
    check(settle(model), *shape)


REFUSED = {
    "Conv3d": (Forward(lambda x, conv: conv(x.unsqueeze(1)), nn.Conv3d(1, 2, 2)), IMAGE, "Conv2d"),
    "GRU": (Forward(lambda x, gru: gru(x)[0], nn.GRU(11, 3)), (9, 11), "batch_first=True"),
    "constant result": (Forward(lambda x: torch.ones(2, 3) + 1), IMAGE, "in your own code"),
    "no result": (Forward(lambda x: None), IMAGE, "Return what"),
    "batch moved": (Forward(lambda x: x.transpose(0, 1)), IMAGE, "first axis"),
    "softmax over batch": (Forward(lambda x: x.softmax(0)), IMAGE, "dim=1"),
    "mean over batch": (Forward(lambda x: x.mean((0, 2))), IMAGE, "dim=1"),
    "mean of everything": (Forward(lambda x: x.mean()), IMAGE, "x.mean((2, 3))"),
    "batch statistics": (nn.BatchNorm2d(4, track_running_stats=False), IMAGE, "track_running"),
    "dropout that stays": (Forward(F.dropout), IMAGE, "self.training"),
    "integers": (Forward(lambda x: x.to(torch.int32)), IMAGE, "float"),
    "empty clamp": (nn.Sequential(Forward(lambda x: x.clamp(1, -1))), IMAGE, "below the upper"),
    "too many axes": (Forward(lambda x: x.relu()), (2, 2, 2, 2), "three axes"),
    "in place on a view": (
        Forward(lambda x, conv: _on_view(conv(x)), nn.Conv2d(4, 4, 1)),
        IMAGE,
        "in-place",
    ),
    "by zero": (Forward(lambda x: x / torch.zeros(4, 1, 1)), IMAGE, "small number"),
    "shapes that do not agree": (Forward(lambda x: x * x.mean((2, 3)).sum(1)), (9, 1, 1), "view"),
    "batch slice": (Forward(lambda x: x[1:]), IMAGE, "batch"),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE, "bilinear"),
    "odd factor": (nn.Upsample(scale_factor=1.6, mode="bilinear"), IMAGE, "size=14"),
    "odd nearest factor": (nn.Upsample(scale_factor=0.6), IMAGE, "size=5"),
    "use of an argmax": (Forward(lambda x: x.argmax(1).relu()), IMAGE, "last operation"),
    "kept argmax": (Forward(lambda x: x.argmax(1, keepdim=True)), IMAGE, "keepdim"),
    "second argument": (Forward(lambda x: x + x.shape[0]), IMAGE, "fixed number"),
}


def _on_view(x: torch.Tensor) -> torch.Tensor:
    x.flatten(1).relu_()
    return x.tanh()  # of the rectified x: the view shares its memory


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused_with_a_way_out(name: str) -> None:
    model, shape, hint = REFUSED[name]
    with pytest.raises(UnsupportedOp) as caught:
        capture(settle(model), torch.zeros(1, *shape))
    assert hint in str(caught.value)
    if name not in {
        "constant result",
        "no result",
        "dropout that stays",
    }:  # they are about no shape
        assert re.search(r"\dx\d|\[\d|\((on )?\d", str(caught.value)), str(caught.value)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of run_decompositions itself
def test_a_decomposed_program() -> None:
    model = nn.Sequential(nn.Conv2d(4, 3, 2), nn.Flatten(), nn.Linear(240, 2)).eval()
    program = torch.export.export(model, (torch.zeros(1, *IMAGE),)).run_decompositions()
    graph, x = capture_program(program), random_input(1, *IMAGE)
    assert_close(evaluate(graph, x)[graph.output], reference(model, x))


def test_refusal_names_module_and_shapes() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 3, 2), nn.Sequential(nn.ReLU(), nn.Upsample((9, 9), mode="bicubic"))
    )
    with pytest.raises(UnsupportedOp) as caught:
        capture(model, torch.zeros(1, *IMAGE))
    assert caught.value.node == "1.1"
    assert "1.1" in str(caught.value)
    assert "bicubic" in str(caught.value)
    assert "3x8x10" in str(caught.value)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.relu() if float(x.sum()) > 0 else x.tanh(),
        lambda x: x.view(1, -1),
        lambda x: x.no_such_method(),
        lambda x: x * float(x.mean()),
    ],
    ids=["control flow", "fixed batch", "error", "number"],
)
def test_what_torch_cannot_export_is_one_paragraph(
    function: Callable[[torch.Tensor], torch.Tensor], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NanoError) as caught:
        capture(Forward(function), torch.zeros(1, *IMAGE))
    assert "batch" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("example", [torch.zeros(7), torch.zeros(1, 7, dtype=torch.int64)])
def test_bad_example(example: torch.Tensor) -> None:
    with pytest.raises(NanoError, match="float batch"):
        capture(nn.Linear(7, 3), example)


def test_weights_that_are_not_finite() -> None:
    layer = nn.Linear(7, 3)
    model = nn.Sequential(layer)
    with torch.no_grad():
        layer.weight[0, 0] = math.nan
    with pytest.raises(InvalidModel, match=r"0: the weight holds NaN"):
        capture(model, torch.zeros(1, 7))


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_random_convolutions(data: st.DataObject) -> None:
    size = st.integers(1, 3)
    groups = data.draw(st.sampled_from([1, 2, 3]))
    kernel, stride, dilation = (data.draw(st.tuples(size, size)) for _ in range(3))
    padding = data.draw(st.one_of(st.just("valid"), st.tuples(st.integers(0, 2), size)))
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(groups * 2, groups * 3, kernel, stride, padding, dilation, groups),
        nn.ReLU6(),
        nn.Flatten(),
        nn.LazyLinear(3),
    )
    height, width = data.draw(st.integers(7, 9)), data.draw(st.integers(7, 9))
    model(torch.zeros(1, groups * 2, height, width))
    check(settle(model), groups * 2, height, width)


def test_nanotool_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import nanotool.passes, nanotool.quantization, nanotool.qfile, nanotool.inputs\n"
        "import nanotool.validate, nanotool.datasets, nanotool.simulate\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def test_one_place_of_an_axis_is_chosen_by_a_number() -> None:
    check(Calls(lambda x: x.index_select(1, torch.tensor(2))), 5)


def test_a_primitive_choice_is_one() -> None:
    check(Calls(lambda x: torch.copysign(x, x[:, :1])), 5)


def test_a_cast_does_not_cut_fractions_off_unsaid() -> None:
    rows = nn.Embedding(8, 3)
    with pytest.raises(UnsupportedOp, match="cuts fractions off"):
        capture(Calls(lambda x: rows((x * 8).clamp(0, 7).long())), torch.zeros(2, 4))
