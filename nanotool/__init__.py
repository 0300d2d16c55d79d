"""nanotool: PyTorch or int8 .tflite in, C for microcontrollers out, proven byte for byte.

    quantize(model, data)  a PyTorch model becomes a QuantizedModel: run, export, report, save
    prepare_qat(model, ..) a module to train that computes as the int8 model will
    stream(model, axis)    a model of windows becomes one of steps, which computes what is new
    SequentialModel        an int8 model built by hand, layer by layer
    quantize_to_i8, ...    what builds the numbers for one

docs/python-api.md is the guide. What is named here is imported when it is first used: neither
`import nanotool` nor `SequentialModel` needs PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nanotool.version import __version__ as __version__

if TYPE_CHECKING:
    from nanotool.api import QuantizedModel, load, prepare_qat, quantize, stream
    from nanotool.errors import NanoError
    from nanotool.frontends.torch.functions import elementwise
    from nanotool.sequential.calibration import (
        calibrate_model,
        compute_activation_scale_params,
        compute_requant_params,
        export_to_c,
        quantize_to_i8,
        quantize_weights,
    )
    from nanotool.sequential.model import SequentialModel

_HOMES = {
    "NanoError": "nanotool.errors",
    "QuantizedModel": "nanotool.api",
    "SequentialModel": "nanotool.sequential.model",
    "calibrate_model": "nanotool.sequential.calibration",
    "compute_activation_scale_params": "nanotool.sequential.calibration",
    "compute_requant_params": "nanotool.sequential.calibration",
    "elementwise": "nanotool.frontends.torch.functions",
    "export_to_c": "nanotool.sequential.calibration",
    "load": "nanotool.api",
    "prepare_qat": "nanotool.api",
    "quantize": "nanotool.api",
    "quantize_to_i8": "nanotool.sequential.calibration",
    "quantize_weights": "nanotool.sequential.calibration",
    "stream": "nanotool.api",
}

__all__ = [
    "NanoError",
    "QuantizedModel",
    "SequentialModel",
    "calibrate_model",
    "compute_activation_scale_params",
    "compute_requant_params",
    "elementwise",
    "export_to_c",
    "load",
    "prepare_qat",
    "quantize",
    "quantize_to_i8",
    "quantize_weights",
    "stream",
]


def __getattr__(name: str) -> Any:
    """The public names, each imported from its home at first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Every public name, imported yet or not."""
    return sorted({*globals(), *_HOMES})
