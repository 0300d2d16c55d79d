"""User data to device data: layout, type, quantization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import DTYPES, ZERO_POINTS, QGraph, QTensor, Shape
from nanotool.ops import facts

# So many inputs that use less than this part of the range were hardly scaled as in training.
NARROW_INPUTS, NARROW = 4, 1 / 16
SERIOUS_SHARE, SERIOUS_REACH = 1e-3, 0.1  # of the values; of the range, beyond it


@dataclass(frozen=True, slots=True)
class Clipping:
    """Real inputs that reach beyond what the model covers, and saturate; or that use next to
    nothing of it."""

    share: float  # of all values
    worst: int  # the sample with most of them
    worst_share: float  # of its values
    low: float  # what the model covers
    high: float
    least: float  # what the inputs hold
    most: float

    @property
    def serious(self) -> bool:
        """Whether it is more than the few values that a calibration leaves out."""
        if not self.share:
            return True
        beyond = max(self.low - self.least, self.most - self.high)
        return self.share >= SERIOUS_SHARE or beyond > SERIOUS_REACH * (self.high - self.low)

    def __str__(self) -> str:
        if not self.share:
            return (
                f"The inputs reach from {self.least:.4g} to {self.most:.4g} only, a small part of "
                f"what the model covers, {self.low:.4g} to {self.high:.4g}. Scale inputs as in "
                "training; if these are right, calibrate with data like them."
            )
        return (
            f"{self.share:.2%} of the input values are outside of what the model covers, "
            f"{self.low:.4g} to {self.high:.4g}, and saturate; they reach from {self.least:.4g} to "
            f"{self.most:.4g}. The worst is input {self.worst}, with {self.worst_share:.2%}. Scale "
            "inputs as in training; if these are right, calibrate with data like them."
        )

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "share": self.share,
            "worst_input": self.worst,
            "worst_share": self.worst_share,
            "covered": [self.low, self.high],
            "seen": [self.least, self.most],
        }


def clipping(graph: QGraph, x: NDArray[Any], number: int | None = None) -> Clipping | None:
    """How ``x``, inputs as `to_device` takes them, miss what the model covers; None: they do not.
    This is what every command and call says about its inputs."""
    tensor = _end(graph, number).tensor
    if tensor.dtype == "float32":  # the model itself quantizes it
        readers = [op for op in graph.ops if tensor.name in op.inputs]
        if len(readers) != 1:
            return None
        tensor = graph.tensors[readers[0].name]
    data = np.asarray(x)
    seen = [facts(op.op).useful_input for op in graph.ops if tensor.name in op.inputs]
    if data.dtype.kind == "f" and seen:  # what no reader can see may saturate
        data = np.clip(data, min(low for low, _ in seen), max(high for _, high in seen))
    return clipped(tensor.dtype, tensor.scale, tensor.zero_point, data)


def clipped(dtype: str, scale: float, zero_point: int, x: NDArray[Any]) -> Clipping | None:
    """The same for real values ``x`` [n, ...] and a tensor; None for other types than floats."""
    if x.dtype.kind != "f" or not x.size or dtype not in ZERO_POINTS:
        return None
    low, high = ((end - zero_point) * scale for end in ZERO_POINTS[dtype])
    out = (x < low - scale / 2) | (x > high + scale / 2)
    if not out.any():
        used = float(x.max() - x.min())
        narrow = len(x) >= NARROW_INPUTS and 0 < used < NARROW * (high - low)
        return Clipping(0.0, 0, 0.0, low, high, float(x.min()), float(x.max())) if narrow else None
    shares = out.reshape(len(out), -1).mean(axis=1)
    worst = int(shares.argmax())
    return Clipping(
        float(out.mean()), worst, float(shares[worst]), low, high, float(x.min()), float(x.max())
    )


def check_finite(x: NDArray[Any]) -> None:
    """NanoError for NaN and infinity."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        what = "NaN" if np.isnan(x).any() else "infinity"
        sample = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise NanoError(f"The input holds {what} (input {sample}).", "Check how it was made.")


@dataclass(frozen=True, slots=True)
class _End:
    """One input of a model."""

    graph: QGraph
    tensor: QTensor
    permutation: Shape

    @property
    def called(self) -> str:
        """How messages speak of it."""
        return "input" if len(self.graph.inputs) == 1 else f"input {self.tensor.name}"

    @property
    def user_shape(self) -> Shape:
        shape = list(self.tensor.shape)
        for device_axis, user_axis in enumerate(self.permutation):
            shape[user_axis] = self.tensor.shape[device_axis]
        return tuple(shape)


def _end(graph: QGraph, number: int | None) -> _End:
    """Input ``number``; None: the only one, or InvalidModel."""
    if number is None:
        return _End(graph, graph.input_tensor, graph.input_permutation)
    return _End(graph, graph.input_tensors[number], graph.permutations[number])


def user_shape(graph: QGraph, number: int | None = None) -> Shape:
    """The shape of one input as the user has it: C, H, W for a model that came from PyTorch.
    ``number``: which of several."""
    return _end(graph, number).user_shape


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


def ends_by_name(graph: QGraph, x: Any) -> dict[str, Any]:
    """Inputs by name or number, of what a Python user gives: one array, or of a model with several
    inputs a tuple in its order, or a dictionary; nested ones with their keys behind dots."""
    if isinstance(x, Mapping):
        inner = next(iter(x.values())) if len(x) == 1 else None
        whole = isinstance(inner, Mapping) and not set(x) & set(graph.inputs)
        return dict(_flat("", inner if whole else x))  # of the one parameter keys go alone
    if len(graph.inputs) == 1 or not isinstance(x, (tuple, list)):
        return {"0": as_array(x)}
    return {str(number): one for number, (_, one) in enumerate(_flat("", x))}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays in a nesting, each with its name."""
    several = isinstance(value, (tuple, list)) and any(
        hasattr(part, "shape") or isinstance(part, (Mapping, tuple)) for part in value
    )
    if several or isinstance(value, Mapping):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            yield from _flat(f"{name}.{key}" if name else str(key), part)
    else:
        yield name, as_array(value)


def in_order(graph: QGraph, arrays: Mapping[str, Any], origin: str = "") -> tuple[Any, ...]:
    """`by_name` of the graph's inputs."""
    return by_name(graph.inputs, arrays, origin, graph.name)


def by_name(
    names: Sequence[str], arrays: Mapping[str, Any], origin: str, model: str
) -> tuple[Any, ...]:
    """One of ``arrays`` an input of ``model``, in its order, ``names``: they are called as the
    inputs are, or 0, 1, …. ``origin``: where they are from, for the message. `NanoError` where one
    is missing or left over, or where they are of different numbers of samples."""
    keys = [name if name in arrays else str(number) for number, name in enumerate(names)]
    if set(keys) != set(arrays) or len(set(keys)) != len(keys):
        held = "one array" if list(arrays) == ["0"] else ", ".join(arrays) or "nothing"
        takes = ", ".join(f"{number} {name}".rstrip() for number, name in enumerate(names))
        raise NanoError(
            f"{origin or 'The data'} holds {held}; {model} takes "
            f"{len(keys)} input{'' if len(keys) == 1 else 's'}: {takes}.",
            "Name each array as its input is called, or by its number; several go in a .npz file.",
        )
    found = tuple(arrays[key] for key in keys)
    counts = [len(data) if np.ndim(data) else 0 for data in found]
    if len(set(counts)) > 1:
        raise NanoError(
            f"The inputs have {' and '.join(map(str, counts))} samples.", "Each needs as many."
        )
    return found


def to_device(graph: QGraph, x: NDArray[Any], number: int | None = None) -> NDArray[Any]:
    """[n, *input shape] in the device's layout and the input tensor's type, contiguous.

    ``x`` is n x the user's shape (C, H, W) or n x the device's shape (H, W, C); a shape that is
    both is the user's. Floats are real values: an int8 or uint8 input gets them quantized by its
    scale and zero point, saturating (`clipping` tells), a float32 input as they are. int8 for an
    int8 input, and uint8 for a uint8 one, are taken as raw quantized bytes; of a model that looks
    through a camera uint8 [n, lines, bytes of a line] are its frames. ``number``: which of several
    inputs. Raises NanoError for any other shape or type, and for NaN and infinity.
    """
    end, data = _end(graph, number), np.asarray(x)
    camera = graph.camera
    if camera is not None and data.dtype == np.uint8 and data.shape[1:] == camera.frame:
        from nanotool.signal.camera import Camera  # noqa: PLC0415 # it needs the extension

        pictures = Camera(camera, end.tensor).process(data)
        return pictures.reshape(len(data), *end.tensor.shape)
    return np.ascontiguousarray(_typed(end, _turned(end, data)))


def _turned(end: _End, data: NDArray[Any]) -> NDArray[Any]:
    device, user = end.tensor.shape, end.user_shape
    if data.ndim and data.shape[1:] == user:
        order = end.permutation or tuple(range(len(user)))
        return np.transpose(data, (0, *(1 + axis for axis in order)))
    if data.ndim and data.shape[1:] == device:
        return data
    both = f"N x {_text(user)}" + (f" or N x {_text(device)}" if user != device else "")
    if end.graph.camera is not None:
        both += f", or frames uint8 N x {_text(end.graph.camera.frame)}"
    hint = "The samples stand along the first axis."
    if data.shape in (user, device):
        hint = "Add the axis of the samples: x[None]."
    raise NanoError(
        f"The {end.called} has shape {_text(data.shape)}; {end.graph.name} takes {both}.", hint
    )


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "()"


def _typed(end: _End, data: NDArray[Any]) -> NDArray[Any]:
    tensor = end.tensor
    real = tensor.dtype == "float32"
    if data.dtype == DTYPES[tensor.dtype] and not real:
        return data
    if data.dtype.kind != "f":
        raise NanoError(f"The {end.called} has type {data.dtype}.", _types_hint(tensor))
    check_finite(data)
    # Float64's range is enough for every quotient of float32s.
    limit = float(np.finfo(np.float32).max)
    finite = np.clip(data.astype(np.float64), -limit, limit)
    return finite.astype(np.float32) if real else tensor.quantize(finite)


def _types_hint(tensor: QTensor) -> str:
    """What to pass instead."""
    if tensor.dtype == "float32":
        return "Pass floats scaled as in training."
    low, high = ((end - tensor.zero_point) * tensor.scale for end in ZERO_POINTS[tensor.dtype])
    return (
        f"Pass floats scaled as in training (this model covers {low:.4g} to {high:.4g}), or "
        f"{tensor.dtype} that is already quantized."
    )
