"""How much accuracy int8 costs.

    python -m bench.accuracy [NET ...] [--observer auto minmax ...] [--draws 5] [--allow int16]
                             [--onnx] [--qat 1] [--qat-activations int16]

Trains seven nets once (build/accuracy keeps their weights), calibrates each with DRAW of its
training inputs, five draws by seed, and judges on its test part: accuracy where there are classes,
and the output's signal-to-quantization-noise ratio. --allow adds auto with what it may take, --onnx
onnxruntime's static quantizer on the same draws (pip install -r bench/accuracy/requirements.txt),
--qat so many epochs of quantization-aware training from the first draw on. OMP_NUM_THREADS=1 where
other work runs beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import nanotool
from bench.accuracy.data import Split
from bench.accuracy.nets import NETS, fit, trained
from nanotool.errors import NanoWarning
from nanotool.ir import FloatArray

DRAW = 256  # calibration inputs
Quantizer = Callable[[FloatArray, NDArray[Any], FloatArray], NDArray[Any]]  # x, y, test -> outputs


def draws(data: Split, count: int) -> Iterator[tuple[FloatArray, NDArray[Any]]]:
    """Calibration inputs with their targets."""
    for seed in range(count):
        order = np.random.default_rng(seed).permutation(len(data.train_x))[:DRAW]
        yield data.train_x[order], data.train_y[order]


def float_outputs(model: nn.Module, x: FloatArray) -> FloatArray:
    """What the float model gives, as the device lays it out."""
    with torch.no_grad():
        y: FloatArray = model(torch.tensor(x)).numpy()
    return y


def ours(model: nn.Module, observer: str, allow: tuple[str, ...] = ()) -> Quantizer:
    """nanotool's quantizer with ``observer``, and what that may take."""

    def outputs(x: FloatArray, y: NDArray[Any], test: FloatArray) -> NDArray[Any]:
        targets = y if y.dtype.kind == "i" and observer == "auto" else None
        quantized = nanotool.quantize(model, x, observer=observer, targets=targets, allow=allow)
        result: NDArray[Any] = quantized.run(test)
        return result.transpose(0, 3, 1, 2) if result.ndim == 4 else result

    return outputs


def theirs(model: nn.Module, data: Split, folder: Path) -> dict[str, Quantizer]:
    """onnxruntime's static quantizer, as often as it has ways to calibrate."""
    from bench.accuracy.onnx import METHODS, Baseline  # noqa: PLC0415  (needs a package)

    baseline = Baseline(model, data.train_x, folder)

    def quantizer(method: str) -> Quantizer:
        return lambda x, _, test: baseline.quantized(x, method, test)

    return {f"onnxruntime {method}": quantizer(method) for method in METHODS}


def sqnr(real: NDArray[Any], quantized: NDArray[Any]) -> float:
    """Signal to quantization noise of the output, in dB."""
    noise = float(((real - quantized) ** 2).sum(dtype=np.float64))
    return float(10 * np.log10((real**2).sum(dtype=np.float64) / noise))


def accuracy(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """In percent."""
    return 100 * float((outputs.argmax(axis=1) == targets).mean())


def row(name: str, values: list[float], unit: str) -> str:
    """Mean, and every draw."""
    each = " ".join(f"{value:6.2f}" for value in values)
    return f"  {name:<24} {np.mean(values):6.2f} {unit}   {each}"


def measure(
    name: str, how: dict[str, Quantizer], model: nn.Module, data: Split, count: int
) -> None:
    """Print one net's table."""
    real = float_outputs(model, data.test_x)
    print(f"{name}: {len(data.test_x)} test inputs", flush=True)
    if data.classes:
        print(row("float", [accuracy(real, data.test_y)], "%"))
    for title, quantizer in how.items():
        start, ratios, rates = time.monotonic(), [], []
        for x, y in draws(data, count):
            outputs = quantizer(x, y, data.test_x)
            ratios.append(sqnr(real, outputs))
            rates.append(accuracy(outputs, data.test_y) if data.classes else 0.0)
        if data.classes:
            print(row(title, rates, "%"))
        seconds = (time.monotonic() - start) / count
        print(f"{row(title, ratios, 'dB')}   {seconds:.1f} s a draw", flush=True)


def measure_training(
    name: str, model: nn.Module, data: Split, epochs: int, activations: str
) -> None:
    """Print how good a quantization-aware training ends, and how far the module is from the integer
    model."""
    x, _ = next(draws(data, 1))
    aware = nanotool.prepare_qat(model, x, activations=activations)
    torch.manual_seed(0)
    fit(aware, data, epochs, NETS[name].rate / 20, NETS[name].batch)
    quantized = nanotool.quantize(aware, x)
    inputs = np.concatenate([data.test_x, data.train_x])[:1000]
    outputs, int8 = float_outputs(aware, inputs), quantized.run(inputs)
    int8 = int8.transpose(0, 3, 1, 2) if int8.ndim == 4 else int8
    apart = float(np.abs(outputs - int8).max()) / quantized.graph.output_tensor.scale
    if data.classes:
        rate = accuracy(int8[: len(data.test_x)], data.test_y[:1000])
        print(row(f"trained {epochs} epochs", [rate], "%"))
    print(f"  module and int8 model: {apart:g} steps apart on {len(inputs)} inputs", flush=True)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"of {', '.join(NETS)}")
    parser.add_argument("--observer", nargs="+", default=["auto", "minmax"])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--allow", nargs="+", default=[], choices=["int16"])
    parser.add_argument("--qat-activations", default="int8", choices=["int8", "int16"])
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--qat", type=int, default=0, metavar="EPOCHS")
    arguments = parser.parse_args()
    unknown = set(arguments.nets) - set(NETS)
    if unknown:
        parser.error(f"there is no net {', '.join(unknown)}: {', '.join(NETS)}")
    warnings.simplefilter("ignore", NanoWarning)
    for name in arguments.nets or NETS:
        model, data = trained(name)
        how = {f"nanotool {observer}": ours(model, observer) for observer in arguments.observer}
        if arguments.allow:
            allow = tuple(arguments.allow)
            how[f"nanotool auto, {', '.join(allow)}"] = ours(model, "auto", allow)
        with tempfile.TemporaryDirectory(prefix="nanotool-onnx-") as folder:
            if arguments.onnx:
                how |= theirs(model, data, Path(folder))
            measure(name, how, model, data, arguments.draws)
        if arguments.qat:
            measure_training(name, model, data, arguments.qat, arguments.qat_activations)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
