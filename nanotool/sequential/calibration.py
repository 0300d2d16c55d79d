"""From a PyTorch model to the numbers that `SequentialModel` takes: NANO-RUST's utilities.

One scale a tensor, symmetric, zero point 0. `nanotool.quantize` does better on every count (a scale
an output channel, zero points, biases of 32 bits, any graph); these are for models built by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import MissingTool, NanoError, UnsupportedOp
from nanotool.identifiers import model_identifier
from nanotool.inputs import as_array
from nanotool.ir import Int8Array
from nanotool.sequential.layers import SIGMOID_STEP, TANH_STEP, UNIT
from nanotool.sequential.model import SequentialModel

Requant: TypeAlias = tuple[int, int, list[int]]  # requant_m, requant_shift, bias in output units
Rescale: TypeAlias = tuple[str, int, int]  # "sigmoid" or "tanh", scale_mult, scale_shift
Exponent: TypeAlias = tuple[str, float]  # "softmax", scale
Calibration: TypeAlias = dict[str, Requant | Rescale | Exponent]

_INSTEAD = "nanotool.quantize(model, data) takes any network."
_PLAIN = ("ReLU", "Flatten", "MaxPool2d", "Softmax", "Dropout", "Identity")  # no scale of their own
_STEPS = {"Sigmoid": SIGMOID_STEP, "Tanh": TANH_STEP}


class QuantizedLayer(TypedDict):
    """One entry of `quantize_weights`."""

    type: str  # the module's class
    weights: Int8Array | None  # of the module's shape; None: it has none
    bias: Int8Array | None
    weight_scale: float  # real = scale * int8; 0 where there are none
    bias_scale: float
    params: dict[str, Any]


def quantize_to_i8(
    tensor: NDArray[Any] | Sequence[float], scale: float = 127.0
) -> tuple[Int8Array, float]:
    """``tensor`` as int8 of the same shape, and the real value of one step.

    The largest magnitude becomes ``scale`` (at most 127); zeros alone have step 1.

        >>> quantize_to_i8([0.5, -0.3, 1.0, -1.0])
        (array([  64,  -38,  127, -127], dtype=int8), 0.007874015748031496)
    """
    real = np.asarray(tensor, np.float64)
    if not np.isfinite(real).all():
        raise NanoError("The tensor holds NaN or infinity.", "Leave those values out.")
    if not 0 < scale <= 127:
        raise NanoError(f"scale is {scale}.", "It is the largest int8: above 0, at most 127.")
    largest = float(np.abs(real).max(initial=0))
    if largest == 0:
        return np.zeros(real.shape, np.int8), 1.0
    step = largest / scale
    return np.rint(real / step).astype(np.int8), step


def compute_requant_params(
    input_scale: float, weight_scale: float, output_scale: float, max_shift: int = 31
) -> tuple[int, int]:
    """(requant_m, requant_shift): requant_m / 2^requant_shift is nearly input_scale · weight_scale
    / output_scale. requant_m has 31 bits, or fewer where the shift would pass ``max_shift``.

        >>> compute_requant_params(0.01, 0.005, 0.008)
        (13421773, 31)
    """
    real = _ratio(input_scale * weight_scale, output_scale)
    return _fixed_point(real, 31, max_shift)


def compute_activation_scale_params(
    input_scale: float, lut_divisor: float, max_shift: int = 15
) -> tuple[int, int]:
    """(scale_mult, scale_shift) for `add_sigmoid_scaled` (``lut_divisor`` 16) and `add_tanh_scaled`
    (32): scale_mult / 2^scale_shift is nearly input_scale · lut_divisor; scale_mult has 15 bits.

        >>> compute_activation_scale_params(0.01, 16.0)
        (5243, 15)
    """
    return _fixed_point(_ratio(input_scale * lut_divisor, 1.0), 15, max_shift)


def _ratio(numerator: float, denominator: float) -> float:
    """A positive, finite quotient; else `NanoError`."""
    if numerator > 0 and denominator > 0:
        ratio = numerator / denominator
        if 0 < ratio < math.inf:
            return ratio
    raise NanoError(f"The scales give {numerator:g} / {denominator:g}.", "They must be positive.")


def _fixed_point(real: float, bits: int, max_shift: int) -> tuple[int, int]:
    """(m, shift) with m / 2^shift near ``real`` and 0 < m < 2^bits; shift 0..max_shift."""
    _, exponent = math.frexp(real)
    shift = min(max(bits - exponent, 0), max_shift)
    multiplier = round(real * 2.0**shift)
    if not 0 < multiplier <= 2**bits:
        raise NanoError(
            f"{real:g} is not m / 2^shift with m of {bits} bits and shift of 0 to {max_shift}.",
            "Check the scales; max_shift may have to be larger.",
        )
    return min(multiplier, 2**bits - 1), shift


# --- PyTorch models -------------------------------------------------------------------------------


def quantize_weights(model: Any) -> dict[str, QuantizedLayer]:
    """int8 weights and biases of every child of ``model``, an nn.Sequential, by name.

        >>> q = quantize_weights(nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)))
        >>> q["0"]["weights"].shape, q["0"]["type"]
        ((128, 784), 'Linear')

    Conv2d and Linear have weights; ReLU, Sigmoid, Tanh, Softmax, Flatten, MaxPool2d, Dropout and
    Identity do not. Raises `UnsupportedOp` for others, and for options that `SequentialModel` does
    not have.
    """
    return {name: _quantized(name, module) for name, module in model.named_children()}


def _quantized(name: str, module: Any) -> QuantizedLayer:
    kind = type(module).__name__
    entry = QuantizedLayer(
        type=kind,
        weights=None,
        bias=None,
        weight_scale=0.0,
        bias_scale=0.0,
        params=_parameters(name, module, kind),
    )
    if kind in ("Conv2d", "Linear"):
        entry["weights"], entry["weight_scale"] = quantize_to_i8(as_array(module.weight))
        if module.bias is not None:
            entry["bias"], entry["bias_scale"] = quantize_to_i8(as_array(module.bias))
    return entry


def _parameters(name: str, module: Any, kind: str) -> dict[str, Any]:
    """What `SequentialModel` has to know of the module; `UnsupportedOp` for what it cannot do."""
    if kind == "Linear":
        return {"in_features": module.in_features, "out_features": module.out_features}
    if kind == "Conv2d":
        if module.groups != 1 or _pair(module.dilation) != (1, 1) or module.padding_mode != "zeros":
            raise UnsupportedOp(name, "A convolution with groups or dilation", _INSTEAD)
        return {
            "in_channels": module.in_channels,
            "out_channels": module.out_channels,
            "kernel_size": _pair(module.kernel_size),
            "stride": _one(name, module.stride),
            "padding": _one(name, module.padding),
        }
    if kind == "MaxPool2d":
        if module.ceil_mode or _pair(module.dilation) != (1, 1):
            raise UnsupportedOp(name, "A pool with ceil_mode or dilation", _INSTEAD)
        return {
            "kernel_size": _one(name, module.kernel_size),
            "stride": _one(name, module.stride),
            "padding": _one(name, module.padding),
        }
    if kind in _PLAIN or kind in _STEPS:
        return {}
    raise UnsupportedOp(name, kind, _INSTEAD)


def _pair(value: Any) -> tuple[int, int]:
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)


def _one(name: str, value: Any) -> int:
    """One number for both axes."""
    if isinstance(value, str) or len(set(_pair(value))) > 1:
        raise UnsupportedOp(name, f"A window with {value!r}", _INSTEAD)
    return _pair(value)[0]


def calibrate_model(
    model: Any, input_tensor: Any, q_weights: dict[str, QuantizedLayer], input_scale: float
) -> Calibration:
    """Run ``model`` in float on ``input_tensor`` (N x input shape, better many than one) and
    compute, for each child that needs it, what `SequentialModel`'s calibrated layers take:

        Conv2d, Linear   (requant_m, requant_shift, bias in output units)
        Sigmoid, Tanh    ("sigmoid" or "tanh", scale_mult, scale_shift)
        Softmax          ("softmax", scale)

    Dropout is passed over, as in use. ``q_weights`` is of `quantize_weights`, ``input_scale`` the
    real value of one step of the input.
    """
    torch = _torch()
    result: Calibration = {}
    scale = input_scale
    with torch.no_grad():
        # Of the weights' type, where they lie; a copy, for modules that work in place.
        like = next(model.parameters(), torch.empty(0))
        x = torch.as_tensor(input_tensor).to(like, copy=True)
        for name, module in model.named_children():
            entry = q_weights[name]
            if entry["type"] == "Dropout":
                continue
            x = module(x)
            if entry["weights"] is not None:
                real = as_array(x)
                _, step = quantize_to_i8(real)
                result[name] = _requant(module, scale, entry["weight_scale"], step)
                scale = step
            elif entry["type"] in _STEPS:
                kind = entry["type"]
                pair = compute_activation_scale_params(scale, _STEPS[kind])
                result[name] = (kind.lower(), *pair)
                scale = UNIT
            elif entry["type"] == "Softmax":
                result[name] = ("softmax", scale)
                scale = UNIT
    return result


def _requant(module: Any, input_scale: float, weight_scale: float, step: float) -> Requant:
    multiplier, shift = compute_requant_params(input_scale, weight_scale, step)
    if module.bias is None:
        return multiplier, shift, [0] * len(module.weight)
    bias = np.clip(np.rint(as_array(module.bias).astype(np.float64) / step), -128, 127)
    return multiplier, shift, [int(value) for value in bias]


def export_to_c(
    model: Any,
    model_name: str = "my_model",
    input_shape: Sequence[int] | None = None,
    calibration: Any = None,
) -> str:
    """``model``, an nn.Sequential, as one C source that compiles against lib/nano: its weights, its
    memory plan and a `nano_model` called MODEL_NAME_model.

    ``input_shape``: [n] or [C, H, W]; a model that begins with a Linear layer needs none.
    ``calibration``: real inputs, N x input shape; without them every layer has the fixed factor of
    `SequentialModel.add_dense`, which costs much accuracy. `SequentialModel.export` and
    `nanotool.quantize` write whole folders, for several targets.
    """
    weights = quantize_weights(model)
    first = next(iter(weights.values()), None)
    if input_shape is None:
        if first is None or first["type"] != "Linear":
            raise NanoError("The input's shape is not known.", "Give input_shape=[C, H, W].")
        input_shape = [first["params"]["in_features"]]
    factors: Calibration = {}
    if calibration is not None:
        _, scale = quantize_to_i8(as_array(calibration))
        factors = calibrate_model(model, calibration, weights, scale)
    sequential = SequentialModel(input_shape)
    for name, entry in weights.items():
        _append(sequential, entry, factors.get(name))
    return _one_source(sequential, model_identifier(model_name))


def _append(model: SequentialModel, entry: QuantizedLayer, factors: Any) -> None:
    """Add the layer of one module, with its factors of `calibrate_model` if there are any."""
    params, kind = entry["params"], entry["type"].lower()
    match entry["type"]:
        case "Linear" | "Conv2d":
            _append_weighted(model, entry, factors)
        case "MaxPool2d":
            sizes = {"kernel": params["kernel_size"], **params}
            sizes.pop("kernel_size")
            model.add_max_pool2d(**sizes)
        case "Sigmoid" | "Tanh" if factors is not None:
            getattr(model, f"add_{kind}_scaled")(*factors[1:])
        case "Softmax" if factors is not None:
            model.add_softmax(factors[1])
        case "ReLU" | "Sigmoid" | "Tanh" | "Softmax" | "Flatten":
            getattr(model, f"add_{kind}")()


def _append_weighted(
    model: SequentialModel, entry: QuantizedLayer, factors: Requant | None
) -> None:
    weights, params = entry["weights"], entry["params"]
    assert weights is not None
    bias = entry["bias"] if factors is None else factors[2]
    geometry: tuple[int, ...] = ()
    if entry["type"] == "Conv2d":
        channels = (params["in_channels"], params["out_channels"])
        geometry = (*channels, *params["kernel_size"], params["stride"], params["padding"])
    method = "add_conv2d" if geometry else "add_dense"
    arguments = (weights, [0] * len(weights) if bias is None else bias, *geometry)
    if factors is None:
        getattr(model, method)(*arguments)
    else:
        getattr(model, f"{method}_with_requant")(*arguments, *factors[:2])


def _one_source(model: SequentialModel, name: str) -> str:
    """The exported files as one, in the order in which they include each other."""
    from nanotool.backends.c.emit import sources  # noqa: PLC0415
    from nanotool.pipeline import prepare  # noqa: PLC0415

    files = sources([prepare(model.graph(name))], golden=0)
    own = {f'#include "{file}"' for file in files}
    order = (f"{name}.h", f"{name}_weights.h", f"{name}_weights.c", f"{name}.c")
    lines = [line for file in order for line in files[file].decode("ascii").splitlines()]
    return "\n".join(line for line in lines if line not in own) + "\n"


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise MissingTool(
            "PyTorch is not installed.", "Run: pip install 'nanotool[torch]'"
        ) from error
    return torch
