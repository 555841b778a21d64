import { more, readout, readoutsOf, setAttribute, setReadout, setSlider, setText, srOnly } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import { fixed, short, typeset } from "./shared/numbers.js";
import { ALPHA, consequence, legendSays, whatMoved } from "./relatives.js";
import "./axes.css";

/**
 * The axis picker's front end. What PyTorch has for each choice of axes comes from Python, under
 * the key of `keyFor`; the groups and their numbers are worked out by relatives.js.
 *
 * @typedef {object} State
 * @property {string} layout
 * @property {string} shared   the letters of the axes along which cells share
 * @property {number} groups   of channels
 * @property {"variance" | "square" | "none"} statistics
 * @property {number[]} x      in memory order
 * @property {number} cell     that the slider moves, and whose group is framed
 * @property {number | null} hovered  the cell under the pointer: its group is framed instead
 */

const KEYS = ["layout", "shared", "groups", "statistics", "x", "cell"];
const TINTS = 6;
const DEPTHS = [0.45, 1, 0.1, 0.75, 0.25, 0.6, 0.9, 0]; // of a tint, so that 48 groups look different
const LARGEST = 10; // a cell's value goes from −10 to 10, as axes.py says too
const STATISTICS = { variance: "μ and σ²", square: "mean square", none: "none" };
// What the second and the third grid show, by statistics.
const TITLES = {
  variance: ["the mean μ it gets", "output (x − μ) / σ"],
  square: ["the mean square it gets", "output x / root"],
  none: ["no statistics", `output tanh(${ALPHA}·x)`],
};
const PIXELS = 8; // of a drag, for a step of 1

const clamp = (v) => Math.min(Math.max(v, -LARGEST), LARGEST);
const tuple = (list) => `(${list.join(", ")})`;
const choice = (type, name, value, text) =>
  `<label><input type="${type}" name="${name}" value="${value}"> ${text}</label>`;
const choices = (name, rows) => rows.map(([value, text]) => choice("radio", name, value, text)).join("");
const set = (kind, legend, content = "") => `<fieldset class="ln-${kind}"><legend>${legend}</legend>${content}</fieldset>`;

/** Where a cell lies, one number an axis. */
function place(cell, shape) {
  return shape.map((size, axis) => {
    const below = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    return Math.floor(cell / below) % size;
  });
}

const skeleton = (byHand, layouts, groups) => `
  ${byHand ? "" : '<div class="ln-presets" role="group" aria-label="Layers to start from"></div>'}
  <div class="ln-choices">
    <fieldset class="ln-axes"></fieldset>
    ${byHand ? "" : set("groups", "Channels in", choices("groups", groups.map((k) => [k, k === 1 ? "1 group" : k])))
      + set("statistics", "They share", choices("statistics", Object.entries(STATISTICS)))
      + set("layouts", "x holds", choices("layout", Object.entries(layouts).map(([name, { axes }]) => [name, `${name} ${tuple([...axes])}`])))}
  </div>
  <p class="ln-consequence"><span data-quantity="consequence"></span></p>
  <div class="ln-grids"></div>
  <p class="ln-legend"></p>
  <div class="ln-pull"><label><span class="ln-where"></span> <input type="range" name="x" min="${-LARGEST}" max="${LARGEST}" step="1"></label>
    ${readout("value")} <button type="button" data-do="back">Put x back</button></div>
  <div class="ln-answer">
    <p class="ln-name">${readout("name")} <span data-quantity="note"></span></p>
    <pre><code data-quantity="line"></code></pre>
  </div>
  ${more(`<p class="ln-facts"><span>groups ${readout("groups")}</span>
      <span>n ${readout("n")}</span> <span>shape of γ ${readout("weight")}</span></p>
    <p class="ln-trace"></p>
    <p class="ln-says"></p>
    <p>By keyboard: the arrow keys go from cell to cell, and Tab goes on to the slider that moves the framed one.</p>`)}`;

/** The state as lines of PyTorch; `line` may be a call alone. */
const toPython = (line, x, shape) => `import torch
from torch import nn

x = torch.tensor([${x.join(", ")}], dtype=torch.float32).reshape(${shape.join(", ")})
${line.includes("y = ") ? line : `y = ${line}`}
print(y)
`;

function render(props) {
  const { model } = props;
  const layouts = model.get("layouts");
  const presets = model.get("presets");
  const answers = model.get("answers");
  const byHand = model.get("by_hand");
  const keyFor = ({ layout, shared, groups, statistics }) =>
    statistics === "none" ? `${layout}  1 none` : `${layout} ${shared} ${shared.includes("C") ? groups : 1} ${statistics}`;
  const pytorchFor = (state) => answers[keyFor(state)];
  const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

  const lab = createLab(props, {
    kind: "ln-picker",
    label: "Axis picker",
    body: skeleton(byHand, layouts, model.get("group_choices")),
    keys: KEYS,
    local: { hovered: null },
    fits: (state) => Boolean(pytorchFor(state)) && state.x.length === layouts[state.layout].start.length
      && state.x.every((v) => Math.abs(v) <= LARGEST) && state.cell >= 0 && state.cell < state.x.length,
  });
  const { root, find } = lab;
  const parts = readoutsOf(root); // those that stand in every layout
  const views = {}; // by layout: its axes and its cells, made once

  // --- changing the state ---

  function preset(wanted, layout = lab.state.layout) {
    const [, shared, groups, statistics] = presets[layout].find(([name]) => name === wanted);
    return { shared, groups, statistics };
  }
  const pull = (value, i = lab.state.cell) => ({ x: lab.state.x.with(i, clamp(value)) });

  // --- drawing ---

  if (!byHand) {
    find(".ln-presets").innerHTML = presets[lab.state.layout].map(([name]) =>
      `<button type="button" data-do="preset" data-preset="${name}">${name}</button>`).join("");
  }

  /** Three grids of the same cells. In each, a block for each of the batch; in it, a strip of cells a channel or a token. */
  function makeView(layout) {
    const { axes, names, shape } = layouts[layout];
    const images = layout === "images";
    const [batch, strips, ...inner] = shape;
    const size = inner.reduce((a, b) => a * b); // cells in a strip
    const grid = (kind, cellOf) => {
      let html = `<div class="ln-grid ln-${kind}"${kind === "cells" ? ' role="radiogroup" aria-label="Cells of x"' : ""}><p class="ln-title"></p><div class="ln-blocks">`;
      for (let b = 0; b < batch; b++) {
        html += `<div class="ln-block"><p>${images ? "image" : "sequence"} ${b}</p>`;
        for (let s = 0; s < strips; s++) {
          html += `<div class="ln-strip">${kind === "cells" ? `<i>${images ? axes[1] : names[1]} ${s}</i>` : ""}<div>`;
          for (let i = 0; i < size; i++) html += cellOf((b * strips + s) * size + i);
          html += "</div></div>";
        }
        html += "</div>";
      }
      return `${html}</div></div>`;
    };
    const number = (quantity) => (cell) => `<span class="ln-cell" data-quantity="${quantity}" data-index="${cell}"></span>`;
    const handle = (cell) => {
      const where = place(cell, shape).map((at, k) => `${names[k]} ${at}`).join(", ");
      return `<label class="ln-cell" data-index="${cell}"><input type="radio" name="cell" value="${cell}">${srOnly(`${where}: `)}<span data-quantity="x" data-index="${cell}"></span></label>`;
    };
    const node = document.createElement("div");
    node.innerHTML = set("axes", "Cells share along", [...axes].map((letter, k) =>
      choice("checkbox", "axis", letter, `<b>${byHand ? names[k] : letter}</b> ${byHand ? "" : `${names[k]}, `}${shape[k]}`)).join(""))
      + `<div class="ln-grids" data-layout="${layout}" style="--columns: ${inner.at(-1)}; --rows: ${size / inner.at(-1)}">${
        grid("cells", handle)}${grid("means", number("mean"))}${grid("outputs", number("x_hat"))}</div>`;
    const [share, grids] = node.children;
    const nodes = [...grids.querySelectorAll(".ln-cell")];
    const count = nodes.length / 3;
    const titles = [...grids.querySelectorAll(".ln-title")];
    setText(titles[0], "x: drag a cell");
    return { share, grids, titles, readouts: readoutsOf(grids), cells: nodes.slice(0, count).map((_, i) => [0, 1, 2].map((k) => nodes[k * count + i])) };
  }

  function check(name, value, on) {
    for (const input of root.querySelectorAll(`[name=${name}]`)) input.checked = on(value, input.value);
  }

  /** A cell of a grid: how deep its colour is, whether it has moved, whether it is framed. */
  function paint(node, shade, moved, lit) {
    setAttribute(node, "style", `--shade: ${6 + 4 * Math.round(9 * Math.min(Math.max(shade, 0), 1))}%`); // ten depths
    setAttribute(node, "class", `ln-cell${moved ? " ln-moved" : ""}${lit ? " ln-on" : ""}`);
  }

  /** @param {State} state */
  function draw(state) {
    const { share, grids, titles, cells, readouts } = (views[state.layout] ??= makeView(state.layout));
    if (!grids.isConnected) {
      find(".ln-axes").replaceWith(share);
      find(".ln-grids").replaceWith(grids);
    }
    const layout = layouts[state.layout];
    const none = state.statistics === "none";
    const cut = state.shared.includes("C") && !none;
    const groups = cut ? state.groups : 1;
    const { numbers, statistic, out, moved } = whatMoved(layout, { ...state, groups });
    const n = none ? 1 : numbers.length / statistic.length;
    const [name, line, weight, note] = pytorchFor(state);

    const equal = (value, own) => String(value) === own;
    check("layout", state.layout, equal);
    check("axis", state.shared, (shared, own) => shared.includes(own));
    check("groups", groups, equal);
    check("statistics", state.statistics, equal);
    check("cell", state.cell, equal);
    find(".ln-axes").disabled = none;
    if (!byHand) find(".ln-groups").disabled = !cut;
    for (const button of root.querySelectorAll("[data-preset]")) {
      const wanted = preset(button.dataset.preset, state.layout);
      setAttribute(button, "aria-pressed", Object.keys(wanted).every((key) => wanted[key] === state[key]));
    }

    const said = consequence(moved, state.statistics);
    const facts = { name, note, line, groups: none ? "none" : statistic.length, n, consequence: said };
    for (const [quantity, value] of Object.entries(facts)) setReadout(parts[quantity][0], value, String(value));
    setReadout(parts.weight[0], weight, weight || "yours to choose");
    setText(find(".ln-legend"), legendSays(state.statistics));
    TITLES[state.statistics].forEach((title, k) => setText(titles[k + 1], title));

    const digits = state.layout === "images" ? 1 : 2; // what there is room for
    const rounded = (v, places = digits) => typeset(String(+v.toFixed(places)));
    const narrow = (v) => rounded(v, digits - (Math.abs(v) >= 10 ? 1 : 0)); // a mean square has a digit more
    const picked = state.hovered ?? state.cell;
    cells.forEach(([cell, mean, output], i) => {
      const group = numbers[i];
      const lit = group === numbers[picked];
      setAttribute(cell, "data-group", group);
      paint(cell, (state.x[i] + LARGEST) / (2 * LARGEST), moved.cells[i], i === picked);
      paint(output, (out[i] + 2) / 4, moved.out[i], lit);
      paint(mean, DEPTHS[Math.floor(group / TINTS) % DEPTHS.length], moved.statistic[group], lit && !none);
      setAttribute(mean, "data-tint", none ? "none" : group % TINTS);
      setReadout(readouts.x[i], Math.fround(state.x[i]), rounded(state.x[i]));
      setReadout(readouts.mean[i], none ? "" : statistic[group], none ? "–" : narrow(statistic[group]));
      setReadout(readouts.x_hat[i], out[i], fixed(out[i], digits));
    });

    const at = (cell) => `x[${place(cell, layout.shape).join(", ")}]`;
    setSlider(find("[name=x]"), state.x[state.cell], short(state.x[state.cell]));
    setText(find(".ln-where"), at(state.cell));
    setReadout(parts.value[0], state.x[state.cell], rounded(state.x[state.cell]));
    const shared = state.statistics === "variance" ? `one μ = ${short(statistic[numbers[picked]])} and one σ²`
      : `one mean square, ${none ? "" : short(statistic[numbers[picked]])}`;
    setText(find(".ln-trace"), none ? `${at(picked)} is alone: nothing is shared.`
      : `${at(picked)} is in group ${numbers[picked]}: ${n === 1 ? "it is alone" : `${n} cells share ${shared}`}.`);
    const pytorch = lab.answer(({ key }) => key === keyFor(state) && same(state.x, layout.start))?.values;
    lab.sayAnswer(pytorch && `PyTorch gives the same ${out.length} outputs, to within ${
      short(Math.max(...pytorch.map((v, i) => Math.abs(v - out[i]))), 2)}.`);
    lab.speak(`${name}, ${none ? "no groups" : `${statistic.length} groups of ${n}`}. ${said}`);
  }

  // --- what the reader does ---

  /** The state that a control asks for. */
  function patchFor({ name, value, checked }, { layout, shared }) {
    if (name === "layout") return { layout: value, ...preset("LayerNorm", value), x: [...layouts[value].start], cell: 0 };
    if (name === "axis") {
      return { shared: [...layouts[layout].axes].filter((letter) => (letter === value ? checked : shared.includes(letter))).join("") };
    }
    if (name === "x") return pull(Number(value));
    return { [name]: name === "statistics" ? value : Number(value) }; // groups, cell
  }

  /** The pointer or the focus is here. */
  function onHover({ target }) {
    const part = target === root ? null : target.closest?.("[data-index]");
    const hovered = part ? Number(part.dataset.index) : null;
    if (hovered !== lab.state.hovered && !held) lab.change({ hovered });
  }

  // A cell is dragged by itself: up or to the right it grows. A finger that moves up or down scrolls the page.
  let held = null;
  const listen = (type, handler) => root.addEventListener(type, handler);
  for (const type of ["pointerover", "focusin", "pointerleave"]) listen(type, onHover);
  listen("pointerdown", ({ target, button, clientX, clientY, pointerId }) => {
    const cell = target.closest?.(".ln-cells label");
    if (!cell || button) return;
    const i = Number(cell.dataset.index);
    held = { i, from: lab.state.x[i] - (clientX - clientY) / PIXELS };
    cell.setPointerCapture?.(pointerId);
    lab.change({ cell: i, hovered: null });
  });
  listen("pointermove", ({ clientX, clientY }) => {
    if (!held) return;
    const value = clamp(Math.round(held.from + (clientX - clientY) / PIXELS));
    if (value !== lab.state.x[held.i]) lab.change(pull(value, held.i));
  });
  for (const type of ["pointerup", "pointercancel"]) listen(type, () => (held = null));

  return lab.run({
    draw,
    onInput: (input) => lab.load(patchFor(input, lab.state)),
    actions: {
      preset: ({ dataset }) => lab.load(preset(dataset.preset)),
      back: () => lab.load({ x: [...layouts[lab.state.layout].start] }),
    },
    python: (state) => toPython(pytorchFor(state)[1], state.x, layouts[state.layout].shape),
  });
}

export default { render };
