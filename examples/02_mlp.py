# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. A multilayer perceptron, and the arithmetic inside
#
# The simplest network that is worth running: two dense layers. It listens to spoken digits. We quantize it, then compute its
# first layer **by hand, with integers only**, and get the very bytes that the C library gets. At the end: how large must it be?

# %%
import sys
from collections import OrderedDict
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

import nanotool
from nanotool.datasets import load_spoken_digits

sys.path.append("..")
from examples.fit import fit, predict
from examples.task import Recipe

plt.style.use("notebook.mplstyle")

# %% [markdown]
# ## Data
#
# Six people say "zero" to "nine". Each recording is already a small picture: 13 coefficients (MFCC, the shape of the sound's
# spectrum) at 40 moments.

# %%
data = load_spoken_digits()
figure, axes = plt.subplots(2, 5, figsize=(8, 2.6), sharex=True, sharey=True)
for digit, axis in enumerate(axes.flat):
    example = data.train_x[data.train_y == digit][0]
    axis.imshow(example, aspect="auto", cmap="magma", vmin=-2, vmax=2)
    axis.set_title(f'"{data.labels[digit]}"')
    axis.grid(False)
figure.supxlabel("time", fontsize="medium")
figure.supylabel("coefficient", fontsize="medium")
plt.show()

# %% [markdown]
# ## Train and quantize
#
# An MLP wants a vector: 13 × 40 = 520 numbers. `fit` (in [fit.py](fit.py)) is the usual training loop.

# %%
data = replace(
    data,
    train_x=data.train_x.reshape(-1, 520),
    test_x=data.test_x.reshape(-1, 520),
)


def network(hidden=32):
    layers = OrderedDict()
    layers["hidden"] = nn.Linear(520, hidden)
    layers["relu"] = nn.ReLU()
    layers["drop"] = nn.Dropout(0.3)
    layers["answer"] = nn.Linear(hidden, 10)
    return nn.Sequential(layers)


recipe = Recipe(epochs=15, learning_rate=5e-3, batch=50, weight_decay=0.05)
model = fit(network, data, recipe, threads=1)
quantized = nanotool.quantize(model, data.train_x, name="spoken", labels=data.labels)
print(quantized)
print(f"float accuracy: {np.mean(predict(model, data.test_x) == data.test_y):.1%}")
print(f"int8 accuracy:  {np.mean(quantized.run(data.test_x).argmax(1) == data.test_y):.1%}")

# %% [markdown]
# (The same six people speak in both parts of the data: strangers would be recognized less well.)
#
# ## The weights
#
# Each neuron has a scale of its own: its largest weight becomes 127. Below, the 520 weights of two hidden neurons, and how they
# fall on the integers.

# %%
layer = quantized.graph.ops[0]
norms = np.abs(model.hidden.weight.detach().numpy()).max(axis=1)
smallest, largest = int(norms.argmin()), int(norms.argmax())

figure, axes = plt.subplots(2, 3, figsize=(8, 4), width_ratios=(1, 1, 1.2))
for neuron, row in zip((smallest, largest), axes, strict=True):
    floats = model.hidden.weight.detach().numpy()[neuron]
    limit = np.abs(floats).max()
    row[0].imshow(floats.reshape(13, 40), aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit)
    row[0].set_title(f"neuron {neuron}, float32")
    row[1].imshow(
        layer.weight[neuron].reshape(13, 40), aspect="auto", cmap="RdBu", vmin=-127, vmax=127
    )
    row[1].set_title(f"int8, scale {layer.weight_scale[neuron]:.5f}")
    row[2].hist(layer.weight[neuron], bins=np.arange(-127.5, 128, 5))
    row[2].set_title("how often which integer")
    for axis in row[:2]:
        axis.set(xlabel="time", ylabel="coefficient")
        axis.grid(False)
plt.show()

# %% [markdown]
# ## A layer, by hand
#
# What does the board compute? The dense layer is y = W x + b. Put in *real = scale · (integer − zero point)* for x, W and y, and
# what is left are integers and one factor a neuron:
#
# > acc = Σ (x − zero point of x) · W + b  (an int32)
# >
# > y = zero point of y + acc · M,  M = scale of x · scale of W / scale of y
#
# M is a real number, but it is known in advance. So it becomes an integer, too: 31 bits and a shift. ReLU costs nothing: it
# is a clamp that had to be there anyway.

# %%
tensors = quantized.graph.tensors
x, y = tensors["input"], tensors["hidden"]
codes = x.quantize(data.test_x)  # what is sent to the board: int8
factor = x.scale * layer.weight_scale.astype(np.float64) / y.scale
_, exponent = np.frexp(factor)
multiplier = np.round(factor / 2.0**exponent * 2**31).astype(np.int64)
shift = -exponent.astype(np.int64)
print(f"neuron 0: M = {factor[0]:.8f} = {multiplier[0]} / 2^31 / 2^{shift[0]}")

acc = (codes.astype(np.int64) - x.zero_point) @ layer.weight.astype(np.int64).T + layer.bias
high = (acc * multiplier + (1 << 30)) >> 31  # what one instruction of a DSP gives
scaled = np.sign(high) * ((np.abs(high) + (1 << (shift - 1))) >> shift)  # to the nearest
by_hand = np.clip(scaled + y.zero_point, *layer.clamp)

by_nanotool = quantized.simulate_layers(codes)["hidden"]
print(f"acc lies in {acc.min():,} .. {acc.max():,}")
print(f"{np.count_nonzero(by_hand != by_nanotool)} of {by_hand.size:,} bytes differ")
assert np.array_equal(by_hand, by_nanotool)

# %% [markdown]
# A few lines of integer arithmetic: that is a neural network's layer on a microcontroller. What is left for the library is to
# do it fast. [docs/numerics.md](../docs/numerics.md) has this formula for every operator, to the last bit of rounding.
#
# ## How large must it be?
#
# Flash is scarce. Train with 4 to 64 hidden neurons, and see what a byte buys.

# %%
rows = []
for hidden in (4, 8, 16, 32, 64):
    trained = fit(lambda size=hidden: network(size), data, recipe, threads=1)
    small = nanotool.quantize(trained, data.train_x)
    real = np.mean(predict(trained, data.test_x) == data.test_y)
    integer = np.mean(small.run(data.test_x).argmax(1) == data.test_y)
    parameters = sum(p.numel() for p in trained.parameters())
    weights = sum(op.weight.nbytes for op in small.graph.ops if op.weight is not None)
    rows.append((hidden, 4 * parameters, weights, real, integer))
    print(
        f"{hidden:3} neurons: {weights:6,} B of int8 weights, float {real:.1%}, int8 {integer:.1%}"
    )

hidden, float_bytes, int8_bytes, real, integer = map(np.array, zip(*rows, strict=True))
figure, axis = plt.subplots(figsize=(8, 3.4))
axis.plot(float_bytes / 1024, 100 * real, "o-", label="float32")
axis.plot(int8_bytes / 1024, 100 * integer, "s-", label="int8")
for size, place, accuracy in zip(hidden, int8_bytes / 1024, 100 * integer, strict=True):
    axis.annotate(f"{size}", (place, accuracy), (-4, 6), textcoords="offset points", ha="right")
axis.set(title="Accuracy against flash", xlabel="KiB of weights", ylabel="% right", xscale="log")
axis.set_xticks([2, 4, 8, 16, 32, 64, 128], ["2", "4", "8", "16", "32", "64", "128"])
axis.minorticks_off()
axis.legend()
plt.show()

# %% [markdown]
# Int8 is the float curve, moved to a quarter of the bytes. Convolutions do more with less, and go deep:
# [03](03_deep_cnn.ipynb).
