# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. A deep CNN, and its noise, layer by layer
#
# Every int8 layer rounds its output. One rounding is harmless ([01](01_pipeline.ipynb)), but a deep network rounds again and
# again: does the noise grow until nothing is left? This notebook measures it: in a network of seven layers that tells shirts
# from shoes.

# %%
import sys
from collections import OrderedDict

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.datasets import load_fashion
from nanotool.simulate import run_op

sys.path.append("..")
from examples.fit import fit, predict
from examples.task import Recipe

plt.style.use("notebook.mplstyle")

# %% [markdown]
# ## The network
#
# Fashion-MNIST: ten kinds of clothing, 28 × 28 pixels. Three stages of two convolutions each; after each stage the picture is
# half as large and has more channels. Batch normalization makes such depth trainable. It costs nothing later: quantizing folds
# it into the weights.

# %%
data = load_fashion().first(train=5_000, test=1_000)

figure, axes = plt.subplots(1, 10, figsize=(8, 1.2))
for kind, axis in enumerate(axes):
    axis.imshow(data.train_x[data.train_y == kind][0, 0])
    axis.set_title(data.labels[kind].split()[0], loc="center", fontsize=8)
    axis.axis("off")
plt.show()


# %%
def network():
    layers = OrderedDict()
    channels = 1
    for stage, wide in enumerate((8, 16, 24), start=1):
        for part in "ab":
            layers[f"conv{stage}{part}"] = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
            layers[f"norm{stage}{part}"] = nn.BatchNorm2d(wide)
            layers[f"relu{stage}{part}"] = nn.ReLU()
            channels = wide
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(24 * 3 * 3, 10)
    return nn.Sequential(layers)


recipe = Recipe(epochs=3, learning_rate=1e-2, batch=64)
model = fit(network, data, recipe, threads=1)
quantized = nanotool.quantize(model, data.train_x[:500], name="fashion", labels=data.labels)
print(quantized)
print(f"float accuracy: {np.mean(predict(model, data.test_x) == data.test_y):.1%}")
print(f"int8 accuracy:  {np.mean(quantized.run(data.test_x).argmax(1) == data.test_y):.1%}")

# %% [markdown]
# ## Noise by layer
#
# The column on the right of the table is each layer's signal-to-noise ratio in dB: 10 · log₁₀(Σ float² / Σ (int8 − float)²). That
# noise has *added up* from the input to there. How much of it is the layer's own? To find out, feed each layer what PyTorch
# computed, rounded once: then all noise at its output is that of this layer, its weights and its two roundings.


# %%
def float_layers(net, images):
    """What PyTorch gives behind each layer, channels last, under the names that the int8 layers have."""
    with torch.no_grad():
        value = torch.tensor(images)
        found = {"input": value}
        for name, module in net.named_children():
            value = module(value)
            found[name.replace("relu", "conv")] = value  # conv, norm and ReLU are one int8 layer
    return {
        name: (value.permute(0, 2, 3, 1) if value.ndim == 4 else value).numpy()
        for name, value in found.items()
    }


def decibel(signal, noisy):
    return 10 * np.log10((signal**2).sum() / ((noisy - signal) ** 2).sum())


def noise(net, int8, images):
    """For each layer: its name, the ratio of what has added up, the ratio of the layer alone."""
    graph, real, integer = int8.graph, float_layers(net, images), int8.simulate_layers(images)
    rows = []
    for op in graph.ops:
        if op.weight is None:
            continue  # pools and flatten round nothing
        (source,), target = op.inputs, graph.tensors[op.name]
        ideal = real["pool3"].reshape(len(images), -1) if source == "flatten" else real[source]
        alone = target.dequantize(run_op(graph, op, graph.tensors[source].quantize(ideal)))
        rows.append(
            (op.name, decibel(real[op.name], integer[op.name]), decibel(real[op.name], alone))
        )
    return rows


images = data.test_x[:100]
rows = noise(model, quantized, images)


def plot_noise(rows, title):
    names, added_up, alone = zip(*rows, strict=True)
    _, axis = plt.subplots()
    axis.plot(names, alone, "o--", color="tab:gray", label="this layer alone")
    axis.plot(names, added_up, "o-", color="C1", label="added up from the input")
    axis.fill_between(names, added_up, alone, color="C1", alpha=0.12)
    axis.set(title=title, ylabel="signal to noise, dB", ylim=(0, 50))
    axis.legend(loc="lower left")
    plt.show()


plot_noise(rows, "Noise by layer")

# %% [markdown]
# The noise does **not** grow without end. Every layer adds its own, but a convolution also sums over dozens of inputs whose
# errors cancel in part. So a deep int8 network levels off, here at about a sixtieth of the signal (36 dB), and the classes
# stay apart.
#
# ## What it looks like
#
# One boot on its way through the network: a channel of each stage, as floats, as int8, and the error (in steps of int8).

# %%
real, integer = float_layers(model, images[:1]), quantized.simulate_layers(images[:1])
figure, axes = plt.subplots(3, 7, figsize=(8, 3.5))
for column, name in zip(axes.T, ("input", *(row[0] for row in rows[:-1])), strict=True):
    scale = quantized.graph.tensors[name].scale
    channel = int(real[name][0].std(axis=(0, 1)).argmax())
    before, after = real[name][0, ..., channel], integer[name][0, ..., channel]
    column[0].imshow(before, cmap="viridis")
    column[1].imshow(after, cmap="viridis")
    drawn = column[2].imshow((after - before) / scale, cmap="coolwarm", vmin=-4, vmax=4)
    column[0].set_title(name, fontsize=9)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.grid(False)
for axis, text in zip(axes[:, 0], ("float32", "int8", "error"), strict=True):
    axis.set_ylabel(text)
figure.colorbar(drawn, ax=axes[2], label="steps", shrink=0.9)
plt.show()

# %% [markdown]
# ## A layer that goes wrong
#
# int8 gives all channels of a layer the same steps. What if one channel is a hundred times as large as the others? We can build
# such a network from ours: scale a channel up, and scale the weights that read it down by as much. In floats **nothing
# changes**. In int8, the other channels of that layer are left with a few steps each.

# %%
lopsided = network().eval()
lopsided.load_state_dict(model.state_dict())
with torch.no_grad():
    lopsided.norm2a.weight[3] *= 100
    lopsided.norm2a.bias[3] *= 100
    lopsided.conv2b.weight[:, 3] /= 100

spoiled = nanotool.quantize(lopsided, data.train_x[:500], observer="minmax")
print(f"float accuracy: {np.mean(predict(lopsided, data.test_x) == data.test_y):.1%}")
print(f"int8 accuracy:  {np.mean(spoiled.run(data.test_x).argmax(1) == data.test_y):.1%}")
plot_noise(noise(lopsided, spoiled, images), "One channel of conv2a a hundred times as large")

# %% [markdown]
# A **drop** is what to look for, in this picture and in the table that `nanotool quantize` prints. It is deepest at conv2b,
# one layer behind the cause: in conv2a's own figure the large channel hides how badly the others fare; conv2b, which divides
# it by a hundred again, shows it. So look at the layer with the drop and at what it reads, for channels much larger
# than the rest. Batch normalization before the activation, ReLU6, or weight decay in training keep channels alike.
#
# ## How much calibration data?
#
# The scales come from the calibration data. Too few images, and later ones saturate. The observers choose differently:
# `minmax` covers all that it saw, `percentile` and `mse` cut rare values to give the others finer steps. `auto`, the default,
# tries more than these on three quarters of the images, corrects biases, and keeps what is best on the rest; it takes at least
# 64 images.

# %%
counts = (16, 64, 256, 1024)
ideal = float_layers(model, data.test_x[:500])["dense"]
_, axis = plt.subplots()
for observer in ("auto", "minmax", "percentile", "mse"):
    ratios, used = [], [count for count in counts if observer != "auto" or count >= 64]
    for count in used:
        each = nanotool.quantize(model, data.train_x[:count], observer=observer)
        ratios.append(decibel(ideal, each.run(data.test_x[:500])))
    axis.plot(used, ratios, "o-", label=observer)
axis.set(title="Scores of 500 test images", xlabel="calibration images", xscale="log")
axis.set(ylabel="signal to noise, dB", ylim=(0, None))
axis.set_xticks(counts, [str(count) for count in counts])
axis.minorticks_off()
axis.legend()
plt.show()

# %% [markdown]
# Some hundred images are enough here. What `auto` tried, on the images held back; with `targets` it minds the accuracy, too:

# %%
chosen = nanotool.quantize(model, data.train_x[:256], targets=data.train_y[:256])
for trial in chosen.trials:
    print(
        f"{trial.sqnr_db:5.1f} dB {trial.accuracy:6.1%} {'*' if trial.chosen else ' '} {trial.name}"
    )

# %% [markdown]
# More in
# [docs/quantization.md](../docs/quantization.md). Next: [04](04_activations.ipynb), what int8 does to curves.
