"""Quantization-aware training.

forms      every operator's float form in PyTorch, with gradients
integers   every operator's int8 form in PyTorch
module     what is trained
"""
