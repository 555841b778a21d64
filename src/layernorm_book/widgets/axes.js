import { hidden, put, say } from "./page.js";

/**
 * The axis picker's front end. What PyTorch has for each choice of axes comes from Python, under
 * the key of `answer`; the groups are counted here.
 *
 * @typedef {object} State
 * @property {string} layout
 * @property {string} shared   the letters of the axes along which cells share
 * @property {number} groups   of channels
 * @property {boolean} centred
 * @property {number} cell     whose group is lit
 */

const KEYS = ["layout", "shared", "groups", "centred", "cell"];
const TINTS = 6;

/**
 * The number of each cell's group, in memory order. Cells are in one group where they agree on
 * every axis that is not shared, and on the part of the channels where those are cut.
 * @param {{ axes: string, shape: number[] }} layout
 * @param {string} shared
 * @param {number} groups
 */
export function groupNumbers({ axes, shape }, shared, groups) {
  let numbers = [0];
  shape.forEach((size, axis) => {
    const letter = axes[axis];
    const parts = !shared.includes(letter) ? size : letter === "C" ? groups : 1;
    numbers = numbers.flatMap((number) =>
      Array.from({ length: size }, (_, i) => number * parts + Math.floor((i * parts) / size)));
  });
  return numbers;
}

/** Where a cell lies, one number an axis. */
function place(cell, shape) {
  return shape.map((size, axis) => {
    const below = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    return Math.floor(cell / below) % size;
  });
}

const skeleton = `
  <div class="ln-presets" role="group" aria-label="Layers to start from"></div>
  <div class="ln-choices">
    <fieldset class="ln-layouts"><legend>x holds</legend></fieldset>
    <fieldset class="ln-axes"><legend>Cells share along</legend></fieldset>
    <fieldset class="ln-groups"><legend>Channels in</legend></fieldset>
    <fieldset><legend>Statistics</legend><label><input type="checkbox" name="centred"> subtract the mean μ</label></fieldset>
  </div>
  <div class="ln-both">
  <div class="ln-answer">
    <p class="ln-name"><output data-quantity="name"></output> <span data-quantity="note"></span></p>
    <p class="ln-facts"><span>groups <output data-quantity="groups"></output></span>
      <span>n <output data-quantity="n"></output></span> <span>shape of γ <output data-quantity="weight"></output></span></p>
    <pre><code data-quantity="line"></code></pre>
    <p class="ln-trace"></p>
  </div>
  <div class="ln-cells" role="radiogroup" aria-label="Cells of x, each with the number of its group"></div>
  </div>
  <p class="ln-hidden ln-live" aria-live="polite"></p>`;

const choice = (type, name, value, text) =>
  `<label><input type="${type}" name="${name}" value="${value}"> ${text}</label>`;

function render({ model, el }) {
  const layouts = model.get("layouts");
  const names = model.get("axis_names");
  const presets = model.get("presets");
  const answers = model.get("answers");
  const root = document.createElement("form"); // a form keeps its radio buttons to itself
  root.className = "ln-lab ln-picker";
  root.autocomplete = "off";
  put(root, "aria-label", "Axis picker");
  root.innerHTML = skeleton;
  el.append(root);

  const find = (selector) => root.querySelector(selector);
  const fromModel = () => Object.fromEntries(KEYS.map((key) => [key, model.get(key)]));
  /** @type {State} */
  let state = fromModel();
  let laidOut = ""; // the layout whose cells stand in the page
  let cells = [];
  let hovered = null;
  let pushing = false;
  let speaking = 0;
  let told = null;

  const tuple = (list) => `(${list.join(", ")})`;
  const fill = (selector, html) => find(selector).insertAdjacentHTML("beforeend", html);
  fill(".ln-layouts", Object.entries(layouts).map(([name, { axes }]) =>
    choice("radio", "layout", name, `${name} ${tuple([...axes])}`)).join(""));
  fill(".ln-groups", model.get("group_choices").map((k) =>
    choice("radio", "groups", k, k === 1 ? "1 group" : k)).join(""));

  // --- changing the state ---

  function change(patch) {
    state = { ...state, ...patch };
    hovered = null;
    draw();
    pushing = true;
    for (const key in patch) model.set(key, patch[key]);
    model.save_changes();
    pushing = false;
  }

  function pull() {
    const now = fromModel();
    if (pushing || ![...now.shared].every((letter) => layouts[now.layout].axes.includes(letter))) return;
    state = now;
    draw();
  }

  function preset(wanted, layout = state.layout) {
    const [, shared, groups, centred] = presets[layout].find(([name]) => name === wanted);
    return { layout, shared, groups, centred };
  }
  const matches = (wanted) => Object.keys(wanted).every((key) => wanted[key] === state[key]);

  // --- drawing ---

  /** Two blocks for the batch; in each, one strip of cells a channel or one a token. */
  function layOut() {
    laidOut = state.layout;
    const { axes, shape } = layouts[laidOut];
    find(".ln-presets").innerHTML = presets[laidOut].map(([name]) =>
      `<button type="button" data-preset="${name}">${name}</button>`).join("");
    for (const label of root.querySelectorAll(".ln-axes label")) label.remove();
    fill(".ln-axes", [...axes].map((letter, k) =>
      choice("checkbox", "axis", letter, `<b>${letter}</b> ${names[letter]}, ${shape[k]}`)).join(""));

    const [batch, strips] = shape;
    const inner = shape.slice(2);
    const size = inner.reduce((a, b) => a * b);
    const columns = inner.at(-1);
    let html = "";
    for (let b = 0; b < batch; b++) {
      html += `<div class="ln-block" style="--columns: ${columns}"><p>${laidOut === "images" ? "image" : "sequence"} ${b}</p>`;
      for (let s = 0; s < strips; s++) {
        html += `<div class="ln-strip"><i>${axes[1]} ${s}</i><div>`;
        for (let i = 0; i < size; i++) {
          const cell = (b * strips + s) * size + i;
          const where = place(cell, shape).map((at, k) => `${names[axes[k]]} ${at}`).join(", ");
          html += `<label data-index="${cell}"><input type="radio" name="cell" value="${cell}">${hidden(`${where}: group `)}<span></span></label>`;
        }
        html += "</div></div>";
      }
      html += "</div>";
    }
    find(".ln-cells").innerHTML = html;
    cells = [...root.querySelectorAll(".ln-cells label")];
  }

  function check(name, value, on) {
    for (const input of root.querySelectorAll(`[name=${name}]`)) input.checked = on(value, input.value);
  }

  function draw() {
    if (laidOut !== state.layout) layOut();
    const layout = layouts[state.layout];
    const cut = state.shared.includes("C");
    const groups = cut ? state.groups : 1;
    const numbers = groupNumbers(layout, state.shared, groups);
    const count = Math.max(...numbers) + 1;
    const n = numbers.length / count;
    const [name, line, weight, note] = answers[`${state.layout} ${state.shared} ${groups} ${+state.centred}`];

    const equal = (value, own) => String(value) === own;
    check("layout", state.layout, equal);
    check("axis", state.shared, (shared, own) => shared.includes(own));
    check("groups", groups, equal);
    check("cell", state.cell, equal);
    find(".ln-groups").disabled = !cut;
    find("[name=centred]").checked = state.centred;
    for (const button of root.querySelectorAll("[data-preset]")) {
      put(button, "aria-pressed", matches(preset(button.dataset.preset)));
    }

    const readouts = { name, note, line, groups: count, n, weight: weight || "yours to choose" };
    for (const [quantity, value] of Object.entries(readouts)) {
      const node = find(`[data-quantity=${quantity}]`);
      put(node, "data-value", quantity === "weight" ? weight : value);
      say(node, String(value));
    }
    put(find(".ln-answer"), "data-found", Boolean(weight));

    const lit = numbers[hovered ?? state.cell];
    cells.forEach((cell, i) => {
      put(cell, "data-group", numbers[i]);
      put(cell, "data-tint", numbers[i] % TINTS);
      cell.classList.toggle("ln-on", numbers[i] === lit);
      say(cell.lastElementChild, String(numbers[i]));
    });
    const where = place(hovered ?? state.cell, layout.shape);
    const statistics = state.centred ? "one μ and one σ²" : "one mean square";
    say(find(".ln-trace"), `x[${where.join(", ")}] is in group ${lit}: ${n === 1 ? "it is alone" : `${n} cells share ${statistics}`}.`);
    speak(`${name}: ${count} groups of ${n}.`);
  }

  /** Tell a screen reader once the hand rests, when the answer is another, and not at the start. */
  function speak(text) {
    clearTimeout(speaking);
    told ??= text;
    if (text !== told) speaking = setTimeout(() => (find(".ln-live").textContent = told = text), 800);
  }

  // --- the reader's hand ---

  function onInput({ target: { name, value, checked } }) {
    if (name === "layout") change({ ...preset("LayerNorm", value), cell: 0 });
    else if (name === "axis") {
      const { axes } = layouts[state.layout];
      change({ shared: [...axes].filter((letter) => (letter === value ? checked : state.shared.includes(letter))).join("") });
    } else if (name === "groups") change({ groups: Number(value) });
    else if (name === "centred") change({ centred: checked });
    else change({ cell: Number(value) });
  }

  function onClick({ target }) {
    const name = target.closest?.("[data-preset]")?.dataset.preset;
    if (name) change(preset(name));
  }

  function onPoint({ target }) {
    const index = target.closest?.("[data-index]")?.dataset.index;
    const now = index === undefined ? null : Number(index);
    if (now === hovered) return;
    hovered = now;
    draw();
  }

  const away = new AbortController();
  const listen = (node, type, handler) => node.addEventListener(type, handler, { signal: away.signal });
  listen(root, "input", onInput);
  listen(root, "click", onClick);
  listen(root, "pointerover", onPoint);
  listen(root, "pointerleave", onPoint);
  listen(root, "submit", (event) => event.preventDefault());
  for (const key of KEYS) model.on(`change:${key}`, pull);

  draw();
  return () => {
    away.abort();
    clearTimeout(speaking);
    for (const key of KEYS) model.off(`change:${key}`, pull);
    root.remove();
  };
}

export default { render };
