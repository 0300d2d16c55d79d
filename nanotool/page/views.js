// What one looks at: bars of classes, pictures of tensors, curves.

/** An element: make("p", {class: "note"}, "text", child, ...). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const plain = (value) => value.toLocaleString("en");
const short = (value) => (Number.isInteger(value) ? plain(value) : Number(value.toPrecision(4)).toString());
const COLOURS = ["#3b82f6", "#14b8a6", "#d97706", "#a855f7", "#ef4444", "#65a30d", "#64748b", "#ec4899"];

/** Grey or RGB pixels of `values` [height][width][channels] from `low` to `high` on `canvas`. */
function drawPixels(canvas, values, height, width, channels, low, high) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const factor = 255 / (high - low || 1);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      const value = values[pixel * channels + (channels === 3 ? colour : 0)];
      image.data[4 * pixel + colour] = (value - low) * factor;
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** One curve a sensor: `values` [time][sensors]. */
function drawCurves(canvas, values, time, sensors, low, high) {
  canvas.width = Math.max(128, Math.min(640, 4 * time));
  canvas.height = 128;
  const context = canvas.getContext("2d");
  const x = (canvas.width - 4) / Math.max(1, time - 1);
  const y = (canvas.height - 8) / (high - low || 1);
  for (let sensor = 0; sensor < sensors; sensor++) {
    context.beginPath();
    context.strokeStyle = COLOURS[sensor % COLOURS.length];
    context.lineWidth = 2;
    for (let step = 0; step < time; step++) {
      const value = values[step * sensors + sensor];
      context.lineTo(2 + step * x, canvas.height - 4 - (value - low) * y);
    }
    context.stroke();
  }
}

function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** The time axis of a window of few sensors: {time, sensors, values [time][sensors]}. */
function asCurves(values, shape) {
  const [rows, columns] = shape.filter((extent) => extent !== 1);
  if (rows >= columns) return { time: rows, sensors: columns, values };
  const turnedValues = Array.from({ length: rows * columns }, (_, index) =>
    values[(index % rows) * columns + Math.floor(index / rows)]);
  return { time: columns, sensors: rows, values: turnedValues };
}

/** An input of any kind as a small picture. */
function drawInput(canvas, values, tensor) {
  const [low, high] = extremes(values);
  const { shape, kind } = tensor;
  if (kind === "picture") {
    drawPixels(canvas, values, shape[0], shape[1], shape[2], low, high);
  } else if (kind === "curves") {
    const curves = asCurves(values, shape);
    drawCurves(canvas, curves.values, curves.time, curves.sensors, low, high);
  } else if (shape.filter((extent) => extent !== 1).length === 2) {
    const [rows, columns] = shape.filter((extent) => extent !== 1);
    drawPixels(canvas, values, rows, columns, 1, low, high);
  } else {
    drawCurves(canvas, values, values.length, 1, low, high);
  }
}

const MOST_CHANNELS = 64;
const MOST_PIXELS = 400_000;

/** A layer's output: channels side by side, or a row of cells where it has no height and width. */
function drawLayer(canvas, values, shape) {
  const [low, high] = extremes(values);
  const channels = shape[shape.length - 1];
  const width = shape.length > 1 ? shape[shape.length - 2] : 1;
  const height = shape.length > 2 ? shape[shape.length - 3] : 1;
  if (width * height === 1) {
    const columns = Math.min(channels, Math.max(8, Math.ceil(Math.sqrt(channels * 4))));
    const rows = Math.ceil(channels / columns);
    const cells = new Float32Array(rows * columns).fill(low);
    cells.set(values);
    drawPixels(canvas, cells, rows, columns, 1, low, high);
    return;
  }
  const shown = Math.max(1, Math.min(channels, MOST_CHANNELS, Math.floor(MOST_PIXELS / (width * height))));
  const columns = Math.max(1, Math.round(Math.sqrt((shown * 2 * height) / width)));
  const rows = Math.ceil(shown / columns);
  const [tall, wide] = [rows * (height + 1) - 1, columns * (width + 1) - 1];
  const tiles = new Float32Array(tall * wide).fill(low);
  for (let channel = 0; channel < shown; channel++) {
    const top = Math.floor(channel / columns) * (height + 1);
    const left = (channel % columns) * (width + 1);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        tiles[(top + y) * wide + left + x] = values[(y * width + x) * channels + channel];
  }
  drawPixels(canvas, tiles, tall, wide, 1, low, high);
}

const MOST_BARS = 24;

/** Bars of an output's elements, the largest first to be seen where there are many. */
class Bars {
  constructor(tensor, labels, title) {
    this.tensor = tensor;
    this.labels = labels;
    this.element = make("div", { role: "list", "aria-label": title });
    if (title) this.element.append(make("p", { class: "note" }, title));
    this.rows = [];
  }

  label(index) {
    return this.labels[index] ?? `${index}`;
  }

  show(values) {
    const order = Array.from(values.keys());
    if (values.length > MOST_BARS) order.sort((a, b) => values[b] - values[a]).length = MOST_BARS;
    while (this.rows.length < order.length) this.addRow();
    const [low, high] = LIMITS[this.tensor.type] ?? extremes(values);
    const best = values.indexOf(extremes(values)[1]);
    order.forEach((index, row) => {
      const { element, name, bar, number } = this.rows[row];
      element.classList.toggle("best", index === best && values.length > 1);
      name.textContent = name.title = this.label(index);
      bar.style.width = `${(100 * (values[index] - low)) / (high - low || 1)}%`;
      number.textContent = `${short(real(values[index], this.tensor))}  (${short(values[index])})`;
    });
    return best;
  }

  addRow() {
    const name = make("span"), bar = make("i"), number = make("span");
    const element = make("div", { class: "class", role: "listitem" }, name,
      make("span", { class: "gauge" }, bar), number);
    this.rows.push({ element, name, bar, number });
    this.element.append(element);
  }
}

/** All layers' outputs. */
class Layers {
  constructor(facts, element) {
    this.cards = facts.layers.map((layer) => {
      const canvas = make("canvas", { role: "img", "aria-label": `output of ${layer.name}` });
      const work = [layer.shape.join("×"), layer.macs && `${plain(layer.macs)} MAC`,
        layer.weights && `${plain(layer.weights)} B`].filter(Boolean).join(" · ");
      const card = make("div", { class: "layer" }, make("strong", {}, layer.name),
        make("small", {}, layer.kind, make("br"), work), canvas);
      element.append(card);
      return { card, canvas, layer };
    });
  }

  show(outputs) {
    this.cards.forEach(({ canvas, layer }, index) => {
      canvas.hidden = !outputs[index];
      if (outputs[index]) drawLayer(canvas, outputs[index], layer.shape);
    });
  }

  /** Mark the layer that differs on the board; -1: none does. */
  mark(differs) {
    this.cards.forEach(({ card }, index) => card.classList.toggle("differs", index === differs));
  }
}
