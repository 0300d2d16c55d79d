"""The same nets by onnxruntime's static quantizer: int8 per channel, its three ways to calibrate.

Needs `pip install -r bench/accuracy/requirements.txt`; nothing else here does.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from nanotool.ir import FloatArray

METHODS: Mapping[str, str] = MappingProxyType(
    {"min-max": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
)
BATCH = 32


class _Reader:
    """Batches of calibration inputs, one after the other."""

    def __init__(self, name: str, x: FloatArray) -> None:
        self._name = name
        self._parts = iter(np.array_split(x, max(1, len(x) // BATCH)))

    def get_next(self) -> dict[str, FloatArray] | None:
        part = next(self._parts, None)
        return None if part is None else {self._name: part}


class Baseline:
    """One float model, exported once and quantized several times."""

    def __init__(self, model: nn.Module, example: FloatArray, folder: Path) -> None:
        exported, self._prepared = folder / "float.onnx", folder / "prepared.onnx"
        self._int8 = folder / "int8.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model.eval(),
                (torch.tensor(example[:1]),),
                str(exported),
                input_names=["x"],
                dynamic_axes={"x": {0: "n"}},
                opset_version=17,
                dynamo=False,
            )
        quant_pre_process(str(exported), str(self._prepared))

    def quantized(self, x: FloatArray, method: str, test: FloatArray) -> NDArray[Any]:
        """The outputs for ``test`` of the model calibrated with ``x``."""
        reader: Any = _Reader("x", x)
        quantization.quantize_static(
            str(self._prepared),
            str(self._int8),
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=getattr(quantization.CalibrationMethod, METHODS[method]),
        )
        session = onnxruntime.InferenceSession(str(self._int8))
        parts = [session.run(None, {"x": part})[0] for part in np.array_split(test, 8)]
        return np.concatenate(parts)
