"""The Python API: nanotool.quantize and QuantizedModel; NANO-RUST's quick start, in our names."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nanotool
from nanotool import (
    NanoError,
    QuantizedModel,
    SequentialModel,
    calibrate_model,
    compute_activation_scale_params,
    compute_requant_params,
    export_to_c,
    quantize_to_i8,
    quantize_weights,
)
from nanotool.errors import UnsupportedOp
from nanotool.sequential.calibration import _one_source
from nanotool.sources import lib_dir


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, (3, 1), bias=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(6 * 3 * 5, 3),
    ).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(64, 1, 10, 10, generator=torch.Generator().manual_seed(1))


# --- nanotool.quantize ----------------------------------------------------------------------------


def test_from_torch_to_every_output(
    tmp_path: Path, net: nn.Sequential, images: torch.Tensor
) -> None:
    model = nanotool.quantize(net, images, name="little", labels=["a", "b", "c"])
    assert isinstance(model, QuantizedModel)
    assert (model.name, model.input_shape, model.output_shape) == ("little", (1, 10, 10), (3,))
    with torch.no_grad():
        real = net(images).numpy()
    y = model.simulate(images)
    assert y.dtype == np.float32
    assert np.abs(y - real).max() < 0.05 * np.abs(real).max()
    assert np.array_equal(model.run(images), y)
    raw = np.zeros((2, 1, 10, 10), np.int8)
    assert model.run(raw).dtype == np.int8
    assert np.array_equal(model.run(raw), model.simulate(raw))
    assert np.array_equal(model.run(images[:3], board="native"), y[:3])
    assert "[1, 10, 10] -> [3]" in repr(model)
    assert "MAC" in str(model)
    assert model.arena_size() > 100

    model.save(tmp_path / "little.nano")
    assert nanotool.load(tmp_path / "little.nano").hash == model.hash
    content = model.to_tflite(tmp_path / "little.tflite")
    assert (tmp_path / "little.tflite").read_bytes() == content
    again = QuantizedModel.load(tmp_path / "little.tflite")
    assert np.array_equal(again.simulate(images.permute(0, 2, 3, 1)), y)
    model.export(tmp_path / "c", targets=["portable"])
    assert np.array_equal(QuantizedModel.load(tmp_path / "c").run(images), y)
    model.report(tmp_path / "report.html")
    assert "little" in (tmp_path / "report.html").read_text("utf-8")


def test_a_look_inside(net: nn.Sequential, images: torch.Tensor) -> None:
    """Every layer's values near those of PyTorch, as real values or as integers."""
    model = nanotool.quantize(net, images)
    layers = model.simulate_layers(images)
    assert set(layers) == set(model.graph.tensors)
    with torch.no_grad():
        tanh = net[:5](images).permute(0, 2, 3, 1).numpy()
    assert np.abs(layers["4"] - tanh).max() < 0.05
    assert np.array_equal(layers[model.graph.output], model.run(images))
    raw = model.simulate_layers(np.zeros((1, 1, 10, 10), np.int8))
    assert {y.dtype for y in raw.values()} == {np.dtype(np.int8)}
    assert f"{model.arena_size():,} bytes of arena" in model.memory_plan()


def test_what_quantize_takes(net: nn.Sequential, images: torch.Tensor) -> None:
    """Arrays (read-only ones, too, as data sets are), batches, a DataLoader's pairs."""
    fixed = images.numpy().copy()
    fixed.setflags(write=False)
    whole = nanotool.quantize(net, fixed)
    pairs = [(images[:32], torch.zeros(32)), (images[32:], torch.zeros(32))]
    assert nanotool.quantize(net, pairs).hash == whole.hash
    assert nanotool.quantize(net, images.double().numpy()).hash == whole.hash
    with pytest.raises(NanoError, match="empty"):
        nanotool.quantize(net, [])
    with pytest.raises(NanoError, match="NoneType"):
        nanotool.quantize(net, None)
    with pytest.raises(NanoError, match="no array"):
        whole.run([[1.0], [1.0, 2.0]])
    assert whole.run(images[:2].bfloat16()).shape == (2, 3)
    with pytest.raises(NanoError, match="1x10x10"):
        whole.run(np.zeros((1, 2, 2), np.float32))
    with pytest.raises(NanoError, match=r"end in \.tflite"):
        whole.to_tflite("model.bin")


@pytest.mark.parametrize("page", ["python-api.md", "coming-from-nano-rust.md"])
def test_the_guides_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """Every Python block of the page, in order."""
    path = Path(__file__).parents[2] / "docs" / page
    blocks = re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert isinstance(names["model"], SequentialModel)
    names["model"].forward([0] * (16 if page == "python-api.md" else 784))


# --- NANO-RUST's quick start ----------------------------------------------------------------------


def test_quick_start() -> None:
    """Line for line; its README prints other numbers than its code gives ([4, 0, 2])."""
    model = nanotool.SequentialModel(input_shape=[4], arena_size=4096)
    model.add_dense(weights=[10, -5, 3, 7, -2, 8, -4, 6, 1, 5, -3, 9], bias=[1, -1, 2])
    model.add_relu()
    input_data = [100, -50, 30, 70]
    output = model.forward(input_data)
    assert output == [5, 0, 3]
    prediction = model.predict(input_data)
    assert prediction == 0


def test_the_utilities_of_the_quick_start(tmp_path: Path) -> None:
    float_data = np.array([0.5, -0.3, 1.0, -1.0], dtype=np.float32)
    q_data, scale = quantize_to_i8(float_data)
    assert q_data.tolist() == [64, -38, 127, -127]
    assert scale == pytest.approx(1 / 127)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    q_weights = quantize_weights(model)
    assert q_weights["0"]["type"] == "Linear"
    weights = q_weights["0"]["weights"]
    assert weights is not None
    assert weights.shape == (128, 784)
    assert q_weights["2"]["params"] == {"in_features": 128, "out_features": 10}
    assert q_weights["1"]["weights"] is None

    sample_input = torch.randn(1, 784)
    q_input, input_scale = quantize_to_i8(sample_input.numpy().flatten())
    cal = calibrate_model(model, sample_input, q_weights, input_scale)
    assert set(cal) == {"0", "2"}

    nano = nanotool.SequentialModel([784], arena_size=4096)
    for name in ("0", "2"):
        requant: Any = cal[name]
        m, s, b = requant
        flat: Any = q_weights[name]["weights"]
        nano.add_dense_with_requant(flat.flatten().tolist(), b, m, s)
        if name == "0":
            nano.add_relu()
    with torch.no_grad():
        real = model(sample_input).numpy().flatten()
    q_real, _ = quantize_to_i8(real)
    assert np.abs(nano.forward(q_input) - q_real.astype(int)).max() <= 4

    code = export_to_c(model, "digit_classifier", input_shape=[784])
    (tmp_path / "digit_classifier.c").write_text(code)
    assert "digit_classifier" in code


def test_requantization_parameters() -> None:
    """As many bits as fit, and the quotient they stand for."""
    for real in (1e-6, 0.00625, 0.25, 0.5, 0.999, 1.0, 3.7):
        m, shift = compute_requant_params(real, 1.0, 1.0)
        assert m / 2**shift == pytest.approx(real, rel=1e-3 if real < 1e-5 else 1e-7)
        assert m < 2**31
        assert shift == 31 or m >= 2**30
        mult, shift = compute_activation_scale_params(real, 16.0)
        assert mult < 2**15
        assert shift == 15 or mult >= 2**14
    assert compute_requant_params(0.01, 0.005, 0.008) == (13421773, 31)
    for bad in (0.0, -1.0, math.nan, math.inf, 1e-10, 1e10):
        with pytest.raises(NanoError):
            compute_requant_params(bad, 1.0, 1.0)


def test_calibration_takes_float64_and_models_in_training_mode() -> None:
    """NumPy's usual type; dropout must not fall on what is measured."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.9), nn.ReLU(), nn.Linear(8, 2))
    x = np.random.default_rng(0).normal(size=(50, 8))
    weights = quantize_weights(model)
    trained = calibrate_model(model.train(), x, weights, 0.03)
    assert model.training and model[1].training
    assert trained == calibrate_model(model.eval(), x.astype(np.float32), weights, 0.03)
    with torch.no_grad():
        largest = float(model(torch.tensor(x, dtype=torch.float32)).abs().max())
    factors: Any = trained["3"]
    bias = model.get_parameter("3.bias").detach().numpy()
    assert factors[2] == pytest.approx(bias / largest * 127, abs=0.51)


def test_a_calibrated_softmax_gives_the_models_probabilities() -> None:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(8, 4), nn.Softmax(dim=1)).eval()
    x = np.random.default_rng(0).normal(size=(200, 8)) * 3
    _, scale = quantize_to_i8(x)
    weights: dict[str, Any] = dict(quantize_weights(model))
    factors: dict[str, Any] = dict(calibrate_model(model, x, weights, scale))
    assert factors["1"][0] == "softmax"
    exported = SequentialModel([8])
    m, s, b = factors["0"]
    exported.add_dense_with_requant(weights["0"]["weights"], b, m, s)
    exported.add_softmax(factors["1"][1])
    assert export_to_c(model, "little", calibration=x) == _one_source(exported, "little")
    with torch.no_grad():
        real = model(torch.tensor(x, dtype=torch.float32)).numpy()
    answers = exported.forward(np.rint(x / scale).astype(np.int8))
    assert np.abs(answers / 127 - real).max() < 0.05


def test_values_that_cannot_be_quantized() -> None:
    assert quantize_to_i8([0.0, 0.0])[1] == 1.0
    with pytest.raises(NanoError, match="NaN"):
        quantize_to_i8([math.nan])
    for module, what in (
        (nn.BatchNorm2d(3), "BatchNorm2d"),
        (nn.Conv2d(4, 4, 3, groups=2), "groups"),
        (nn.Conv2d(4, 4, 3, stride=(1, 2)), "window"),
        (nn.MaxPool2d(3, ceil_mode=True), "ceil_mode"),
    ):
        with pytest.raises(UnsupportedOp, match=what):
            quantize_weights(nn.Sequential(module))


MAIN = """
#include <stdio.h>
int main(void) {
    NANO_ALIGNED static uint8_t bytes[LITTLE_ARENA_SIZE];
    nano_arena arena;
    nano_net net;
    if (nano_arena_init(&arena, bytes, sizeof bytes)) return 1;
    if (nano_init(&net, &little_model, &arena)) return 1;
    const size_t size = little_model.inputs[0].size;
    while (fread(nano_input(&net), 1, size, stdin) == size) {
        if (nano_run(&net)) return 1;
        fwrite(nano_output(&net), 1, little_model.outputs[0].size, stdout);
    }
    return 0;
}
"""


@pytest.mark.parametrize("calibrated", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_exported_source_compiles_and_gives_the_same_bytes(
    tmp_path: Path, net: nn.Sequential, images: torch.Tensor, calibrated: bool
) -> None:
    """One file, against lib/nano; the model assembled by hand says what has to come out."""
    code = export_to_c(net, "little", [1, 10, 10], images if calibrated else None)
    source, program = tmp_path / "little.c", tmp_path / "little"
    source.write_text(code + MAIN)
    library = [str(path) for path in sorted((lib_dir() / "src").rglob("*.c"))]
    include = f"-I{lib_dir() / 'include'}"
    command = ["gcc", "-O1", "-Wall", "-Werror", include, str(source), *library, "-o", str(program)]
    subprocess.run(command, check=True, timeout=120)

    q, scale = quantize_to_i8(images.numpy())
    model = by_hand(net, images if calibrated else None, scale)
    device = np.ascontiguousarray(q.transpose(0, 2, 3, 1)).tobytes()
    done = subprocess.run([program], input=device, check=True, capture_output=True, timeout=60)
    answers = np.frombuffer(done.stdout, np.int8).reshape(-1, 3)
    assert np.array_equal(answers, model.forward(q))


def by_hand(net: nn.Sequential, images: torch.Tensor | None, scale: float) -> SequentialModel:
    weights: dict[str, Any] = dict(quantize_weights(net))
    model = SequentialModel([1, 10, 10], 1 << 16)
    if images is None:
        model.add_conv2d(weights["0"]["weights"], weights["0"]["bias"], 1, 4, 3, 3, 1, 1)
        model.add_relu()
        model.add_max_pool2d(2)
        model.add_conv2d(weights["3"]["weights"], [0] * 6, 4, 6, 3, 1, 1, 0)
        model.add_tanh()
        model.add_flatten()
        model.add_dense(weights["6"]["weights"], weights["6"]["bias"])
        return model
    factors: dict[str, Any] = dict(calibrate_model(net, images, weights, scale))
    m, s, b = factors["0"]
    model.add_conv2d_with_requant(weights["0"]["weights"], b, 1, 4, 3, 3, 1, 1, m, s)
    model.add_relu()
    model.add_max_pool2d(2)
    m, s, b = factors["3"]
    model.add_conv2d_with_requant(weights["3"]["weights"], b, 4, 6, 3, 1, 1, 0, m, s)
    model.add_tanh_scaled(*factors["4"][1:])
    model.add_flatten()
    m, s, b = factors["6"]
    model.add_dense_with_requant(weights["6"]["weights"], b, m, s)
    return model


def test_calibrated_models_are_near_the_float_model(
    net: nn.Sequential, images: torch.Tensor
) -> None:
    q, scale = quantize_to_i8(images.numpy())
    model = by_hand(net, images, scale)
    with torch.no_grad():
        real = net(images).numpy()
    wanted, _ = quantize_to_i8(real)
    assert np.abs(model.forward(q) - wanted.astype(int)).max() <= 10
