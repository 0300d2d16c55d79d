# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. From PyTorch to a microcontroller, step by step
#
# A microcontroller has some hundred kilobytes of memory and often no fast floating point. A network that is to run there is
# trained on a PC as usual, and then **quantized**: its 32-bit floats become 8-bit integers. This notebook goes the whole way
# once, with handwritten digits, and at the end boots a (virtual) STM32 that must compute what the PC computed, to the byte.
#
# 1. train a small network in PyTorch
# 2. quantize it, and look at what that did
# 3. run it here in C, the same C that the board runs
# 4. see how little memory it needs
# 5. run it on the board
#
# Everything below takes about half a minute on one core.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.datasets import load_mnist

plt.style.use("notebook.mplstyle")
torch.manual_seed(1)
torch.set_num_threads(1)

# %% [markdown]
# ## Data
#
# MNIST: 28 × 28 grey pixels, 0 to 1, of a digit that somebody wrote by hand. The first 10,000 training images are enough here.

# %%
data = load_mnist().first(train=10_000, test=2_000)
x, y = torch.tensor(data.train_x), torch.tensor(data.train_y)

figure, axes = plt.subplots(1, 10, figsize=(8, 1.2))
for axis, image, label in zip(axes, data.test_x, data.test_y, strict=False):
    axis.imshow(image[0])
    axis.set_title(data.labels[label], loc="center")
    axis.axis("off")

# %% [markdown]
# ## 1. Train
#
# Ordinary PyTorch, nothing in it knows of microcontrollers. Two convolutions find strokes, pooling makes the picture smaller,
# a dense layer decides.

# %%
model = nn.Sequential()
model.add_module("conv1", nn.Conv2d(1, 8, 3, padding=1))
model.add_module("relu1", nn.ReLU())
model.add_module("pool1", nn.MaxPool2d(2))
model.add_module("conv2", nn.Conv2d(8, 16, 3, padding=1))
model.add_module("relu2", nn.ReLU())
model.add_module("pool2", nn.MaxPool2d(2))
model.add_module("flatten", nn.Flatten())
model.add_module("dense", nn.Linear(16 * 7 * 7, 10))

optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
losses = []
for _epoch in range(3):
    for chosen in torch.randperm(len(x)).split(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
model.eval()

with torch.no_grad():
    real = model(torch.tensor(data.test_x)).numpy()
print(f"float accuracy: {np.mean(real.argmax(1) == data.test_y):.2%}")

figure, axis = plt.subplots()
axis.plot(losses)
axis.set(title="Training", xlabel="batch of 100 images", ylabel="cross-entropy", yscale="log")
plt.show()
# %% [markdown]
# ## 2. Quantize
#
# Each tensor gets a **scale** and a **zero point**, and from then on holds integers from −128 to 127:
#
# > real value = scale · (integer − zero point)
#
# To choose the scales, nanotool must know which values occur. So it asks for some hundred typical inputs: the *calibration
# data*.

# %%
quantized = nanotool.quantize(model, data.train_x[:500], name="digits", labels=data.labels)
print(quantized)

# %% [markdown]
# One line a layer (ReLU and pooling have been merged into the convolution before them): the shape of its output, its
# multiply-accumulates, the bytes of its weights, and its signal-to-noise ratio: how far the rounding noise lies below the
# signal. 40 dB means a hundredth of the signal's size.
#
# What does a layer look like inside? Below, the values that `pool1` gives for one image: as floats, as the integers that stand
# for them, and the difference.

# %%
image = data.test_x[:1]
with torch.no_grad():
    floats = model[:3](torch.tensor(image))[0].numpy()
code = quantized.simulate_layers(quantized.graph.input_tensor.quantize(image))["pool1"][0]
tensor = quantized.graph.tensors["pool1"]
error = tensor.dequantize(code).transpose(2, 0, 1) - floats

channel = int(floats.max(axis=(1, 2)).argmax())
figure, axes = plt.subplots(1, 3, figsize=(8, 2.7))
pictures = (
    ("float32", floats[channel], "viridis", None),
    ("int8", code[..., channel], "viridis", None),
    ("error, in steps", error[channel] / tensor.scale, "coolwarm", 1),
)
for axis, (title, picture, colours, limit) in zip(axes, pictures, strict=True):
    drawn = axis.imshow(picture, cmap=colours, vmin=limit and -limit, vmax=limit)
    axis.set_title(title)
    axis.axis("off")
    figure.colorbar(drawn, ax=axis, shrink=0.8)
print(f"pool1: scale {tensor.scale:.5f}, zero point {tensor.zero_point}")
print(f"greatest error {np.abs(error).max() / tensor.scale:.2f} steps of the scale")

# %% [markdown]
# The picture is the same; the error is about half a step where something was rounded. That is all that quantization does.
#
# ## 3. Run it in C
#
# `run` uses the C library in this process. `simulate` computes the same in NumPy, written independently: both must agree in
# every byte. That two implementations agree is what makes the bytes trustworthy; that they are near PyTorch is what makes
# them useful.

# %%
scores = quantized.run(data.test_x)
assert np.array_equal(scores[:200], quantized.simulate(data.test_x[:200]))
print(f"float accuracy: {np.mean(real.argmax(1) == data.test_y):.2%}")
print(f"int8 accuracy:  {np.mean(scores.argmax(1) == data.test_y):.2%}")
print(f"same answer:    {np.mean(scores.argmax(1) == real.argmax(1)):.2%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
left.plot([real.min(), real.max()], [real.min(), real.max()], color="tab:gray", linewidth=1)
left.scatter(real[:300], scores[:300], s=4, alpha=0.4)
left.set(title="All scores of 300 images", xlabel="PyTorch, float32", ylabel="C, int8")
step = quantized.graph.output_tensor.scale
right.hist(((scores - real) / step).ravel(), bins=40)
right.set(title="Difference", xlabel="steps of int8", ylabel="scores", yscale="log")
plt.show()
# %% [markdown]
# Nearly all scores are within one step. The few that are further off are of images more extreme than any in the calibration
# data: they saturate. More calibration data make them fewer.
#
# ## 4. Memory
#
# Weights stay in flash. What changes while the network runs lies in one piece of RAM, the **arena**, whose size is known
# before anything runs: the planner places every tensor so that one takes the place of another as soon as that is no longer
# needed.

# %%
print(quantized.memory_plan())

# %% [markdown]
# ## 5. On the board
#
# `board="stm32"` generates C, compiles the firmware for an STM32F405 (Cortex-M4), boots it in an emulator, and talks to it
# over its serial console. Every byte that comes back is compared with the simulator's; a single one that differs raises an
# error. With a real board it is the same call, with `port="/dev/ttyUSB0"`.

# %%
answers = quantized.run(data.test_x[:20], board="stm32")
assert np.array_equal(answers, scores[:20])
print("the board says:", *(data.labels[i] for i in answers.argmax(1)))
print("it should say: ", *(data.labels[i] for i in data.test_y[:20]))

# %% [markdown]
# Every byte was right. From here:
#
# - `quantized.export("digits")` writes the C sources for a firmware of your own,
# - `quantized.report("digits.html")` the page that shows all of this in a browser,
# - [02](02_mlp.ipynb) opens the box: the arithmetic of a layer, by hand.
