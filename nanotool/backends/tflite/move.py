"""Elements go elsewhere: reshape, transpose, concat, slice, pad, resize."""

from __future__ import annotations

from nanotool.backends.tflite.emitters import emits
from nanotool.backends.tflite.file import Codes, File
from nanotool.backends.tflite.padding import write_pad
from nanotool.ir import Concat, Gather, Pad, QOp, Reshape, Resize, Shape, Slice, Transpose
from nanotool.ops import Layer

MAX_CONCAT = 10  # inputs of one CONCATENATION in TFLite Micro
MAX_STRIDED_AXES = 4  # of a STRIDED_SLICE in TFLite Micro, the batch counted in


def _write_reshape(file: File, op: QOp, tensors: tuple[int, int]) -> None:
    shape = file.numbers(f"{op.name}/shape", *file.tensors[tensors[1]].shape)
    file.operator(Codes.RESHAPE, (tensors[0], shape), tensors[1], "ReshapeOptions")


@emits(Reshape, writes=(Codes.RESHAPE,))
def _reshape(file: File, layer: Layer[Reshape]) -> None:
    op = layer.qop
    _write_reshape(file, op, (file.index[op.inputs[0]], file.index[op.name]))


@emits(Transpose, writes=(Codes.TRANSPOSE,))
def _transpose(file: File, layer: Layer[Transpose]) -> None:
    op = layer.qop
    axes = (0, *(1 + axis for axis in layer.op.permutation))
    permutation = file.numbers(f"{op.name}/permutation", *axes)
    inputs = (*file.inputs(op), permutation)
    file.operator(Codes.TRANSPOSE, inputs, file.index[op.name], "TransposeOptions")


@emits(Concat, writes=(Codes.CONCATENATION,))
def _concat(file: File, layer: Layer[Concat]) -> None:
    """CONCATENATION; one after another if there are more inputs than it takes."""
    op = layer.qop
    axis, inputs = layer.op.axis, list(file.inputs(op))
    while True:
        first, inputs = inputs[:MAX_CONCAT], inputs[MAX_CONCAT:]
        output = file.index[op.name]
        if inputs:
            shape = list(file.shape(first[0]))
            shape[axis] = sum(file.shape(tensor)[axis] for tensor in first)
            output = file.activation(f"{op.name}/first", file.target(op), tuple(shape))
        file.operator(
            Codes.CONCATENATION,
            tuple(first),
            output,
            "ConcatenationOptions",
            Axis=1 + axis,
            FusedActivationFunction=0,
        )
        if not inputs:
            return
        inputs.insert(0, output)


def write_slice(file: File, op: QOp, tensors: tuple[int, int], begin: Shape) -> None:
    """A SLICE from the first of ``tensors`` to the second, which says how much."""
    start = file.numbers(f"{op.name}/begin", 0, *begin)
    size = file.numbers(f"{op.name}/size", *file.tensors[tensors[1]].shape)
    file.operator(Codes.SLICE, (tensors[0], start, size), tensors[1], "SliceOptions")


@emits(Slice, writes=(Codes.SLICE, Codes.STRIDED_SLICE))
def _slice(file: File, layer: Layer[Slice]) -> None:
    """SLICE, or with strides STRIDED_SLICE."""
    op = layer.qop
    tensors = file.index[op.inputs[0]], file.index[op.name]
    if all(stride == 1 for stride in layer.op.stride):
        write_slice(file, op, tensors, layer.op.begin)
        return
    begin, stride = layer.op.begin, layer.op.stride
    if len(begin) < MAX_STRIDED_AXES:
        _write_strided_slice(file, op, tensors, (0, *begin), (1, *stride))
        return
    # One axis too many: the first one takes the batch's place meanwhile.
    source = file.unbatched(f"{op.name}/in", tensors[0])
    target = file.unbatched(f"{op.name}/out", tensors[1])
    _write_reshape(file, op, (tensors[0], source))
    _write_strided_slice(file, op, (source, target), begin, stride)
    _write_reshape(file, op, (target, tensors[1]))


def _write_strided_slice(
    file: File, op: QOp, tensors: tuple[int, int], begin: Shape, stride: Shape
) -> None:
    counts = file.tensors[tensors[1]].shape
    ends = (
        first + (count - 1) * step + 1
        for first, count, step in zip(begin, counts, stride, strict=True)
    )
    inputs = (
        tensors[0],
        file.numbers(f"{op.name}/begin", *begin),
        file.numbers(f"{op.name}/end", *ends),
        file.numbers(f"{op.name}/strides", *stride),
    )
    file.operator(Codes.STRIDED_SLICE, inputs, tensors[1], "StridedSliceOptions")


@emits(Pad, writes=(Codes.PAD, Codes.PADV2))
def _pad(file: File, layer: Layer[Pad]) -> None:
    op = layer.qop
    target = file.target(op)
    fill = target.zero_point if layer.op.value is None else layer.op.value
    tensors = file.index[op.inputs[0]], file.index[op.name]
    write_pad(file, op, tensors, (layer.op.before, layer.op.after), fill)


@emits(Resize, writes=(Codes.RESIZE_BILINEAR, Codes.RESIZE_NEAREST_NEIGHBOR))
def _resize(file: File, layer: Layer[Resize]) -> None:
    op = layer.qop
    size = file.numbers(f"{op.name}/size", *file.target(op).shape[:2])
    bilinear = layer.op.method == "bilinear"
    file.operator(
        Codes.RESIZE_BILINEAR if bilinear else Codes.RESIZE_NEAREST_NEIGHBOR,
        (*file.inputs(op), size),
        file.index[op.name],
        "ResizeBilinearOptions" if bilinear else "ResizeNearestNeighborOptions",
        AlignCorners=layer.op.align_corners,
        HalfPixelCenters=layer.op.half_pixel_centers,
    )


@emits(Gather, writes=(Codes.GATHER,))
def _gather(file: File, layer: Layer[Gather]) -> None:
    op = layer.qop
    indices = file.numbers(f"{op.name}/indices", *layer.op.indices)
    inputs = (file.index[op.inputs[0]], indices)
    file.operator(
        Codes.GATHER, inputs, file.index[op.name], "GatherOptions", Axis=1 + layer.op.axis
    )
