"""nn.MultiheadAttention with the batch in front throughout: `batch_first` exchanges the forward of
every such module of a copied model for one that torch.export traces to plain products."""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everybody names it)
from torch import nn


def batch_first(model: nn.Module) -> None:
    """Exchange the forwards within ``model``, which is a copy."""
    for module in model.modules():
        plain = isinstance(module, nn.MultiheadAttention) and module.batch_first
        if plain and module.bias_k is None and not module.add_zero_attn:
            module.forward = types.MethodType(_forward, module)


def _projected(module: Any, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """q, k and v: batch, heads, steps, depth."""
    if module._qkv_same_embed_dim:
        weights = module.in_proj_weight.chunk(3)
    else:
        weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    shape = (module.num_heads, module.head_dim)
    return [
        F.linear(x, weight, bias).reshape(*x.shape[:2], *shape).transpose(1, 2)
        for x, weight, bias in zip(inputs, weights, biases, strict=True)
    ]


def _forward(  # noqa: PLR0917  (nn.MultiheadAttention's)
    self: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What the original gives for batches, in eval mode."""
    if key_padding_mask is not None or (attn_mask is not None and attn_mask.ndim > 2):
        result: tuple[torch.Tensor, torch.Tensor | None] = type(self).forward(
            self,
            *(query, key, value, key_padding_mask),
            need_weights,
            *(attn_mask, average_attn_weights, is_causal),
        )
        return result
    q, k, v = _projected(self, (query, key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = ~attn_mask  # here True hides
    y = F.scaled_dot_product_attention(q, k, v, attn_mask)
    out = self.out_proj(y.transpose(1, 2).flatten(2))
    if not need_weights:
        return out, None
    scores = q @ k.transpose(-2, -1) * self.head_dim**-0.5
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -1e30) if boolean else scores + attn_mask
    weights = scores.softmax(-1)
    return out, weights.mean(1) if average_attn_weights else weights
