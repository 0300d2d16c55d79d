"""What to do about operators of .tflite files that have no int8 form here."""

from __future__ import annotations

from nanotool.frontends.tflite.importers import IMPORTERS

_RECURRENT = "Use UNIDIRECTIONAL_SEQUENCE_LSTM, which Keras' LSTM becomes, or layers over a window."
_BRANCHES = "What runs depends on the data: convert the one branch that is needed."
_ON_THE_HOST = "End the model before it, and compute it in your own code."

# By the operator's name in the schema.
INSTEAD = {
    "BIDIRECTIONAL_SEQUENCE_LSTM": _RECURRENT,
    "BIDIRECTIONAL_SEQUENCE_RNN": _RECURRENT,
    "CALL": _BRANCHES,
    "CUSTOM": _ON_THE_HOST,
    "IF": _BRANCHES,
    "L2_NORMALIZATION": _ON_THE_HOST,
    "LSTM": _RECURRENT,
    "RNN": _RECURRENT,
    "SELECT": "Use SELECT_V2, which tf.where becomes.",
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
