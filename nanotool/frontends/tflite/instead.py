"""What to do about operators of .tflite files that have no int8 form here."""

from __future__ import annotations

from nanotool.frontends.tflite.importers import IMPORTERS

_RECURRENT = "Use UNIDIRECTIONAL_SEQUENCE_LSTM, which Keras' LSTM becomes, or layers over a window."
_BRANCHES = "What runs depends on the data: convert the one branch that is needed."
_TABLE = "If nanotool wrote it, for a function that TensorFlow Lite lacks, use the .nano file."
_ON_THE_HOST = "End the model before it, and compute it in your own code."
_COMPARISON = "Use MAXIMUM, MINIMUM and multiplications, or compute it in your own code."
_DILATION = (
    "Convert the model with a batch of 1 that is fixed (an input of shape 1, ...): with a free one "
    "the converter takes a dilated convolution apart."
)
_REDUCTION = "Use a max pool over the whole input."

# By the operator's name in the schema.
INSTEAD = {
    "ARG_MIN": "Negate the input and use ARG_MAX.",
    "BATCH_MATMUL": "Use a dense layer with constant weights.",
    "BATCH_TO_SPACE_ND": _DILATION,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _RECURRENT,
    "BIDIRECTIONAL_SEQUENCE_RNN": _RECURRENT,
    "CALL": _BRANCHES,
    "CAST": _TABLE,
    "CUSTOM": _ON_THE_HOST,
    "DEPTH_TO_SPACE": "Use a transposed convolution or a resize.",
    "EQUAL": _COMPARISON,
    "GATHER": f"{_TABLE} For others, use slices with fixed places.",
    "GREATER": _COMPARISON,
    "IF": _BRANCHES,
    "L2_NORMALIZATION": _ON_THE_HOST,
    "LESS": _COMPARISON,
    "LSTM": _RECURRENT,
    "MIRROR_PAD": "Pad with zeros (PAD).",
    "RNN": _RECURRENT,
    "SELECT": _COMPARISON,
    "SELECT_V2": _COMPARISON,
    "SPACE_TO_BATCH_ND": _DILATION,
    "SPACE_TO_DEPTH": "Use a convolution with a stride.",
    "TILE": "Use a broadcast or a concatenation.",
    "UNIDIRECTIONAL_SEQUENCE_RNN": _RECURRENT,
    "WHILE": "Its loop has to be unrolled before conversion (unroll=True in Keras' layers).",
}

_ACCELERATOR = (
    "The file was compiled for {}, and holds that chip's commands: give the .tflite file that {} "
    "took."
)
_FRONT_END = (
    "It belongs to an audio front end inside the model: end the front end before the model, "
    "compute the features in your own code, and convert the part that takes them."
)

# By the beginning of a custom operator's own name, in small letters.
CUSTOM = {
    "ethos-u": _ACCELERATOR.format("Arm's Ethos-U", "Vela"),
    "edgetpu-custom-op": _ACCELERATOR.format("Google's Edge TPU", "its compiler"),
    "neutron": _ACCELERATOR.format("NXP's Neutron", "its converter"),
    "flex": "TensorFlow itself computes it: convert the model without SELECT_TF_OPS, with "
    "operators of TensorFlow Lite alone.",
    "tflite_detection_postprocess": "End the model at the boxes and classes, and choose among them "
    "in your own code.",
    "signal": _FRONT_END,
    "audiospectrogram": _FRONT_END,
    "mfcc": _FRONT_END,
}


def way_out(name: str, custom: str = "") -> str:
    """What to do about the operator ``name``; ``custom`` is the own name of a custom one."""
    for beginning, hint in CUSTOM.items():
        if custom.lower().startswith(beginning):
            return hint
    return INSTEAD.get(name, f"Known operators: {', '.join(sorted(IMPORTERS.handlers))}.")
