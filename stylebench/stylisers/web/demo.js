"use strict";

// One file that runs in two places: in the page, and in a worker of it, which computes.
// Pictures travel as ImageData: 8 bits a channel, RGBA, rows from the top.

if (typeof document === "undefined") serve();
else document.addEventListener("DOMContentLoaded", page);

// The worker: answers {id, task, …} with {id, answer} or {id, error}.

function serve() {
  const tasks = { resample, stylise };
  self.onmessage = async ({ data }) => {
    try {
      self.postMessage({ id: data.id, answer: await tasks[data.task](data) });
    } catch (error) {
      self.postMessage({ id: data.id, error: String(error.message ?? error) });
    }
  };
}

const sessions = {}; // address of a model -> promise of its session

// onnxruntime-web, for WebGPU or for WebAssembly, and the model are loaded when first used.
function session(model, backend) {
  if (!self.ort) {
    importScripts(`ort/ort.${backend}.min.js`);
    ort.env.wasm.wasmPaths = new URL("ort/", self.location.href).href;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
    ort.env.logLevel = "error";
  }
  if (!sessions[model]) {
    const executionProviders = backend === "webgpu" ? ["webgpu", "wasm"] : ["wasm"];
    sessions[model] = ort.InferenceSession.create(model, { executionProviders, logSeverityLevel: 3 });
    sessions[model].catch(() => delete sessions[model]);
  }
  return sessions[model];
}

async function stylise({ model, backend, content, style, strength }) {
  const loaded = await session(model, backend);
  const began = performance.now();
  const feeds = {
    content: toTensor(content),
    style: toTensor(style),
    strength: new ort.Tensor("float32", [strength], [1]),
  };
  const { picture } = await loaded.run(feeds);
  const image = toImage(await picture.getData(), picture.dims);
  return { image, seconds: (performance.now() - began) / 1000 };
}

// (1, 3, H, W) in [0, 1], as the models take it.
function toTensor({ data, width, height }) {
  const count = width * height;
  const values = new Float32Array(3 * count);
  for (let pixel = 0; pixel < count; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      values[channel * count + pixel] = data[4 * pixel + channel] / 255;
    }
  }
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

function toImage(values, [, , height, width]) {
  const count = width * height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < count; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * pixel + channel] = 255 * values[channel * count + pixel]; // rounds and clamps
    }
    image.data[4 * pixel + 3] = 255;
  }
  return image;
}

// Lanczos as Pillow has it, so that a picture of any size is the same here and in Python.

function resample({ image, size }) {
  const scale = size / Math.max(image.width, image.height);
  const even = (side) => (side % 1 === 0.5 ? 2 * Math.round(side / 2) : Math.round(side)); // as Python
  const width = even(image.width * scale);
  const height = even(image.height * scale);
  if (Math.min(width, height) < 16) {
    throw new Error("The picture is too narrow: its short side would be under 16 px.");
  }
  if (scale === 1) return image;
  const wide = { to: width, spans: windows(image.width, width), lines: image.height };
  const high = { to: height, spans: windows(image.height, height), lines: width };
  const rows = weigh(image.data, wide, { step: 4, line: 4 * image.width }, { step: 4, line: 4 * width });
  const both = { step: 4 * width, line: 4 };
  return new ImageData(weigh(rows, high, both, both), width, height);
}

function lanczos(x) {
  if (x === 0) return 1;
  const a = Math.PI * x;
  return Math.abs(x) < 3 ? (3 * Math.sin(a) * Math.sin(a / 3)) / (a * a) : 0;
}

// For each of `to` places: where among `from` its window begins, and the weights in it.
function windows(from, to) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - 3 * stretch + 0.5));
    const end = Math.min(from, Math.trunc(centre + 3 * stretch + 0.5));
    const weights = Array.from({ length: end - begin }, (_, x) => lanczos((begin + x - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { begin, weights: weights.map((weight) => weight / sum) };
  });
}

// Weighted sums along one axis; `step` leads from pixel to pixel along it, `line` across.
function weigh(data, { to, spans, lines }, from, into) {
  const made = new Uint8ClampedArray(4 * to * lines);
  for (let line = 0; line < lines; line++) {
    for (let place = 0; place < to; place++) {
      const { begin, weights } = spans[place];
      let at = line * from.line + begin * from.step;
      let [red, green, blue] = [0, 0, 0];
      for (const weight of weights) {
        red += weight * data[at];
        green += weight * data[at + 1];
        blue += weight * data[at + 2];
        at += from.step;
      }
      made.set([red, green, blue, 255], line * into.line + place * into.step);
    }
  }
  return made;
}

// The page.

const ENDED = new Error("Another worker was begun."); // told to nobody: it is asked anew
const LARGEST = 4096; // px of a side that is read; some phones refuse larger canvases

function page() {
  const part = (id) => document.getElementById(id);
  const given = {}; // role -> {name, original, image}
  const turns = { content: 0, style: 0 }; // role -> how many pictures were chosen
  let last = Promise.resolve(); // of the changes, which are made one after the other
  let [worker, waiting, number] = [null, new Map(), 0];
  let [running, again, made] = [false, false, ""];

  function tell(text) {
    part("status").textContent = text;
  }

  function complain(text) {
    part("alert").textContent = text;
    part("alert").hidden = !text;
  }

  // A new worker for a backend: the other one has another onnxruntime.
  function start() {
    end(ENDED);
    worker = new Worker("demo.js");
    worker.onerror = (event) => {
      event.preventDefault();
      end(new Error(`the worker failed: ${event.message || "it could not be loaded"}.`));
    };
    worker.onmessageerror = () => end(new Error("what the worker answered could not be read."));
    worker.onmessage = ({ data: { id, answer, error } }) => {
      const { yes, no } = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) yes(answer);
      else no(new Error(error));
    };
  }

  // No worker, and for those who wait for one a reason; who asks next begins another.
  function end(why) {
    worker?.terminate();
    worker = null;
    waiting.forEach(({ no }) => no(why));
    waiting.clear();
  }

  function ask(task, data) {
    if (!worker) start();
    const id = ++number;
    return new Promise((yes, no) => {
      waiting.set(id, { yes, no });
      worker.postMessage({ id, task, ...data });
    });
  }

  function show(canvas, image) {
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // What the browser can decode: upright, on white, in sRGB.
  function pixels(source, width, height) {
    const scale = Math.min(1, LARGEST / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }

  // Take a picture that comes in a while, unless another is chosen meanwhile.
  async function take(role, name, coming) {
    const turn = ++turns[role];
    try {
      const original = await decoded(name, await coming);
      if (turn === turns[role]) await change(() => ({ [role]: { name, original } }));
    } catch (error) {
      if (turn === turns[role]) complain(error.message);
    }
  }

  async function decoded(name, blob) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(blob);
    } catch {
      throw new Error(`${name} is no picture that this browser can read.`);
    }
    return pixels(bitmap, bitmap.width, bitmap.height);
  }

  // Bring pictures, by role, to the chosen size, all or none, and compute anew.
  function change(pictures) {
    last = last.then(async () => {
      complain("");
      try {
        const fitted = await fit(pictures());
        for (const [role, picture] of fitted) put(role, picture);
        compute();
      } catch (error) {
        complain(error.message);
      }
    });
    return last;
  }

  async function fit(pictures) {
    const size = Number(part("size").value);
    const asked = Object.entries(pictures).map(async ([role, { name, original }]) => {
      const image = await ask("resample", { image: original, size });
      return [role, { name, original, image }];
    });
    try {
      return await Promise.all(asked);
    } catch (error) {
      if (error === ENDED) return fit(pictures);
      throw error;
    }
  }

  function put(role, picture) {
    const { name, image } = (given[role] = picture);
    show(part(`${role}-canvas`), image);
    part(`${role}-name`).textContent = `${name}, ${image.width} × ${image.height} px`;
  }

  async function fetched(address) {
    const answer = await fetch(address);
    if (answer.ok) return answer.blob();
    throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  }

  const builtin = (role, radio) => take(role, radio.dataset.name, fetched(radio.value));

  // The newest state is computed; whatever changes meanwhile, once more afterwards.
  async function compute() {
    again = Boolean(given.content && given.style);
    if (running) return;
    running = true;
    part("result").setAttribute("aria-busy", "true");
    while (again) {
      again = false;
      await once();
    }
    running = false;
    part("result").removeAttribute("aria-busy");
  }

  async function once() {
    const { content, style } = given;
    const { value: model, selectedOptions } = part("model");
    const name = selectedOptions[0].textContent;
    const backend = part("backend").value;
    const strength = Number(part("strength").value) / 100;
    tell(`${name} at work …`);
    try {
      const asked = { model, backend, content: content.image, style: style.image, strength };
      const { image, seconds } = await ask("stylise", asked);
      show(part("result-canvas"), image);
      made = `${content.name}-${style.name}`.replace(/[^\p{L}\p{N}_.-]+/gu, "-");
      part("save").disabled = false;
      const how = part("backend").selectedOptions[0].textContent;
      tell(`${image.width} × ${image.height} px in ${seconds.toPrecision(2)} s, ${name}, ${how}`);
    } catch (error) {
      tell("");
      if (error !== ENDED) complain(`${name}: ${error.message}`);
    }
  }

  function save() {
    part("result-canvas").toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${made}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // The camera in a dialog, whose button takes the picture.
  async function camera(role) {
    const [dialog, video] = [part("camera"), part("video")];
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      complain(`No camera: ${error.message}.`);
      return;
    }
    video.srcObject = stream;
    dialog.onclose = () => {
      const [width, height] = [video.videoWidth, video.videoHeight];
      const taken = dialog.returnValue === "take" && width ? pixels(video, width, height) : null;
      stream.getTracks().forEach((track) => track.stop());
      if (!taken) return;
      uncheck(role);
      turns[role]++;
      change(() => ({ [role]: { name: "camera", original: taken } }));
    };
    dialog.returnValue = "";
    dialog.showModal();
  }

  const radios = (role) => [...part(role).querySelectorAll("[type=radio]")];
  const uncheck = (role) => radios(role).forEach((radio) => (radio.checked = false));

  function file(role, [first]) {
    if (!first) return;
    uncheck(role);
    take(role, first.name.replace(/\.\w+$/, ""), first);
  }

  function connect(role) {
    const panel = part(role);
    radios(role).forEach((radio) => radio.addEventListener("change", () => builtin(role, radio)));
    part(`${role}-file`).addEventListener("change", ({ target }) => file(role, target.files));
    panel.addEventListener("dragover", () => panel.classList.add("over"));
    panel.addEventListener("dragleave", () => panel.classList.remove("over"));
    panel.addEventListener("drop", ({ dataTransfer }) => {
      panel.classList.remove("over");
      file(role, dataTransfer.files);
    });
    part(`${role}-camera`).hidden = !navigator.mediaDevices?.getUserMedia;
    part(`${role}-camera`).addEventListener("click", () => camera(role));
  }

  async function begin() {
    if (location.protocol === "file:") {
      complain("A browser runs no network out of a file: run “python -m http.server” in this folder and open http://localhost:8000.");
      return;
    }
    const offered = "webgpu" in part("backends").dataset ? navigator.gpu : null;
    const gpu = await offered?.requestAdapter().catch(() => null);
    const slow = gpu?.info?.isFallbackAdapter ?? gpu?.isFallbackAdapter; // computed by the processor
    part("backend").value = gpu && !slow ? "webgpu" : "wasm";
    part("backends").hidden = !gpu;
    start();
    ["content", "style"].forEach(connect);
    ["dragover", "drop"].forEach((kind) => document.addEventListener(kind, (event) => event.preventDefault()));
    part("strength").addEventListener("input", () => (part("share").textContent = `${part("strength").value} %`));
    part("strength").addEventListener("change", compute);
    part("model").addEventListener("change", compute);
    part("size").addEventListener("change", () => change(() => given));
    part("backend").addEventListener("change", () => {
      start();
      change(() => given);
    });
    part("save").addEventListener("click", save);
    for (const role of ["content", "style"]) await builtin(role, radios(role).find((radio) => radio.checked));
  }

  begin();
}
