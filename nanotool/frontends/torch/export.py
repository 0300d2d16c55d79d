"""torch.export, with a free batch."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch
from torch import nn

from nanotool.errors import NanoError

STAND_IN = 61  # a batch size that no other axis is likely to have


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep PyTorch's warnings and logs to itself: what matters to us is refused."""
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def as_the_weights(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """``batch`` on the device and in the precision of ``model``'s first floating-point weight."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and not nn.parameter.is_lazy(tensor):
            return batch.to(tensor.device, tensor.dtype)
    return batch


def export(model: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """Export ``model``, in eval mode, with a free batch dimension.

    Where the forward pins it to the example's (len(x) does), a batch of STAND_IN samples takes its
    place, and every result has to keep that size in front.
    """
    free = torch.export.Dim("batch", min=2, max=65536)  # 1 is special to torch
    reason = ""
    for count, dimension in ((2, free), (STAND_IN, None)):
        batch = example.detach().new_zeros(count, *example.shape[1:])
        shapes = None if dimension is None else ({0: dimension},)
        try:
            with torch.no_grad(), quiet():
                return torch.export.export(model, (batch,), dynamic_shapes=shapes)
        except Exception as error:
            # torch.export raises a dozen types, from its own to ValueError and RuntimeError.
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            reason = reason or (lines[0] if lines else type(error).__name__)[:300]
    raise NanoError(
        f"torch.export cannot trace {type(model).__name__}: {reason}",
        "Its forward must take one tensor, keep the batch as the first axis (x.flatten(1), not "
        "x.view(1, -1)) and have no control flow that depends on the data. Check that "
        "model(example) runs.",
    )
