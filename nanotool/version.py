"""The version of nanotool and of the C library that belongs to it."""

__version__ = "0.1.0"
