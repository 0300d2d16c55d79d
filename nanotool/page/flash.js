// Writes the page's parts to an ESP32 with esptool-js, and has the chip check what it then has.

const FACTS = JSON.parse(document.getElementById("facts").textContent);
const RATES = [460800, 921600, 230400, 115200];
const find = (id) => document.getElementById(id);
const decoded = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const total = FACTS.parts.reduce((sum, part) => sum + part.bytes, 0);

/** esptool-js, from the page itself. */
function esptool() {
  const text = decoded(document.getElementById("esptool").textContent);
  return import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
}

function write(line, newline = true) {
  find("log").hidden = false;
  find("log").append(newline ? `${line}\n` : line);
  find("log").scrollTop = find("log").scrollHeight;
}

function progress(share) {
  const percent = Math.floor(100 * share);
  find("bar").hidden = false;
  find("bar").setAttribute("aria-valuenow", percent);
  find("bar").firstElementChild.style.width = `${percent}%`;
}

/** The MD5 of what is about to be written; only what this page brought has one. */
function md5(files, image) {
  const at = files.findIndex((file) => file.data.length === image.length &&
    file.data.every((byte, index) => byte === image[index]));
  if (at < 0) throw new Error("esptool-js would write other bytes than the page's");
  return FACTS.parts[at].md5;
}

async function flash(port) {
  const { ESPLoader, Transport } = await esptool();
  const transport = new Transport(port);
  const terminal = { clean: () => {}, writeLine: (line) => write(line), write: (text) => write(text, false) };
  try {
    const loader = new ESPLoader({ transport, terminal, baudrate: Number(find("rate").value), romBaudrate: 115200 });
    find("state").textContent = "Looking for the chip…";
    await loader.main();
    const chip = loader.chip.CHIP_NAME.toLowerCase().replace("-", "");
    if (chip !== FACTS.chip) {
      throw new Error(`The chip is an ${loader.chip.CHIP_NAME}; this firmware is for ${FACTS.board}. Nothing was written.`);
    }
    find("state").textContent = "Writing…";
    const files = FACTS.parts.map((part) => ({ data: decoded(part.data), address: part.address }));
    await loader.writeFlash({
      fileArray: files, flashMode: "keep", flashFreq: "keep", flashSize: "keep",
      eraseAll: find("erase").checked, compress: true, calculateMD5Hash: (image) => md5(files, image),
      reportProgress: (index, written, size) => {
        const before = FACTS.parts.slice(0, index).reduce((sum, part) => sum + part.bytes, 0);
        progress((before + (FACTS.parts[index].bytes * written) / size) / total);
      },
    });
    await loader.after("hard_reset");
  } finally {
    await transport.disconnect().catch(() => {}); // what went wrong before is what is told
  }
}

async function begin() {
  find("trouble").hidden = true;
  find("log").textContent = "";
  let port;
  try {
    port = await navigator.serial.requestPort();
  } catch (error) {
    if (error.name === "NotFoundError") return; // the chooser was closed
    throw error;
  }
  find("write").disabled = true;
  try {
    await flash(port);
    find("state").textContent = `Written and checked: ${FACTS.board} now runs ${FACTS.models.join(" or ")}.`;
    find("state").className = "good";
  } finally {
    find("write").disabled = false;
  }
}

for (const rate of RATES) {
  find("rate").append(Object.assign(document.createElement("option"), { value: rate, textContent: `${rate.toLocaleString("en")} baud` }));
}
find("write").addEventListener("click", () => begin().catch((error) => {
  find("state").textContent = "";
  find("trouble").textContent = `${error.message}. Hold the board's BOOT button while it is connected to, choose a lower speed, or another cable.`;
  find("trouble").hidden = false;
}));
if (!("serial" in navigator)) {
  find("write").disabled = true;
  find("state").textContent = "This browser has no Web Serial: Chrome, Edge and Opera on a computer do. nanotool flash does the same without a browser.";
}
