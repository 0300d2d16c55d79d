"""A nano_model made from a Lowered and a Plan, in this process's memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel, MissingTool, NanoError
from nanotool.ir import DTYPES, Int8Array, Lowered, LoweredOp, Plan, QTensor
from nanotool.lower import ABI
from nanotool.qfile import graph_hash
from nanotool.runtime.arena import new_arena
from nanotool.runtime.extension import load
from nanotool.runtime.host import on_host
from nanotool.runtime.structs import CData, Structs

_BATCH_BYTES = 1 << 20  # about what one call into C reads: Ctrl-C is seen in between


class Runtime:
    """A model that runs in this process, byte for byte as on the device.

    Threads may share one: every call has an arena of its own, and C runs without Python's lock.
    """

    def __init__(self, lowered: Lowered, plan: Plan, *, fast: bool = False) -> None:
        """Fill the C structs.

        ``fast``: dense layers and convolutions that are lowered for the portable kernels take this
        computer's vector instructions instead, to the same bytes. Raises `MissingTool` if the
        compiled library is missing or has not a kernel that ``lowered`` names, `InvalidModel` if a
        struct does not fit the library's.
        """
        self._extension = load()
        self._ffi, self._lib = self._extension.ffi, self._extension.lib
        if self._lib.NANO_ABI != ABI:
            raise MissingTool(
                f"The compiled C library is of NANO_ABI {self._lib.NANO_ABI}, this nanotool fills "
                f"the structs of {ABI}.",
                "Install nanotool again, or work in a whole checkout.",
            )
        self._lowered = lowered
        self._input = lowered.graph.input_tensor
        self._output = lowered.graph.output_tensor
        self._fast = fast
        self._structs = Structs(self._ffi)
        self._model = self._make_model(lowered, plan)
        self.arena_size = plan.arena_size

    def run(self, x: NDArray[Any]) -> NDArray[Any]:
        """[n, *output shape] for ``x`` [n, *input shape], both of their tensor's type (int8 but
        for models with other borders), else `NanoError`."""
        data = self._checked(x)
        results = np.empty((len(data), self._output.nbytes), np.int8)
        net, _room = self._net()
        for part in self._parts(len(data)):
            status = self._lib.nanotool_run(
                net,
                part.stop - part.start,
                self._ffi.from_buffer("int8_t[]", data[part]),
                self._ffi.from_buffer("int8_t[]", results[part], require_writable=True),
            )
            self._check(status)
        return _typed(results, self._output)

    def run_all(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        """The output of every lowered op for ``x``, [n, *shape] each, as it was when the op had
        just written it; [n, 0] of an op that writes a first part only."""
        data = self._checked(x)
        tensors = [self._lowered.graph.tensors[op.output] for op in self._lowered.ops]
        sizes = [self._out_size(op) for op in self._lowered.ops]
        results = [np.empty((len(data), size), np.int8) for size in sizes]
        net, _room = self._net()
        for part in self._parts(len(data)):
            views = [
                self._ffi.from_buffer("int8_t[]", result[part], require_writable=True)
                for result in results
            ]
            status = self._lib.nanotool_run_all(
                net,
                part.stop - part.start,
                self._ffi.from_buffer("int8_t[]", data[part]),
                self._ffi.new("int8_t *[]", views or 1),
            )
            self._check(status)
        return [_typed(result, tensor) for result, tensor in zip(results, tensors, strict=True)]

    # --- Inputs -----------------------------------------------------------------------------------

    def _checked(self, x: NDArray[Any]) -> Int8Array:
        """``x`` as rows of contiguous bytes [n, nbytes]."""
        shape = self._input.shape
        wanted = " x ".join(("N", *map(str, shape)))
        dtype = self._input.dtype
        if not isinstance(x, np.ndarray) or x.dtype != dtype:
            found = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise NanoError(
                f"The input is {found}, not an array of {dtype}, {wanted}.",
                "nanotool.inputs.to_device quantizes real values."
                if dtype == "int8"
                else "Convert it: numpy.ndarray.astype.",
            )
        if x.ndim == 0 or x.shape[1:] != shape:
            raise NanoError(
                f"The input has shape {' x '.join(map(str, x.shape))}, not {wanted}.",
                "Samples stand along the first axis; images are H x W x C.",
            )
        rows = np.ascontiguousarray(x).reshape(len(x), self._input.size)
        return rows.view(np.int8)

    def _parts(self, count: int) -> Iterator[slice]:
        step = max(1, _BATCH_BYTES // self._input.nbytes // 64)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    # --- C structs --------------------------------------------------------------------------------

    def _net(self) -> tuple[CData, CData]:
        """A net in an arena of its own, which has to outlive it."""
        arena = new_arena(self._extension, self.arena_size)
        net = self._ffi.new("nano_net *")
        self._check(self._lib.nano_init(net, self._model, arena))
        return net, arena

    def _check(self, status: int) -> None:
        if status != self._lib.NANO_OK:
            text = self._ffi.string(self._lib.nano_status_text(status)).decode()
            raise InvalidModel(f"{self._lowered.graph.name}: {text}.")

    def _make_model(self, lowered: Lowered, plan: Plan) -> CData:
        graph = lowered.graph
        ops = self._structs.new(
            "nano_op[]", [self._op(lowered, plan, i) for i in range(len(lowered.ops))]
        )
        names = [self._structs.new("char[]", op.name.encode()) for op in lowered.ops]
        values = {
            "abi": self._lib.NANO_ABI,
            "name": self._structs.new("char[]", graph.name.encode()),
            "hash": self._structs.new("char[]", graph_hash(graph).encode()),
            "ops": ops if lowered.ops else self._ffi.NULL,
            "op_names": self._structs.new("char *[]", names) if names else self._ffi.NULL,
            "op_count": len(lowered.ops),
            "arena_size": plan.arena_size,
            "input": self._tensor(graph.input_tensor, plan.buffers[lowered.input].offset),
            "output": self._tensor(graph.output_tensor, plan.buffers[lowered.output].offset),
        }
        return self._structs.new("nano_model *", values)

    def _tensor(self, tensor: QTensor, offset: int) -> dict[str, Any]:
        """nano_tensor."""
        return {
            "offset": offset,
            "size": tensor.nbytes,
            "shape": list(tensor.shape or (1,)),
            "scale": tensor.scale,
            "zero_point": tensor.zero_point,
            "type": getattr(self._lib, f"NANO_{tensor.dtype.upper()}"),
        }

    def _op(self, lowered: Lowered, plan: Plan, index: int) -> dict[str, Any]:
        op = lowered.ops[index]
        none = self._lib.NANO_NONE
        inputs = [plan.buffers[name].offset for name in op.inputs]
        out = plan.buffers[op.output]
        call = on_host(op) if self._fast else None
        kernel, params = (op.kernel, op.params) if call is None else (call.kernel, call.params)
        if not hasattr(self._lib, kernel):
            raise MissingTool(
                f"{op.name}: the compiled C library has no kernel {op.kernel}.",
                "Export the model with the nanotool that it is run with.",
            )
        return {
            "run": self._ffi.addressof(self._lib, kernel),
            "params": self._structs.of(params),
            "in": inputs + [none] * (self._lib.NANO_MAX_INPUTS - len(inputs)),
            "out": out.offset,
            "scratch": plan.scratch[index].offset if index in plan.scratch else none,
            "out_size": self._out_size(op),
        }

    def _out_size(self, op: LoweredOp) -> int:
        """Bytes of the tensor that ``op`` completes; 0 if it writes a first part only."""
        return self._lowered.buffers[op.output] if op.source else 0


def _typed(rows: Int8Array, tensor: QTensor) -> NDArray[Any]:
    """Rows of bytes as values of ``tensor``: [n, *shape], or [n, 0] where there are none."""
    values = rows.view(DTYPES[tensor.dtype])
    return values.reshape(len(rows), *tensor.shape) if values.shape[1] else values
