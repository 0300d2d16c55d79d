"""A nano_model made from a Lowered and a Plan, in this process's memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel, MissingTool, NanoError
from nanotool.ir import DTYPES, Int8Array, Lowered, LoweredOp, Plan, QTensor, Struct
from nanotool.lower import ABI
from nanotool.ops import custom
from nanotool.plan import input_offsets, scratch_offset
from nanotool.progress import Progress, ignore_progress
from nanotool.qfile import graph_hash
from nanotool.runtime.arena import new_arena
from nanotool.runtime.custom import CustomKernels
from nanotool.runtime.extension import load
from nanotool.runtime.host import on_host
from nanotool.runtime.structs import CData, Structs
from nanotool.simulate import Inputs

_BATCH_BYTES = 1 << 20  # about what one call into C reads: Ctrl-C is seen in between
# Multiply-accumulates that a thread of its own is worth: milliseconds.
_THREAD_MACS = 20_000_000


@dataclass(frozen=True, slots=True)
class _Job:
    """Many inferences, and where their results go."""

    function: Any  # of batch.h
    inputs: tuple[Int8Array, ...]  # [n, bytes] each
    results: list[Int8Array]
    reset_every: int


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
        self._graph = lowered.graph
        self._fast = fast
        self._structs = Structs(self._ffi)
        brought = custom.used(lowered.graph)
        self._custom = CustomKernels(brought) if brought else None
        self._model = self._make_model(lowered, plan)
        self.arena_size = plan.arena_size

    def run(
        self, x: Inputs, *, reset_every: int = 0, progress: Progress = ignore_progress
    ) -> NDArray[Any]:
        """[n, *output shape] for ``x`` [n, *input shape], of a model with one output: `run_steps`
        without the tuple."""
        _ = self._graph.output  # one, or an error
        return self.run_steps(x, reset_every=reset_every, progress=progress)[0]

    def run_steps(
        self, x: Inputs, *, reset_every: int = 0, progress: Progress = ignore_progress
    ) -> tuple[NDArray[Any], ...]:
        """The outputs, [n, *shape] each, for the inputs ``x``: one array, or one an input, [n,
        *shape] each, of their tensors' types (int8 but for models with other borders), else
        `NanoError`.

        A model with states takes the first axis as consecutive steps from a reset, with another
        one before every ``reset_every``-th (0: none).

        Many inputs, or sequences between resets, are shared out among this computer's cores.
        ``progress`` hears of those that are done, from any of the threads, from one at a time.
        """
        data = self._checked(x)
        count = len(data[0])
        results = [np.empty((count, t.nbytes), np.int8) for t in self._graph.output_tensors]
        self._batches(_Job(self._lib.nanotool_run, data, results, reset_every), progress)
        tensors = self._graph.output_tensors
        return tuple(_typed(rows, tensor) for rows, tensor in zip(results, tensors, strict=True))

    def run_all(self, x: Inputs, *, reset_every: int = 0) -> list[NDArray[Any]]:
        """The output of every lowered op for ``x``, [n, *shape] each, as it was when the op had
        just written it; [n, 0] of an op that writes a first part only, and of a state's copy."""
        data = self._checked(x)
        sizes = [self._out_size(op) for op in self._lowered.ops]
        results = [np.empty((len(data[0]), size), np.int8) for size in sizes]
        self._batches(_Job(self._lib.nanotool_run_all, data, results, reset_every))
        tensors = self._graph.tensors
        return [
            _typed(result, tensors[op.output]) if op.source else result
            for result, op in zip(results, self._lowered.ops, strict=True)
        ]

    @property
    def model(self) -> CData:
        """The `nano_model *`, which lives as long as this does."""
        return self._model

    def start(self) -> Session:
        """The model at work: step by step, with states that can be seen, saved and put back."""
        return Session(self)

    def _batches(self, job: _Job, progress: Progress = ignore_progress) -> None:
        """Run all samples, so many in one call into C that Ctrl-C is seen."""
        count, finished = len(job.inputs[0]), 0
        workers = self._workers(count, job.reset_every)
        # One net alone goes on with a sequence where the call before it ended.
        parts = self._parts(count, job.reset_every if workers > 1 else 0)
        lock, stop = threading.Lock(), threading.Event()

        def work() -> None:
            """Take parts, one after the other, through a net of its own."""
            nonlocal finished
            net, _room = self._net()
            done = self._ffi.new("size_t *")
            while not stop.is_set():
                with lock:
                    part = next(parts, None)
                if part is None:
                    return
                self._run_part(job, net, done, part)
                with lock:
                    finished += part.stop - part.start
                    progress(finished, count)

        if workers == 1:
            work()
            return
        with ThreadPoolExecutor(workers) as pool:
            runs = [pool.submit(work) for _ in range(workers)]
            try:
                wait(runs, return_when=FIRST_EXCEPTION)
            finally:  # an error of one, or Ctrl-C here, ends all
                stop.set()
            for run in runs:
                run.result()

    def _run_part(self, job: _Job, net: CData, done: CData, part: slice) -> None:
        views = self._ffi.from_buffer
        inputs = [views("int8_t[]", data[part]) for data in job.inputs]
        results = [views("int8_t[]", room[part], require_writable=True) for room in job.results]
        done[0] = part.start
        status = job.function(
            net,
            part.stop - part.start,
            job.reset_every,
            done,
            self._ffi.new("int8_t *[]", inputs),
            self._ffi.new("int8_t *[]", results or 1),
        )
        self._check(status)

    def _workers(self, count: int, reset_every: int) -> int:
        """Threads for ``count`` inferences. Steps of one sequence follow each other."""
        if self._graph.states and not reset_every:
            return 1
        worth = self._lowered.macs * count // _THREAD_MACS
        if self._graph.states:
            worth = min(worth, -(-count // reset_every))  # sequences
        return max(1, min(cores(), worth))

    # --- Inputs -----------------------------------------------------------------------------------

    def _checked(self, x: Inputs) -> tuple[Int8Array, ...]:
        """Each input as rows of contiguous bytes [n, nbytes], all of as many."""
        given = (x,) if isinstance(x, np.ndarray) or not isinstance(x, Sequence) else tuple(x)
        if len(given) != len(self._graph.inputs):
            raise NanoError(
                f"{self._graph.name} has {len(self._graph.inputs)} inputs, {len(given)} were "
                "given.",
                f"Pass one array for each of {', '.join(self._graph.inputs)}, in this order.",
            )
        rows = tuple(
            self._rows(data, tensor)
            for data, tensor in zip(given, self._graph.input_tensors, strict=True)
        )
        if len({len(data) for data in rows}) > 1:
            raise NanoError(
                f"The inputs have {' and '.join(str(len(data)) for data in rows)} samples.",
                "Each input needs as many.",
            )
        return rows

    def _rows(self, x: NDArray[Any], tensor: QTensor) -> Int8Array:
        shape, dtype = tensor.shape, tensor.dtype
        wanted = " x ".join(("N", *map(str, shape)))
        one = "input" if len(self._graph.inputs) == 1 else f"input {tensor.name}"
        if not isinstance(x, np.ndarray) or x.dtype != dtype:
            found = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise NanoError(
                f"The {one} is {found}, not an array of {dtype}, {wanted}.",
                "nanotool.inputs.to_device quantizes real values."
                if dtype == "int8"
                else "Convert it: numpy.ndarray.astype.",
            )
        if x.ndim == 0 or x.shape[1:] != shape:
            raise NanoError(
                f"The {one} has shape {' x '.join(map(str, x.shape))}, not {wanted}.",
                "Samples stand along the first axis; images are H x W x C.",
            )
        rows = np.ascontiguousarray(x).reshape(len(x), tensor.size)
        return rows.view(np.int8)

    def _parts(self, count: int, reset_every: int) -> Iterator[slice]:
        """What one call does. Of a model with states, whole sequences: they begin with a reset."""
        size = sum(tensor.nbytes for tensor in self._graph.input_tensors)
        step = max(1, _BATCH_BYTES // size // 64)
        if self._graph.states and reset_every:
            step = -(-step // reset_every) * reset_every
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
            "inputs": self._ends(graph.input_tensors, lowered.inputs, plan),
            "outputs": self._ends(graph.output_tensors, lowered.outputs, plan),
            "states": self._states(lowered, plan),
            "input_count": len(graph.inputs),
            "output_count": len(graph.outputs),
            "state_count": len(graph.states),
        }
        return self._structs.new("nano_model *", values)

    def _ends(self, tensors: Sequence[QTensor], buffers: Sequence[str], plan: Plan) -> CData:
        """An array of nano_tensor."""
        rows = [
            self._tensor(tensor, plan.buffers[buffer].offset, tensor.name)
            for tensor, buffer in zip(tensors, buffers, strict=True)
        ]
        return self._structs.new("nano_tensor[]", rows)

    def _states(self, lowered: Lowered, plan: Plan) -> CData:
        """An array of nano_state, or NULL."""
        rows = []
        for state, buffer in zip(lowered.graph.states, lowered.states, strict=True):
            tensor = lowered.graph.tensors[state.read]
            initial = self._structs.new("uint8_t[]", state.initial.tobytes())
            offset = plan.buffers[buffer].offset
            rows.append({"tensor": self._tensor(tensor, offset, state.name), "initial": initial})
        return self._structs.new("nano_state[]", rows) if rows else self._ffi.NULL

    def _tensor(self, tensor: QTensor, offset: int, name: str) -> dict[str, Any]:
        """nano_tensor."""
        return {
            "name": self._structs.new("char[]", name.encode()),
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
        scratch = scratch_offset(plan, index)
        inputs = input_offsets(plan, op)
        out = plan.buffers[op.output]
        call = on_host(op) if self._fast else None
        kernel, params = (op.kernel, op.params) if call is None else (call.kernel, call.params)
        return {
            **self._call(op.name, kernel, params),
            "in": inputs + [none] * (self._lib.NANO_MAX_INPUTS - len(inputs)),
            "out": out.offset,
            "scratch": none if scratch is None else scratch,
            "out_size": self._out_size(op),
        }

    def _call(self, name: str, kernel: str, params: Struct) -> dict[str, Any]:
        """The fields of a nano_op that say what runs: of the library, or of an operator's package.
        `MissingTool` for a kernel that neither has."""
        if hasattr(self._lib, kernel):
            run = self._ffi.addressof(self._lib, kernel)
            return {"run": run, "params": self._structs.of(params)}
        own = self._custom.kernel(kernel) if self._custom is not None else None
        if own is None or self._custom is None:
            raise MissingTool(
                f"{name}: the compiled C library has no kernel {kernel}.",
                "Export the model with the nanotool that it is run with.",
            )
        cast = self._ffi.cast
        return {
            "run": cast("nano_kernel", own),
            "params": cast("void *", self._custom.params(params)),
        }

    def _out_size(self, op: LoweredOp) -> int:
        """Bytes of the tensor that ``op`` completes; 0 if it writes a first part only."""
        return self._lowered.buffers[op.output] if op.source else 0


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Session:
    """One net at work: each `step` goes on where the one before it ended. Not for several threads
    at once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ffi, self._lib = runtime._ffi, runtime._lib
        self._net, self._room = runtime._net()
        self._graph = runtime._graph

    def step(self, *inputs: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs [*shape] of one step for the inputs [*shape], in the model's order."""
        rows = self._runtime._checked([np.asarray(x)[None] for x in inputs])
        for number, row in enumerate(rows):
            self._ffi.memmove(self._lib.nano_input_at(self._net, number), row.tobytes(), row.size)
        self._check(self._lib.nano_run(self._net))
        return tuple(
            self._read(self._lib.nano_output_at(self._net, number), tensor)
            for number, tensor in enumerate(self._graph.output_tensors)
        )

    def reset(self) -> None:
        """Give every state its initial value: the next step is the first one of a sequence."""
        self._lib.nano_reset(self._net)

    @property
    def states(self) -> dict[str, NDArray[Any]]:
        """What the next step reads, by the states' names: copies."""
        return {
            state.name: self._read(
                self._lib.nano_state_at(self._net, number), self._graph.tensors[state.read]
            )
            for number, state in enumerate(self._graph.states)
        }

    def save(self) -> bytes:
        """The states as nano_save_state() writes them; `InvalidModel` of a model without."""
        size = self._lib.nano_saved_state_size(self._net.model)
        saved = self._ffi.new("uint8_t[]", max(size, 1))
        self._check(self._lib.nano_save_state(self._net, saved, size))
        return bytes(self._ffi.buffer(saved, size))

    def load(self, saved: bytes) -> None:
        """Put back what `save` gave; `InvalidModel` for bytes of another model, or damaged ones."""
        self._check(self._lib.nano_load_state(self._net, self._ffi.from_buffer(saved), len(saved)))

    def _read(self, pointer: CData, tensor: QTensor) -> NDArray[Any]:
        content = bytes(self._ffi.buffer(self._ffi.cast("char *", pointer), tensor.nbytes))
        values: NDArray[Any] = np.frombuffer(content, DTYPES[tensor.dtype]).copy()
        return values.reshape(tensor.shape)

    def _check(self, status: int) -> None:
        self._runtime._check(status)


def _typed(rows: Int8Array, tensor: QTensor) -> NDArray[Any]:
    """Rows of bytes as values of ``tensor``: [n, *shape], or [n, 0] where there are none."""
    values = rows.view(DTYPES[tensor.dtype])
    return values.reshape(len(rows), *tensor.shape) if values.shape[1] else values
