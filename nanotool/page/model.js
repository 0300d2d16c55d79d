// The model at work: the C library in WebAssembly (page.c), and numbers on their way to it.

/** {q, beyond}: real `values` as `tensor` holds them, and how many of them saturate. Halves away
 *  from zero, as nanotool quantizes. */
function quantize(values, tensor) {
  const q = new ARRAYS[tensor.type](values.length);
  if (!LIMITS[tensor.type]) {
    q.set(values);
    return { q, beyond: 0 };
  }
  const [low, high] = LIMITS[tensor.type];
  let beyond = 0;
  values.forEach((value, index) => {
    const scaled = value / tensor.scale;
    const whole = Math.trunc(scaled + Math.sign(scaled) * 0.5) + tensor.zero;
    const exact = scaled + tensor.zero;
    if (exact < low - 0.5 || exact > high + 0.5) beyond++;
    q[index] = Math.min(high, Math.max(low, whole));
  });
  return { q, beyond };
}

const real = (q, tensor) => (LIMITS[tensor.type] ? (q - tensor.zero) * tensor.scale : q);

/** Least and largest real value that `tensor` holds. */
function range(tensor) {
  return LIMITS[tensor.type]?.map((end) => real(end, tensor)) ?? [-1, 1];
}

/** `values` in PyTorch's order (C, H, W) as the device has them (H, W, C); order[i] is the axis of
 *  the one that is axis i of the other. */
function turned(values, tensor) {
  const { shape, order } = tensor;
  if (!order.length) return values;
  const user = [];
  order.forEach((axis, index) => (user[axis] = shape[index]));
  const strides = user.map((_, axis) => product(user.slice(axis + 1)));
  return values.map((_, index) => {
    let from = 0, rest = index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += (rest % shape[axis]) * strides[order[axis]];
      rest = Math.floor(rest / shape[axis]);
    }
    return values[from];
  });
}

class Model {
  static async open(facts, bytes) {
    const model = new Model();
    model.facts = facts;
    model.layers = [];
    const script = {
      op_end: (op, address) => model.keepLayer(op, address),
      step_end: (count) => model.onStep?.(count),
    };
    const { instance } = await WebAssembly.instantiate(bytes, { script });
    model.c = instance.exports;
    const status = model.c.start(1);
    if (status !== 0) throw Error(`The model does not start: nano_status ${status}.`);
    return model;
  }

  /** A view of `tensor` at `address`, until the memory grows. */
  at(address, tensor) {
    return new ARRAYS[tensor.type](this.c.memory.buffer, address, product(tensor.shape));
  }

  keepLayer(op, address) {
    const layer = this.facts.layers[op];
    this.layers[op] = layer.whole ? this.at(address, layer).slice() : null;
  }

  /** One inference, or one step: {outputs, layers, crc, milliseconds}; all arrays are copies. */
  run(inputs) {
    inputs.forEach((data, index) => this.at(this.c.input(index), this.facts.inputs[index]).set(data));
    const begin = performance.now();
    this.c.run();
    return this.result(performance.now() - begin);
  }

  /** What the newest inference left. */
  result(milliseconds) {
    const outputs = this.facts.outputs.map((tensor, index) =>
      this.at(this.c.output(index), tensor).slice());
    const crc = outputs.reduce((value, output) => crc32(bytesOf(output), value), 0);
    return { outputs, layers: this.layers.slice(), crc, milliseconds };
  }

  reset() {
    this.c.reset();
  }

  // A model that listens: samples in, features and decisions out.

  forget() {
    this.c.forget();
  }

  /** Feed int16 `samples`; `onFrame(features)` for each piece that may have completed a frame. */
  feed(samples, onFrame) {
    const { step, features, signed, channels } = this.facts.stream;
    const piece = Math.min(step * Math.max(1, channels), 1024);
    for (let start = 0; start < samples.length; start += piece) {
      const part = samples.subarray(start, start + piece);
      new Int16Array(this.c.memory.buffer, this.c.samples(), part.length).set(part);
      this.c.feed(part.length);
      const kind = signed ? Int16Array : Uint16Array;
      onFrame?.(new kind(this.c.memory.buffer, this.c.frame(), features).slice());
    }
  }

  /** What the rule compared in the newest step, one a class. */
  sums() {
    const count = this.facts.stream.classes.length;
    return Array.from(new Int32Array(this.c.memory.buffer, this.c.sums(), count));
  }

  /** The newest step's `count` decisions: {step, index, sum}. */
  decisions(count) {
    const view = new DataView(this.c.memory.buffer, this.c.decisions(), 12 * count);
    return Array.from({ length: count }, (_, i) => ({
      step: view.getUint32(12 * i, true),
      index: view.getUint16(12 * i + 4, true),
      sum: view.getInt32(12 * i + 8, true),
    }));
  }
}
