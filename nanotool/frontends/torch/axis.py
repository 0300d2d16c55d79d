"""Functions of all elements along an axis. Softmax and log-softmax take the last one; another one
is brought there and back."""

from __future__ import annotations

from torch import fx

from nanotool.frontends.torch.fx_nodes import Arguments, operator_name
from nanotool.frontends.torch.walk import Walk, handles
from nanotool.ir import CumSum, LogSoftmax, Op, Softmax, Transpose


@handles("softmax", "_softmax", makes=Softmax)
@handles("log_softmax", "_log_softmax", makes=LogSoftmax)
def _softmax(walk: Walk, args: Arguments, node: fx.Node) -> str:
    op: Op = Softmax() if "log" not in operator_name(node) else LogSoftmax()
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    rank = len(shape)
    axis = walk.axis(args["dim"], rank, operator_name(node))
    if axis == rank - 1:
        return walk.emit(op, (source,), shape)
    order = (*(other for other in range(rank) if other != axis), axis)
    turned_shape = tuple(shape[i] for i in order)
    turned = walk.emit(Transpose(order), (source,), turned_shape, suffix="turned")
    result = walk.emit(op, (turned,), turned_shape)
    back = tuple(order.index(i) for i in range(rank))
    return walk.emit(Transpose(back), (result,), shape, suffix="back")


@handles("cumsum", makes=CumSum)
def _cumsum(walk: Walk, args: Arguments, node: fx.Node) -> str:
    source = walk.source(args["self"])
    shape = walk.shapes[source]
    return walk.emit(CumSum(walk.axis(args["dim"], len(shape), "cumsum")), (source,), shape)
