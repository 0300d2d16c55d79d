"""nanotool: PyTorch or int8 .tflite in, C for microcontrollers out, proven byte for byte."""

__version__ = "0.1.0"
