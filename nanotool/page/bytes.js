// Bytes in and out: base64, CRC-32, and the files that people have (.npy, .csv, .wav).

const ARRAYS = {
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array,
};
const LIMITS = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767] };
const NPY = {
  "|i1": Int8Array, "|u1": Uint8Array, "<i2": Int16Array, "<i4": Int32Array, "<f4": Float32Array,
  "<f8": Float64Array,
};

const product = (shape) => shape.reduce((a, b) => a * b, 1);

function unbase64(text) {
  return Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as in zlib; `start` is that of the bytes before. */
function crc32(bytes, start = 0) {
  let value = ~start;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

const hex = (value) => value.toString(16).padStart(8, "0");

/** The bytes of a typed array. */
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** An aligned typed array of `type` with a copy of `bytes`. */
const typed = (type, bytes) => new ARRAYS[type](Uint8Array.from(bytes).buffer);

/** {values, raw}: the first `count` numbers of a .npy file, or all if it is null; raw: they are of `type`, quantized. */
function readNpy(buffer, count, type) {
  const head = new Uint8Array(buffer, 0, Math.min(10, buffer.byteLength));
  if (String.fromCharCode(...head.slice(1, 6)) !== "NUMPY") throw Error("This is no .npy file.");
  const view = new DataView(buffer);
  const long = head[6] > 1;
  const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 10, start - 10));
  const kind = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  if (!NPY[kind] || /'fortran_order':\s*True/.test(header)) {
    throw Error(`A .npy file of ${kind ?? "objects"} in this order is not read here: save it as ` +
      "float32, C order.");
  }
  const values = new NPY[kind](buffer.slice(start));
  count ??= values.length;
  if (values.length < count) throw Error(`The file holds ${values.length} values, not ${count}.`);
  return { values: Array.from(values.subarray(0, count)), raw: NPY[kind] === ARRAYS[type] };
}

/** The numbers in a text, parted by commas, semicolons or blanks, `count` of them unless it is null. */
function readNumbers(text, count) {
  const lines = text.trim().split(/\r?\n/);
  if (lines.length > 1 && /[a-z]/i.test(lines[0].replace(/\d(\.\d*)?e[-+]?\d+/gi, ""))) lines.shift();
  const values = lines.join(" ").split(/[\s,;]+/).filter(Boolean).map(Number);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw Error(`Value ${wrong + 1} is no number.`);
  if (values.length !== (count ?? values.length)) throw Error(`There are ${values.length} numbers; the input has ${count}.`);
  return values;
}

/** int16 samples of a PCM .wav file of one channel at `rate`; null if it is another kind. */
function readWav(buffer, rate) {
  const view = new DataView(buffer);
  const tag = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  if (buffer.byteLength < 44 || tag(0) !== "RIFF" || tag(8) !== "WAVE") return null;
  let fits = false;
  for (let at = 12; at + 8 <= buffer.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (tag(at) === "fmt ") {
      fits = view.getUint16(at + 8, true) === 1 && view.getUint16(at + 10, true) === 1 &&
        view.getUint32(at + 12, true) === rate && view.getUint16(at + 22, true) === 16;
    } else if (tag(at) === "data") {
      const end = Math.min(at + 8 + size, buffer.byteLength);
      return fits ? new Int16Array(buffer.slice(at + 8, end - ((end - at) % 2))) : null;
    }
    at += 8 + size + (size & 1);
  }
  return null;
}
