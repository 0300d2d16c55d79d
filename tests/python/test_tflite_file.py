"""The .tflite reader: it says what the schema package says, and no bytes bring it down."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import tflite
from flatbuffers import number_types
from numpy.typing import NDArray
from random_graphs import random_graph
from tflite_files import Spec, code, ints, operator, quantization, serialize, tensor

from bench import fuzz_tflite
from nanotool.backends import tflite as writer
from nanotool.errors import InvalidModel, NanoError
from nanotool.frontends.tflite import checks, content, convert, file, flatbuffer, schema
from nanotool.simulate import simulate

MODELS = Path(__file__).parent.parent / "models"
NAMES = ("ad", "ic", "kws", "vww")
RANDOM_SEEDS = range(60)
FUZZED_FILES = 400


# --- The model that the cases change in one place -------------------------------------------------


def dense() -> Spec:
    """A fully connected layer: the model that the cases below change in one place."""
    options = ("FullyConnectedOptions", {"FusedActivationFunction": 1, "KeepNumDims": True})
    kind = tflite.BuiltinOptions.FullyConnectedOptions
    graph = {
        "Tensors": [
            tensor("in", (1, 4)),
            tensor("weights", (3, 4), Buffer=1),
            tensor("bias", (3,), "INT32", Buffer=2),
            tensor("out", (1, 3)),
        ],
        "Inputs": ints(0),
        "Outputs": ints(3),
        "Operators": [
            operator(ints(0, 1, 2), ints(3), BuiltinOptionsType=kind, BuiltinOptions=options)
        ],
        "Name": "main",
    }
    buffers = [bytes(0), bytes(range(12)), bytes(12)]
    content = {
        "Version": 3,
        "OperatorCodes": [code(tflite.BuiltinOperator.FULLY_CONNECTED)],
        "Subgraphs": [("SubGraph", graph)],
        "Description": "by hand",
        "Buffers": [("Buffer", {"Data": data}) for data in buffers],
    }
    return ("Model", content)


def graph_of(model: Spec) -> dict[str, Any]:
    graph: dict[str, Any] = model[1]["Subgraphs"][0][1]
    return graph


def tensor_of(model: Spec, index: int) -> dict[str, Any]:
    content: dict[str, Any] = graph_of(model)["Tensors"][index][1]
    return content


def operator_of(model: Spec, index: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = graph_of(model)["Operators"][index][1]
    return content


def refused(data: bytes) -> str:
    """The message with which ``data`` are refused; it carries a way out."""
    with pytest.raises(InvalidModel) as caught:
        file.read(data)
    assert caught.value.hint
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
    return str(caught.value)


# --- The reader and the schema package agree ------------------------------------------------------


def _numbers(array: Any) -> tuple[Any, ...]:
    """A vector as the schema package gives it: 0 if it is not there."""
    return () if isinstance(array, int) else tuple(array.tolist())


def _text(given: bytes | None) -> str:
    """A string as the schema package gives it, made printable."""
    text = (given or b"").decode(errors="replace").replace("\ufffd", "?")
    return "".join(c if c.isprintable() else "?" for c in text)


def _check_tensor(given: content.Tensor, theirs: Any, buffer: Any) -> None:
    assert given.name == _text(theirs.Name())
    assert given.shape == _numbers(theirs.ShapeAsNumpy())
    signature = _numbers(theirs.ShapeSignatureAsNumpy())  # without a -1 it says nothing
    assert given.shape_signature == (signature if -1 in signature else given.shape)
    assert getattr(tflite.TensorType, given.type) == theirs.Type()
    assert given.is_variable == theirs.IsVariable()
    data = b"" if buffer.DataIsNone() else buffer.DataAsNumpy().tobytes()
    assert (b"" if given.data is None else bytes(given.data)) == data
    quantized = theirs.Quantization()
    if given.quantization is None:
        unread = given.type not in content.QUANTIZED
        assert (
            unread or quantized is None or quantized.ScaleIsNone() or quantized.ScaleLength() == 0
        )
    else:
        assert given.quantization.scales == _numbers(quantized.ScaleAsNumpy())
        zero_points, count = given.quantization.zero_points, quantized.ZeroPointLength()
        assert zero_points[:count] == _numbers(quantized.ZeroPointAsNumpy())
        assert count == len(zero_points) or (data and len(set(zero_points)) == 1)
        assert given.quantization.dimension == quantized.QuantizedDimension()


def _builtin_code(theirs: Any) -> int:
    """As TensorFlow Lite has it, the larger one. The package's BuiltinCode() has its own rule."""
    at = theirs._tab.Offset(10)
    code = theirs._tab.Get(number_types.Int32Flags, theirs._tab.Pos + at) if at else 0
    return max(code, int(theirs.DeprecatedBuiltinCode()))


def _getter(name: str) -> str:
    """The name of a field of ours in the schema package."""
    words = "".join(word.capitalize() for word in name.split("_"))
    renamed = {"FusedActivation": "FusedActivationFunction"}
    return renamed.get(words, re.sub(r"^(Dilation[WH])$", r"\1Factor", words))


def _stored(value: Any, kind: flatbuffer.Kind) -> Any:
    """A value of ours as the schema package has it: enumerators are numbers."""
    if isinstance(kind, flatbuffer.Enum):
        return next(number for number, name in kind.names.items() if name == value)
    return value


def _check_options(given: schema.Options, union: Any) -> None:
    theirs = getattr(tflite, type(given).__name__)()
    theirs.Init(union.Bytes, union.Pos)
    for name, _, kind in flatbuffer.slots(type(given)):
        getter = _getter(name)
        if isinstance(kind, flatbuffer.Numbers):
            assert getattr(given, name) == _numbers(getattr(theirs, f"{getter}AsNumpy")())
        else:
            assert _stored(getattr(given, name), kind) == getattr(theirs, getter)()


def check_against_schema_package(data: bytes) -> content.Model:
    """Read ``data`` and compare everything with the generated accessors."""
    model = file.read(data)
    theirs = tflite.Model.GetRootAs(data, 0)
    graph = theirs.Subgraphs(0)
    assert (model.version, model.description) == (theirs.Version(), _text(theirs.Description()))
    assert model.inputs == _numbers(graph.InputsAsNumpy())
    assert model.outputs == _numbers(graph.OutputsAsNumpy())
    assert len(model.operator_codes) == theirs.OperatorCodesLength()
    assert len(model.tensors) == graph.TensorsLength()
    assert len(model.operators) == graph.OperatorsLength()
    for i in sorted(checks.used_tensors(model)):
        given, expected = model.tensors[i], graph.Tensors(i)
        _check_tensor(given, expected, theirs.Buffers(expected.Buffer()))
    for i, given_operator in enumerate(model.operators):
        expected = graph.Operators(i)
        expected_code = theirs.OperatorCodes(expected.OpcodeIndex())
        number = getattr(tflite.BuiltinOperator, given_operator.code.name)
        assert number == _builtin_code(expected_code)
        assert given_operator.code.version == expected_code.Version()
        assert given_operator.inputs == _numbers(expected.InputsAsNumpy())
        assert given_operator.outputs == _numbers(expected.OutputsAsNumpy())
        if given_operator.options is not None and expected.BuiltinOptions() is not None:
            _check_options(given_operator.options, expected.BuiltinOptions())
    return model


@pytest.mark.parametrize("name", NAMES)
def test_reference_models_are_read_as_by_the_schema_package(name: str) -> None:
    model = check_against_schema_package((MODELS / f"{name}.tflite").read_bytes())
    operators = {"ad": 10, "ic": 16, "kws": 13, "vww": 31}
    assert len(model.operators) == operators[name]
    assert model.operators[0].options is not None


@pytest.mark.parametrize("seed", RANDOM_SEEDS)
def test_files_of_our_writer_are_read_as_by_the_schema_package(seed: int) -> None:
    graph = random_graph(seed, tflite=True)
    model = check_against_schema_package(writer.write(graph))
    assert model.tensors[model.inputs[0]].shape == (1, *graph.input_tensor.shape)


VARIABLES = {schema.CallOnceOptions, schema.VarHandleOptions}  # whose operators become states
TABLES = sorted({*schema.OPTIONS.values()} - VARIABLES, key=lambda table: table.__name__)


def _values(kind: flatbuffer.Kind, rng: np.random.Generator) -> Any:
    """A value that is the default of no field."""
    match kind:
        case flatbuffer.Enum(names):
            return names[sorted(names)[-1]]
        case flatbuffer.Numbers():
            return tuple(int(value) for value in rng.integers(1, 100, 3))
        case flatbuffer.Number("f"):
            return float(np.float32(rng.uniform(0.1, 1)))
        case flatbuffer.Boolean():
            return True
    return int(rng.integers(2, 2**31))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_options_are_the_schemas(table: type[Any]) -> None:
    """Slots, types and defaults of every table of options, written by the schema package."""
    rng = np.random.default_rng(1)
    name = table.__name__
    opcode = next(code for code, options in schema.OPTIONS.items() if options is table)
    values = {field.name: _values(field.metadata["kind"], rng) for field in fields(table)}
    content = {
        _getter(key): ints(*value) if isinstance(value, tuple) else _stored(value, kind)
        for (key, value), (_, _, kind) in zip(values.items(), flatbuffer.slots(table), strict=True)
    }
    for expected, written in ((table(**values), content), (table(), {})):
        model = dense()
        model[1]["OperatorCodes"] = [code(getattr(tflite.BuiltinOperator, opcode))]
        operator_of(model)["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
        operator_of(model)["BuiltinOptions"] = (name, written)
        read = check_against_schema_package(serialize(model))
        assert read.operators[0].options == expected


def test_a_model_made_by_hand() -> None:
    model = check_against_schema_package(serialize(dense()))
    assert model.description == "by hand"
    assert model.name == "main"
    assert [t.name for t in model.tensors] == ["in", "weights", "bias", "out"]
    assert model.tensors[0].quantization == content.Quantization((0.5,), (0,), 0)
    assert model.tensors[1].array().tolist() == np.arange(12).reshape(3, 4).tolist()
    assert not model.tensors[1].array().flags.writeable
    assert model.operators[0].options == schema.FullyConnectedOptions("RELU", "DEFAULT", True)


def test_what_a_file_may_leave_out() -> None:
    """Options, names, bias, description: defaults, as TensorFlow Lite has them."""
    model = dense()
    del model[1]["Description"], graph_of(model)["Name"], tensor_of(model, 0)["Name"]
    del operator_of(model)["BuiltinOptionsType"], operator_of(model)["BuiltinOptions"]
    operator_of(model)["Inputs"] = ints(0, 1, -1)
    tensor_of(model, 0)["ShapeSignature"] = ints(-1, 4)
    read = file.read(serialize(model))
    assert (read.description, read.name, read.tensors[0].name) == ("", "", "")
    assert read.operators[0].inputs == (0, 1, content.NO_TENSOR)
    assert read.operators[0].options == schema.FullyConnectedOptions()
    assert read.tensors[0].shape_signature == (-1, 4)


def test_custom_and_unlisted_operators_are_named() -> None:
    model = dense()
    model[1]["OperatorCodes"] = [code(file.CUSTOM, CustomCode="Audio")]
    assert file.read(serialize(model)).operators[0].code == content.OperatorCode(
        "CUSTOM", 1, "Audio"
    )
    model[1]["OperatorCodes"] = [code(tflite.BuiltinOperator.LSTM)]
    read = file.read(serialize(model)).operators[0]
    assert (read.code.name, read.options) == ("LSTM", None)
    model[1]["OperatorCodes"] = [code(tflite.BuiltinOperator.GELU)]  # above 127
    del operator_of(model)["BuiltinOptionsType"], operator_of(model)["BuiltinOptions"]
    assert file.read(serialize(model)).operators[0].code.name == "GELU"


def test_names_are_made_printable() -> None:
    model = dense()
    tensor_of(model, 0)["Name"] = "a\x1b[31m\n\u202e"
    assert file.read(serialize(model)).tensors[0].name == "a?[31m??"


# --- What is refused ------------------------------------------------------------------------------

Change: TypeAlias = Callable[[Spec], None]


def _set_tensor(index: int, **content: Any) -> Change:
    return lambda model: tensor_of(model, index).update(content)


def _set_graph(**content: Any) -> Change:
    return lambda model: graph_of(model).update(content)


def _set_operator(**content: Any) -> Change:
    return lambda model: operator_of(model).update(content)


def _set_model(**content: Any) -> Change:
    return lambda model: model[1].update(content)


def _all_float(model: Spec) -> None:
    for index, size in ((0, 4), (1, 48), (2, 12), (3, 4)):
        tensor_of(model, index)["Type"] = tflite.TensorType.FLOAT32
        if index in {1, 2}:
            model[1]["Buffers"][index] = ("Buffer", {"Data": bytes(size)})


def _entry_points(model: Spec) -> None:
    model[1]["Subgraphs"].append(("SubGraph", {}))
    model[1]["SignatureDefs"] = [
        ("SignatureDef", {"SignatureKey": key, "SubgraphIndex": i})
        for i, key in enumerate(("infer", "train"))
    ]


def _external_buffer(model: Spec) -> None:
    model[1]["Buffers"][1] = ("Buffer", {"Offset": 4096, "Size": 12})


UNKNOWN = 600

REFUSED: dict[str, tuple[Change, str]] = {
    "schema version": (_set_model(Version=2), "its schema has version 2, not 3"),
    "no subgraph": (_set_model(Subgraphs=[]), "it has no subgraph"),
    "two entries": (_entry_points, "it has several entry points: 'infer', 'train'. Convert the"),
    "float": (_all_float, "it computes in FLOAT32, not in INT8. Quantize it"),
    "string": (_set_tensor(0, Type=tflite.TensorType.STRING), "'in': type STRING is not supp"),
    "int4": (_set_tensor(0, Type=tflite.TensorType.INT4), "'in': type INT4 is not supported"),
    "int4, too long": (_set_tensor(1, Type=tflite.TensorType.INT4), "'weights': INT4 .* takes "),
    "unknown type": (_set_tensor(0, Type=77), r"tensors\[0\]\.type: 77 is none of"),
    "sparse": (_set_tensor(1, Sparsity=("SparsityParameters", {})), "'weights': it is sparse"),
    "external buffer": (_external_buffer, "'weights': its data lie behind the flatbuffer"),
    "no such buffer": (_set_tensor(1, Buffer=3), "its buffer 3 is not one of 3"),
    "batch": (_set_tensor(0, Shape=ints(-1, 4)), r"its shape \(-1, 4\) is not fixed. Convert"),
    "dynamic": (_set_tensor(0, ShapeSignature=ints(1, -1)), r"shape \(1, -1\) is not fixed"),
    "batch of 2": (
        _set_tensor(0, Shape=ints(2, 4), ShapeSignature=ints(-1, 4)),
        r"shape \(-1, 4\) is not fixed",
    ),
    "other signature": (_set_tensor(0, ShapeSignature=ints(-1, 5)), "does not fit its signature"),
    "longer signature": (_set_tensor(0, ShapeSignature=ints(-1, 4, 1)), "does not fit its sig"),
    "empty shape": (_set_tensor(0, Shape=ints(1, 0)), r"\(1, 0\) has a size below 1"),
    "negative shape": (_set_tensor(0, Shape=ints(1, -4)), r"\(1, -4\) has a size below 1"),
    "huge shape": (_set_tensor(0, Shape=ints(*[2**31 - 1] * 8)), "more than 16,777,216 elem"),
    "many axes": (_set_tensor(0, Shape=ints(*[1] * 9)), "it has 9 axes, more than 8"),
    "short data": (_set_tensor(1, Shape=ints(3, 5)), r"\(3, 5\) takes 15 bytes, its buffer has 12"),
    "no scale": (_set_tensor(0, Quantization=("QuantizationParameters", {})), "INT8 without a sc"),
    "scale 0": (_set_tensor(0, Quantization=quantization(0.0)), "a scale is not positive"),
    "scale below 0": (_set_tensor(0, Quantization=quantization(-1.0)), "a scale is not positive"),
    "scale nan": (
        _set_tensor(0, Quantization=quantization(math.nan)),
        "'in': a scale is not finite",
    ),
    "two scales": (
        _set_tensor(0, Quantization=quantization(1.0, 1.0, zero_points=(0, 0))),
        r"2 scales do not fit axis 0 of its shape \(1, 4\)",
    ),
    "no such axis": (
        _set_tensor(
            1, Quantization=quantization(1, 1, 1, zero_points=(0, 0, 0), QuantizedDimension=-2)
        ),
        "3 scales do not fit axis -2",
    ),
    "zero points": (
        _set_tensor(0, Quantization=quantization(1.0, zero_points=(0, 0))),
        "it has 1 scales and 2 zero points",
    ),
    "zero point": (
        _set_tensor(0, Quantization=quantization(1.0, zero_points=(128,))),
        "a zero point is outside INT8",
    ),
    "custom quantization": (
        _set_tensor(0, Quantization=quantization(1.0, DetailsType=1)),
        "its quantization is a CustomQuantization",
    ),
    "no operator code": (_set_operator(OpcodeIndex=1), "its operator code 1 is not one of 1"),
    "unknown operator": (_set_model(OperatorCodes=[code(UNKNOWN)]), "600 is no operator of the"),
    "negative operator": (
        _set_model(OperatorCodes=[code(9, DeprecatedBuiltinCode=-3)]),
        "Operator 0: its code 9 is no operator",
    ),
    "other options": (
        _set_operator(BuiltinOptionsType=tflite.BuiltinOptions.Conv2DOptions),
        "its options are Conv2DOptions, not FullyConnectedOptions",
    ),
    "untyped options": (
        _set_operator(BuiltinOptionsType=0),
        "its options are NONE, not FullyConnectedOptions",
    ),
    "no inputs": (_set_graph(Inputs=ints()), "it has no inputs"),
    "no outputs": (_set_graph(Outputs=ints()), "it has no outputs"),
    "input twice": (_set_graph(Inputs=ints(0, 0)), "one of its inputs is listed twice"),
    "input beyond": (_set_graph(Inputs=ints(4)), "its inputs name tensor 4 of 4"),
    "input missing": (_set_graph(Inputs=ints(-1)), "its inputs name tensor -1 of 4"),
    "constant input": (_set_graph(Inputs=ints(1)), "its input, tensor 1 'weights', is no activ"),
    "unwritten output": (_set_graph(Operators=[]), "nothing writes its output, tensor 3 'out'"),
    "operand beyond": (_set_operator(Inputs=ints(0, 4)), "its inputs name tensor 4 of 4"),
    "operand below": (_set_operator(Inputs=ints(0, -2)), "its inputs name tensor -2 of 4"),
    "result missing": (_set_operator(Outputs=ints(-1)), "its outputs name tensor -1 of 4"),
    "no result": (_set_operator(Outputs=ints()), r"Operator 0 \(FULLY_CONNECTED\): it has no out"),
    "reads its result": (_set_operator(Inputs=ints(3)), "reads tensor 3 'out' before it is writ"),
    "overwrites input": (_set_operator(Outputs=ints(0)), "writes tensor 0 'in', which holds som"),
    "overwrites weights": (_set_operator(Outputs=ints(3, 1)), "writes tensor 1 'weights', which"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_clear_message(case: str) -> None:
    change, message = REFUSED[case]
    model = dense()
    change(model)
    assert re.search(message, refused(serialize(model)))


def _added(*tensors: Spec, **more: Any) -> Change:
    """The same with tensors that nobody uses."""

    def change(model: Spec) -> None:
        graph_of(model)["Tensors"].extend(tensors)
        model[1].update(more)

    return change


def _dead_operator(model: Spec) -> None:
    """One that writes what nobody reads, from what nobody writes."""
    graph_of(model)["Tensors"].extend([tensor("", (0,)), tensor("", (), "RESOURCE")])
    model[1]["OperatorCodes"].append(code(tflite.BuiltinOperator.VAR_HANDLE))
    graph_of(model)["Operators"].append(operator(ints(4), ints(5), 1))


def _nameless(model: Spec) -> None:
    for _, entry in graph_of(model)["Tensors"]:
        del entry["Name"]


BIAS = np.full(3, 1e-3, np.float32)
UNUSED: dict[str, Change] = {
    "dimension of a bias": _set_tensor(
        2, Quantization=quantization(*BIAS, zero_points=(0, 0, 0), QuantizedDimension=3)
    ),
    "scale of a bias": _set_tensor(2, Quantization=quantization(0.0)),
    "infinite scale of a bias": _set_tensor(2, Quantization=quantization(math.inf)),
    "scales of a bias": _set_tensor(2, Quantization=quantization(1, 2, zero_points=(5,))),
    "zero point of a bias": _set_tensor(2, Quantization=quantization(1.0, zero_points=(2**40,))),
    "custom quantization of a bias": _set_tensor(2, Quantization=quantization(DetailsType=1)),
    "dimension of one scale": _set_tensor(0, Quantization=quantization(0.5, QuantizedDimension=7)),
    "range": _set_tensor(0, Quantization=quantization(0.5, Min=np.full(9, np.nan, np.float32))),
    "empty quantization of a bias": _set_tensor(2, Quantization=("QuantizationParameters", {})),
    "names": _nameless,
    "old signature": _set_tensor(0, ShapeSignature=ints(1, 5)),
    "tensor without elements": _added(tensor("", (0,))),
    "tensor of strings": _added(tensor("", (1,), "STRING", Buffer=99)),
    "sparse tensor": _added(tensor("", (1, 2), Sparsity=("SparsityParameters", {}))),
    "quantization of a tensor": _added(tensor("", (1, 2), Quantization=quantization(-1.0, 2.0))),
    "buffer": lambda model: model[1]["Buffers"].append(("Buffer", {"Offset": 99, "Size": 77})),
    "operator code": lambda model: model[1]["OperatorCodes"].append(code(UNKNOWN)),
    "operator": _dead_operator,
    "metadata": _added(Metadata=[("Metadata", {"Name": "min_runtime_version", "Buffer": 77})]),
    "metadata buffer": _added(MetadataBuffer=ints(77)),
    "signature": _added(SignatureDefs=[("SignatureDef", {"SubgraphIndex": 9})]),
    "subgraph": lambda model: model[1]["Subgraphs"].append(("SubGraph", {})),
}


ROWS = bytes([0, 0, 0, 0, *range(1, 9)])  # of weights, the first one zeros


def _simulated(change: Change, x: NDArray[np.int8]) -> NDArray[Any]:
    model = dense()
    model[1]["Buffers"][1] = ("Buffer", {"Data": ROWS})
    change(model)
    graph = convert.from_model(file.read(serialize(model), convert.screen), "changed", "test")
    return simulate(graph, x)


@pytest.mark.parametrize("case", UNUSED)
def test_what_nobody_uses_refuses_no_file_and_changes_no_byte(case: str) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (9, 4)).astype(np.int8)
    expected = _simulated(lambda model: None, x)
    assert np.unique(expected).size > 3
    np.testing.assert_array_equal(_simulated(UNUSED[case], x), expected)


def test_scales_and_zero_points_of_weights_that_are_left_out() -> None:
    """No zero point, one for all; no scale for a row of zeros, whose bias has none either."""
    x = np.random.default_rng(0).integers(-128, 128, (9, 4)).astype(np.int8)
    zeros = (0, 0, 0)
    plain, *others = (
        _simulated(_set_tensor(1, Quantization=quantization(*scales, zero_points=points)), x)
        for scales, points in (
            ((1, 2, 3), zeros),
            ((1, 2, 3), (0,)),
            ((1, 2, 3), ()),
            ((0, 2, 3), zeros),
        )
    )
    for other in others:
        np.testing.assert_array_equal(other, plain)
    refusal = refused(serialize(_changed(_set_tensor(1, Quantization=quantization(0.0)))))
    assert "'weights': a scale is not positive" in refusal


def _changed(change: Change) -> Spec:
    model = dense()
    change(model)
    return model


def test_other_files() -> None:
    assert "0 bytes are too few" in refused(b"")
    assert "it is no TFL3 file" in refused(b"PK\x03\x04 a zip archive and no model")
    assert "it is no TFL3 file" in refused(serialize(dense(), b"XYZ1"))


def test_files_by_path(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    good.write_bytes(serialize(dense()))
    bad.write_bytes(good.read_bytes()[:100])
    assert len(file.load(good).operators) == 1
    with pytest.raises(InvalidModel, match=r"bad\.tflite: "):
        file.load(bad)
    for missing in (tmp_path, tmp_path / "none.tflite"):
        with pytest.raises(NanoError, match="Cannot read"):
            file.load(missing)
    with bad.open("wb") as hole:
        hole.truncate(file.MAX_FILE + 1)
    with pytest.raises(InvalidModel, match="larger than 64 MB"):
        file.load(bad)


# --- Hostile bytes --------------------------------------------------------------------------------


def _find(data: bytes, slot: int) -> int:
    """The byte of the field in ``slot`` of the root table."""
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    return root + int.from_bytes(data[vtable + 4 + 2 * slot :][:2], "little")


def _patched(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + (value % 2**32).to_bytes(4, "little") + data[at + 4 :]


def _target(data: bytes, at: int) -> int:
    return at + int.from_bytes(data[at : at + 4], "little")


SUBGRAPHS, DESCRIPTION = 2, 3


@pytest.mark.parametrize("count", [2**31, 2**32 - 1, 2**30, 2**28])
def test_vectors_that_claim_too_much(count: int) -> None:
    data = serialize(dense())
    vector = _target(data, _find(data, SUBGRAPHS))
    assert f"{count} items of 4 bytes do not fit" in refused(_patched(data, vector, count))
    text = _target(data, _find(data, DESCRIPTION))
    assert f"{count} items of 1 bytes do not fit" in refused(_patched(data, text, count))


def test_strings_have_an_end() -> None:
    data = serialize(dense())
    text = _target(data, _find(data, DESCRIPTION))
    assert "description: the string at byte" in refused(_patched(data, text, 3))


def test_offsets_into_themselves() -> None:
    data = serialize(dense())
    for slot in (SUBGRAPHS, DESCRIPTION):
        field = _find(data, slot)
        refused(_patched(data, field, 0))
        refused(_patched(data, field, -field))
        assert "it would lie at byte" in refused(_patched(data, field, 2**31 - 4))
        assert "it would lie at byte" in refused(_patched(data, field, 5 - field % 4))


@pytest.mark.parametrize("name", ["x" * 40_000, ""], ids=["long", "short"])
def test_one_table_may_not_stand_for_many(name: str) -> None:
    """A vector with one and the same tensor thousands of times: little file, large model."""
    model = dense()
    tensor_of(model, 0)["Name"] = name
    data = serialize(model)
    data += bytes(-len(data) % 4)
    graph = tflite.Model.GetRootAs(data, 0).Subgraphs(0)
    field = graph._tab.Pos + graph._tab.Offset(4)
    # Offsets lead forward: the vector lies between the file and a copy of it with the tensor.
    count = flatbuffer.MAX_ITEMS
    tensor_at = len(data) + 4 + 4 * count + graph.Tensors(0)._tab.Pos
    items = tensor_at - (len(data) + 4 + 4 * np.arange(count))
    vector = count.to_bytes(4, "little") + items.astype("<u4").tobytes()
    hostile = _patched(data + vector + data, field, len(data) - field)
    if name:
        assert "describes more than 4 MB beside its data" in refused(hostile)
    else:
        assert "it reads tensor 1 before it is written" in refused(hostile)


def test_a_long_vtable_costs_no_more_than_a_short_one() -> None:
    """16,384 tensors that share a vtable of 65,534 bytes: 500 million slots to walk, if one did."""
    data = serialize(dense())
    data += bytes(-len(data) % 4)
    graph = tflite.Model.GetRootAs(data, 0).Subgraphs(0)
    field = graph._tab.Pos + graph._tab.Offset(4)
    count = flatbuffer.MAX_ITEMS
    vtable = (65534).to_bytes(2, "little") + (4).to_bytes(2, "little") + bytes(65532)
    vtable_at = len(data) + 4 + 4 * count
    table_at = vtable_at + len(vtable)
    items = table_at - (len(data) + 4 + 4 * np.arange(count))
    vector = count.to_bytes(4, "little") + items.astype("<u4").tobytes()
    table = (table_at - vtable_at).to_bytes(4, "little")
    hostile = _patched(data + vector + vtable + table, field, len(data) - field)
    with fuzz_tflite.time_limit(10):
        assert "it computes in FLOAT32" in refused(hostile)


def test_every_prefix_of_a_file_is_refused() -> None:
    data = serialize(dense())
    for length in range(len(data) - 16):
        refused(data[:length])


def test_every_bit_of_a_file_may_be_wrong() -> None:
    """Either a model that the schema package reads in the same way, or a clear error."""
    data = serialize(dense())
    outcomes = {"read": 0, "refused": 0}
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            file.read(bytes(damaged))
        except InvalidModel as error:
            assert error.hint
            outcomes["refused"] += 1
        else:
            check_against_schema_package(bytes(damaged))
            outcomes["read"] += 1
    assert min(outcomes.values()) > 100


def test_mutated_files_give_a_graph_or_one_clear_error() -> None:
    corpus = fuzz_tflite.samples(MODELS, random_graphs=10)
    tallies, faults = fuzz_tflite.run(corpus, seed=7, numbers=range(FUZZED_FILES))
    assert not faults, faults
    outcomes = sum((tally.outcomes for tally in tallies.values()), Counter[str]())
    assert outcomes["unread"] > FUZZED_FILES // 2
    assert outcomes["unmade"] > FUZZED_FILES // 200
    assert outcomes["graph"] > FUZZED_FILES // 200
