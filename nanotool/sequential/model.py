"""`SequentialModel`: a model built by hand, layer by layer, that runs in the C library."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import NanoError
from nanotool.ir import Int8Array, QGraph, Window
from nanotool.sequential import layers
from nanotool.sequential.graph import to_graph
from nanotool.sequential.layers import Int8Like, Layer, LayerError, Values
from nanotool.sequential.net import Refused, SequentialNet

if TYPE_CHECKING:
    from nanotool.sequential.trainable import TrainableHead


class SequentialModel:
    """An int8 model built by hand, with the method names and arguments of NANO-RUST.

        >>> from nanotool import SequentialModel
        >>> model = SequentialModel(input_shape=[4], arena_size=4096)
        >>> model.add_dense(weights=[10, -5, 3, 7, -2, 8, -4, 6, 1, 5, -3, 9], bias=[1, -1, 2])
        >>> model.add_relu()
        >>> model.forward([100, -50, 30, 70])
        [5, 0, 3]
        >>> model.predict([100, -50, 30, 70])
        0

    Values are int8 with zero point 0; images are C, H, W. It runs in this process, in the very C
    library that a board runs, inside an arena of ``arena_size`` bytes that is as tight as on a
    board. `export` writes C sources whose outputs are the same bytes.

    A layer that does not fit raises `LayerError`, which names it and says what it needs; the
    model is then as it was. Weights are copied. Threads may share a finished model.
    """

    def __init__(self, input_shape: Sequence[int], arena_size: int | None = None) -> None:
        """``input_shape``: [n], [C, H, W], or any other of 1 to 4 axes, which counts as a vector.
        ``arena_size``: bytes for all that changes; `estimate_arena_size` tells what is needed, None
        takes that."""
        shape = tuple(int(size) for size in input_shape)
        if not 1 <= len(shape) <= 4 or any(not 0 < size <= layers.MAX_DIMENSION for size in shape):
            raise NanoError(
                f"input_shape is {list(shape)}.", "Give 1 to 4 sizes of 1 to 65,535: [C, H, W]."
            )
        if arena_size is not None and arena_size < 0:
            raise NanoError(f"arena_size is {arena_size}.", "Give a number of bytes.")
        self._input = layers.values(shape)
        self._arena_size = arena_size
        self._layers: tuple[Layer, ...] = ()
        self._net: SequentialNet | None = None  # None: there is nothing to compute
        self._head: TrainableHead | None = None

    # --- Layers with weights ----------------------------------------------------------------------

    def add_dense(self, weights: Int8Like, bias: Int8Like) -> None:
        """A dense layer over all elements of its input.

        ``weights``: [out, in], rows one behind the other, or an array of that size; ``bias``: one
        for each output, in its units. out = clamp(acc / 2^(7 + ceil(log2 in)) + bias), rounded to
        the nearest.
        """
        self._dense(weights, bias, None)

    def add_dense_with_requant(
        self, weights: Int8Like, bias: Int8Like, requant_m: int, requant_shift: int
    ) -> None:
        """A dense layer with a calibrated factor: out = clamp(acc · requant_m / 2^requant_shift +
        bias), rounded to the nearest. `calibrate_model` computes all four arguments."""
        self._dense(weights, bias, (int(requant_m), int(requant_shift)))

    def add_conv2d(  # noqa: PLR0917  (NANO-RUST's order)
        self,
        kernel: Int8Like,
        bias: Int8Like,
        in_ch: int,
        out_ch: int,
        kh: int,
        kw: int,
        stride: int,
        padding: int,
    ) -> None:
        """A convolution; ``kernel``: [out_ch, in_ch, kh, kw]. Zeros stand around the image.

        Its sums shrink by 2^(7 + ceil(log2(in_ch · kh · kw))), as in `add_dense`.
        """
        window = _window((kh, kw), stride, padding)
        self._conv2d(kernel, bias, (int(in_ch), int(out_ch)), window, None)

    def add_conv2d_with_requant(  # noqa: PLR0917  (NANO-RUST's order)
        self,
        kernel: Int8Like,
        bias: Int8Like,
        in_ch: int,
        out_ch: int,
        kh: int,
        kw: int,
        stride: int,
        padding: int,
        requant_m: int,
        requant_shift: int,
    ) -> None:
        """A convolution with a calibrated factor, as `add_dense_with_requant` has it."""
        window = _window((kh, kw), stride, padding)
        requant = (int(requant_m), int(requant_shift))
        self._conv2d(kernel, bias, (int(in_ch), int(out_ch)), window, requant)

    def add_trainable_dense(
        self,
        in_features: int,
        out_features: int,
        weights: Any = None,
        bias: Any = None,
        *,
        seed: int = 1,
        rate: float = 0.05,
    ) -> None:
        """A dense layer that learns by `train_step`; it is the last one.

        ``weights`` [out, in] and ``bias`` [out] in real numbers, an input being worth 1/128 a step
        (1/127 behind sigmoid and tanh); without them random within ±1/sqrt(in), from ``seed``, and
        0. ``rate``: the learning rate. It lies in the arena as on a board (nano/train.h), as
        float32; `forward` uses its int8 form, whose outputs have a zero point: compare them with
        each other, as `predict` does. `export` freezes it.
        """
        from nanotool.sequential.trainable import TrainableHead, trainable  # noqa: PLC0415

        where = self._where("TrainableDense")
        layer = trainable(where, self._output, int(in_features), int(out_features))
        head = TrainableHead(where, layer, weights, bias, seed=seed, rate=rate)
        self._add(layer, head)

    def train_step(self, input_data: Int8Like, label: int) -> float:
        """Learn from one input of class ``label``: one step of gradient descent on the
        cross-entropy of the layer that `add_trainable_dense` added. Returns the loss before it."""
        if self._head is None:
            raise NanoError("The model has nothing that learns.", "Use add_trainable_dense().")
        number = operator.index(label)
        if not 0 <= number < self._output.size:
            raise NanoError(f"label is {label}.", f"Classes are 0 to {self._output.size - 1}.")
        flat = layers.int8("The input", "data", input_data, self._input.size)
        return self._head.train(self._features(flat.reshape(1, -1))[0], number)

    def _dense(self, weights: Int8Like, bias: Int8Like, requant: tuple[int, int] | None) -> None:
        where = self._where("FrozenDense")
        self._add(layers.dense(where, self._output, weights, bias, requant))

    def _conv2d(
        self,
        kernel: Int8Like,
        bias: Int8Like,
        channels: tuple[int, int],
        window: Window,
        requant: tuple[int, int] | None,
    ) -> None:
        where = self._where("FrozenConv2D")
        self._add(layers.conv2d(where, self._output, kernel, bias, channels, window, requant))

    # --- Activations ------------------------------------------------------------------------------

    def add_relu(self) -> None:
        """max(0, x)."""
        self._add(layers.relu(self._output))

    def add_sigmoid(self) -> None:
        """round(127 · σ(x / 16))."""
        where = self._where("Sigmoid")
        self._add(layers.stepped(where, self._output, "sigmoid_steps", None))

    def add_sigmoid_scaled(self, scale_mult: int, scale_shift: int) -> None:
        """round(127 · σ(i / 16)) with i = clamp((x · scale_mult) >> scale_shift)."""
        where, scaled = self._where("ScaledSigmoid"), (int(scale_mult), int(scale_shift))
        self._add(layers.stepped(where, self._output, "sigmoid_steps", scaled))

    def add_tanh(self) -> None:
        """round(127 · tanh(x / 32))."""
        where = self._where("Tanh")
        self._add(layers.stepped(where, self._output, "tanh_steps", None))

    def add_tanh_scaled(self, scale_mult: int, scale_shift: int) -> None:
        """round(127 · tanh(i / 32)) with i = clamp((x · scale_mult) >> scale_shift)."""
        where, scaled = self._where("ScaledTanh"), (int(scale_mult), int(scale_shift))
        self._add(layers.stepped(where, self._output, "tanh_steps", scaled))

    def add_softmax(self, scale: float = 1 / layers.SIGMOID_STEP) -> None:
        """round(127 · p), p = exp(scale · x) / Σ exp(scale · x) over all elements, a true softmax.

        ``scale``: the real value of one step of its input; by default the sigmoid's.
        """
        self._add(layers.softmax(self._where("Softmax"), self._output, float(scale)))

    # --- Shape ------------------------------------------------------------------------------------

    def add_flatten(self) -> None:
        """C, H, W become one vector in that order."""
        self._add(layers.flatten(self._where("Flatten"), self._output))

    def add_max_pool2d(
        self,
        *sizes: int,
        kernel: int | None = None,
        stride: int | None = None,
        padding: int | None = None,
        pool_h: int | None = None,
        pool_w: int | None = None,
    ) -> None:
        """Maximum over a window: (kernel, stride, padding), as NANO-RUST documents it, or (pool_h,
        pool_w, stride), as its code has it.

        Three bare numbers are read the one way that makes sense: (2, 2, 0) has no stride 0, and
        (2, 2, 2) no padding as wide as half the window. Where both do, as in (3, 2, 1), name
        them. The stride is the window's size if it is not given; padding never wins.
        """
        where = self._where("MaxPool2D")
        named = {"kernel": kernel, "stride": stride, "padding": padding}
        named |= {"pool_h": pool_h, "pool_w": pool_w}
        given = {name: value for name, value in named.items() if value is not None}
        window = _pool_window(where, sizes, given)
        self._add(layers.max_pool2d(where, self._output, window))

    # --- Running ----------------------------------------------------------------------------------

    @overload
    def forward(self, input_data: Sequence[int]) -> list[int]: ...
    @overload
    def forward(self, input_data: NDArray[Any]) -> Int8Array: ...
    def forward(self, input_data: Int8Like) -> list[int] | Int8Array:
        """The int8 output. A list in gives a list out; an array of the input's shape (or flat)
        gives an array of the output's, and one of n x the input's shape gives n of them."""
        if not isinstance(input_data, np.ndarray):
            flat = layers.int8("The input", "data", input_data, self._input.size)
            listed: list[int] = self._run(flat.reshape(1, -1))[0].tolist()
            return listed
        many = input_data.ndim > 1 and input_data.shape[1:] == self._input.shape
        count = len(input_data) if many else 1
        flat = layers.int8("The input", "data", input_data, count * self._input.size)
        rows = self._run(flat.reshape(count, self._input.size))
        shape = self._output.shape
        return rows.reshape(count, *shape) if many else rows.reshape(shape)

    def predict(self, input_data: Int8Like) -> int:
        """The index of the largest output, the first of equals, for one input."""
        flat = layers.int8("The input", "data", input_data, self._input.size)
        return int(self._run(flat.reshape(1, -1))[0].argmax())

    def _run(self, rows: Int8Array) -> Int8Array:
        """[n, output size] for ``rows`` [n, input size], in the user's order."""
        features = self._features(rows)
        if self._head is not None:
            features = self._head.run(features)
        return self._output.to_user(features)

    def _features(self, rows: Int8Array) -> Int8Array:
        """What comes out before a trainable layer, in the device's order."""
        device = self._input.to_device(rows)
        return device if self._net is None else self._net.run(device)

    # --- What it is -------------------------------------------------------------------------------

    def output_shape(self) -> list[int]:
        """[n] or [C, H, W]."""
        return list(self._output.shape)

    def num_layers(self) -> int:
        """Layers added so far."""
        return len(self._layers)

    def layer_names(self) -> list[str]:
        """Their kinds, as NANO-RUST calls them: "FrozenDense", "ReLU", ..."""
        return [layer.kind for layer in self._layers]

    def estimate_arena_size(self) -> int:
        """The bytes of arena that the model takes here: exactly the least ``arena_size``.

        An exported model needs less, and says so itself (``NAME_ARENA_SIZE``): its parameters lie
        in flash and its tensors are planned.
        """
        backbone = 0 if self._net is None else self._net.used
        return backbone + (0 if self._head is None else self._head.used)

    def __repr__(self) -> str:
        chain = " > ".join(self.layer_names()) or "no layers"
        shapes = f"{list(self._input.shape)} -> {self.output_shape()}"
        return f"<SequentialModel {shapes}: {chain}; arena {self.estimate_arena_size():,} B>"

    # --- Leaving ----------------------------------------------------------------------------------

    def graph(
        self,
        name: str = "model",
        *,
        labels: Iterable[str] = (),
        samples: NDArray[Any] | None = None,
    ) -> QGraph:
        """The model as an int8 graph, for everything else that nanotool does with one.

        ``samples``: int8 inputs, n x the input's shape, for golden vectors.
        """
        if self._net is None and self._head is None:
            raise NanoError("The model computes nothing.", "Add a layer, then export it.")
        graph = to_graph(name, self._input, self._frozen(), tuple(labels))
        if samples is None:
            return graph
        count = len(samples)
        rows = layers.int8("The samples", "data", samples, count * self._input.size)
        device = self._input.to_device(rows.reshape(count, self._input.size))
        return replace(graph, samples=(device.reshape(count, *graph.input_tensor.shape),))

    def export(
        self,
        folder: Path | str,
        name: str = "model",
        *,
        targets: Sequence[str] = (),
        optimize: str = "balanced",
        samples: NDArray[Any] | None = None,
        weights: str = "c",
    ) -> None:
        """Write the model as C sources, as ``nanotool export`` does: a folder for any build system,
        ``nanotool build`` and ``nanotool run`` among them.

        ``targets``: kernels to use, default all. ``samples``: see `graph`; their answers become
        golden vectors. ``weights``: "c", or "bin" for a binary file a target that the assembler
        brings in. Raises `NanoError` where the folder holds other files.
        """
        from nanotool.backends import c  # noqa: PLC0415
        from nanotool.pipeline import prepare  # noqa: PLC0415
        from nanotool.targets import TARGETS  # noqa: PLC0415

        graph = self.graph(name, samples=samples)
        pairs = [prepare(graph, target, optimize) for target in targets or TARGETS]
        golden = 0 if samples is None else len(samples)
        c.export(pairs, Path(folder), golden=golden, weights=weights)

    # --- Building ---------------------------------------------------------------------------------

    @property
    def _output(self) -> Values:
        return self._layers[-1].target if self._layers else self._input

    def _where(self, kind: str) -> str:
        return f"Layer {len(self._layers)} ({kind})"

    def _frozen(self) -> tuple[Layer, ...]:
        """The layers, a trainable one as it is now."""
        if self._head is None:
            return self._layers
        return (*self._layers[:-1], self._head.frozen())

    def _add(self, layer: Layer, head: TrainableHead | None = None) -> None:
        """Take ``layer``, if the C library does too."""
        where = self._where(layer.kind)
        if self._head is not None:
            raise LayerError(f"{where}: a layer behind the one that learns.", "It is the last.")
        grown = (*self._layers, layer)
        self._net = self._built(where, grown, 0 if head is None else head.used)
        self._layers, self._head = grown, head

    def _built(self, where: str, grown: tuple[Layer, ...], taken: int) -> SequentialNet | None:
        """The net of ``grown`` beside ``taken`` bytes of arena; None: there is nothing to run."""
        fixed = tuple(one for one in grown if not isinstance(one, layers.Trainable))
        computes = any(not isinstance(one, layers.Flatten) for one in fixed)
        try:
            net = SequentialNet(self._input, fixed, None) if computes else None
        except Refused as error:
            raise LayerError(f"{where}: {error.message}", _RANGE_HINT) from error
        needed = taken + (0 if net is None else net.used)
        if self._arena_size is not None and needed > self._arena_size:
            raise LayerError(
                f"{where}: with it the model needs {needed:,} bytes of arena, and arena_size is "
                f"{self._arena_size:,}.",
                f"Give SequentialModel an arena_size of {needed:,} or more.",
            )
        if net is None or self._arena_size is None:
            return net
        return SequentialNet(self._input, fixed, self._arena_size - taken)


_RANGE_HINT = "Sums of products and biases must stay within 32 bits, sizes within 65,535."


def _window(kernel: tuple[int, int], stride: int, padding: int) -> Window:
    size, pad = (int(kernel[0]), int(kernel[1])), int(padding)
    return Window(size, (int(stride), int(stride)), (pad, pad, pad, pad))


def _pool_window(where: str, sizes: tuple[int, ...], named: dict[str, int]) -> Window:
    """The window that `SequentialModel.add_max_pool2d`'s arguments mean."""
    by_code = "pool_h" in named or (len(sizes) == 2 and "stride" in named)
    if len(sizes) == 3:
        by_code = not _is_padding(sizes)
        if not by_code and sizes[2] > 0:
            raise LayerError(
                f"{where}: {sizes} can be (kernel, stride, padding) or (pool_h, pool_w, stride).",
                "Name the arguments.",
            )
    names = ("pool_h", "pool_w", "stride") if by_code else ("kernel", "stride", "padding")
    given = dict(zip(names, sizes, strict=False)) | named
    if names[0] not in given or len(given) < len(sizes) + len(named) or set(given) - set(names):
        raise LayerError(
            f"{where}: arguments {sizes} {named}.", "Give kernel, stride, padding and no others."
        )
    height = given[names[0]]
    width = given.get("pool_w", height)
    return _window((height, width), given.get("stride", height), given.get("padding", 0))


def _is_padding(sizes: tuple[int, ...]) -> bool:
    """Whether the third number can be a padding: at most half the window, as in PyTorch."""
    return 0 <= sizes[2] <= sizes[0] // 2
