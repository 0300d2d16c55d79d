"""The intermediate representations: four small graphs, each a frozen value.

    Graph    float weights, as captured and then turned to H, W, C by `passes`
    QGraph   int8, canonical weights, no target: the hub of everything
    Lowered  a QGraph made ready for one target: kernels, packed arrays, params structs
    Plan     where in the arena each of a Lowered's buffers lies

Shapes never contain the batch. Passes take a graph and return another one; nothing is changed
in place, and arrays are read-only once they are in a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel
from nanotool.sensing.description import CameraSettings, StreamRule

Shape: TypeAlias = tuple[int, ...]
FloatArray: TypeAlias = NDArray[np.float32]
Int8Array: TypeAlias = NDArray[np.int8]
Int32Array: TypeAlias = NDArray[np.int32]
BiasArray: TypeAlias = "NDArray[np.int32] | NDArray[np.int64]"

INT8_MIN, INT8_MAX = -128, 127
INT4_MIN, INT4_MAX = -8, 7
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(name) for name in ("int8", "uint8", "int16", "int32", "float32")
}
# Of types with a zero point, which may be anything that they hold.
ZERO_POINTS = {"int8": (INT8_MIN, INT8_MAX), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1)}
LIMITS = {**ZERO_POINTS, "int32": (-(2**31), 2**31 - 1)}
UNCLAMPED = (-math.inf, math.inf)


def unclamped(dtype: str) -> tuple[int, int]:
    """The clamp of an op that has none, and yields ``dtype``."""
    return LIMITS["int16"] if dtype == "int16" else (INT8_MIN, INT8_MAX)


# --- Operators: what a node computes. Shared by Graph and QGraph. --------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of a sliding window, in elements, (height, width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    dilation: tuple[int, int] = (1, 1)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that the window yields over ``height`` x ``width``; may be <= 0."""
        top, left, bottom, right = self.padding
        span_h = self.dilation[0] * (self.kernel[0] - 1) + 1
        span_w = self.dilation[1] * (self.kernel[1] - 1) + 1
        return (
            (height + top + bottom - span_h) // self.stride[0] + 1,
            (width + left + right - span_w) // self.stride[1] + 1,
        )


@dataclass(frozen=True, slots=True)
class Conv2D:
    """Convolution. Weights O, KH, KW, C/groups; before the layout pass O, C/groups, KH, KW."""

    window: Window
    groups: int = 1


@dataclass(frozen=True, slots=True)
class Dense:
    """Fully connected over the last axis. Weights O, I."""


@dataclass(frozen=True, slots=True)
class MaxPool2D:
    """Maximum over a window; padding never wins."""

    window: Window


@dataclass(frozen=True, slots=True)
class AveragePool2D:
    """Mean over a window; padding is left out of the sum and of the count."""

    window: Window


@dataclass(frozen=True, slots=True)
class Unary:
    """An element-wise function of one input, by name: a key of `nanotool.unary.FUNCTIONS`, or one
    of `nanotool.unary.FAMILIES` with its parameter behind a colon ("leaky_relu:0.01")."""

    function: str


@dataclass(frozen=True, slots=True)
class Table:
    """An element-wise function of one input that `Unary` does not know: ``entries[i]`` is the
    output for the input i - 128, clamp aside. ``function`` is what people call it. Only in a
    QGraph; the quantizer makes it of a `Function`."""

    function: str
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(beta x) / sum exp(beta x) over the last axis."""

    beta: float = 1.0


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in the same order under another shape."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axis ``i`` of the output is axis ``permutation[i]`` of the input."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ConvTranspose2D:
    """Transposed convolution: every input pixel adds its kernel, ``window.stride`` apart, into the
    output, of whose rim ``window.padding`` is cut off (at the end a negative one adds rows, less
    than a stride, that hold the bias alone). Weights O, KH, KW, C; dilation 1."""

    window: Window


@dataclass(frozen=True, slots=True)
class Binary:
    """Element-wise function of two tensors: "add", "sub", "mul", "div", "maximum", "minimum",
    "squared_difference", or a comparison ("equal", "not_equal", "greater", "greater_equal"), whose
    answer is 1 or 0. Shapes broadcast as in NumPy: aligned at the last axis, a 1 stretches. In a
    QGraph a divisor of 0 counts as one step."""

    function: str


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean over ``axes`` (ascending, none negative); ``keep_dims`` leaves them as 1."""

    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True, slots=True)
class Reduce:
    """ "sum", "max" or "min" over ``axes`` (ascending, none negative); ``keep_dims`` leaves them
    as 1. The largest and the smallest share the input's quantization."""

    function: str
    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True, slots=True)
class MatMul:
    """The matrix product of the last two axes of two tensors, [.., M, K] and [.., K, N]; the axes
    in front, as many in both, broadcast. ``adj_x``: the first is [.., K, M]; ``adj_y``: the second
    is [.., N, K]."""

    adj_x: bool = False
    adj_y: bool = False


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Each row along the last axis less its mean, over its standard deviation, times a weight and
    plus a bias an element: w (x - mean) / sqrt(variance + epsilon) + b. Not ``centered`` (RMSNorm):
    w x / sqrt(mean of x² + epsilon) + b. Weights C."""

    epsilon: float
    centered: bool = True


@dataclass(frozen=True, slots=True)
class GroupNorm:
    """The same over height, width and the channels of one of ``groups``, with a weight and a bias a
    channel. As many groups as channels: instance norm. Weights C."""

    groups: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class Gather:
    """Along ``axis`` the elements ``indices``, in this order: the others are left out, some may
    come twice."""

    axis: int
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Concat:
    """The inputs one behind the other along ``axis``; all share the output's quantization."""

    axis: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Every ``stride[i]``-th element along axis ``i`` from ``begin[i]`` on; the output's shape says
    how many. Strides are positive."""

    begin: Shape
    stride: Shape


@dataclass(frozen=True, slots=True)
class Pad:
    """``before[i]`` and ``after[i]`` more elements at the ends of axis ``i``: real 0, or ``value``
    (in the tensor's int8 units; in a Graph a second input, a constant of shape (), holds it)."""

    before: Shape
    after: Shape
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Resize:
    """Resize H, W, C to the output's height and width: "nearest" or "bilinear", with TensorFlow
    Lite's two conventions for where a pixel lies."""

    method: str
    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True)
class LogSoftmax:
    """x - log sum exp(x) over the last axis."""


@dataclass(frozen=True, slots=True)
class PRelu:
    """x where it is positive, else x times the second input (a constant that broadcasts)."""


@dataclass(frozen=True, slots=True)
class Quantize:
    """The same real values in the output's type, scale and zero point. At a graph's border it comes
    from, or goes to, float32 or uint8; between int8 tensors it requantizes."""


@dataclass(frozen=True, slots=True)
class ArgMax:
    """Index (int32) of the largest element along ``axis``, the first of equal ones."""

    axis: int


@dataclass(frozen=True, slots=True)
class CumSum:
    """Sum of the elements up to each one along ``axis``: from the end if ``reverse``, without the
    element itself if ``exclusive``. In a QGraph a sum begins with ``start`` steps of the input's
    scale: 0, but in a .tflite file, whose runtime begins with -zero point."""

    axis: int
    exclusive: bool = False
    reverse: bool = False
    start: int = 0


@dataclass(frozen=True, slots=True)
class Custom:
    """An operator that another package brings, by the name of PyTorch's ("lab::snake"), with the
    values of its ``numbers``: `nanotool.custom`."""

    function: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Lstm:
    """Long short-term memory along a sequence. Reads x [steps, features], h [units] and c [units]
    (int16 in a QGraph); yields h after each step, [steps, units], and beside it the last c.

        i, f, o = sigmoid(W x + R h + b), each with its own;  g = tanh(W x + R h + b)
        c = f c + i g, within -cell_clip..cell_clip if that is not 0;  h = o tanh(c)

    Weights units, 4, features + units: of each unit the gates i, f, g, o, of each gate those of x
    and then those of h. Biases units, 4. Weight scales [8]: W of i, f, g, o, then R. The zero point
    of c is 0; h after each step has h's scale and zero point. ``reverse``: the last step of x comes
    first, and h after it stands in the last row; so on to row 0."""

    cell_clip: float = 0.0
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Gru:
    """Gated recurrent unit along a sequence, with the reset behind the product as PyTorch has it.
    Reads x [steps, features] and h [units] (int16 in a QGraph); yields h after each step,
    [steps, units], and beside it the last h as wide as it was read.

        r, z = sigmoid(W x + R h + b), each with its own;  n = tanh(W x + b + r (R h + c))
        h = (1 - z) n + z h

    Weights units, 3, features + units: of each unit the gates r, z, n, of each gate those of x and
    then those of h. Biases units, 4: b of r, z, n, then c. Weight scales [6]: W of r, z, n, then R.
    The zero point of the wide h is 0; R is multiplied with h in int8, as the output has it.
    ``reverse`` as in `Lstm`."""

    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Rnn:
    """Elman's recurrent layer along a sequence: h = f(W x + R h + b). Reads x [steps, features] and
    h [units]; yields h after each step, [steps, units]. ``function``: "tanh" or "relu".

    Weights units, 1, features + units: those of x and then those of h. Biases units, 1. Weight
    scales [2]: W, R. h has the output's scale and zero point. ``reverse`` as in `Lstm`."""

    function: str = "tanh"
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Svdf:
    """A dense layer with a memory of its results (singular value decomposed filters). Reads
    x [features], a memory of [filters, steps] elements and weights over time [filters, steps], a
    constant of the memory's type (int8 or int16 in a QGraph); yields [units] and beside it the next
    memory. Weights filters, features; filters = units · rank.

        memory[f] loses its oldest step and gains  Σ x[i] · weights[f, i]
        out[u] = bias[u] + Σ over u's rank filters and all steps of memory · weights over time
    """

    rank: int


@dataclass(frozen=True, slots=True)
class Clamp:
    """min(max(x, low), high): ReLU is (0, inf). Only in a Graph; the fuse pass or the quantizer
    turns it into its producer's clamp, or into a Unary."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Function:
    """Any element-wise function of one input: ``real`` computes it on float64 arrays, NaN where it
    is not defined. Only in a Graph."""

    function: str  # what people call it
    real: Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """y = x * weight + bias, already reduced from its four vectors: one number each per channel (of
    C, H, W or of a vector), or one number for all elements. Only in a Graph."""


Op: TypeAlias = (
    Conv2D
    | Dense
    | MaxPool2D
    | AveragePool2D
    | Unary
    | Table
    | Softmax
    | Reshape
    | Transpose
    | ConvTranspose2D
    | Binary
    | Mean
    | Reduce
    | MatMul
    | LayerNorm
    | GroupNorm
    | Gather
    | Concat
    | Slice
    | Pad
    | Resize
    | LogSoftmax
    | PRelu
    | Quantize
    | ArgMax
    | CumSum
    | Custom
    | Lstm
    | Gru
    | Rnn
    | Svdf
    | Clamp
    | Function
    | BatchNorm
)


# --- Borders, states ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """What a model remembers from one step to the next.

    A model is a step: it reads the tensor ``read``, which no op writes, and leaves the tensor
    ``next`` (of the same shape, type, scale and zero point; an op's output, an input, or a
    state's ``read``) to be read by the step after it. That is the only memory there is.
    """

    name: str  # as users meet it: on the console, in .npz files
    read: str  # a tensor's name
    next: str  # a tensor's name
    initial: NDArray[Any]  # what the first step reads: of the tensor's shape and type

    def __post_init__(self) -> None:
        initial = np.array(self.initial, order="C")
        initial.setflags(write=False)
        object.__setattr__(self, "initial", initial)


def _only(values: tuple[Any, ...], model: str, what: str) -> Any:
    """The one of ``values``; InvalidModel where there are several, or none."""
    if len(values) != 1:
        raise InvalidModel(
            f"{model} has {len(values)} {what}s, and one was asked for.",
            f"Name one: a Python caller takes `.{what}s`, a command a .npz with a key for each.",
        )
    return values[0]


# --- Graph: float ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """One float operation. It writes the tensor that bears its name, and ``more``: what a recurrent
    layer remembers behind its last step, [units]."""

    name: str  # provenance: the module's path ("features.4"), made unique
    op: Op
    inputs: tuple[str, ...]  # tensor names
    shape: Shape  # of the output
    weight: FloatArray | None = None
    bias: FloatArray | None = None
    clamp: tuple[float, float] = UNCLAMPED  # fused activation
    more: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every tensor that it writes."""
        return (self.name, *self.more)


class _Step:
    """A graph, float or int8, as a step: from inputs and states to outputs and next states."""

    __slots__ = ()
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...]
    input_permutations: tuple[tuple[int, ...], ...]

    @property
    def input(self) -> str:
        """The one input; InvalidModel where there are several."""
        return str(_only(self.inputs, self.name, "input"))

    @property
    def output(self) -> str:
        """The one output; InvalidModel where there are several."""
        return str(_only(self.outputs, self.name, "output"))

    @property
    def permutations(self) -> tuple[tuple[int, ...], ...]:
        """One permutation an input."""
        return self.input_permutations or ((),) * len(self.inputs)

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors that stand there before a step: inputs, then states."""
        return (*self.inputs, *(state.read for state in self.states))

    @property
    def results(self) -> tuple[str, ...]:
        """The tensors for which a step is run: outputs, then the next states."""
        return (*self.outputs, *(state.next for state in self.states))


@dataclass(frozen=True, slots=True)
class Graph(_Step):
    """A float graph in execution order.

    ``channels_last`` is False as captured (C, H, W like PyTorch) and True after the layout pass.
    ``input_permutations``, one an input, then say how the user's inputs become the device's:
    device axis ``i`` is user axis ``permutation[i]``; () is the identity, and so is no entry.
    """

    name: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]  # one an input
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    channels_last: bool = False
    input_permutations: tuple[tuple[int, ...], ...] = ()
    # The data of tensors that never change, without batch; nodes read them like others.
    constants: Mapping[str, FloatArray] = field(default_factory=dict)
    states: tuple[State, ...] = ()  # initial values are float32
    output_names: tuple[str, ...] = ()  # as `QGraph.output_names`
    # (scale, zero point) in int8 of tensors that were quantized before they came here.
    scales: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))
        object.__setattr__(self, "scales", MappingProxyType(dict(self.scales)))

    @property
    def input_shape(self) -> Shape:
        """The one input's shape."""
        shape: Shape = _only(self.input_shapes, self.name, "input")
        return shape

    def shape(self, tensor: str) -> Shape:
        """The shape of ``tensor``: an input, a state, a constant, or a node's output."""
        if tensor in self.inputs:
            return self.input_shapes[self.inputs.index(tensor)]
        for state in self.states:
            if tensor == state.read:
                return state.initial.shape
        if tensor in self.constants:
            return self.constants[tensor].shape
        node = self.node(tensor)
        return node.shape if tensor == node.name else node.shape[-1:]

    def node(self, name: str) -> Node:
        """The node that writes the tensor ``name``."""
        for node in self.nodes:
            if name in node.outputs:
                return node
        raise KeyError(name)

    def consumers(self, tensor: str) -> tuple[Node, ...]:
        """The nodes that read ``tensor``, in order."""
        return tuple(node for node in self.nodes if tensor in node.inputs)


# --- QGraph: int8 ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QTensor:
    """An activation or a constant, real = scale * (q - zero_point), laid out H, W, C.

    int8, but for a graph's borders: there ``dtype`` may be "uint8", "int16" or "float32", and at an
    output "int32" too; and int16 where an operator has it, with the zero point 0 where activations
    are (`Layer.is_wide`). Float tensors have scale 1 and zero point 0, int32 tensors zero point 0,
    and scale 1 if they are numbers of elements.
    """

    name: str
    shape: Shape
    scale: float  # a float32 value, > 0
    zero_point: int  # -128..127; uint8: 0..255; int16: -32768..32767
    dtype: str = "int8"  # a key of DTYPES

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", float(np.float32(self.scale)))
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise InvalidModel(
                f"Tensor {self.name}: scale {self.scale} is not positive and finite."
            )
        if self.dtype not in DTYPES:
            raise InvalidModel(f"Tensor {self.name}: type {self.dtype[:20]!r} is unknown.")
        low, high = ZERO_POINTS.get(self.dtype, (0, 0))
        if not low <= self.zero_point <= high:
            raise InvalidModel(
                f"Tensor {self.name}: zero point {self.zero_point} is outside {low}..{high}."
            )

    @property
    def size(self) -> int:
        """Elements; those of an int8 tensor are bytes."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes."""
        return self.size * DTYPES[self.dtype].itemsize

    def quantize(self, real: NDArray[Any]) -> NDArray[Any]:
        """``real`` as this int8, uint8 or int16 tensor holds it: halves away from zero, saturating;
        NaN is refused."""
        scaled = np.asarray(real, np.float64) / self.scale
        if np.isnan(scaled).any():
            raise InvalidModel(f"Tensor {self.name}: the data contain NaN.")
        rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + self.zero_point
        clipped: NDArray[Any] = np.clip(rounded, *LIMITS[self.dtype])
        return clipped.astype(DTYPES[self.dtype])

    def dequantize(self, q: NDArray[Any]) -> FloatArray:
        """The real values of ``q``."""
        return ((np.asarray(q, np.float64) - self.zero_point) * self.scale).astype(np.float32)


@dataclass(frozen=True, slots=True)
class QOp:
    """One int8 operation. It writes the tensor that bears its name, and ``more`` where its operator
    has further results: none, but for a recurrent layer's last state."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    weight: Int8Array | None = None  # canonical layout, see the operator
    weight_scale: FloatArray | None = None  # [1] or [output channels]; the zero point is 0
    # At scale(in) * weight_scale; None: no bias. int64 where the activations are int16.
    bias: BiasArray | None = None
    # Fused activation, in output units; of one that yields int16: within int16 (`unclamped`).
    clamp: tuple[int, int] = (INT8_MIN, INT8_MAX)
    more: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Every tensor that it writes."""
        return (self.name, *self.more)


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """What quantization did to one tensor, measured over the calibration data."""

    tensor: str
    sqnr_db: float  # signal to quantization noise, float graph as the signal; inf if exact
    saturation: float  # share of values at -128 or 127 that the float graph has outside the range


@dataclass(frozen=True, slots=True)
class Widened:
    """Tensors of 16 bits instead of 8, and what they cost with portable kernels."""

    tensors: tuple[str, ...]  # as `quantize` takes them; (): all that can
    flash: int  # bytes more of weights, biases and the like
    arena: int  # bytes more of it
    macs: float  # share of the model's multiply-accumulates that is then in 16 bits


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to quantize that the automatic observer tried, on calibration data held back."""

    name: str
    sqnr_db: float  # of the output, the float graph as the signal; inf if exact
    accuracy: float | None  # share of right answers, where they were given
    chosen: bool = False
    int16: Widened | None = None


@dataclass(frozen=True, slots=True)
class QGraph(_Step):
    """An int8 graph in execution order: canonical weights, no target."""

    name: str  # a C identifier
    tensors: Mapping[str, QTensor]
    ops: tuple[QOp, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    # One an input: device axis i is user axis permutation[i]; () = identity, and so is no entry.
    input_permutations: tuple[tuple[int, ...], ...] = ()
    labels: tuple[str, ...] = ()  # names of the first output's classes, if any
    quality: tuple[LayerQuality, ...] = ()
    trials: tuple[Trial, ...] = ()  # what the automatic observer tried, first what min-max gives
    # Real inputs, for golden vectors: one array [n, *input shape] an input, or none at all. A model
    # with states takes them one after the other, from a reset.
    samples: tuple[NDArray[Any], ...] = ()
    source: str = ""  # where it came from, for banners: "torch: Sequential", "tflite: kws.tflite"
    # The data of tensors that never change, int8 or int16; ops read them like others.
    constants: Mapping[str, Int8Array] = field(default_factory=dict)
    states: tuple[State, ...] = ()
    stream: StreamRule | None = None  # samples in, decisions out: what is around the model
    camera: CameraSettings | None = None  # frames in: what the input's picture is made of
    # What users call the outputs, one each; (): as the tensors are called.
    output_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    def op(self, name: str) -> QOp:
        """The op that writes the tensor ``name``."""
        for op in self.ops:
            if name in op.outputs:
                return op
        raise KeyError(name)

    @property
    def input_tensor(self) -> QTensor:
        """The tensor that the caller fills, where it is one."""
        return self.tensors[self.input]

    @property
    def output_tensor(self) -> QTensor:
        """The tensor that holds the answer, where it is one, as `output_tensors` has it."""
        tensor: QTensor = _only(self.output_tensors, self.name, "output")
        return tensor

    @property
    def input_tensors(self) -> tuple[QTensor, ...]:
        """The tensors that the caller fills."""
        return tuple(self.tensors[name] for name in self.inputs)

    @property
    def output_tensors(self) -> tuple[QTensor, ...]:
        """The tensors that hold the answer, under the names that users call them by."""
        names = self.output_names or self.outputs
        return tuple(
            replace(self.tensors[tensor], name=name)
            for tensor, name in zip(self.outputs, names, strict=True)
        )

    @property
    def input_permutation(self) -> tuple[int, ...]:
        """How the one input is turned."""
        permutation: tuple[int, ...] = _only(self.permutations, self.name, "input")
        return permutation


# --- Lowered: one target --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A const array in flash: int8, int16 or int32 data, flat, already packed for its kernel."""

    name: str  # suffix of the C symbol: "features_0_weights"
    data: NDArray[Any]
    note: str = ""  # layout and meaning, printed above it

    @property
    def nbytes(self) -> int:
        """Bytes in flash."""
        return int(self.data.nbytes)


@dataclass(frozen=True, slots=True)
class Struct:
    """Values for one C struct, in the order of its declaration."""

    ctype: str
    fields: tuple[tuple[str, Value], ...]


Value: TypeAlias = int | float | tuple[int, ...] | Array | Struct | None  # None: NULL


@dataclass(frozen=True, slots=True)
class LoweredOp:
    """One call of one kernel.

    ``overlaps``, one an input: None if the output must not touch it; else the output may overlap
    it as long as ``offset(input) - offset(output) >= overlap`` bytes. 0 means "in place, or
    behind".
    """

    name: str
    source: tuple[str, ...]  # the QOps it completes: several if fused, none if a first part of one
    kernel: str  # C symbol: "nano_conv2d"
    params: Struct
    inputs: tuple[str, ...]  # buffers
    output: str  # buffer
    overlaps: tuple[int | None, ...]
    scratch: int = 0  # bytes
    macs: int = 0
    # Buffers that it writes beside its output, reading what they hold: the kernel gets them behind
    # its inputs.
    more: tuple[str, ...] = ()
    symbol: str = ""  # suffix of its C symbols; "" for the copy of a state
    cost: int = 0  # instructions, about; 0: unknown
    # Why the portable kernel runs though the target has a faster one ("": it does not), and how
    # many instructions, about, that one would save.
    declined: str = ""
    saved: int = 0


@dataclass(frozen=True, slots=True)
class Lowered:
    """A QGraph made ready for one target. Reshapes are gone: they share their input's buffer."""

    # Inputs, outputs and states in the order of the graph's. A state's buffer holds what is read,
    # and what takes its place when all ops have run. Buffers may be parts of others: ``views``.

    graph: QGraph
    target: str  # a key of nanotool.targets.TARGETS
    ops: tuple[LoweredOp, ...]
    buffers: Mapping[str, int]  # name -> bytes, without scratch
    inputs: tuple[str, ...]  # buffers
    outputs: tuple[str, ...]  # buffers
    optimize: str = "balanced"  # one of nanotool.targets.GOALS
    states: tuple[str, ...] = ()  # buffers
    # buffer -> (the buffer that it is a part of, its first byte there)
    views: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def input(self) -> str:
        """The buffer of the one input; InvalidModel where there are several."""
        return str(_only(self.inputs, self.graph.name, "input"))

    @property
    def output(self) -> str:
        """The buffer of the one output; InvalidModel where there are several."""
        return str(_only(self.outputs, self.graph.name, "output"))

    def arrays(self) -> tuple[Array, ...]:
        """Every array in flash, once, in order of first use."""
        seen: dict[int, Array] = {}

        def visit(value: Value) -> None:
            if isinstance(value, Array):
                seen.setdefault(id(value), value)
            elif isinstance(value, Struct):
                for _, inner in value.fields:
                    visit(inner)

        for op in self.ops:
            visit(op.params)
        return tuple(seen.values())

    @property
    def weight_bytes(self) -> int:
        """Bytes of every per-model numeric array in flash."""
        return sum(array.nbytes for array in self.arrays())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op.macs for op in self.ops)


# --- Plan: the arena ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placement:
    """One buffer's or scratch's room in the arena; alive from op ``first`` to op ``last``, both
    included. Inputs are alive from -1, outputs until the number of ops, states always."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything lies. Offsets are multiples of NANO_TENSOR_ALIGN, but those of parts of a
    state's room. States lie at the bottom."""

    arena_size: int
    buffers: Mapping[str, Placement]
    scratch: Mapping[int, Placement] = field(default_factory=dict)  # by op index
    method: str = ""  # the heuristic, or "exact"
    lower_bound: int = 0  # no plan can be smaller than this
    state_size: int = 0  # bytes at the bottom that belong to states from step to step
