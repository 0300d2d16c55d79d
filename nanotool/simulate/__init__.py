"""Run a QGraph in NumPy: the oracle for everything that runs elsewhere.

One short function per operator, the executable twin of docs/numerics.md. They work on batches:
the first axis of every array is the sample, the others are the tensor's H, W, C. Results are
exact to the byte; accumulators wrap at 32 bits as a register does (graphs in which one could
are refused by `nanotool.validate`). A model's states are arguments and results: nothing is kept.

    run          simulate, simulate_steps, simulate_all, run_op
    linear       dense, convolutions            pooling      pools, mean
    elementwise  unary, binary, PReLU, borders  axis         softmax, log-softmax, argmax
    move         reshape, transpose, concat, slice, pad, resize
    custom       what packages bring
"""

from nanotool.simulate import axis, custom, elementwise, kernels, linear, move, pooling, recurrent
from nanotool.simulate.kernels import kernel
from nanotool.simulate.run import (
    Inputs,
    initial_states,
    next_states,
    run_layer,
    run_op,
    simulate,
    simulate_all,
    simulate_step,
    simulate_steps,
)

kernel.complete()

__all__ = [
    "Inputs",
    "axis",
    "custom",
    "elementwise",
    "initial_states",
    "kernel",
    "kernels",
    "linear",
    "move",
    "next_states",
    "pooling",
    "recurrent",
    "run_layer",
    "run_op",
    "simulate",
    "simulate_all",
    "simulate_step",
    "simulate_steps",
]
