"""What to do instead of operators that no handler takes."""

from __future__ import annotations

_NORMS = "Use nn.BatchNorm1d or nn.BatchNorm2d, which cost nothing once folded."
ATTENTION = "Use batch_first=True, without bias_kv, add_zero_attn and key_padding_mask."
_BORDER = "Pad with zeros or a constant: padding_mode='zeros'."

# What to do instead, by the ATen operator's name.
HINTS = {
    **dict.fromkeys(
        (
            *("quantize_per_channel", "fake_quantize_per_channel_affine", "choose_qparams"),
            *("quantize_affine", "dequantize_affine"),
        ),
        "An activation has one scale, and a fixed one: quantize it per tensor, statically.",
    ),
    "cdist": "Write it out: (a.unsqueeze(2) - b.unsqueeze(1)).square().sum(-1).sqrt().",
    "conv3d": "Use Conv2d layers.",
    "conv_transpose3d": "Use ConvTranspose2d layers.",
    "local_response_norm": _NORMS,
    "embedding": "Look the rows up before the model, and feed them.",
    "gather": "Use slices: x[:, a:b], x[:, ::2].",
    "_upsample_bilinear2d_aa": "Use antialias=False, or average pools for smaller images.",
    "upsample_bicubic2d": "Use mode='bilinear' or 'nearest'.",
    "grid_sampler": "Use F.interpolate, or resample before the model.",
    "topk": "Take the logits and choose behind the model; one index is x.argmax(1).",
    "sort": "Take the logits and sort behind the model.",
}
MAXIMUM = (
    "Use a max pool over that axis, brought to the end: F.max_pool1d(x, x.shape[2]).squeeze(2) on "
    "N x C x L, x.amax((2, 3)) on N x C x H x W."
)
DEFAULT_HINT = (
    "Supported are Conv1d/2d, ConvTranspose1d/2d, Linear, GRU, LSTM, RNN, pools, BatchNorm, sums "
    "and products of tensors, cat, slices, padding, interpolate, reshapes, Softmax, ReLU and most "
    "activations: use these or keep it outside the model."
)
