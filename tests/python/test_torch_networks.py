"""Random networks with branches, residuals, joins and moves: what PyTorch computes, and the same
bytes from the simulator, the C library and TensorFlow Lite Micro."""

from __future__ import annotations

import numpy as np
import oracle
from float_nets import check, device_order, random_input, reference
from hypothesis import given
from hypothesis import strategies as st
from random_graphs import examples
from random_nets import RandomNet

from nanotool.inputs import to_device
from nanotool.lower import lower
from nanotool.plan import plan
from nanotool.quantization import quantize
from nanotool.runtime import Runtime
from nanotool.simulate import simulate

# dB. A difference of near equals loses much: of 650 nets the worst had 18.7, all others over 20.
LEAST_SQNR = 12


@examples(30)
@given(st.integers(0, 10**6), st.integers(3, 14))
def test_random_networks(seed: int, count: int) -> None:
    net = RandomNet(seed, count)
    _, prepared = check(net, *net.shape)
    x = random_input(200, *net.shape, seed=seed)
    graph = quantize(prepared, [x])
    q = to_device(graph, x[:40])
    y = simulate(graph, q)
    real = device_order(reference(net, x[:40])).astype(np.float64)
    noise = float(((graph.output_tensor.dequantize(y) - real) ** 2).sum())
    assert noise <= 10 ** (-LEAST_SQNR / 10) * float((real**2).sum())
    lowered = lower(graph)
    assert np.array_equal(Runtime(lowered, plan(lowered)).run(q[:4]), y[:4])
    assert np.array_equal(oracle.run(graph, q[:4]), y[:4])
