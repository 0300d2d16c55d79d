# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. Activations compared: ReLU, sigmoid, tanh
#
# Between its layers a network bends its values: cut off below 0 (ReLU), or squashed by a curve (sigmoid, tanh). In floats
# a curve means an exponential. In int8 there are only 256 inputs, so any curve is a **table** of 256 bytes, made
# in advance: one load a value, and no exponential on the board. What does that cost in accuracy? Here are the errors, as
# pictures.

# %%
import sys
from collections import OrderedDict

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.datasets import load_mnist

sys.path.append("..")
from examples.fit import fit, predict
from examples.task import Recipe

plt.style.use("notebook.mplstyle")
ACTIVATIONS = {"ReLU": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}

# %% [markdown]
# ## The curves themselves
#
# Quantize networks that are nothing but an activation, for inputs from −6 to 6, and send a fine ramp through them. Above, the real
# curve and the int8 one; below, the error.

# %%
ramp = np.linspace(-6, 6, 2001, dtype=np.float32)[:, None]
figure, axes = plt.subplots(2, 3, figsize=(8, 4.4), sharex=True, height_ratios=(1.4, 1))
for (name, kind), (curve, below) in zip(ACTIVATIONS.items(), axes.T, strict=True):
    int8 = nanotool.quantize(nn.Sequential(kind()), ramp)
    real, integer = kind()(torch.tensor(ramp)).numpy(), int8.run(ramp)
    step = int8.graph.output_tensor.scale
    curve.plot(ramp, integer, color="C1", label="int8")
    curve.plot(ramp, real, color="C0", linewidth=1, label="float32")
    curve.set_title(name)
    below.plot(ramp, (integer - real) / step, color="C1", linewidth=0.6)
    below.set(xlabel="input", ylim=(-4, 4))
    worst = np.abs(integer - real).max()
    below.text(
        -5.8, 2.7, f"a step is {step:.4f}\ngreatest error {worst:.4f}", fontsize=8, va="center"
    )
axes[0, 0].legend()
axes[0, 0].set_ylabel("output")
axes[1, 0].set_ylabel("error, steps of output")
plt.show()

# %% [markdown]
# Two roundings meet here. The output's: never more than half a step. And the input's: half a step of the *input* (0.0235 here),
# times the slope of the curve. ReLU has slope 1, and its output has the same steps as its input: half a step is all. Tanh is the
# other extreme: its output has steps of 1/128, and around 0, where it is steepest, one step of the input is three of the
# output. Sigmoid is four times flatter, with steps of 1/256. (At the right, tanh's 1 becomes 127/128, the greatest int8 there
# is.)
#
# So what matters is how finely the **input** of a curve is quantized. Behind a layer nanotool takes care of that: values
# which the curve would squash to ±1 anyway need no steps of their own, so it leaves them out of the layer's range.
#
# ## In a network
#
# The same small CNN three times, for digits, with each activation.

# %%
data = load_mnist().first(train=6_000, test=1_000)


def network(kind):
    layers = OrderedDict()
    layers["conv1"] = nn.Conv2d(1, 8, 3, stride=2, padding=1)
    layers["act1"] = kind()
    layers["conv2"] = nn.Conv2d(8, 16, 3, stride=2, padding=1)
    layers["act2"] = kind()
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(16 * 7 * 7, 10)
    return nn.Sequential(layers)


recipe = Recipe(epochs=4, learning_rate=1e-2, batch=50)
models, quantized, rows = {}, {}, []
for name, kind in ACTIVATIONS.items():
    model = fit(lambda kind=kind: network(kind), data, recipe, threads=1)
    int8 = nanotool.quantize(model, data.train_x[:500], name=name.lower())
    models[name], quantized[name] = model, int8
    with torch.no_grad():
        real = model(torch.tensor(data.test_x)).numpy()
    scores = int8.run(data.test_x)
    ratio = 10 * np.log10((real**2).sum() / ((scores - real) ** 2).sum())
    right = [
        np.mean(answers == data.test_y)
        for answers in (predict(model, data.test_x), scores.argmax(1))
    ]
    rows.append((name, *right, ratio))

print(f"{'':10}{'float32':>9}{'int8':>9}{'signal to noise of the scores':>32}")
for name, real, integer, ratio in rows:
    print(f"{name:10}{real:9.1%}{integer:9.1%}{ratio:29.1f} dB")

with torch.no_grad():
    real = models["tanh"][:3](torch.tensor(data.test_x))
tensor = quantized["tanh"].graph.tensors["conv2"]
low, high = (tensor.scale * (code - tensor.zero_point) for code in (-128, 127))
print(
    f"\nconv2 before tanh: {real.min():.2f} to {real.max():.2f} in float, {low:.2f} to {high:.2f} in int8"
)

# %% [markdown]
# Sigmoid trains more slowly, that is so in floats already. What int8 costs is the same for all three: nothing to speak of.

# %% [markdown]
# ## Error pictures
#
# One digit behind the first activation, all eight channels: what int8 gave, and its error in thousandths of the
# activation's range, in the same colours for all three.

# %%
image = data.test_x[:1]
figure, axes = plt.subplots(6, 8, figsize=(8, 5.8))
for index, (name, model) in enumerate(models.items()):
    with torch.no_grad():
        real = model[:2](torch.tensor(image))[0].numpy()
    layers = quantized[name].simulate_layers(image)
    integer = layers.get("act1", layers["conv1"])[0].transpose(2, 0, 1)
    extent = real.max() - real.min()
    error = 1000 * (integer - real) / extent
    for channel in range(8):
        value, below = axes[2 * index : 2 * index + 2, channel]
        value.imshow(integer[channel], cmap="viridis", vmin=real.min(), vmax=real.max())
        drawn = below.imshow(error[channel], cmap="coolwarm", vmin=-8, vmax=8)
    axes[2 * index, 0].set_ylabel(name, fontweight="bold")
    axes[2 * index + 1, 0].set_ylabel("error")
    rms = np.sqrt(np.mean(error**2))
    print(
        f"{name:8} root mean square error {rms:.2f} thousandths, greatest {np.abs(error).max():.2f}"
    )
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.grid(False)
figure.colorbar(drawn, ax=axes, label="error, thousandths of the range", shrink=0.5)
plt.show()

# %% [markdown]
# ## What it costs on the board
#
# ReLU is free: it is merged into the convolution, whose result had to be clamped anyway. A curve is a layer of its own, with a
# table of 256 bytes.

# %%
for int8 in quantized.values():
    print(int8, end="\n\n")

# %% [markdown]
# In 05 the board itself learns: [transfer learning](05_transfer_learning.ipynb).
