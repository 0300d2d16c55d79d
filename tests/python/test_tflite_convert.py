"""From .tflite to QGraph: byte for byte what TFLite Micro answers on the same file.

Files are made by hand, one operator each, so that nothing of our own writer is in between; then
the reference models against their golden answers, and what our writer makes of random graphs.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from numpy.typing import NDArray
from random_graphs import random_graph, random_inputs
from tflite_files import ints, quantization
from tflite_micro import runtime
from tflite_operators import CASES, Net, drawn, unary_case

from nanotool.backends import tflite as writer
from nanotool.errors import InvalidModel, UnsupportedOp
from nanotool.frontends.tflite import convert, file
from nanotool.frontends.tflite.builder import MAX_SCALE
from nanotool.frontends.tflite.importers import IMPORTERS
from nanotool.frontends.tflite.instead import INSTEAD, way_out
from nanotool.ir import Conv2D, Dense, QGraph, Quantize, Reshape, Slice, Unary
from nanotool.simulate import simulate

MODELS = Path(__file__).parent.parent / "models"
NAMES = ("ad", "ic", "kws", "vww")
SEEDS = range(round(6 * float(os.environ.get("NANO_EXAMPLES", "1"))))
ARENA_BYTES = 1 << 20


# --- One operator at a time -----------------------------------------------------------------------

# TFLite Micro has no int8 kernel for these: the graph's tests check their tables.
WITHOUT_ORACLE = {
    *("CEIL", "COS", "EXP", "FLOOR", "GELU", "LOG", "NEG", "RELU_N1_TO_1"),
    *("ROUND", "SIGN", "SIN", "SQRT", "SQUARE"),
}


def _tflm(data: bytes, x: NDArray[Any]) -> NDArray[Any]:
    """What TFLite Micro answers, batch included."""
    with contextlib.redirect_stdout(io.StringIO()):
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
    outputs = []
    for sample in x:
        interpreter.set_input(sample, 0)
        interpreter.invoke()
        outputs.append(np.array(interpreter.get_output(0)))
    return np.stack(outputs)


def _simulated(graph: QGraph, x: NDArray[Any]) -> NDArray[Any]:
    return simulate(graph, x.reshape(len(x), *graph.input_tensor.shape))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_every_operator_answers_as_tflite_micro(name: str, seed: int) -> None:
    data, x = drawn(CASES[name], seed)
    expected = _tflm(data, x)
    graph = convert.from_model(file.read(data), "case", "test")
    made = {type(op.op) for op in graph.ops}
    codes = set(name.replace(",", "").split()) & set(IMPORTERS.makes)
    may = {operator for code in codes for operator in IMPORTERS.makes[code]}
    assert not codes or made & may or made <= {Quantize, Reshape}  # what is idle may be left out
    actual = _simulated(graph, x)
    assert actual.dtype == (np.int8 if expected.dtype == np.bool_ else expected.dtype)
    np.testing.assert_array_equal(actual.reshape(expected.shape), expected)


def test_every_operator_has_a_case() -> None:
    named = {part for name in CASES for part in name.replace(",", "").split()}
    assert set(IMPORTERS.handlers) <= named | WITHOUT_ORACLE | {"TILE"}
    assert not set(INSTEAD) & set(IMPORTERS.handlers)
    assert all(hasattr(tflite.BuiltinOperator, name) for name in (*IMPORTERS.handlers, *INSTEAD))


@pytest.mark.parametrize("name", sorted(WITHOUT_ORACLE))
def test_operators_without_an_int8_kernel_in_tflite_micro(name: str) -> None:
    data, _ = drawn(unary_case(name), 1)
    function = name.lower()
    assert convert.convert(file.read(data)).ops[0].op == Unary(function)


def test_gelu_by_tanh() -> None:
    data, _ = drawn(unary_case("GELU", Approximate=True), 1)
    assert convert.convert(file.read(data)).ops[0].op == Unary("gelu_tanh")


# --- Whole models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["person_detect", "zero_scale_channel"])
def test_models_whose_unused_numbers_are_odd_answer_as_tflite_micro(name: str) -> None:
    """A bias whose quantized dimension it has not; channels of zeros with a scale of 0."""
    path = MODELS / f"{name}.tflite"
    graph = convert.load(path)
    shape = (1, *graph.input_tensor.shape)
    x = np.random.default_rng(0).integers(-128, 128, (3, *shape)).astype(np.int8)
    x[1:] = np.array([-128, 127]).reshape(2, *[1] * len(shape))
    expected = _tflm(path.read_bytes(), x)
    np.testing.assert_array_equal(_simulated(graph, x).reshape(expected.shape), expected)


@pytest.mark.parametrize("name", NAMES)
def test_reference_models_answer_with_their_golden_bytes(name: str) -> None:
    graph = convert.load(MODELS / f"{name}.tflite")
    with np.load(MODELS / f"{name}_golden.npz") as golden:
        x, y = golden["x"], golden["y"]
    np.testing.assert_array_equal(_simulated(graph, x).reshape(y.shape), y)
    assert (graph.name, graph.source) == (name, f"tflite: {name}.tflite")


def test_layers_keep_their_names() -> None:
    graph = convert.load(MODELS / "kws.tflite")
    assert [op.name for op in graph.ops][:2] == [
        "functional_1/activation/Relu",
        "functional_1/activation_1/Relu",
    ]
    assert graph.op("functional_1/activation_1/Relu").op == Conv2D(
        graph.ops[1].op.window,  # type: ignore[union-attr]
        groups=64,
    )
    assert graph.ops[0].clamp == (graph.tensors[graph.ops[0].name].zero_point, 127)


@pytest.mark.parametrize("seed", range(60))
def test_what_our_writer_made_comes_back(seed: int) -> None:
    graph = random_graph(seed, tflite=True)
    model = file.read(writer.write(graph))
    if min(tensor.scale for tensor in graph.tensors.values()) < 1 / MAX_SCALE:
        with pytest.raises(InvalidModel, match="no real data"):
            convert.convert(model)
        return
    again = convert.from_model(model, "again", "test")
    assert again.input_tensor.shape == graph.input_tensor.shape[-3:]
    x = random_inputs(graph, 6, seed)
    np.testing.assert_array_equal(
        _simulated(again, x).reshape(len(x), -1), simulate(graph, x).reshape(len(x), -1)
    )


# --- What is left out, and what is refused --------------------------------------------------------


def _convert(net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> QGraph:
    return convert.convert(file.read(net.serialize(inputs, outputs)))


def _refused(net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    """The message with which the file is refused; it names the operator and carries a way out. It
    is short but for the list of the known operators."""
    with pytest.raises((InvalidModel, UnsupportedOp)) as caught:
        _convert(net, inputs, outputs)
    assert caught.value.hint
    assert len(str(caught.value).replace(way_out("NONE OF THEM"), "")) < 320
    return str(caught.value)


@pytest.fixture
def net() -> Net:
    return Net(np.random.default_rng(5))


def test_what_the_output_does_not_depend_on_is_left_out(net: Net) -> None:
    """Unread pieces of a split, and an operator that would be refused."""
    source = net.tensor((1, 4, 6))
    parts = [net.tensor((1, 4, 2), like=source) for _ in range(3)]
    other = net.tensor((1, 4, 2))
    net.add("SPLIT", [net.integers(2), source], parts, NumSplits=3)
    net.add("LSTM", [parts[0]], [other])
    graph = _convert(net, [source], [parts[1]])
    assert [op.op for op in graph.ops] == [Slice((0, 2), (1, 1))]


def test_shapes_that_the_model_computes_for_a_reshape_are_not_needed(net: Net) -> None:
    """As Keras has it for Flatten: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 24))
    net.tensors[target][1]["Quantization"] = net.tensors[source][1]["Quantization"]
    shape = net.tensor((3,), kind="INT32")
    net.add("SHAPE", [source], [shape])
    net.add("RESHAPE", [source, shape], [target])
    graph = _convert(net, [source], [target])
    assert [op.op for op in graph.ops] == [Reshape((24,))]


def test_a_constant_that_is_read_twice_is_one(net: Net) -> None:
    source, middle, target = (net.tensor((1, 4, 4, 3)) for _ in range(3))
    constant = net.operand((1, 1, 1, 3))
    net.add("ADD", [source, constant], [middle])
    net.add("MUL", [middle, constant], [target])
    graph = _convert(net, [source], [target])
    assert {name: data.shape for name, data in graph.constants.items()} == {"constant 3": (3,)}
    assert graph.ops[0].inputs[1] == graph.ops[1].inputs[1] == "constant 3"


@pytest.mark.parametrize("slope", [(), (1,), (1, 1, 1)])
def test_one_slope_for_a_model_of_one_number(net: Net, slope: tuple[int, ...]) -> None:
    source, target = net.tensor((1,)), net.tensor((1,))
    net.add("PRELU", [source, net.operand(slope)], [target])
    data = net.serialize([source], [target])
    x = np.arange(-128, 128, dtype=np.int8)
    ours = _simulated(convert.convert(file.read(data)), x)
    np.testing.assert_array_equal(ours.reshape(-1), _tflm(data, x.reshape(-1, 1)).reshape(-1))


def test_names_are_short_and_unique(net: Net) -> None:
    source, middle, target = (net.tensor((1, 8)) for _ in range(3))
    net.tensors[source][1]["Name"] = "same;and more"
    net.tensors[middle][1]["Name"] = "same;and other"
    del net.tensors[target][1]["Name"]
    net.add("RELU", [source], [middle])
    net.add("TANH", [middle], [target])
    graph = _convert(net, [source], [target])
    assert (graph.input, *(op.name for op in graph.ops)) == ("same", "same_2", "tanh_1")
    net.tensors[source][1]["Name"] = "x" * 5000
    assert len(_convert(net, [source], [target]).input) <= 120


def test_a_model_is_named_after_its_file(tmp_path: Path) -> None:
    path = tmp_path / "2 faces (v3).tflite"
    path.write_bytes((MODELS / "kws.tflite").read_bytes())
    graph = convert.load(path)
    assert (graph.name, graph.source) == ("model_2_faces_v3", "tflite: 2 faces (v3).tflite")


def test_unsupported_operators_say_what_to_use_instead(net: Net) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 8))
    net.add("UNIDIRECTIONAL_SEQUENCE_RNN", [source, -1, source], [target])
    message = _refused(net, [source], [target])
    assert message == (
        "Operator 0 (UNIDIRECTIONAL_SEQUENCE_RNN) 'tensor 1': UNIDIRECTIONAL_SEQUENCE_RNN "
        "(INT8 (1, 4, 6), INT8 (1, 4, 6) -> INT8 (1, 8)) is not supported. "
        "Use UNIDIRECTIONAL_SEQUENCE_LSTM, which Keras' LSTM becomes, or layers over a window."
    )


def test_the_operator_is_named_before_its_tensors_are_judged(net: Net, tmp_path: Path) -> None:
    source, empty, target = net.tensor((1, 4, 6)), net.tensor((0,)), net.tensor((1, 8))
    net.add("UNIDIRECTIONAL_SEQUENCE_RNN", [source, empty], [target])
    path = tmp_path / "rnn.tflite"
    path.write_bytes(net.serialize([source], [target]))
    with pytest.raises(UnsupportedOp) as caught:
        convert.load(path)
    assert "UNIDIRECTIONAL_SEQUENCE_RNN (INT8 (1, 4, 6), INT8 (0,) ->" in caught.value.message


CUSTOM_CASES = {
    "ethos-u": "give the .tflite file that Vela took",
    "edgetpu-custom-op": "its compiler took",
    "FlexErf": "without SELECT_TF_OPS",
    "TFLite_Detection_PostProcess": "choose among them in your own code",
    "SignalRfft": "audio front end",
    "MyOwn": "compute it in your own code",
}


@pytest.mark.parametrize("name", CUSTOM_CASES)
def test_custom_operators_are_told_by_their_names(net: Net, name: str) -> None:
    """Theirs are tensors that nobody writes, without scales, of other types and no elements."""
    source, target = net.tensor((1, 8)), net.tensor((1, 8))
    strange = net.tensor((0,), kind="INT16")
    net.tensors[strange][1]["Quantization"] = quantization(-1, 0, zero_points=())
    net.add("CUSTOM", [source, strange], [target])
    net.custom = name
    with pytest.raises(UnsupportedOp) as caught:
        convert.from_model(file.read(net.serialize([source], [target]), convert.screen), "m", "t")
    assert f"CUSTOM {name!r}" in caught.value.message
    assert CUSTOM_CASES[name] in caught.value.hint


def test_variables_become_states(net: Net) -> None:
    """A read is what was assigned before it, in this step or in the one before."""
    x, y, z = (net.tensor((1, 8)) for _ in range(3))
    handle = net.tensor((1,), kind="RESOURCE")
    old, new = net.tensor((1, 8), like=y), net.tensor((1, 8), like=y)
    net.add("VAR_HANDLE", [], [handle])
    net.add("READ_VARIABLE", [handle], [old])
    net.add("ADD", [x, old], [y])
    net.add("ASSIGN_VARIABLE", [handle, y], [])
    net.add("READ_VARIABLE", [handle], [new])
    net.add("MUL", [new, old], [z])
    graph = convert.from_model(file.read(net.serialize([x], [z]), convert.screen), "m", "t")
    (state,) = graph.states
    assert [type(op.op).__name__ for op in graph.ops] == ["Binary", "Binary"]
    assert state.next == graph.ops[0].name
    assert graph.ops[1].inputs == (state.next, state.read)
    assert set(state.initial.reshape(-1)) == {graph.tensors[state.read].zero_point}


@pytest.mark.parametrize("name", ["ASSIGN_VARIABLE", "READ_VARIABLE", "CALL_ONCE"])
def test_variables_that_are_none_are_refused(net: Net, name: str) -> None:
    source, target = net.tensor((1, 8)), net.tensor((1, 8))
    net.add(name, [source], [target] if name == "READ_VARIABLE" else [])
    net.add("RELU", [source], [net.tensor((1, 8))] if name == "READ_VARIABLE" else [target])
    with pytest.raises(InvalidModel, match=rf"{name}\)?: (it names no variable|there is no sub)"):
        convert.from_model(file.read(net.serialize([source], [target]), convert.screen), "m", "t")


@pytest.mark.parametrize("name", sorted({*INSTEAD, "RANK"}))
def test_every_other_operator_is_refused(net: Net, name: str) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 8))
    net.add(name, [source], [target])
    assert f"Operator 0 ({name}) 'tensor 1': {name}" in _refused(net, [source], [target])


def test_several_inputs_and_outputs(net: Net) -> None:
    first, second, target = (net.tensor((1, 8)) for _ in range(3))
    net.add("ADD", [first, second], [target])
    content = net.serialize([first, second], [second, target])
    graph = convert.from_model(file.read(content, convert.screen), "m", "t")
    assert graph.inputs == ("tensor 0", "tensor 1")
    assert graph.outputs == ("tensor 1", "tensor 2")


def test_float_operators_in_the_middle(net: Net) -> None:
    source, target = net.tensor((1, 8)), net.tensor((1, 8))
    real, square = net.tensor((1, 8), kind="FLOAT32"), net.tensor((1, 8), kind="FLOAT32")
    net.add("DEQUANTIZE", [source], [real])
    net.add("RELU", [real], [square])
    net.add("QUANTIZE", [square], [target])
    message = _refused(net, [source], [target])
    assert "Operator 1 (RELU) 'tensor 3': RELU on FLOAT32 (1, 8) is not supported." in message


def test_activations_have_one_scale(net: Net) -> None:
    source, target = net.tensor((1, 2)), net.tensor((1, 2))
    net.tensors[target][1]["Quantization"] = quantization(
        1, 2, zero_points=(0, 0), QuantizedDimension=1
    )
    net.add("RELU", [source], [target])
    assert "Tensor tensor 1: as an activation it has one scale, not 2" in _refused(
        net, [source], [target]
    )


@pytest.mark.parametrize("scale", [1e-42, 1e-31, 1e31])
def test_scales_that_no_data_have(net: Net, scale: float) -> None:
    source, target = net.tensor((1, 2)), net.tensor((1, 2), scale=scale)
    net.add("RELU6", [source], [target])
    assert "Tensor tensor 1: no real data have the scale " in _refused(net, [source], [target])


def _conv(net: Net, **options: Any) -> tuple[int, int]:
    """A 1x1 convolution that is right but for ``options``."""
    source, target = net.tensor((1, 4, 4, 2)), net.tensor((1, 4, 4, 3))
    right = {"StrideH": 1, "StrideW": 1}
    net.add("CONV_2D", [source, net.weights((3, 1, 1, 2), 0)], [target], **right | options)
    return source, target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"StrideH": 0}, "one is below 1"),
        ({"StrideW": -1}, "one is below 1"),
        ({"DilationHFactor": 0}, "one is below 1"),
        ({"StrideH": 2}, r"should have the shape \(2, 4, 3\), the file has \(4, 4, 3\)"),
        ({"FusedActivationFunction": 4}, "CONV_2D with a fused TANH is not supported"),
    ],
)
def test_convolutions_that_are_wrong(net: Net, options: Any, message: str) -> None:
    source, target = _conv(net, **options)
    assert re.search(message, _refused(net, [source], [target]))


def test_weights_that_are_wrong(net: Net) -> None:
    source, target = net.tensor((1, 4, 4, 2)), net.tensor((1, 4, 4, 3))
    shape = (3, 1, 1, 2)
    data = np.ones(shape, np.int8)
    wrong = {
        "a zero point": (quantization(1, zero_points=(3,)), "whose zero point is not 0"),
        "an axis": (
            quantization(1, 1, zero_points=(0, 0), QuantizedDimension=3),
            "weight scales along axis 3",
        ),
    }
    options = {"StrideH": 1, "StrideW": 1}
    for given, message in wrong.values():
        net.operators.clear()
        weights = net.constant(data, Quantization=given)
        net.add("CONV_2D", [source, weights], [target], **options)
        assert message in _refused(net, [source], [target])
    net.operators.clear()
    net.add("CONV_2D", [source, source], [target], **options)
    assert "with weights that the model computes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("CONV_2D", [source], [target], **options)
    assert "it has 1 inputs" in _refused(net, [source], [target])
    net.operators.clear()
    bias = net.constant(np.zeros(2, np.int32))
    net.add("CONV_2D", [source, net.weights(shape, 0), bias], [target], **options)
    assert "its bias has 2 elements for 3 outputs" in _refused(net, [source], [target])


def test_a_batch_of_two(net: Net) -> None:
    source, target = net.tensor((2, 4, 4, 2)), net.tensor((2, 4, 4, 3))
    options = {"StrideH": 1, "StrideW": 1}
    net.add("CONV_2D", [source, net.weights((3, 1, 1, 2), 0)], [target], **options)
    assert "CONV_2D on shape (2, 4, 4, 2) is not supported." in _refused(net, [source], [target])


def test_axes_and_sizes_have_to_be_constant_and_fit(net: Net) -> None:
    source, target = net.tensor((1, 4, 6)), net.tensor((1, 6))
    net.add("MEAN", [source, net.integers(3)], [target])
    assert "there is no axis 3 of 3" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("MEAN", [source, source], [target])
    assert "MEAN with axes that the model computes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("TRANSPOSE", [source, net.integers(0, 1, 1)], [target])
    assert "is no order of the axes" in _refused(net, [source], [target])
    net.operators.clear()
    net.add("SLICE", [source, net.integers(0, 3, 0), net.integers(1, 2, 6)], [target])
    assert "it takes 2 elements from 3 on, 1 apart, of 4" in _refused(net, [source], [target])
    net.operators.clear()
    inputs = [source, net.integers(0, 0, 0), net.integers(1, 4, 6), net.integers(1, -1, 1)]
    net.add("STRIDED_SLICE", inputs, [target])
    assert "STRIDED_SLICE with stride -1 is not supported" in _refused(net, [source], [target])


def test_more_than_one_row_in_a_dense_layer(net: Net) -> None:
    """Rows that the file makes of several axes are seen as such by a Reshape."""
    source, target = net.tensor((1, 4, 6)), net.tensor((2, 5))
    net.add("FULLY_CONNECTED", [source, net.weights((5, 12), 0)], [target])
    graph = _convert(net, [source], [target])
    assert [op.op for op in graph.ops] == [Reshape((2, 12)), Dense()]


# --- What TensorFlow Lite Micro does not run, or not with an answer -------------------------------


def test_tile(net: Net) -> None:
    source = net.tensor((1, 2, 3))
    target = net.tensor((1, 4, 9), like=source)
    net.add("TILE", [source, net.integers(1, 2, 3)], [target])
    graph = _convert(net, [source], [target])
    x = net.rng.integers(-128, 128, (4, 2, 3)).astype(np.int8)
    np.testing.assert_array_equal(simulate(graph, x), np.tile(x, (1, 2, 3)))


@pytest.mark.parametrize("block", [(2, 3), (2,)])
def test_a_dilated_convolution_that_was_taken_apart(block: tuple[int, ...]) -> None:
    """The same as one operator with SAME; as with a free batch, the shapes in between are wrong."""
    height, width = (7, 8) if len(block) == 2 else (1, 9)
    answers = []
    for whole in (True, False):
        net = Net(np.random.default_rng(7))
        source, target = net.tensor((1, height, width, 3)), net.tensor((1, height, width, 4))
        kernel = (3, 3) if len(block) == 2 else (1, 3)
        weights = net.weights((4, *kernel, 3), axis=0)
        down, across = (1, *block)[-2:]
        ones = {"StrideH": 1, "StrideW": 1}
        if whole:
            more = {"DilationHFactor": down, "DilationWFactor": across}
            net.add(
                "CONV_2D", [source, weights], [target], Padding=tflite.Padding.SAME, **ones, **more
            )
        else:
            _apart(net, (source, weights, target), (down, across), block)
        graph = _convert(net, [source], [target])
        assert [type(op.op) for op in graph.ops if not isinstance(op.op, Reshape)] == [Conv2D]
        x = np.random.default_rng(1).integers(-128, 128, (3, *graph.input_tensor.shape))
        answers.append(simulate(graph, x.astype(np.int8)))
    np.testing.assert_array_equal(answers[0], answers[1])


def _apart(
    net: Net, ends: tuple[int, int, int], steps: tuple[int, int], block: tuple[int, ...]
) -> None:
    source, weights, target = ends
    (_, height, width, depth), (_, *kernel, _) = (
        file.read(net.serialize([source], [source])).tensors[i].shape for i in (source, weights)
    )
    margins, cut = [], []
    for size, taps, step in zip((height, width), kernel, steps, strict=True):
        rest = -(size + step * (taps - 1)) % step
        margins.append([step * (taps - 1) // 2, step * (taps - 1) // 2 + rest])
        cut.append([0, rest])
    signal = len(block) == 1
    sizes = net.integers(*block)
    flat = net.tensor((1, width, depth), like=source) if signal else source
    apart = net.tensor((1, 5, depth) if signal else (1, 5, 5, depth), like=source)
    image = net.tensor((1, 1, 5, depth), like=source) if signal else apart
    middle = net.tensor((1, 1, 5, 4) if signal else (1, 5, 5, 4), like=target)
    row = net.tensor((1, 5, 4), like=target) if signal else middle
    result = net.tensor((1, width, 4), like=target) if signal else target
    first = -len(block)
    if signal:
        net.add("RESHAPE", [source, net.integers(1, width, depth)], [flat])
    around = net.constant(np.array(margins[first:], np.int32))
    net.add("SPACE_TO_BATCH_ND", [flat, sizes, around], [apart])
    if signal:
        net.add("EXPAND_DIMS", [apart, net.integers(1)], [image])
    ones = {"StrideH": 1, "StrideW": 1}
    net.add("CONV_2D", [image, weights], [middle], Padding=tflite.Padding.VALID, **ones)
    if signal:
        net.add("SQUEEZE", [middle], [row], SqueezeDims=ints(1))
    less = net.constant(np.array(cut[first:], np.int32))
    net.add("BATCH_TO_SPACE_ND", [row, sizes, less], [result])
    if signal:
        net.add("RESHAPE", [result, net.integers(1, 1, width, 4)], [target])
