"use strict";
// Turns, cuts and colours the small volume of the page. The same is done in Python by qc/slices.py.
const facts = JSON.parse(document.getElementById("facts").textContent);
const [channelCount, ...sizesZYX] = facts.shape;
const sizes = sizesZYX.slice().reverse();
const strides = [1, sizes[0], sizes[0] * sizes[1]];
const channelStride = sizes[0] * sizes[1] * sizes[2];
const state = { code: facts.code, position: [0.5, 0.5, 0.5], channels: facts.channels };
let voxels;

// For right, anterior and superior: which axis of the file runs there, and whether against it.
function placeAxes(code) {
  return ["RL", "AP", "SI"].map((pair) => {
    const axis = [...code].findIndex((letter) => pair.includes(letter));
    return { axis, reversed: code[axis] === pair[1] };
  });
}

function look(channel) {
  const colour = [1, 3, 5].map((at) => parseInt(channel.colour.slice(at, at + 2), 16));
  const table = new Float32Array(256);
  const range = Math.max(channel.white - channel.black, 1);
  for (let value = 0; value < 256; value++) {
    table[value] = Math.min(Math.max((value - channel.black) / range, 0), 1);
  }
  return { colour, table };
}

function draw(canvas, code, view) {
  const placed = placeAxes(code);
  const [across, up, through] = [view.across, view.up, view.through].map((axis) => placed[axis]);
  const [width, height, depth] = [across, up, through].map((place) => sizes[place.axis]);
  let slice = Math.min(Math.floor(state.position[view.through] * depth), depth - 1);
  if (through.reversed) slice = depth - 1 - slice;
  const shown = state.channels.map((channel, n) => ({ n, ...channel })).filter((c) => c.on);
  const looks = shown.map(look);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let row = 0, target = 0; row < height; row++) {
    const alongUp = up.reversed ? row : height - 1 - row;
    for (let column = 0; column < width; column++, target += 4) {
      const alongAcross = across.reversed ? width - 1 - column : column;
      const place = slice * strides[through.axis] + alongUp * strides[up.axis]
        + alongAcross * strides[across.axis];
      for (let s = 0; s < shown.length; s++) {
        const share = looks[s].table[voxels[place + shown[s].n * channelStride]];
        // Values above 255 are cut off by the array.
        for (let part = 0; part < 3; part++) {
          pixels.data[target + part] += share * looks[s].colour[part];
        }
      }
      pixels.data[target + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
  const scale = Number(canvas.dataset.side)
    / Math.max(...sizes.map((size, axis) => size * facts.spacing[axis]));
  const [w, h] = [across, up].map((place) =>
    Math.max(4, Math.round(sizes[place.axis] * facts.spacing[place.axis] * scale)));
  canvas.style.width = `${w}px`;
  canvas.style.aspectRatio = `${w} / ${h}`;
}

function describeAxis(place) {
  return "xyz"[place.axis] + (place.reversed ? " reversed" : "");
}

function drawAll() {
  for (const views of document.querySelectorAll(".views")) {
    const code = views.dataset.code || state.code;
    const placed = placeAxes(code);
    views.querySelectorAll(".view").forEach((figure, n) => {
      const view = facts.views[n];
      draw(figure.querySelector("canvas"), code, view);
      figure.querySelector(".axes").textContent =
        `across: ${describeAxis(placed[view.across])}; up: ${describeAxis(placed[view.up])}`;
    });
  }
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawAll(); });
}

function choose(code) {
  state.code = code;
  document.getElementById("code").value = code;
  document.getElementById("answer").textContent = code;
  const words = [...code].map((letter) => facts.sides[letter]);
  document.getElementById("words").textContent =
    `x runs to the ${words[0]}, y to the ${words[1]}, z to the ${words[2]} side`;
  for (const card of document.querySelectorAll(".candidate")) {
    card.classList.toggle("chosen", card.dataset.code === code);
  }
  redraw();
}

function listen() {
  document.getElementById("code").addEventListener("change", (event) => choose(event.target.value));
  for (const button of document.querySelectorAll("[data-flip]")) {
    const [one, other] = button.dataset.flip;
    button.addEventListener("click", () => choose(
      [...state.code].map((c) => (c === one ? other : c === other ? one : c)).join("")));
  }
  for (const button of document.querySelectorAll("[data-swap]")) {
    const [one, other] = button.dataset.swap;
    button.addEventListener("click", () => {
      const letters = [...state.code];
      [letters[one], letters[other]] = [letters[other], letters[one]];
      choose(letters.join(""));
    });
  }
  for (const button of document.querySelectorAll("[data-take]")) {
    button.addEventListener("click", () => choose(button.dataset.take));
  }
  document.querySelectorAll("[data-axis]").forEach((slider) => {
    slider.value = 50;
    slider.addEventListener("input", () => {
      state.position[Number(slider.dataset.axis)] = slider.value / 100;
      redraw();
    });
  });
  for (const control of document.querySelectorAll("[data-channel]")) {
    const channel = state.channels[Number(control.dataset.channel)];
    const key = control.dataset.key;
    if (key === "on") control.checked = true; else control.value = channel[key];
    control.addEventListener("input", () => {
      channel[key] = key === "on" ? control.checked
        : key === "colour" ? control.value : Number(control.value);
      redraw();
    });
  }
}

async function unpack() {
  const packed = atob(document.getElementById("voxels").textContent.trim());
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

unpack().then((unpacked) => {
  voxels = unpacked;
  for (const picture of document.querySelectorAll(".view img")) {
    const canvas = document.createElement("canvas");
    canvas.dataset.side = picture.dataset.side;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", picture.alt);
    picture.replaceWith(canvas);
  }
  listen();
  document.body.classList.remove("still");
  choose(state.code);
}).catch(() => {
  document.getElementById("too-old").hidden = false;
});
