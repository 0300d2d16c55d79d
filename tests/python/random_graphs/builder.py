"""A graph in the making: what a layer's generator may ask for and add."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool import simulate, unary
from nanotool.errors import InvalidModel
from nanotool.ir import (
    DTYPES,
    INT8_MAX,
    INT8_MIN,
    ZERO_POINTS,
    Int8Array,
    Op,
    QGraph,
    QOp,
    QTensor,
    Quantize,
    Shape,
    unclamped,
)
from nanotool.ops import layer_of
from nanotool.validate.graph import check_layer

MAX_TENSOR = 2048  # elements
MAX_WEIGHTS = 8192  # elements of one layer
FULL = (INT8_MIN, INT8_MAX)
SAMPLES = 8

Maker = Callable[["Builder"], bool]  # True if it added what it is for


@dataclass
class Builder:
    """A graph that grows at ``end``; ``values`` is what a few samples look like at each tensor."""

    rng: np.random.Generator
    tflite: bool
    wanted: int  # ops
    makers: list[Maker] = field(default_factory=list)  # of plain layers, the likely ones often
    tensors: dict[str, QTensor] = field(default_factory=dict)
    constants: dict[str, Int8Array] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    end: str = "input"

    # --- The graph so far -------------------------------------------------------------------------

    def start(self, shape: Shape, dtype: str = "int8") -> None:
        """Begin anew with an input of this shape."""
        self.tensors, self.constants, self.ops, self.values = {}, {}, [], {}
        scale, zero_point = 1.0, 0
        if dtype in ZERO_POINTS:
            low, high = ZERO_POINTS[dtype]
            scale, zero_point = self.scale(), self.zero_point() + (low - INT8_MIN)
            zero_point = 0 if dtype == "int16" else zero_point
            x: NDArray[Any] = self.rng.integers(low, high + 1, (SAMPLES, *shape))
        else:
            x = self.rng.normal(0, 3, (SAMPLES, *shape))
        self.end = "input"
        self.tensors["input"] = QTensor("input", shape, scale, zero_point, dtype)
        self.values["input"] = x.astype(DTYPES[dtype])

    def graph(self, name: str, samples: NDArray[Any] | None = None) -> QGraph:
        """What there is."""
        return QGraph(
            name,
            self.tensors,
            tuple(self.ops),
            ("input",),
            (self.end,),
            samples=() if samples is None else (samples,),
            source="random",
            constants=self.constants,
        )

    @property
    def tensor(self) -> QTensor:
        """The tensor at the end."""
        return self.tensors[self.end]

    @property
    def x(self) -> NDArray[Any]:
        """Its samples."""
        return self.values[self.end]

    @property
    def room(self) -> int:
        """Ops that may still be added."""
        return self.wanted - len(self.ops)

    def next_name(self) -> str:
        """The name of the next op."""
        return f"layers.{len(self.ops)}"

    def state(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        copies = (self.tensors, self.constants, self.values)
        return (*(dict(part) for part in copies), list(self.ops), self.end)

    def restore(self, state: tuple[Any, ...]) -> None:
        """As it was."""
        self.tensors, self.constants, self.values, self.ops, self.end = state

    # --- Numbers ----------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """True that often."""
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self) -> float:
        """Of a tensor; sometimes an extreme one."""
        exponent = self.rng.uniform(-20, 20) if self.chance(0.1) else self.rng.uniform(-4, 1)
        return float(np.float32(10.0**exponent))

    def zero_point(self) -> int:
        """Of a tensor."""
        if self.chance(0.4):
            return int(self.rng.choice([-128, 0, 127, -1]))
        return self.between(-128, 127)

    @property
    def full(self) -> tuple[int, int]:
        """All that the type of the end holds."""
        return unclamped(self.tensor.dtype)

    def clamp(self, target: QTensor) -> tuple[int, int]:
        """No clamp, ReLU, ReLU6, ReLU1, or any other interval."""
        kind = self.rng.choice(["none", "none", "relu", "relu", "relu6", "relu1", "any"])
        if kind == "any":
            ends = unclamped(target.dtype)
            low, high = sorted((self.between(*ends), self.between(*ends)))
            return low, high
        bounds = {
            "none": (-math.inf, math.inf),
            "relu": (0.0, math.inf),
            "relu6": (0.0, 6.0),
            "relu1": (-1.0, 1.0),
        }[str(kind)]
        low, high = (unary.quantized_bound(bound, target) for bound in bounds)
        return low, high

    # --- Tensors ----------------------------------------------------------------------------------

    def real(self, name: str) -> NDArray[np.float64]:
        """The samples of a tensor as real numbers."""
        with np.errstate(over="ignore"):
            return self.tensors[name].dequantize(self.values[name]).astype(np.float64)

    def fitting(self, real: NDArray[np.float64], shape: Shape, dtype: str | None = None) -> QTensor:
        """The next output, of ``dtype`` or like the end, such that ``real`` fills most of it;
        sometimes anything else."""
        kind = dtype or ("int16" if self.tensor.dtype == "int16" else "int8")
        if self.chance(0.1):
            scale = self.scale()
            zero_point = 0 if kind == "int16" else self.zero_point()
            return QTensor(self.next_name(), shape, scale, zero_point, kind)
        finite = np.nan_to_num(np.asarray(real, np.float64), nan=0, posinf=1e30, neginf=-1e30)
        if kind == "int16":
            most = min(max(float(np.abs(finite).max()) / 32767, 1e-30), 1e29)
            scale = most * 2.0 ** self.rng.uniform(-1, 0.5)
            return QTensor(self.next_name(), shape, scale, 0, kind)
        low, high = float(np.clip(finite.min(), -1e30, 0)), float(np.clip(finite.max(), 0, 1e30))
        scale = max((high - low) / 255, 1e-30) * 2.0 ** self.rng.uniform(-1, 0.5)
        zero_point = round(-128 - low / scale) + self.between(-20, 20)
        return QTensor(self.next_name(), shape, scale, max(-128, min(127, zero_point)))

    def same_quantization(self, shape: Shape) -> QTensor:
        """The next output, with the type, scale and zero point of the end."""
        return replace(self.tensor, name=self.next_name(), shape=shape)

    def constant(self, shape: Shape, scale: float, zero_point: int, dtype: str = "int8") -> str:
        """A new constant, its name; one of int16 has the zero point 0."""
        name = f"constants.{len(self.constants)}"
        most = unclamped(dtype)[1]
        zero_point = 0 if dtype == "int16" else zero_point
        spread = most + 1 if self.chance(0.7) else self.between(1, most)
        numbers = self.rng.integers(-spread, spread + 1, shape)
        data = np.clip(numbers, *unclamped(dtype)).astype(DTYPES[dtype])
        self.tensors[name] = QTensor(name, shape, scale, zero_point, dtype)
        self.constants[name] = data
        self.values[name] = np.broadcast_to(data, (SAMPLES, *shape))
        return name

    # --- Layers -----------------------------------------------------------------------------------

    def append(self, layer: QOp, target: QTensor) -> bool:
        """Add ``layer``; refuses what is not valid, and mostly one after which nothing but a
        constant would be left."""
        if len(target.shape) > 4 or target.size > MAX_TENSOR:
            return False
        part = replace(self.graph("part"), tensors={**self.tensors, target.name: target})
        try:
            check_layer(layer_of(part, layer))
        except InvalidModel:
            return False
        x = simulate.run_op(part, layer, *(self.values[name] for name in layer.inputs))
        if np.ptp(x) == 0 and self.chance(0.9):
            return False
        self.tensors[target.name] = target
        self.ops.append(layer)
        self.end, self.values[target.name] = target.name, x
        return True

    def plain(
        self,
        op: Op,
        target: QTensor,
        clamp: tuple[int, int] | None = None,
        inputs: tuple[str, ...] = (),
    ) -> bool:
        """Add an operator without weights; it reads the end if nothing else is said."""
        clamp = unclamped(target.dtype) if clamp is None else clamp
        return self.append(QOp(target.name, op, inputs or (self.end,), clamp=clamp), target)

    def grow(self, count: int) -> None:
        """Add up to ``count`` plain layers at the end."""
        for _ in range(4 * count):
            if count and self.room:
                maker = self.makers[self.between(0, len(self.makers) - 1)]
                count -= maker(self)

    def requantized(self, name: str, like: QTensor) -> str | None:
        """The tensor ``name`` with the scale and zero point of ``like``; None if that fails."""
        tensor, end = self.tensors[name], self.end
        target = replace(like, name=self.next_name(), shape=tensor.shape)
        if replace(target, name=name) == tensor:
            return name
        if not self.room or not self.plain(Quantize(), target, inputs=(name,)):
            return None
        done, self.end = self.end, end
        return done
