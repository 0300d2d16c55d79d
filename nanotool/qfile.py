"""The .nano file: a QGraph on disk.

    offset  bytes
    0       8      magic "NANOTOOL"
    8       4      format version, little-endian
    12      4      length H of the header, little-endian
    16      32     SHA-256 over the header and all that follows it
    48      H      header: JSON, UTF-8, keys sorted, no blanks; the graph without its arrays
    48+H    ...    the arrays, little-endian, one behind the other; the header says where and what

A tensor's type and the constants are left out where all is int8 and there are none. Version 1 is
that of graphs with one input, one output and no state. Version 2 has in its header lists of
``inputs``, ``outputs``, ``input_permutations`` and ``samples`` (one each an input, the latter may
be none), ``states`` (name, tensor read, tensor that takes its place, initial value), and
``more`` of an op: the tensors that it writes beside the one of its name. Version 3 is version 2
with a ``stream``: front end, scaling and rule (`nanotool.sensing.description`). Version 4 is
version 2 with a ``camera`` (`CameraSettings`).

The same graph always gives the same bytes. On reading nothing is believed: lengths, checksum,
every field's type, and at last `validate` on the whole graph. Bad bytes raise InvalidModel.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from nanotool.errors import InvalidModel, NanoError
from nanotool.files import write_atomic
from nanotool.ir import LayerQuality, Lstm, Op, QGraph, QOp, QTensor, State, Trial, Widened, Window
from nanotool.ops import FACTS, INT8_OPERATORS, facts
from nanotool.sensing.description import (
    MOST_CLASSES,
    CameraSettings,
    ClassRule,
    FrontEnd,
    MelSettings,
    MicroFrontendSettings,
    Rule,
    Scaling,
    SensorSettings,
    StreamRule,
)
from nanotool.validate import validate

MAGIC = b"NANOTOOL"
SIMPLE, GENERAL, STREAM, CAMERA = 1, 2, 3, 4  # format versions
PREFIX = struct.Struct("<8sII32s")
MAX_FILE = 256 * 2**20  # bytes
HINT = "Make it again with `nanotool quantize`."
DTYPES: dict[str, np.dtype[Any]] = {
    "i1": np.dtype("<i1"),
    "i2": np.dtype("<i2"),
    "u1": np.dtype("<u1"),
    "i4": np.dtype("<i4"),
    "i8": np.dtype("<i8"),
    "f4": np.dtype("<f4"),
}
OPERATORS: dict[str, type[Op]] = {FACTS[one].tag: one for one in INT8_OPERATORS}
ARRAY_TYPES = {"int8": "i1", "int16": "i2", "uint8": "u1", "float32": "f4"}  # of a tensor's data

Json: TypeAlias = Any
_Part = TypeVar("_Part")


def save(graph: QGraph, path: Path | str) -> None:
    """Write ``graph`` to ``path``, whole or not at all. InvalidModel if it is not sound, or if the
    file could not be read back."""
    validate(graph)
    content = to_bytes(graph)
    try:
        from_bytes(content)
    except InvalidModel as error:
        raise InvalidModel(f"{graph.name} does not fit a .nano file: {error.message}") from error
    write_atomic(Path(path), content)


def load(path: Path | str) -> QGraph:
    """Read a graph: InvalidModel for anything but a sound .nano file, NanoError without a file."""
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE:
            raise InvalidModel(
                f"{file} is larger than {MAX_FILE >> 20} MB.", "It is no .nano file."
            )
        content = file.read_bytes()
    except OSError as error:
        raise NanoError(f"Cannot read {file}: {error.strerror or error}.", "Check path.") from error
    try:
        return from_bytes(content)
    except InvalidModel as error:
        raise InvalidModel(f"{file}: {error.message}", error.hint or HINT) from error


def graph_hash(graph: QGraph) -> str:
    """16 hex digits that identify what ``graph`` computes, stream and camera included: SHA-256 over
    its canonical bytes without name, labels, quality, trials, samples and source."""
    header, arrays = _pack(graph, identity=True)
    return hashlib.sha256(header + arrays).hexdigest()[:16]


def to_bytes(graph: QGraph) -> bytes:
    """The content of the .nano file."""
    header, arrays = _pack(graph, identity=False)
    body = header + arrays
    digest = hashlib.sha256(body).digest()
    return PREFIX.pack(MAGIC, _version(graph), len(header), digest) + body


def _version(graph: QGraph) -> int:
    """The format that ``graph`` is written in: the first one that can tell it."""
    if graph.stream is not None:
        return STREAM
    if graph.camera is not None:
        return CAMERA
    one = len(graph.inputs) == len(graph.outputs) == 1
    several = graph.states or graph.output_names or any(op.more for op in graph.ops)
    return SIMPLE if one and not several else GENERAL


def from_bytes(content: bytes) -> QGraph:
    """The graph in the bytes of a .nano file; InvalidModel if they are none."""
    if content[: len(MAGIC)] != MAGIC:
        raise InvalidModel("This is no .nano file.", HINT)
    if len(content) < PREFIX.size:
        raise InvalidModel("The file is cut short.", HINT)
    _, version, length, digest = PREFIX.unpack_from(content)
    if not SIMPLE <= version <= CAMERA:
        raise InvalidModel(
            f"The file has format version {version}; this nanotool reads {SIMPLE} to {CAMERA}.",
            "Update nanotool." if version > CAMERA else HINT,
        )
    body = content[PREFIX.size :]
    if length > len(body) or hashlib.sha256(body).digest() != digest:
        raise InvalidModel("The file is damaged: its checksum does not fit.", HINT)
    graph = _Reader(body[length:], version).graph(_parse(body[:length]))
    if _version(graph) != version:
        raise InvalidModel(f"The file has format version {version}, {_version(graph)} is right.")
    return graph


# --- Writing --------------------------------------------------------------------------------------


class _Writer:
    """Collects arrays; a header entry says where each one lies."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.offset = 0

    def array(self, array: NDArray[Any] | None) -> Json:
        if array is None:
            return None
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        data = np.ascontiguousarray(array, DTYPES[kind]).tobytes()
        entry = {"dtype": kind, "shape": list(array.shape), "offset": self.offset}
        self.chunks.append(data)
        self.offset += len(data)
        return entry


def _pack(graph: QGraph, *, identity: bool) -> tuple[bytes, bytes]:
    """(header, arrays); with ``identity`` only what matters to the result of an inference or a
    stream."""
    writer = _Writer()
    simple = _version(graph) == SIMPLE
    # float.hex() is exact and the same everywhere, unlike a decimal.
    header: Json = {
        "tensors": [_tensor(tensor) for tensor in _ordered(graph)],
        "ops": [
            {
                "name": op.name,
                "op": _operator(op.op),
                "inputs": list(op.inputs),
                "weight": writer.array(op.weight),
                "weight_scale": writer.array(op.weight_scale),
                "bias": writer.array(op.bias),
                "clamp": list(op.clamp),
                **({} if simple else {"more": list(op.more)}),
            }
            for op in graph.ops
        ],
        **(_one_end(graph) if simple else _ends(graph, writer)),
    }
    if graph.constants:
        header["constants"] = [
            [name, writer.array(data)] for name, data in sorted(graph.constants.items())
        ]
    if graph.stream is not None:
        header["stream"] = _described(graph.stream)
    if graph.camera is not None:
        header["camera"] = _described(graph.camera)
    if not identity:
        header |= {
            "name": graph.name,
            "labels": list(graph.labels),
            "quality": [[q.tensor, q.sqnr_db.hex(), q.saturation.hex()] for q in graph.quality],
            "samples": [writer.array(samples) for samples in graph.samples],
            "source": graph.source,
        }
        if simple:
            header["samples"] = header["samples"][0] if graph.samples else None
        if graph.trials:
            header["trials"] = [
                [
                    t.name,
                    t.sqnr_db.hex(),
                    None if t.accuracy is None else t.accuracy.hex(),
                    t.chosen,
                    *([] if t.int16 is None else [_widened(t.int16)]),
                ]
                for t in graph.trials
            ]
        if graph.output_names:
            header["output_names"] = list(graph.output_names)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(), b"".join(writer.chunks)


def _widened(costs: Widened) -> Json:
    return [list(costs.tensors), costs.flash, costs.arena, costs.macs.hex()]


def _described(value: Any, kind: Any = None) -> Json:
    """A part of nanotool.sensing.description: objects by their fields' names, floats in hex.
    ``kind``: its field's type; a whole number may be given for a float."""
    if isinstance(value, tuple):
        inner = get_args(kind)[0] if kind else None
        return [_described(item, inner) for item in value]
    if isinstance(value, float) or (kind in {float, float | None} and isinstance(value, int)):
        return float(value).hex()
    if is_dataclass(value):
        kinds = get_type_hints(type(value))
        later = SINCE_FIRST.get(type(value), {})
        parts = {
            name: _described(getattr(value, name), kinds[name])
            for name in kinds
            if name not in later or getattr(value, name) != later[name]
        }
        name = FRONT_ENDS_BY_TYPE.get(type(value))
        return parts if name is None else {"type": name, **parts}
    return value


def _one_end(graph: QGraph) -> Json:
    return {
        "input": graph.input,
        "output": graph.output,
        "input_permutation": list(graph.input_permutation),
    }


def _ends(graph: QGraph, writer: _Writer) -> Json:
    return {
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "input_permutations": [list(order) for order in graph.permutations],
        "states": [
            [state.name, state.read, state.next, writer.array(state.initial)]
            for state in graph.states
        ],
    }


def _ordered(graph: QGraph) -> list[QTensor]:
    """Tensors in order of execution, so that the order of a dict does not show."""
    written = (name for op in graph.ops for name in op.outputs)
    names = (*graph.sources, *sorted(graph.constants), *written)
    return [graph.tensors[name] for name in names]


def _tensor(tensor: QTensor) -> Json:
    row = [tensor.name, list(tensor.shape), tensor.scale.hex(), tensor.zero_point]
    return row if tensor.dtype == "int8" else [*row, tensor.dtype]


# Attributes that came after files with the operator: what they are where a file does not tell.
LATER: dict[type[Op], dict[str, Any]] = {Lstm: {"reverse": False}}


def _operator(op: Op) -> Json:
    readers = ATTRIBUTES[type(op)]
    values = {
        name: float(value).hex()
        if readers[name] is _float
        else [float(one).hex() for one in value]
        if readers[name] is _floats
        else value
        for name, value in asdict(op).items()
    }
    return {"type": FACTS[type(op)].tag, **{k: v for k, v in values.items() if _is_told(op, k)}}


def _is_told(op: Op, name: str) -> bool:
    """Whether an attribute is in the file: not if it came later, and is what it was before."""
    return name not in LATER.get(type(op), {}) or getattr(op, name) != LATER[type(op)][name]


# --- Reading --------------------------------------------------------------------------------------


def _bad(what: str) -> NoReturn:
    raise InvalidModel(f"The file's header is wrong: {what}.", HINT)


def _parse(header: bytes) -> Json:
    try:
        return json.loads(header.decode(), parse_constant=_bad)
    except (ValueError, RecursionError) as error:
        raise InvalidModel("The file's header is no JSON.", HINT) from error


def _fields(value: Json, what: str, *names: str) -> list[Json]:
    """The values of an object that has exactly these fields."""
    if not isinstance(value, dict) or set(value) != set(names):
        _bad(f"{what} has not the fields {', '.join(names)}")
    return [value[name] for name in names]


def _bool(value: Json, what: str) -> bool:
    if not isinstance(value, bool):
        _bad(f"{what} is neither true nor false")
    return value


def _row(value: Json, what: str, length: int) -> list[Json]:
    if not isinstance(value, list) or len(value) != length:
        _bad(f"{what} has not {length} parts")
    return value


def _list(value: Json, what: str) -> list[Json]:
    if not isinstance(value, list) or len(value) > 2**20:
        _bad(f"{what} is no list")
    return value


def _text(value: Json, what: str) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        _bad(f"{what} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        _bad(f"{what} is no text")
    return value


def _int(value: Json, what: str) -> int:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        _bad(f"{what} is no whole number")
    return value


def _float(value: Json, what: str) -> float:
    try:
        number = float.fromhex(_text(value, what))
    except (ValueError, OverflowError):
        _bad(f"{what} is no number")
    if math.isnan(number):
        _bad(f"{what} is not a number")
    return number


def _trial(value: Json) -> Trial:
    wide = isinstance(value, list) and len(value) == 5
    name, sqnr, accuracy, chosen, *costs = _row(value, "a trial", 5 if wide else 4)
    return Trial(
        _text(name, "a name"),
        _float(sqnr, "a ratio"),
        None if accuracy is None else _float(accuracy, "an accuracy"),
        _bool(chosen, "a choice"),
        _read_widened(costs[0]) if wide else None,
    )


def _read_widened(value: Json) -> Widened:
    tensors, flash, arena, macs = _row(value, "a trial's cost", 4)
    return Widened(
        tuple(_text(name, "a name") for name in _list(tensors, "a trial's tensors")),
        _int(flash, "a trial's flash"),
        _int(arena, "a trial's arena"),
        _float(macs, "a share"),
    )


MOST_NUMBERS = 2**16 - 1  # of one attribute: as many elements as an axis may have


def _ints(value: Json, what: str) -> tuple[int, ...]:
    items = _list(value, what)
    if len(items) > MOST_NUMBERS:
        _bad(f"{what} is too long")
    return tuple(_int(item, what) for item in items)


def _read_operator(value: Json) -> Op:
    if not isinstance(value, dict):
        _bad("an operator is no object")
    kind = value.get("type")
    operator = OPERATORS.get(kind) if isinstance(kind, str) else None
    if operator is None:
        _bad(f"the operator {str(kind)[:40]!r} is unknown")
    later = LATER.get(operator, {})
    names = tuple(n for n in operator.__dataclass_fields__ if n not in later or n in value)
    values = _fields(value, f"the operator {kind}", "type", *names)[1:]
    readers = ATTRIBUTES[operator]
    op = operator(
        **{name: readers[name](item, name) for name, item in zip(names, values, strict=True)}
    )
    facts(op)  # the package of a custom one is there
    if not all(_is_told(op, name) for name in names):
        _bad(f"the operator {kind} tells what holds anyhow")  # one graph, one file
    return op


def _window(value: Json, _what: str) -> Window:
    names = ("kernel", "stride", "padding", "dilation")
    kernel, stride, padding, dilation = (
        _ints(item, "a window") for item in _fields(value, "a window", *names)
    )
    if (len(kernel), len(stride), len(padding), len(dilation)) != (2, 2, 4, 2):
        _bad("a window has too few or too many numbers")
    return Window(
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1], padding[2], padding[3]),
        (dilation[0], dilation[1]),
    )


def _floats(value: Json, what: str) -> tuple[float, ...]:
    items = _list(value, what)
    if len(items) > MOST_NUMBERS:
        _bad(f"{what} is too long")
    return tuple(_float(item, what) for item in items)


# How to read an attribute of each type: (value, what it is) -> attribute.
READERS: dict[Any, Callable[[Json, str], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _text,
    tuple[int, ...]: _ints,
    tuple[float, ...]: _floats,
    int | None: lambda value, what: None if value is None else _int(value, what),
    Window: _window,
}


def _readers(operator: type[Op]) -> dict[str, Callable[[Json, str], Any]]:
    """A reader for each attribute: one of a type that has none is found at import."""
    kinds = get_type_hints(operator)
    unknown = [name for name, kind in kinds.items() if kind not in READERS]
    if unknown:
        raise NotImplementedError(f"qfile: {operator.__name__}.{unknown[0]} cannot be read.")
    return {name: READERS[kind] for name, kind in kinds.items()}


ATTRIBUTES = {operator: _readers(operator) for operator in INT8_OPERATORS}


# --- A stream, a camera ---------------------------------------------------------------------------


def _read_part(kind: type[_Part], value: Json, what: str) -> _Part:
    """What `_described` wrote; each part's own checks refuse what cannot be."""
    try:
        return _part(kind, value, what)
    except NanoError as error:
        raise InvalidModel(f"The file's header is wrong: {error.message}", HINT) from error


def _classes(value: Json, what: str) -> tuple[ClassRule, ...]:
    items = _list(value, what)
    if len(items) > MOST_CLASSES:
        _bad(f"{what} are too many")
    return tuple(_part(ClassRule, item, "a class") for item in items)


FRONT_ENDS: dict[str, type[FrontEnd]] = {
    "micro_frontend": MicroFrontendSettings,
    "mel": MelSettings,
    "sensor": SensorSettings,
}
# Fields that files of before do not have, and their values there: left out where they have these.
SINCE_FIRST: dict[type, dict[str, str]] = {MelSettings: {"taper": "hann", "slopes": "hz"}}
FRONT_ENDS_BY_TYPE: dict[type, str] = {kind: name for name, kind in FRONT_ENDS.items()}


def _front_end(value: Json, what: str) -> FrontEnd:
    name = value.get("type") if isinstance(value, dict) else None
    kind = FRONT_ENDS.get(name) if isinstance(name, str) else None
    if kind is None:
        _bad(f"{what} is of no known type")
    later = SINCE_FIRST.get(kind, {})
    if any(value.get(field) == usual for field, usual in later.items()):
        _bad(f"{what} says what it need not")  # one graph, one file
    return _part(kind, {**later, **{key: value[key] for key in value if key != "type"}}, what)


def _part(kind: type[_Part], value: Json, what: str) -> _Part:
    kinds = get_type_hints(kind)
    values = dict(zip(kinds, _fields(value, what, *kinds), strict=True))
    return kind(**{name: STREAM_READERS[kinds[name]](item, name) for name, item in values.items()})


STREAM_READERS: dict[Any, Callable[[Json, str], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    float | None: lambda value, what: None if value is None else _float(value, what),
    tuple[ClassRule, ...]: _classes,
    str: _text,
    Literal["htk", "slaney"]: _text,
    Literal["hann", "hamming"]: _text,
    Literal["hz", "mel"]: _text,
    Literal["none", "constant", "linear"]: _text,
    Literal["grey", "rgb565", "rgb565be", "rgb888"]: _text,
    Literal["box", "bilinear"]: _text,
    tuple[int, int, int, int] | None: lambda value, what: (
        None if value is None else tuple(_int(item, what) for item in _row(value, what, 4))
    ),
    tuple[float, ...]: _floats,
    tuple[tuple[int, ...], ...]: lambda value, what: tuple(
        _ints(item, what) for item in _list(value, what)
    ),
    FrontEnd: _front_end,
    Scaling: lambda value, what: _part(Scaling, value, what),
    Rule: lambda value, what: _part(Rule, value, what),
}


def _names(value: Json, what: str) -> tuple[str, ...]:
    return tuple(_text(item, "a name") for item in _list(value, what))


def _bias_type(value: Json) -> str:
    """That of an array that says it has 64 bits; else 32."""
    return "i8" if isinstance(value, dict) and value.get("dtype") == "i8" else "i4"


class _Reader:
    """Makes a graph of a parsed header and the bytes of the arrays."""

    def __init__(self, data: bytes, version: int) -> None:
        self.data = data
        self.simple = version == SIMPLE
        self.version = version
        self.read = 0  # bytes of the arrays read so far: none is left out or read twice

    def array(self, value: Json, dtype: str) -> Any:
        if value is None:
            return None
        kind, sizes, offset = _fields(value, "an array", "dtype", "shape", "offset")
        shape = _ints(sizes, "an array's shape")
        count = math.prod(shape)
        length = count * DTYPES[dtype].itemsize
        if kind != dtype or len(shape) > 8 or min(shape, default=1) < 1:
            _bad("an array's type or shape")
        if _int(offset, "an offset") != self.read or length > len(self.data) - self.read:
            _bad("an array lies outside the file")
        self.read += length
        array = np.frombuffer(self.data, DTYPES[dtype], count, offset).reshape(shape)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def tensor(self, value: Json) -> QTensor:
        typed = isinstance(value, list) and len(value) == 5
        name, shape, scale, zero_point, *dtype = _row(value, "a tensor", 5 if typed else 4)
        if dtype == ["int8"]:
            _bad("a tensor's type is int8 anyhow")  # one graph, one file
        return QTensor(
            _text(name, "a name"),
            _ints(shape, "a shape"),
            self.scale(scale),
            _int(zero_point, "a zero point"),
            *(_text(item, "a type") for item in dtype),
        )

    def constant(self, value: Json, types: dict[str, str]) -> tuple[str, Any]:
        name, data = _row(value, "a constant", 2)
        if data is None:
            _bad("a constant has no data")
        called = _text(name, "a name")
        return called, self.array(data, ARRAY_TYPES.get(types.get(called, ""), "i1"))

    def scale(self, value: Json) -> float:
        scale = _float(value, "a scale")
        if not 0 < scale <= float(np.finfo(np.float32).max):
            _bad("a scale is not positive and finite")
        return scale

    def op(self, value: Json) -> QOp:
        names = ("name", "op", "inputs", "weight", "weight_scale", "bias", "clamp")
        general = () if self.simple else ("more",)
        name, op, inputs, weight, scale, bias, clamp, *more = _fields(
            value, "an op", *names, *general
        )
        low, high = _row(clamp, "a clamp", 2)
        return QOp(
            name=_text(name, "a name"),
            op=_read_operator(op),
            inputs=tuple(_text(item, "a name") for item in _list(inputs, "inputs")),
            weight=self.array(weight, "i1"),
            weight_scale=self.array(scale, "f4"),
            bias=self.array(bias, _bias_type(bias)),
            clamp=(_int(low, "a clamp"), _int(high, "a clamp")),
            more=_names(more[0], "further outputs") if more else (),
        )

    def quality(self, value: Json) -> LayerQuality:
        name, sqnr, saturation = _row(value, "a quality", 3)
        return LayerQuality(
            _text(name, "a name"), _float(sqnr, "a ratio"), _float(saturation, "a saturation")
        )

    def ends(self, values: dict[str, Json], types: dict[str, str]) -> dict[str, Any]:
        """Inputs, outputs, states: what the two versions tell in different words."""
        if self.simple:
            order = _ints(values["input_permutation"], "the input permutation")
            return {
                "inputs": (_text(values["input"], "the input"),),
                "outputs": (_text(values["output"], "the output"),),
                "input_permutations": (order,) if order else (),
            }
        orders = tuple(
            _ints(item, "an input permutation")
            for item in _list(values["input_permutations"], "the input permutations")
        )
        return {
            "inputs": _names(values["inputs"], "the inputs"),
            "outputs": _names(values["outputs"], "the outputs"),
            "input_permutations": orders,
            "states": tuple(
                self.state(item, types) for item in _list(values["states"], "the states")
            ),
        }

    def state(self, value: Json, types: dict[str, str]) -> State:
        name, read, following, initial = _row(value, "a state", 4)
        tensor = _text(read, "a name")
        array = self.array(initial, ARRAY_TYPES.get(types.get(tensor, ""), "i1"))
        if array is None:
            _bad("a state has no initial value")
        return State(_text(name, "a name"), tensor, _text(following, "a name"), array)

    def samples(self, value: Json, inputs: tuple[str, ...], types: dict[str, str]) -> Any:
        rows = [value] if self.simple and value is not None else value
        if rows is None:
            return ()
        kinds = [ARRAY_TYPES.get(types.get(name, ""), "i1") for name in inputs]
        rows = _list(rows, "the samples")
        if len(rows) not in (0, len(kinds)):
            _bad("there are samples for other inputs")
        arrays = tuple(self.array(item, kind) for item, kind in zip(rows, kinds, strict=False))
        if any(array is None for array in arrays):
            _bad("an input has no samples")
        return arrays

    def graph(self, header: Json) -> QGraph:
        names = ("name", "tensors", "ops", "labels", "quality", "samples", "source")
        ends: tuple[str, ...] = ("inputs", "outputs", "input_permutations", "states")
        if self.simple:
            ends = ("input", "output", "input_permutation")
        given = header if isinstance(header, dict) else {}
        constant = ("constants",) if "constants" in given else ()
        called = ("output_names",) if "output_names" in given and not self.simple else ()
        trials = ("trials",) if "trials" in given else ()
        stream = ("stream",) if self.version == STREAM else ()
        camera = ("camera",) if self.version == CAMERA else ()
        expected = (*names, *ends, *constant, *called, *trials, *stream, *camera)
        values = dict(zip(expected, _fields(header, "the graph", *expected), strict=True))
        tensors = [self.tensor(item) for item in _list(values["tensors"], "tensors")]
        types = {tensor.name: tensor.dtype for tensor in tensors}
        ops = tuple(self.op(item) for item in _list(values["ops"], "ops"))
        if len(types) != len(tensors):
            _bad("two tensors have the same name")
        borders = self.ends(values, types)
        constants = [
            self.constant(item, types) for item in _list(values.get("constants", []), "constants")
        ]
        if len(dict(constants)) != len(constants) or (constant and not constants):
            _bad("two constants have the same name, or there is none")
        graph = QGraph(
            name=_text(values["name"], "the name"),
            tensors={tensor.name: tensor for tensor in tensors},
            ops=ops,
            labels=tuple(_text(item, "a label") for item in _list(values["labels"], "labels")),
            quality=tuple(self.quality(item) for item in _list(values["quality"], "the quality")),
            trials=tuple(_trial(item) for item in _list(values.get("trials", []), "the trials")),
            samples=self.samples(values["samples"], borders["inputs"], types),
            source=_text(values["source"], "the source"),
            constants=dict(constants),
            stream=_read_part(StreamRule, values["stream"], "the stream") if stream else None,
            camera=_read_part(CameraSettings, values["camera"], "the camera") if camera else None,
            output_names=_names(values["output_names"], "the outputs' names") if called else (),
            **borders,
        )
        if self.read != len(self.data):
            _bad("there is more in the file than it says")
        validate(graph)
        return graph
