// Ways to give a model its input: one class a kind. Each calls `use(values, raw)` with numbers in
// the device's layout: real ones, or (raw) the tensor's own integers.

const fileButton = (label, accept, onFile) => {
  const input = make("input", {
    type: "file", accept,
    onchange: async () => {
      const [file] = input.files;
      input.value = "";
      if (file) await report(() => onFile(file));
    },
  });
  return make("label", { class: "file" }, label, input);
};

/** A picture: drawn, from a file, from the camera. */
class PictureInput {
  constructor(tensor, samples, use) {
    Object.assign(this, { tensor, use });
    [this.height, this.width, this.channels] = tensor.shape;
    this.ink = inkOf(samples, tensor);
    this.paper = make("canvas", {
      class: "paper", tabindex: 0, role: "img",
      "aria-label": "Draw here with the mouse or a finger; or choose a sample or a file.",
    });
    const side = 280 / Math.max(this.height, this.width);
    this.paper.width = Math.round(this.width * side);
    this.paper.height = Math.round(this.height * side);
    this.context = this.paper.getContext("2d", { willReadFrequently: true });
    this.video = make("video", { playsinline: true, muted: true });
    this.cameraButton = make("button", { type: "button", onclick: () => report(() => this.camera()) }, "Camera");
    this.element = make("div", {}, this.paper, make("div", { class: "tools" },
      make("button", { type: "button", onclick: () => this.clear() }, "Clear"),
      fileButton("Picture…", "image/*", (file) => this.file(file)), this.cameraButton), this.video);
    this.listen();
    this.wipe();
  }

  wipe() {
    this.context.fillStyle = this.ink.background;
    this.context.fillRect(0, 0, this.paper.width, this.paper.height);
    this.strokes = null;
  }

  clear() {
    this.stopCamera();
    this.wipe();
    this.read(false);
  }

  listen() {
    const at = (event) => {
      const box = this.paper.getBoundingClientRect();
      return [((event.clientX - box.left) * this.paper.width) / box.width,
        ((event.clientY - box.top) * this.paper.height) / box.height];
    };
    let last = null;
    this.paper.addEventListener("pointerdown", (event) => {
      this.stopCamera();
      if (!this.strokes) this.wipe();
      this.strokes ??= [Infinity, Infinity, -Infinity, -Infinity];
      last = at(event);
      this.stroke(last, last);
      this.paper.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.paper.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) {
        const next = at(each);
        this.stroke(last, next);
        last = next;
      }
      this.later();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.paper.addEventListener(name, () => {
        if (last) this.read(true);
        last = null;
      });
    }
  }

  stroke(from, to) {
    const width = this.ink.stroke * this.paper.width;
    Object.assign(this.context, { strokeStyle: this.ink.colour, lineWidth: width, lineCap: "round" });
    this.context.beginPath();
    this.context.moveTo(...from);
    this.context.lineTo(...to);
    this.context.stroke();
    for (const [x, y] of [from, to]) {
      const [left, top, right, bottom] = this.strokes;
      this.strokes = [Math.min(left, x - width / 2), Math.min(top, y - width / 2),
        Math.max(right, x + width / 2), Math.max(bottom, y + width / 2)];
    }
  }

  /** At most one inference a picture that the screen shows. */
  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.read(true);
    });
  }

  /** Give the paper to the model; a drawing is put where the samples have theirs. */
  read(drawn) {
    const small = make("canvas", { width: this.width, height: this.height });
    const context = small.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.fillStyle = this.ink.background;
    context.fillRect(0, 0, this.width, this.height);
    if (drawn && this.strokes && this.ink.box) {
      const [left, top, right, bottom] = this.strokes;
      const [row, column, size] = this.ink.box;
      const factor = size / Math.max(right - left, bottom - top);
      const [wide, tall] = [(right - left) * factor, (bottom - top) * factor];
      context.drawImage(this.paper, left, top, right - left, bottom - top,
        column - wide / 2, row - tall / 2, wide, tall);
    } else {
      context.drawImage(this.paper, 0, 0, this.width, this.height);
    }
    this.take(context.getImageData(0, 0, this.width, this.height).data);
  }

  /** Pixels 0..255 over the range that the model covers. */
  take(rgba) {
    const [low, high] = range(this.tensor);
    const values = [];
    for (let pixel = 0; pixel < rgba.length; pixel += 4) {
      const colours = this.channels === 3 ? [rgba[pixel], rgba[pixel + 1], rgba[pixel + 2]]
        : [0.299 * rgba[pixel] + 0.587 * rgba[pixel + 1] + 0.114 * rgba[pixel + 2]];
      for (const colour of colours) values.push(low + ((high - low) * Math.round(colour)) / 255);
    }
    this.use(values, false);
  }

  cover(source, width, height) {
    const factor = Math.max(this.paper.width / width, this.paper.height / height);
    const [wide, tall] = [width * factor, height * factor];
    this.context.drawImage(source, (this.paper.width - wide) / 2, (this.paper.height - tall) / 2, wide, tall);
  }

  async file(file) {
    this.stopCamera();
    const picture = await createImageBitmap(file).catch(() => {
      throw Error(`${file.name} is no picture that this browser reads.`);
    });
    this.wipe();
    this.cover(picture, picture.width, picture.height);
    this.read(false);
  }

  async camera() {
    if (this.stream) return this.stopCamera();
    if (!navigator.mediaDevices) throw Error("This browser gives no camera to a page like this one.");
    this.stream = await navigator.mediaDevices.getUserMedia({ video: true });
    this.video.srcObject = this.stream;
    await this.video.play();
    this.wipe();
    this.cameraButton.classList.add("on");
    const look = () => {
      if (!this.stream) return;
      this.cover(this.video, this.video.videoWidth, this.video.videoHeight);
      this.read(false);
      setTimeout(look, 100);
    };
    look();
  }

  stopCamera() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.cameraButton.classList.remove("on");
  }

  /** Show numbers that came from elsewhere. */
  show(q) {
    this.stopCamera();
    const small = make("canvas");
    const [low, high] = LIMITS[this.tensor.type] ?? extremes(q);
    drawPixels(small, q, this.height, this.width, this.channels, low, high);
    this.wipe();
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(small, 0, 0, this.paper.width, this.paper.height);
    this.context.imageSmoothingEnabled = true;
  }
}

/** How samples are drawn: colours, how thick strokes are, and where what is drawn lies:
 *  [row, column, longer side] of a drawing on an even background; none without samples. */
function inkOf(samples, tensor) {
  const [height, width, channels] = tensor.shape;
  const none = { background: "#000", colour: "#fff", stroke: 0.08, box: null };
  if (channels !== 1 || !samples.length || !LIMITS[tensor.type]) return none;
  const [low, high] = LIMITS[tensor.type];
  const pixels = samples.map((sample) => typed(tensor.type, unbase64(sample)));
  const edges = pixels.flatMap((q) => [q[0], q[width - 1], q[q.length - width], q[q.length - 1]]);
  edges.sort((a, b) => a - b);
  const paper = edges[edges.length >> 1];
  const light = paper > (low + high) / 2;
  const boxes = pixels.map((q) => boxOf(q, paper, high - low, height, width)).filter(Boolean);
  const grey = Math.round((255 * (paper - low)) / (high - low));
  const colours = { background: `rgb(${grey},${grey},${grey})`, colour: light ? "#000" : "#fff" };
  const even = edges.every((edge) => Math.abs(edge - paper) < (high - low) / 16);
  if (!boxes.length || !even) return { ...none, ...colours };
  const mean = (pick) => boxes.reduce((sum, box) => sum + pick(box), 0) / boxes.length;
  return {
    ...colours,
    stroke: Math.min(0.2, Math.max(0.04, mean((box) => box.stroke) / width)),
    box: [mean((box) => (box.top + box.bottom) / 2), mean((box) => (box.left + box.right) / 2),
      mean((box) => Math.max(box.bottom - box.top, box.right - box.left))],
  };
}

/** Where ink lies, and how thick strokes are: twice its area over its outline. */
function boxOf(q, paper, full, height, width) {
  const box = { top: height, left: width, bottom: 0, right: 0 };
  const inked = (y, x) =>
    y >= 0 && x >= 0 && y < height && x < width && Math.abs(q[y * width + x] - paper) > full / 3;
  let area = 0, outline = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (inked(y, x)) {
        box.top = Math.min(box.top, y);
        box.left = Math.min(box.left, x);
        box.bottom = Math.max(box.bottom, y + 1);
        box.right = Math.max(box.right, x + 1);
        area++;
        outline += [[0, 1], [0, -1], [1, 0], [-1, 0]].filter(([a, b]) => !inked(y + a, x + b)).length;
      }
  return area ? { ...box, stroke: (2 * area) / outline } : null;
}

/** A vector: a slider a value. */
class ValuesInput {
  constructor(tensor, _samples, use) {
    const [low, high] = range(tensor);
    this.tensor = tensor;
    this.element = make("div");
    this.sliders = Array.from({ length: product(tensor.shape) }, (_, index) => {
      const shown = make("output", {}, "0");
      const slider = make("input", {
        type: "range", min: low, max: high, step: "any",
        "aria-label": `value ${index}`, oninput: () => this.read(use),
      });
      slider.value = Math.min(high, Math.max(low, 0));
      this.element.append(make("label", { class: "value" }, `${index}`, slider, shown));
      return { slider, shown };
    });
    this.tell();
  }

  read(use) {
    this.tell();
    use(this.sliders.map(({ slider }) => Number(slider.value)), false);
  }

  tell() {
    for (const { slider, shown } of this.sliders) shown.textContent = short(Number(slider.value));
  }

  show(q) {
    q.forEach((value, index) => (this.sliders[index].slider.value = real(value, this.tensor)));
    this.tell();
  }
}

/** Curves of sensors, and whatever else is a table of numbers: shown, and a phone's motion where
 *  the window has three sensors or six. */
class TableInput {
  constructor(tensor, _samples, use) {
    Object.assign(this, { tensor, use });
    this.canvas = make("canvas", { class: "screen", role: "img", "aria-label": "the input's values" });
    this.element = make("div", {}, this.canvas);
    const sensors = Math.min(...tensor.shape.filter((extent) => extent !== 1));
    if (tensor.kind === "curves" && [3, 6].includes(sensors) && "DeviceMotionEvent" in window) {
      this.sensors = sensors;
      this.motionButton = make("button", { type: "button", onclick: () => report(() => this.motion()) },
        "This phone's motion");
      this.element.append(make("div", { class: "tools" }, this.motionButton));
    }
    this.show(new ARRAYS[tensor.type](product(tensor.shape)).fill(tensor.zero));
  }

  show(q) {
    drawInput(this.canvas, q, this.tensor);
  }

  async motion() {
    if (this.listener) {
      removeEventListener("devicemotion", this.listener);
      this.listener = null;
      this.motionButton.classList.remove("on");
      return;
    }
    const allowed = await DeviceMotionEvent.requestPermission?.();
    if (allowed === "denied") throw Error("The browser does not give its motion sensors to this page.");
    const rows = [];
    const time = Math.max(...this.tensor.shape);
    this.listener = ({ accelerationIncludingGravity: a, rotationRate: turn }) => {
      if (a?.x == null) return;
      rows.push([a.x, a.y, a.z, turn?.alpha ?? 0, turn?.beta ?? 0, turn?.gamma ?? 0].slice(0, this.sensors));
      if (rows.length > time) rows.shift();
      if (rows.length === time) this.use(this.laid(rows), false);
    };
    addEventListener("devicemotion", this.listener);
    this.motionButton.classList.add("on");
  }

  /** [time][sensors] as the tensor lies. */
  laid(rows) {
    const [first] = this.tensor.shape.filter((extent) => extent !== 1);
    return first === rows.length ? rows.flat() : rows[0].flatMap((_, sensor) => rows.map((row) => row[sensor]));
  }
}

const KINDS = { picture: PictureInput, values: ValuesInput, curves: TableInput, table: TableInput };

/** One input's card: what fits its kind, and numbers from a file or a text. */
class InputCard {
  constructor(tensor, samples, title, onInput) {
    this.tensor = tensor;
    this.onInput = onInput;
    const count = product(tensor.shape);
    this.q = new ARRAYS[tensor.type](count).fill(tensor.zero);
    this.beyond = 0;
    this.way = new KINDS[tensor.kind](tensor, samples, (values, raw) => this.use(values, raw));
    this.text = make("textarea", { "aria-label": `${title}: numbers`, spellcheck: "false" });
    const [low, high] = range(tensor);
    const covered = LIMITS[tensor.type] ? `, real values from ${short(low)} to ${short(high)}` : "";
    this.element = make("section", { "aria-label": title }, make("h2", {}, title), this.way.element,
      make("details", {}, make("summary", {}, "Numbers: a .npy or .csv file, or typed"),
        make("p", { class: "note" }, `${count} numbers${covered}, in the order of the PyTorch model's input.`),
        this.text, make("div", { class: "tools" },
          make("button", { type: "button", onclick: () => report(() => this.typedIn()) }, "Run"),
          fileButton("File…", ".npy,.csv,.txt", (file) => this.file(file)))),
      make("p", { class: "note" }, `${tensor.shape.join("×")} ${tensor.type}` +
        (LIMITS[tensor.type] ? `, real = ${short(tensor.scale)} × (q ${tensor.zero > 0 ? "−" : "+"} ${Math.abs(tensor.zero)})` : "")));
  }

  use(values, raw) {
    const { q, beyond } = raw ? { q: new ARRAYS[this.tensor.type](values), beyond: 0 } : quantize(values, this.tensor);
    this.q = q;
    this.beyond = beyond;
    if (this.way instanceof TableInput) this.way.show(q);
    this.onInput();
  }

  /** The tensor's own bytes, a sample's. */
  put(bytes) {
    this.q = typed(this.tensor.type, bytes);
    this.beyond = 0;
    this.way.show(this.q);
  }

  typedIn() {
    this.numbers(readNumbers(this.text.value, this.q.length), false);
  }

  async file(file) {
    if (file.name.endsWith(".npy")) {
      const { values, raw } = readNpy(await file.arrayBuffer(), this.q.length, this.tensor.type);
      return this.numbers(values, raw);
    }
    this.text.value = await file.text();
    this.typedIn();
  }

  numbers(values, raw) {
    this.use(turned(values, this.tensor), raw);
    this.way.show(this.q);
  }
}
