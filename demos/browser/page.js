// The page: reads the form, shows the text as it is written, and says in one line what is wrong.

import { loadWriter, randomNumbers, readNumber } from "./writer.js";

const ORT = "1.23.2";
const at = (id) => document.getElementById(id);
let writing = null; // an object for each text that is being written; another one, or none, ends it

function say(message, isError = false) {
  at("message").textContent = message;
  at("message").classList.toggle("error", isError);
}

/** onnxruntime-web from beside this page, or else from a server of packages. */
async function loadRuntime() {
  const local = new URL("ort/", location.href).href;
  const found = await fetch(`${local}ort.wasm.min.mjs`, { method: "HEAD" }).then((response) => response.ok, () => false);
  const folder = found ? local : `https://cdn.jsdelivr.net/npm/onnxruntime-web@${ORT}/dist/`;
  const ort = await import(`${folder}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = 1;
  return ort;
}

async function write(writer) {
  const settings = {
    temperature: readNumber("Temperature", at("temperature").value, 0, 5),
    length: readNumber("Characters", at("length").value, 1, 100000, true),
    random: randomNumbers(readNumber("Seed", at("seed").value, 0, 2 ** 32 - 1, true)),
  };
  const mine = (writing = {});
  at("stop").disabled = false;
  const begun = performance.now();
  let count = 0;
  at("text").textContent = at("prompt").value;
  for await (const character of writer.write(at("prompt").value, settings)) {
    if (writing !== mine) return;
    at("text").textContent += character;
    count += 1;
    if (count % 8 === 0) await new Promise(requestAnimationFrame);
  }
  writing = null;
  at("stop").disabled = true;
  say(`${count} characters, ${Math.round((1000 * count) / (performance.now() - begun))} a second.`);
}

try {
  const writer = await loadWriter(await loadRuntime(), "model");
  at("write").disabled = false;
  say("Ready.");
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    say("Writing …");
    write(writer).catch((error) => {
      writing = null;
      at("stop").disabled = true;
      say(error.message, true);
    });
  });
  at("stop").addEventListener("click", () => {
    writing = null;
    at("stop").disabled = true;
    say("Stopped.");
  });
} catch (error) {
  say(error.message, true);
}
