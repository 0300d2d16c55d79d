# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Transfer learning, on the board
#
# A network is trained once, on a PC, with many examples. Its user has few examples, of something else, and they are on the
# device. **Transfer learning**: keep the layers that see (the *backbone*, frozen, int8, in flash), and train anew only the
# last one that decides (the *head*, in RAM).
#
# Here the backbone has only ever seen the digits 0 to 7. An emulated STM32 then learns 8 and 9, from fifty examples of
# each, by gradient descent, with integers only.

# %%
import sys
from collections import OrderedDict
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import nanotool
from nanotool.bench import connect
from nanotool.boards import find_board
from nanotool.build import build
from nanotool.datasets import load_mnist
from nanotool.device import Trainer
from nanotool.training import HeadOptions, arena_size, cut
from nanotool.training import Recipe as HeadRecipe
from nanotool.training.session import (
    LocalTrainer,
    TrainOptions,
    checkpoint,
    remember,
    restored,
    train,
)

sys.path.append("..")
from examples.fit import fit
from examples.task import Recipe

plt.style.use("notebook.mplstyle")

# %% [markdown]
# ## The backbone, on the PC
#
# As in [01](01_pipeline.ipynb), but 8 and 9 are taken out of the training data. Behind the convolutions there is a layer of 64
# *features*; `head` makes classes of them. The images are bent a little, each time in another way: the more varied they are,
# the more the features are worth for digits that nobody has thought of yet.

# %%
data = load_mnist().first(train=12_000, test=2_000)
known = data.train_y < 8
taught_at_home = replace(data, train_x=data.train_x[known], train_y=data.train_y[known])


def network():
    layers = OrderedDict()
    layers["conv1"] = nn.Conv2d(1, 8, 3, padding=1)
    layers["relu1"] = nn.ReLU()
    layers["pool1"] = nn.MaxPool2d(2)
    layers["conv2"] = nn.Conv2d(8, 16, 3, padding=1)
    layers["relu2"] = nn.ReLU()
    layers["pool2"] = nn.MaxPool2d(2)
    layers["flatten"] = nn.Flatten()
    layers["features"] = nn.Linear(16 * 7 * 7, 64)
    layers["relu3"] = nn.ReLU()
    layers["head"] = nn.Linear(64, 8)
    return nn.Sequential(layers)


def bent(images):
    """Each image turned, stretched, sheared and moved by chance."""
    maps = torch.eye(2, 3) + 0.15 * torch.randn(len(images), 2, 3)
    grid = nn.functional.affine_grid(maps, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


at_home = Recipe(epochs=3, learning_rate=4e-3, augment=bent)
model = fit(network, taught_at_home, at_home, threads=1)
quantized = nanotool.quantize(model, taught_at_home.train_x[:500], name="digits")
answers = quantized.run(data.test_x).argmax(1)
old = data.test_y < 8
print(f"0 to 7: {np.mean(answers[old] == data.test_y[old]):.1%} right")
print(f"8 and 9: {np.mean(answers[~old] == data.test_y[~old]):.1%} right, of course")

# %% [markdown]
# ## Cut
#
# `cut` parts the model before `head`. What lies before stays as it is. The head gets room for ten classes, and a **replay
# buffer**: old examples, which it sees again and again among the new ones. Without them it would forget the old digits. The
# learning rate falls along a cosine, to 0 after 512 mini-batches of 8.

# %%
on_board = HeadRecipe(rate=0.005, momentum=0.9, batch=8, schedule="cosine", period=512)
trainable = cut(quantized.graph, ["head"], HeadOptions(classes=10, slots=300, recipe=on_board))
backbone = nanotool.QuantizedModel(trainable.backbone)
print(f"{trainable.config.features} features, of each the board keeps one byte")
print(f"{arena_size(trainable.config):,} bytes of RAM for the head, its optimizer and 300 examples")

# %% [markdown]
# Can features that were made for 0 to 7 tell 8 from 9? Look at them: 64 numbers an image, seen from the direction in which 8
# stands out most from the old digits, and from that for 9 (Fisher's linear discriminant).

# %%
codes = backbone.graph.input_tensor.quantize(data.test_x)
features = backbone.run(codes).reshape(len(codes), -1)
spread = np.cov(features.T) + np.eye(64)
usual = features[old].mean(axis=0)

_, axis = plt.subplots(figsize=(8, 4.4))
groups = {"0 to 7": old, "8, never seen": data.test_y == 8, "9, never seen": data.test_y == 9}
directions = [
    np.linalg.solve(spread, features[data.test_y == digit].mean(axis=0) - usual) for digit in (8, 9)
]
for (label, chosen), colour in zip(groups.items(), ("lightgray", "C0", "C1"), strict=True):
    place = (features[chosen] - usual) @ np.transpose(directions)
    axis.scatter(*place.T, s=6, color=colour, label=label)
axis.set(title="Features of 2,000 test images", xlabel="like an 8", ylabel="like a 9")
axis.legend(markerscale=3)
plt.show()

# %% [markdown]
# The new digits stand apart, though not without overlap. That is what the head has to work with.
#
# ## Learn on the board
#
# The firmware is built with the head in it, and booted in an emulator. Then, over the serial line: twenty examples of each old
# digit for the replay buffer, fifty of 8 and of 9 to learn, and rehearsal: 400 examples from the buffer at a time. After
# each portion the head is fetched, to see how well it does on the test images.

# %%
chance = np.random.default_rng(1)


def some(digits, count):
    chosen = [chance.choice(np.flatnonzero(data.train_y == d), count, False) for d in digits]
    index = chance.permutation(np.concatenate(chosen))
    return data.train_x[index], data.train_y[index]


before, new = some(range(8), 20), some((8, 9), 50)


def session(trainer):
    """The whole session; the head after each portion, and all of it at the end."""
    remember(trainer, trainable, *before)
    trained = train(trainer, trainable, *new, TrainOptions(epochs=1))
    heads = [trainer.fetch("head")]
    for _ in range(10):
        trainer.step(400)
        heads.append(trainer.fetch("head"))
    return trained.losses(), heads, trainer.fetch("all")


board = find_board("stm32")
with connect(board, build(trainable, board).elf) as device:
    losses, heads, state = session(Trainer(device))
print(
    f"{board.title}: loss {np.mean(losses[:10]):.2f} at first, {np.mean(losses[-10:]):.2f} at the end"
)


# %%
def int8_answers(state):
    """What the head says to all test images, made int8 again as the board infers with it."""
    head = restored(trainable, state)
    head.quantize()
    return head.infer(features).argmax(axis=1)


right = np.array([int8_answers(head) == data.test_y for head in heads])
rehearsed = 400 * np.arange(len(heads))
_, axis = plt.subplots()
axis.plot(rehearsed, 100 * right[:, old].mean(axis=1), "o-", label="0 to 7, of the backbone")
axis.plot(rehearsed, 100 * right[:, ~old].mean(axis=1), "s-", label="8 and 9, learned on the board")
axis.set(
    title="Learning on the board", xlabel="examples rehearsed", ylabel="% right", ylim=(0, 101)
)
axis.legend(loc="lower right")
plt.show()

final = int8_answers(state)
print(f"0 to 7: {np.mean(final[old] == data.test_y[old]):.1%} right")
print(f"8 and 9: {np.mean(final[~old] == data.test_y[~old]):.1%} right")

# %% [markdown]
# At the left edge, one pass over the new examples alone has taught 8 and 9, and **wiped out** all the old digits. This is called
# catastrophic forgetting. Rehearsal brings them back; as the learning rate falls, the two come to rest.
#
# ## The same bytes
#
# Training in integers is exact: the same session, given to the C library in this process, must end with the very same head,
# its optimizer and its replay buffer.

# %%
_, _, here = session(LocalTrainer(trainable))
print(f"{sum(a != b for a, b in zip(here, state, strict=True))} of {len(state):,} bytes differ")
assert here == state

# %% [markdown]
# ## What it mixes up
#
# And the way back: the board's weights go into PyTorch, for the next firmware.

# %%
model.head = nn.Linear(64, 10)
weights = checkpoint(trainable, state)
model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()}, strict=False)
with torch.no_grad():
    real = model(torch.tensor(data.test_x)).argmax(1).numpy()
print(f"PyTorch with the board's weights: {np.mean(real == data.test_y):.1%} of all ten right")
print(f"the board's int8 head:            {np.mean(final == data.test_y):.1%}")

matrix = np.zeros((10, 10), int)
np.add.at(matrix, (data.test_y, final), 1)
figure, axis = plt.subplots(figsize=(4.6, 4.2))
axis.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
for (truth, answer), count in np.ndenumerate(matrix):
    if count:
        shade = "white" if count > matrix[truth].sum() / 2 else "black"
        axis.text(answer, truth, count, ha="center", va="center", color=shade, fontsize=8)
axis.set(title="After learning 8 and 9", xlabel="int8 answer", ylabel="truth")
axis.set(xticks=range(10), yticks=range(10))
axis.grid(False)
plt.show()

# %% [markdown]
# The formulas, the other optimizers and the memory that each takes are in [docs/training.md](../docs/training.md).
