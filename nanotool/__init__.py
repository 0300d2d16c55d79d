"""nanotool: from a PyTorch module or an int8 .tflite to C on a microcontroller, proven byte for byte."""

__version__ = "0.1.0"
