"use strict";
// The viewer of one clip. Values come from the stack: `codes` are samples of its fields, `table`
// decodes them to pixels per frame. Pictures of flow are drawn here, from the values.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo the horizontal differences, which made the codes compress well.
function undoDifferences(bytes, planes) {
  const { gridRows, gridColumns, wide } = data;
  const codes = wide ? new Int16Array(bytes.length / 2) : bytes;
  if (wide) {
    const half = bytes.length / 2;
    for (let i = 0; i < half; i++) codes[i] = bytes[i] | (bytes[half + i] << 8);
  }
  for (let row = 0; row < planes * gridRows; row++) {
    const start = row * gridColumns;
    for (let i = start + 1; i < start + gridColumns; i++) codes[i] = codes[i] + codes[i - 1];
  }
  return codes;
}

const state = { k: 0, mode: "split", split: 50, arrows: false, playing: false, speed: 1,
  scale: data.scale, hover: null };
const stage = $("picture"), context = stage.getContext("2d");
const small = document.createElement("canvas");
small.width = data.gridColumns; small.height = data.gridRows;
const smallContext = small.getContext("2d");
const images = new Map();
let codes, frameBytes;

const cells = data.gridRows * data.gridColumns;
const decode = code => data.wide ? code * data.step : data.table[code];
function vectorAt(k, cell) {
  const start = 2 * k * cells;
  return [decode(codes[start + cell]), decode(codes[start + cells + cell])];
}

// Middlebury's colours, as flowstream draws them.
function hueOf(dx, dy) {
  const wheel = data.wheel, position = (Math.atan2(-dy, -dx) / Math.PI + 1) / 2 * (wheel.length - 1);
  const lower = Math.floor(position), share = position - lower;
  const one = wheel[lower], other = wheel[(lower + 1) % wheel.length];
  return [0, 1, 2].map(c => (1 - share) * one[c] + share * other[c]);
}
function colourOf(dx, dy) {
  const speed = Math.hypot(dx, dy) / state.scale, hue = hueOf(dx, dy);
  return hue.map(c => speed <= 1 ? 255 - speed * (255 - c) : 0.75 * c);
}

function drawFlow(k, overlay) {
  const picture = smallContext.createImageData(small.width, small.height), pixels = picture.data;
  for (let cell = 0; cell < cells; cell++) {
    const [dx, dy] = vectorAt(k, cell), p = 4 * cell;
    const colour = overlay ? hueOf(dx, dy) : colourOf(dx, dy);
    pixels[p] = colour[0]; pixels[p + 1] = colour[1]; pixels[p + 2] = colour[2];
    const share = Math.min(Math.hypot(dx, dy) / state.scale, 1);
    pixels[p + 3] = overlay ? 215 * Math.pow(share, 0.75) : 255;
  }
  smallContext.putImageData(picture, 0, 0);
}

async function frame(t) {
  if (!data.frameEnds.length) return null;
  if (!images.has(t)) {
    const start = t ? data.frameEnds[t - 1] : 0;
    const blob = new Blob([frameBytes.subarray(start, data.frameEnds[t])], { type: "image/webp" });
    images.set(t, createImageBitmap(blob));
  }
  return images.get(t);
}

// Where the drawn cell `column, row` lies on the stage: samples are at the middle of their cells.
function paintFlow(overlay, left) {
  drawFlow(state.k, overlay);
  context.save();
  context.beginPath(); context.rect(left, 0, stage.width - left, stage.height); context.clip();
  context.imageSmoothingEnabled = data.stride > 1;
  context.imageSmoothingQuality = "high";
  const wide = data.gridColumns * data.stride * zoom, high = data.gridRows * data.stride * zoom;
  context.drawImage(small, 0, 0, wide, high);
  context.restore();
}

function paintFrame(image, grey, left, right) {
  context.save();
  context.beginPath(); context.rect(left, 0, right - left, stage.height); context.clip();
  if (image) context.drawImage(image, 0, 0, stage.width, stage.height);
  else { context.fillStyle = "#bbb"; context.fillRect(0, 0, stage.width, stage.height); }
  if (grey) {
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#888"; context.fillRect(0, 0, stage.width, stage.height);
  }
  context.restore();
}

function paintArrows(left) {
  const gap = Math.max(1, Math.round(24 / (data.stride * zoom)));
  context.lineWidth = 1.6; context.lineCap = "round";
  for (let row = gap >> 1; row < data.gridRows; row += gap) {
    for (let column = gap >> 1; column < data.gridColumns; column += gap) {
      const x = (column + 0.5) * data.stride * zoom, y = (row + 0.5) * data.stride * zoom;
      if (x < left) continue;
      const [dx, dy] = vectorAt(state.k, row * data.gridColumns + column);
      const speed = Math.hypot(dx, dy) / state.scale;
      if (speed < 0.06) continue;
      const length = 22 * Math.min(speed, 1.5), angle = Math.atan2(dy, dx);
      const tip = [x + length * Math.cos(angle), y + length * Math.sin(angle)];
      for (const [style, width] of [["#000a", 3.2], ["#fff", 1.5]]) {
        context.strokeStyle = style; context.lineWidth = width;
        context.beginPath(); context.moveTo(x, y); context.lineTo(...tip);
        for (const side of [-2.6, 2.6]) {
          context.moveTo(...tip);
          context.lineTo(tip[0] + 5 * Math.cos(angle + side), tip[1] + 5 * Math.sin(angle + side));
        }
        context.stroke();
      }
    }
  }
}

let zoom = 1, drawing = 0;
async function draw() {
  const ticket = ++drawing, image = await frame(state.k);
  if (ticket !== drawing) return;
  const edge = state.mode === "split" ? stage.width * state.split / 100 : 0;
  if (state.mode === "frame") paintFrame(image, false, 0, stage.width);
  else if (state.mode === "flow") paintFlow(false, 0);
  else if (state.mode === "overlay") {
    paintFrame(image, true, 0, stage.width); paintFlow(true, 0);
  } else { paintFrame(image, false, 0, edge); paintFlow(false, edge); }
  if (state.arrows) paintArrows(edge);
  $("divider").style.left = `${state.split}%`;
  for (const id of ["divider", "label-left", "label-right", "split-label"])
    $(id).hidden = state.mode !== "split";
  $("scrubber").value = state.k;
  $("scrubber").setAttribute("aria-valuetext", place(state.k));
  $("place").textContent = place(state.k);
  stage.dataset.field = state.k;
  drawStrip(); drawChart(); drawSpeeds(); drawDirections(); read();
}

const time = k => data.times[k];
function place(k) {
  const parts = [`field ${data.fields[k]}`, `frame ${data.frames[k]}`];
  if (data.timed) parts.push(`${time(k).toFixed(2)} s`);
  return parts.join(" · ");
}

function read() {
  const target = $("reading");
  if (!state.hover) {
    target.innerHTML = "<span>Point at the picture to read dx, dy and speed there.</span>";
    return;
  }
  const [column, row] = state.hover, cell = row * data.gridColumns + column;
  const [dx, dy] = vectorAt(state.k, cell), speed = Math.hypot(dx, dy);
  const x = column * data.stride + data.offset, y = row * data.stride + data.offset;
  const entries = { x, y, dx: dx.toFixed(3), dy: dy.toFixed(3), speed: speed.toFixed(3) };
  Object.assign(target.dataset, { ...entries, exactDx: dx, exactDy: dy, field: data.fields[state.k] });
  const units = { dx: "px", dy: "px", speed: "px/frame" };
  const written = Object.entries(entries).map(
    ([name, value]) => `<span>${name} <b>${value}</b> ${units[name] ?? ""}</span>`);
  if (data.rate) written.push(`<span><b>${(speed * data.rate).toFixed(1)}</b> px/s</span>`);
  if (data.timed) written.push(`<span>at <b>${time(state.k).toFixed(3)}</b> s</span>`);
  target.innerHTML = written.join(" ");
}

// Charts

function prepare(canvas, height) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth || 300;
  canvas.width = width * ratio; canvas.height = height * ratio;
  canvas.style.height = `${height}px`;
  const target = canvas.getContext("2d");
  target.scale(ratio, ratio);
  target.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return [target, width];
}

let stripState = "";
async function drawStrip() {
  const canvas = $("strip");
  const aspect = data.columns / data.rows, height = 44;
  const [target, width] = [canvas.getContext("2d"), canvas.clientWidth];
  const key = `${width}`;
  if (stripState !== key) {
    stripState = key;
    const [fresh] = prepare(canvas, height);
    const count = Math.max(1, Math.floor(width / (height * aspect)));
    for (let i = 0; i < count; i++) {
      const k = Math.min(data.fields.length - 1, Math.floor((i + 0.5) / count * data.fields.length));
      const image = await frame(k), left = i * width / count;
      if (image) fresh.drawImage(image, left, 0, width / count, height);
    }
    canvas.still = document.createElement("canvas");
    canvas.still.width = canvas.width; canvas.still.height = canvas.height;
    canvas.still.getContext("2d").drawImage(canvas, 0, 0);
  }
  if (!canvas.still) return;
  target.drawImage(canvas.still, 0, 0, width, height);
  const x = (state.k + 0.5) / data.fields.length * width;
  target.fillStyle = css("--s0"); target.fillRect(x - 1.5, 0, 3, height);
}

function drawChart() {
  const height = 84, [target, width] = prepare($("chart"), height);
  const top = Math.max(...data.p95, 1e-6), count = data.mean.length;
  const x = k => (k + 0.5) / count * width, y = value => height - 16 - value / top * (height - 30);
  const line = (values, colour, size) => {
    target.beginPath(); target.strokeStyle = colour; target.lineWidth = size;
    values.forEach((value, k) => k ? target.lineTo(x(k), y(value)) : target.moveTo(x(k), y(value)));
    target.stroke();
  };
  target.strokeStyle = css("--line"); target.lineWidth = 1;
  target.beginPath(); target.moveTo(0, y(0)); target.lineTo(width, y(0)); target.stroke();
  line(data.p95, css("--s1"), 1.2); line(data.mean, css("--s0"), 1.8);
  target.fillStyle = css("--soft"); target.textAlign = "left";
  target.fillText(`${top.toPrecision(3)} px/frame`, 2, 10);
  target.fillText(data.timed ? `${time(0).toFixed(1)} s` : "0", 2, height - 3);
  target.textAlign = "right";
  target.fillText(data.timed ? `${time(count - 1).toFixed(1)} s` : `${count - 1}`, width - 2, height - 3);
  target.fillStyle = css("--ink"); target.fillRect(x(state.k) - 0.75, 0, 1.5, height - 14);
}

function drawSpeeds() {
  const height = 92, [target, width] = prepare($("speeds"), height), bins = new Array(24).fill(0);
  const top = state.scale * 1.2;
  for (let cell = 0; cell < cells; cell++) {
    const speed = Math.hypot(...vectorAt(state.k, cell));
    bins[Math.min(23, Math.floor(speed / top * 24))]++;
  }
  // square roots, because most vectors are often still
  const most = Math.sqrt(Math.max(...bins));
  bins.forEach((count, i) => {
    const high = Math.sqrt(count) / most * (height - 18);
    target.fillStyle = css("--s0");
    target.fillRect(i * width / 24, height - 16 - high, width / 24 - 1.5, high);
  });
  target.fillStyle = css("--soft"); target.textAlign = "left"; target.fillText("0", 0, height - 3);
  target.textAlign = "right"; target.fillText(`≥ ${top.toPrecision(3)} px/frame`, width, height - 3);
}

function drawDirections() {
  const height = 132, [target, width] = prepare($("directions"), height), count = 24;
  const bins = new Array(count).fill(0);
  for (let cell = 0; cell < cells; cell++) {
    const [dx, dy] = vectorAt(state.k, cell), speed = Math.hypot(dx, dy);
    const angle = (Math.atan2(dy, dx) + 2 * Math.PI + Math.PI / count) % (2 * Math.PI);
    bins[Math.floor(angle / (2 * Math.PI) * count) % count] += speed;
  }
  const most = Math.max(...bins, 1e-9), x = width / 2, y = height / 2, radius = height / 2 - 14;
  target.strokeStyle = css("--line");
  for (const share of [0.5, 1]) {
    target.beginPath(); target.arc(x, y, radius * share, 0, 2 * Math.PI); target.stroke();
  }
  bins.forEach((value, i) => {
    const middle = i / count * 2 * Math.PI, half = Math.PI / count;
    const colour = hueOf(Math.cos(middle), Math.sin(middle)).map(Math.round);
    target.beginPath(); target.moveTo(x, y);
    target.arc(x, y, radius * Math.sqrt(value / most), middle - half, middle + half);
    target.closePath(); target.fillStyle = `rgb(${colour})`; target.fill();
  });
  target.fillStyle = css("--soft"); target.textAlign = "center";
  target.fillText("up", x, 10); target.fillText("down", x, height - 2);
  target.textAlign = "left"; target.fillText("right", x + radius + 6, y + 4);
  target.textAlign = "right"; target.fillText("left", x - radius - 6, y + 4);
}

function drawWheel() {
  const canvas = $("wheel"), side = 176, target = canvas.getContext("2d");
  canvas.width = canvas.height = side;
  const picture = target.createImageData(side, side);
  for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
    const dx = (column - side / 2) / (side / 2 - 2), dy = (row - side / 2) / (side / 2 - 2);
    const speed = Math.hypot(dx, dy), p = 4 * (row * side + column);
    if (speed > 1) continue;
    hueOf(dx, dy).forEach((c, i) => { picture.data[p + i] = 255 - speed * (255 - c); });
    picture.data[p + 3] = 255;
  }
  target.putImageData(picture, 0, 0);
}

// Controls

function go(k) {
  state.k = Math.max(0, Math.min(data.fields.length - 1, Math.round(k)));
  draw();
}
function setMode(mode) {
  state.mode = mode;
  for (const button of document.querySelectorAll("[data-mode]"))
    button.setAttribute("aria-pressed", button.dataset.mode === mode);
  draw();
}
function setArrows(on) {
  state.arrows = on; $("arrows").setAttribute("aria-pressed", on); draw();
}
let last = 0, debt = 0;
function step(now) {
  if (!state.playing) return;
  debt += (now - last) / 1000 * data.pace * state.speed; last = now;
  if (debt >= 1) {
    const next = state.k + Math.floor(debt);
    debt %= 1;
    go(next >= data.fields.length ? 0 : next);
  }
  requestAnimationFrame(step);
}
function play(on) {
  state.playing = on;
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", on);
  if (on) { last = performance.now(); debt = 0; requestAnimationFrame(step); }
}

function cellAt(event) {
  const box = stage.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * data.columns;
  const y = (event.clientY - box.top) / box.height * data.rows;
  return [Math.max(0, Math.min(data.gridColumns - 1, Math.floor(x / data.stride))),
    Math.max(0, Math.min(data.gridRows - 1, Math.floor(y / data.stride)))];
}

const KEYS = {
  " ": () => play(!state.playing),
  ArrowLeft: () => go(state.k - 1), ArrowRight: () => go(state.k + 1),
  PageUp: () => go(state.k - 10), PageDown: () => go(state.k + 10),
  Home: () => go(0), End: () => go(data.fields.length - 1),
  1: () => setMode("frame"), 2: () => setMode("flow"), 3: () => setMode("overlay"),
  4: () => setMode("split"), a: () => setArrows(!state.arrows),
};

function listen() {
  $("play").onclick = () => play(!state.playing);
  $("scrubber").oninput = event => go(+event.target.value);
  $("split").oninput = event => { state.split = +event.target.value; draw(); };
  $("speed").onchange = event => { state.speed = +event.target.value; };
  $("scale").onchange = event => {
    if (+event.target.value > 0) { state.scale = +event.target.value; draw(); }
  };
  $("arrows").onclick = () => setArrows(!state.arrows);
  for (const button of document.querySelectorAll("[data-mode]"))
    button.onclick = () => setMode(button.dataset.mode);
  stage.onpointermove = event => { state.hover = cellAt(event); read(); };
  stage.onpointerdown = event => { state.hover = cellAt(event); read(); };
  const jump = canvas => event => {
    const box = canvas.getBoundingClientRect();
    go((event.clientX - box.left) / box.width * data.fields.length - 0.5);
  };
  for (const id of ["strip", "chart"]) $(id).onclick = jump($(id));
  document.addEventListener("keydown", event => {
    const own = event.target.closest("input, select, button");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // a control that has the focus keeps the keys that it uses itself
    if (own && (own.type === "number" || own.tagName === "SELECT" || own.type === "range")) return;
    if (own && own.tagName === "BUTTON" && event.key === " ") return;
    const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    if (action) { event.preventDefault(); action(); }
  });
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

(async () => {
  frameBytes = bytesOf(data.images); data.images = "";
  const packed = bytesOf(data.codes); data.codes = "";
  codes = undoDifferences(await inflate(packed), 2 * data.fields.length);
  zoom = Math.max(1, Math.ceil(640 / data.columns));
  stage.width = data.columns * zoom; stage.height = data.rows * zoom;
  if (!data.frameEnds.length) {
    state.mode = "flow";
    for (const name of ["frame", "overlay", "split"])
      document.querySelector(`[data-mode=${name}]`).disabled = true;
  }
  const start = /field=(\d+)/.exec(location.hash);
  if (start) state.k = Math.max(0, data.fields.indexOf(+start[1]));
  drawWheel(); listen(); setMode(state.mode);
  await new Promise(requestAnimationFrame);
  document.body.dataset.ready = "yes";
})();
