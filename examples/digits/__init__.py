"""Handwritten digits (MNIST) with a small convolutional network."""
