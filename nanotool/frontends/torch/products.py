"""Products of two activations: matmul, bmm, einsum; attention, made of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nanotool.frontends.torch.arithmetic import affine, scaled
from nanotool.frontends.torch.choices import finite
from nanotool.frontends.torch.fx_nodes import Arguments
from nanotool.frontends.torch.norms import frozen
from nanotool.frontends.torch.walk import Walk, handles
from nanotool.ir import BatchNorm, Binary, Dense, MatMul, Reduce, Softmax


def _matrix(walk: Walk, argument: Any) -> NDArray[np.float32] | None:
    """A constant without batch axes; None for an activation."""
    if walk.is_activation(argument):
        return None
    value = walk.constant(argument, "matrix")
    assert value is not None
    value = walk.once(value) if value.ndim > 2 else value
    return value[0] if value.ndim > 2 and len(value) == 1 else value


def product(walk: Walk, first: str, second: str, suffix: str = "") -> str:
    """The matrix product of two tensors, whose axes in front are aligned first."""
    rank = max(2, *(len(walk.shapes[name]) for name in (first, second)))
    if rank > 4:
        walk.refuse("a matrix product over more than four axes", "Merge axes before it.")
    tensors = []
    for name in (first, second):
        shape = walk.shapes[name]
        tensors.append(walk.reshaped(name, (*(1,) * (rank - len(shape)), *shape), suffix="axes"))
    a, b = (walk.shapes[name] for name in tensors)
    shape = (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
    return walk.emit(MatMul(), (tensors[0], tensors[1]), shape, suffix=suffix)


@handles("matmul", "mm", "bmm", makes=(Dense, MatMul))
def _matmul(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """x @ a constant matrix is a dense layer without bias."""
    second = args["mat2"] if "mat2" in args else args["other"]
    left, right = _matrix(walk, args["self"]), _matrix(walk, second)
    shape = walk.batchless(node)
    if right is not None and right.ndim == 2:
        weight = frozen(right.T)
        return walk.emit(Dense(), (walk.source(args["self"]),), shape, weight=weight)
    if right is not None and right.ndim == 1:
        column = walk.add_constant(right[:, None], "matrix")
        return walk.reshaped(product(walk, walk.source(args["self"]), column), shape)
    a = walk.source(args["self"]) if left is None else walk.add_constant(left, "matrix")
    b = walk.source(second) if right is None else walk.add_constant(right, "matrix")
    if min(len(walk.shapes[a]), len(walk.shapes[b])) < 2:
        row = walk.reshaped(a, (1, *walk.shapes[a])) if len(walk.shapes[a]) == 1 else a
        column = walk.reshaped(b, (*walk.shapes[b], 1)) if len(walk.shapes[b]) == 1 else b
        return walk.reshaped(product(walk, row, column), shape)
    return walk.reshaped(product(walk, a, b), shape)


@handles("addmm", makes=Dense)
def _addmm(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """bias + x @ a constant matrix."""
    weight, bias = walk.constant(args["mat2"], "matrix"), walk.constant(args["self"], "bias")
    assert weight is not None
    assert bias is not None
    alpha, beta = float(args.get("alpha", 1)), float(args.get("beta", 1))
    source, outputs = walk.source(args["mat1"]), weight.shape[1]
    return walk.emit(
        Dense(),
        (source,),
        walk.batchless(node),
        weight=frozen(alpha * weight.T),
        bias=frozen(np.broadcast_to(beta * bias.reshape(-1), (outputs,))),
    )


@handles("baddbmm", makes=(MatMul, Binary, BatchNorm))
def _baddbmm(walk: Walk, args: Arguments, node: fx.Node) -> str:
    result = product(walk, walk.source(args["batch1"]), walk.source(args["batch2"]), "product")
    if float(args.get("alpha", 1)) != 1:
        result = scaled(walk, result, float(args["alpha"]))
    if float(args.get("beta", 1)) == 0:
        return result
    if not walk.is_activation(args["self"]):
        walk.refuse("a sum of a product and a constant in one operator", "Add it behind.")
    return walk.emit(Binary("add"), (result, walk.source(args["self"])), walk.batchless(node))


# --- Einsum ---------------------------------------------------------------------------------------


@handles("einsum", makes=(MatMul, Reduce))
def _einsum(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """One tensor: a sum and a transpose. Two: a matrix product between transposes. More: product
    after product, as they are written."""
    equation, operands = str(args["equation"]).replace(" ", ""), list(args["tensors"])
    given, _, result = equation.partition("->")
    terms = given.split(",")
    if "." in equation or "->" not in equation or not given:
        walk.refuse(f"the einsum {equation}", "Write it as matmul, sum and transpose.")
    tensors, letters = [], []
    batch = next(
        term[0] for term, one in zip(terms, operands, strict=True) if walk.is_activation(one)
    )
    for term, operand in zip(terms, operands, strict=True):
        if len(set(term)) != len(term):
            walk.refuse(f"the einsum {equation}, which takes a diagonal,", "Write it by hand.")
        if walk.is_activation(operand):
            if not term.startswith(batch):
                walk.refuse(f"the einsum {equation}, whose batch is not in front,", "Turn it.")
            tensors.append(walk.source(operand))
            letters.append(term[1:])
        else:
            value = walk.constant(operand, "matrix")
            assert value is not None
            tensors.append(walk.add_constant(value, "matrix"))
            letters.append(term)
    if not result.startswith(batch):
        walk.refuse(f"the einsum {equation}, whose batch is not in front,", "Turn it.")
    result = result[1:]
    while len(tensors) > 2:
        if all(one in walk.constants for one in tensors[:2]):
            walk.refuse(f"the einsum {equation}", "Multiply its constants beforehand.")
        rest = result + "".join(letters[2:])
        kept = "".join(dict.fromkeys(one for one in "".join(letters[:2]) if one in rest))
        first, order = _two(walk, tensors[:2], letters[:2], kept)
        tensors[:2], letters[:2] = [first], [order]
    last, order = _two(walk, tensors, letters, result)
    return walk.reshaped(_in_order(walk, last, order, result), walk.batchless(node))


def _in_order(walk: Walk, tensor: str, letters: str, wanted: str) -> str:
    order = tuple(letters.index(letter) for letter in wanted)
    return tensor if order == tuple(range(len(order))) else walk.transposed(tensor, order)


def _two(walk: Walk, tensors: list[str], letters: list[str], result: str) -> tuple[str, str]:
    """What one or two tensors come to, and its letters, those of ``result`` in any order."""
    for i, others in enumerate(letters[::-1]):
        tensors[i], letters[i] = _summed(
            walk, tensors[i], letters[i], result + (others if len(letters) == 2 else "")
        )
    if len(tensors) == 2:
        return _contracted(walk, tensors, letters, result)
    return tensors[0], letters[0]


def _summed(walk: Walk, tensor: str, letters: str, kept: str) -> tuple[str, str]:
    """Without the axes that nobody else has."""
    axes = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    rest = "".join(letter for letter in letters if letter in kept)
    if not axes:
        return tensor, letters
    if tensor in walk.constants:
        return walk.add_constant(walk.constants[tensor].sum(axis=axes), "matrix"), rest
    shape = tuple(n for i, n in enumerate(walk.shapes[tensor]) if i not in axes)
    return walk.emit(Reduce("sum", axes), (tensor,), shape, suffix="sum"), rest


def _contracted(walk: Walk, tensors: list[str], letters: list[str], result: str) -> tuple[str, str]:
    """The matrix product: [batches, rows, sums] times [batches, sums, columns]."""
    one, two = letters
    batches = [letter for letter in one if letter in two and letter in result]
    sums = [letter for letter in one if letter in two and letter not in result]
    rows = [letter for letter in one if letter not in two]
    columns = [letter for letter in two if letter not in one]
    size = dict(zip(one, walk.shapes[tensors[0]], strict=True))
    size |= dict(zip(two, walk.shapes[tensors[1]], strict=True))

    def total(group: list[str]) -> int:
        return math.prod(size[letter] for letter in group)

    operands = []
    for tensor, term, sides in (
        (tensors[0], one, (rows, sums)),
        (tensors[1], two, (sums, columns)),
    ):
        permutation = tuple(term.index(letter) for letter in (*batches, *sides[0], *sides[1]))
        shape = (total(batches), total(sides[0]), total(sides[1]))
        if tensor in walk.constants:
            data = walk.constants[tensor].transpose(permutation).reshape(shape)
            operands.append(walk.add_constant(data, "matrix"))
        else:
            same = permutation == tuple(range(len(permutation)))
            turned = tensor if same else walk.transposed(tensor, permutation, suffix="turned")
            operands.append(walk.reshaped(turned, shape, suffix="matrices"))
    flat = product(walk, operands[0], operands[1], suffix="product")
    after = [*batches, *rows, *columns]
    return walk.reshaped(flat, tuple(size[letter] for letter in after), "split"), "".join(after)


# --- Attention ------------------------------------------------------------------------------------


@handles("scaled_dot_product_attention", makes=(MatMul, Softmax, BatchNorm, Binary))
def _attention(walk: Walk, args: Arguments, node: fx.Node) -> str:
    """softmax(q k^T · scale + mask) v; the scale goes into the softmax."""
    if float(args.get("dropout_p") or 0) != 0:
        walk.refuse("an attention with dropout in eval mode", "Pass dropout_p=0 in eval mode.")
    query, key, value = (walk.source(args[name]) for name in ("query", "key", "value"))
    if args.get("enable_gqa"):
        key, value = (_repeated_heads(walk, one, query) for one in (key, value))
    depth, steps = walk.shapes[query][-1], walk.shapes[query][-2]
    scale = args.get("scale")
    factor = depth**-0.5 if scale is None else float(scale)
    order = (
        *range(len(walk.shapes[key]) - 2),
        len(walk.shapes[key]) - 1,
        len(walk.shapes[key]) - 2,
    )
    scores = product(walk, query, walk.transposed(key, order, suffix="keys"), suffix="scores")
    scores = affine(walk, scores, factor, 0.0, suffix="scaled")
    shape = walk.shapes[scores]
    if args.get("is_causal"):
        hidden = np.triu(np.full((steps, shape[-1]), -np.inf), 1)
        scores = _masked(walk, scores, hidden)
    mask = args.get("attn_mask")
    if mask is not None:
        scores = _with_mask(walk, scores, mask)
    weights = walk.emit(Softmax(), (scores,), shape, suffix="weights")
    return walk.reshaped(product(walk, weights, value), walk.batchless(node))


def _repeated_heads(walk: Walk, tensor: str, query: str) -> str:
    """As many heads as the query has: each one several times."""
    heads, wanted = walk.shapes[tensor][-3], walk.shapes[query][-3]
    if heads == wanted:
        return tensor
    return walk.gathered(
        tensor, len(walk.shapes[tensor]) - 3, np.arange(wanted) // (wanted // heads)
    )


def _masked(walk: Walk, scores: str, mask: NDArray[np.float64]) -> str:
    rank = len(walk.shapes[scores])
    constant = walk.add_constant(finite(mask).reshape(*(1,) * (rank - mask.ndim), *mask.shape))
    return walk.emit(Binary("add"), (scores, constant), walk.shapes[scores], suffix="masked")


def _with_mask(walk: Walk, scores: str, mask: Any) -> str:
    """A mask of numbers is added; of truth, what is false is hidden."""
    if walk.is_activation(mask):
        return walk.emit(
            Binary("add"), (scores, walk.source(mask)), walk.shapes[scores], suffix="masked"
        )
    value = walk.values.get(mask) if isinstance(mask, fx.Node) else mask
    if not isinstance(value, torch.Tensor):
        walk.refuse("an attention mask that depends on the batch", "Use a fixed mask.")
    array = value.detach().to("cpu")
    numbers = array.to(torch.float64).numpy()
    hidden = np.where(numbers == 0, -np.inf, 0.0) if array.dtype == torch.bool else numbers
    rank = len(walk.shapes[scores])
    hidden = walk.once(hidden) if hidden.ndim > rank else hidden
    return _masked(walk, scores, hidden[0] if hidden.ndim > rank else hidden)
