"""Models built by hand, layer by layer, with NANO-RUST's method names: docs/python-api.md.

layers       what a layer is: shapes checked, weights in the device's order
graph        the layers as an int8 graph
net          the layers in the C library, built by sequential.h
model        SequentialModel
calibration  quantize_weights, calibrate_model and what they are made of
"""
