"""Layers that go through a sequence: the portable layouts, summed up a word at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nanotool.ir import Gru, Lstm, Rnn, Struct, Svdf
from nanotool.lower.layer import Call, TargetLayer, portable_calls, variant
from nanotool.lower.pack import power

TARGET = "armv7em"
_MOST = 2**30  # that a sum must stay below, for its scaling in few instructions


@variant(TARGET, Lstm, Gru, Rnn)
def _gated(layer: TargetLayer[Any]) -> Sequence[Call] | None:
    """Where every sum stays in the range of its scaling."""
    calls = _faster(layer)
    if calls is None:
        return None
    gates = dict(calls[-1].params.fields)["gates"]
    assert isinstance(gates, Struct)
    fields: dict[str, Any] = dict(gates.fields)
    most = np.abs(layer.weight.astype(np.int64)).sum(axis=2).max() * 128
    most += np.abs(fields["bias"].data.astype(np.int64)).max()
    return None if layer.declines(most >= _MOST, f"sums reach {power(most)}") else calls


@variant(TARGET, Svdf)
def _svdf(layer: TargetLayer[Svdf]) -> Sequence[Call] | None:
    return _faster(layer)


def _faster(layer: TargetLayer[Any]) -> tuple[Call, ...] | None:
    """The portable kernel's calls, the last one by the faster kernel. Where memory is to be small
    the portable one serves: it takes less code."""
    if layer.refuses_memory:
        return None
    *copies, call = portable_calls(layer)
    return (*copies, replace(call, kernel=f"{call.kernel}_dsp"))
