"""User data to device data: layout, type, quantization."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import DTYPES, ZERO_POINTS, QGraph, Shape


def user_shape(graph: QGraph) -> Shape:
    """The shape of one input as the user has it: C, H, W for a model that came from PyTorch."""
    device = graph.input_tensor.shape
    shape = list(device)
    for device_axis, user_axis in enumerate(graph.input_permutation):
        shape[user_axis] = device[device_axis]
    return tuple(shape)


def as_array(data: Any) -> NDArray[Any]:
    """``data`` as a NumPy array: a list's, an array's or a tensor's values, wherever that lies;
    bfloat16, which NumPy has not, as float32. Raises NanoError where rows differ in length."""
    if hasattr(data, "detach"):
        data = data.detach().cpu()
        data = (data.float() if str(data.dtype) == "torch.bfloat16" else data).numpy()
    try:
        return np.asarray(data)
    except ValueError as error:
        raise NanoError(
            "The data are nested lists that make no array.", "Their rows must be equally long."
        ) from error


def to_device(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    """[n, *input shape] in the device's layout and the input tensor's type, contiguous.

    ``x`` is n x the user's shape (C, H, W) or n x the device's shape (H, W, C); a shape that is
    both is the user's. Floats are real values: an int8 or uint8 input gets them quantized by its
    scale and zero point, saturating, a float32 input as they are. int8 for an int8 input, and
    uint8 for a uint8 one, are taken as raw quantized bytes. Raises NanoError for any other shape
    or type, and for NaN.
    """
    data = np.asarray(x)
    return np.ascontiguousarray(_typed(graph, _turned(graph, data)))


def _turned(graph: QGraph, data: NDArray[Any]) -> NDArray[Any]:
    device, user = graph.input_tensor.shape, user_shape(graph)
    if data.ndim and data.shape[1:] == user:
        order = graph.input_permutation or tuple(range(len(user)))
        return np.transpose(data, (0, *(1 + axis for axis in order)))
    if data.ndim and data.shape[1:] == device:
        return data
    both = f"N x {_text(user)}" + (f" or N x {_text(device)}" if user != device else "")
    hint = "The samples stand along the first axis."
    if data.shape in (user, device):
        hint = "Add the axis of the samples: x[None]."
    raise NanoError(f"The input has shape {_text(data.shape)}; {graph.name} takes {both}.", hint)


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "()"


def _typed(graph: QGraph, data: NDArray[Any]) -> NDArray[Any]:
    tensor = graph.input_tensor
    real = tensor.dtype == "float32"
    if data.dtype == DTYPES[tensor.dtype] and not real:
        return data
    if data.dtype.kind != "f":
        raise NanoError(f"The input has type {data.dtype}.", _types_hint(graph))
    if np.isnan(data).any():
        raise NanoError("The input holds NaN.", "Check how the data were made.")
    # Infinities saturate; float64's range is enough for every quotient of float32s.
    limit = float(np.finfo(np.float32).max)
    finite = np.clip(data.astype(np.float64), -limit, limit)
    return finite.astype(np.float32) if real else tensor.quantize(finite)


def _types_hint(graph: QGraph) -> str:
    """What to pass instead."""
    tensor = graph.input_tensor
    if tensor.dtype == "float32":
        return "Pass floats scaled as in training."
    low, high = ((end - tensor.zero_point) * tensor.scale for end in ZERO_POINTS[tensor.dtype])
    return (
        f"Pass floats scaled as in training (this model covers {low:.4g} to {high:.4g}), or "
        f"{tensor.dtype} that is already quantized."
    )
