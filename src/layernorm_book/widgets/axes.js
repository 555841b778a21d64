import { readout, readoutsOf, setAttribute, setReadout, setText, srOnly } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import "./axes.css";

/**
 * The axis picker's front end. What PyTorch has for each choice of axes comes from Python, under
 * the key of `pytorchFor`; the groups are counted here.
 *
 * @typedef {object} State
 * @property {string} layout
 * @property {string} shared   the letters of the axes along which cells share
 * @property {number} groups   of channels
 * @property {boolean} centred
 * @property {number} cell     whose group is lit
 * @property {number | null} hovered  the cell under the pointer: its group is lit instead
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
    <p class="ln-name">${readout("name")} <span data-quantity="note"></span></p>
    <p class="ln-facts"><span>groups ${readout("groups")}</span>
      <span>n ${readout("n")}</span> <span>shape of γ ${readout("weight")}</span></p>
    <pre><code data-quantity="line"></code></pre>
    <p class="ln-trace"></p>
  </div>
  <div class="ln-cells" role="radiogroup" aria-label="Cells of x, each with the number of its group"></div>
  </div>`;

const choice = (type, name, value, text) =>
  `<label><input type="${type}" name="${name}" value="${value}"> ${text}</label>`;

/** The state as lines of PyTorch; `line` may be a call alone. */
const toPython = (line, shape) => `import torch
from torch import nn

x = torch.randn(${shape.join(", ")})
${line.includes("y = ") ? line : `y = ${line}`}
print(y)
`;

function render(props) {
  const { model } = props;
  const layouts = model.get("layouts");
  const names = model.get("axis_names");
  const presets = model.get("presets");
  const answers = model.get("answers");
  const pytorchFor = ({ layout, shared, groups, centred }) =>
    answers[`${layout} ${shared} ${shared.includes("C") ? groups : 1} ${+centred}`];
  const cellsOf = ({ shape }) => shape.reduce((a, b) => a * b);

  const lab = createLab(props, {
    kind: "ln-picker",
    label: "Axis picker",
    body: skeleton,
    keys: KEYS,
    local: { hovered: null },
    fits: (state) => Boolean(pytorchFor(state)) && state.cell >= 0 && state.cell < cellsOf(layouts[state.layout]),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  let laidOut = ""; // the layout whose cells stand in the page
  let cells = [];

  const tuple = (list) => `(${list.join(", ")})`;
  const fill = (selector, html) => find(selector).insertAdjacentHTML("beforeend", html);
  fill(".ln-layouts", Object.entries(layouts).map(([name, { axes }]) =>
    choice("radio", "layout", name, `${name} ${tuple([...axes])}`)).join(""));
  fill(".ln-groups", model.get("group_choices").map((k) =>
    choice("radio", "groups", k, k === 1 ? "1 group" : k)).join(""));

  // --- changing the state ---

  function preset(wanted, layout = lab.state.layout) {
    const [, shared, groups, centred] = presets[layout].find(([name]) => name === wanted);
    return { layout, shared, groups, centred };
  }

  // --- drawing ---

  /** Two blocks for the batch; in each, one strip of cells a channel or one a token. */
  function layOut(name) {
    laidOut = name;
    const { axes, shape } = layouts[laidOut];
    find(".ln-presets").innerHTML = presets[laidOut].map(([name]) =>
      `<button type="button" data-do="preset" data-preset="${name}">${name}</button>`).join("");
    for (const label of root.querySelectorAll(".ln-axes label")) label.remove();
    fill(".ln-axes", [...axes].map((letter, k) =>
      choice("checkbox", "axis", letter, `<b>${letter}</b> ${names[letter]}, ${shape[k]}`)).join(""));

    const [batch, strips] = shape;
    const inner = shape.slice(2);
    const size = inner.reduce((a, b) => a * b); // cells in a strip
    const columns = inner.at(-1);
    let html = "";
    for (let b = 0; b < batch; b++) {
      html += `<div class="ln-block" style="--columns: ${columns}"><p>${laidOut === "images" ? "image" : "sequence"} ${b}</p>`;
      for (let s = 0; s < strips; s++) {
        html += `<div class="ln-strip"><i>${axes[1]} ${s}</i><div>`;
        for (let i = 0; i < size; i++) {
          const cell = (b * strips + s) * size + i;
          const where = place(cell, shape).map((at, k) => `${names[axes[k]]} ${at}`).join(", ");
          html += `<label data-index="${cell}"><input type="radio" name="cell" value="${cell}">${srOnly(`${where}: group `)}<span></span></label>`;
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

  /** @param {State} state */
  function draw(state) {
    if (laidOut !== state.layout) layOut(state.layout);
    const layout = layouts[state.layout];
    const cut = state.shared.includes("C");
    const groups = cut ? state.groups : 1;
    const numbers = groupNumbers(layout, state.shared, groups);
    const count = Math.max(...numbers) + 1;
    const n = numbers.length / count;
    const [name, line, weight, note] = pytorchFor(state);

    const equal = (value, own) => String(value) === own;
    check("layout", state.layout, equal);
    check("axis", state.shared, (shared, own) => shared.includes(own));
    check("groups", groups, equal);
    check("cell", state.cell, equal);
    find(".ln-groups").disabled = !cut;
    find("[name=centred]").checked = state.centred;
    for (const button of root.querySelectorAll("[data-preset]")) {
      const wanted = preset(button.dataset.preset);
      setAttribute(button, "aria-pressed", Object.keys(wanted).every((key) => wanted[key] === state[key]));
    }

    for (const [quantity, value] of Object.entries({ name, note, line, groups: count, n })) {
      setReadout(readouts[quantity][0], value, String(value));
    }
    setReadout(readouts.weight[0], weight, weight || "yours to choose");
    setAttribute(find(".ln-answer"), "data-found", Boolean(weight));

    const lit = numbers[state.hovered ?? state.cell];
    cells.forEach((cell, i) => {
      setAttribute(cell, "data-group", numbers[i]);
      setAttribute(cell, "data-tint", numbers[i] % TINTS);
      cell.classList.toggle("ln-on", numbers[i] === lit);
      setText(cell.lastElementChild, String(numbers[i]));
    });
    const where = place(state.hovered ?? state.cell, layout.shape);
    const statistics = state.centred ? "one μ and one σ²" : "one mean square";
    setText(find(".ln-trace"), `x[${where.join(", ")}] is in group ${lit}: ${n === 1 ? "it is alone" : `${n} cells share ${statistics}`}.`);
    lab.speak(`${name}: ${count} groups of ${n}.`);
  }

  // --- what the reader does ---

  /** The state that a control asks for. */
  function patchFor({ name, value, checked }, { layout, shared }) {
    if (name === "layout") return { ...preset("LayerNorm", value), cell: 0 };
    if (name === "axis") {
      return { shared: [...layouts[layout].axes].filter((letter) => (letter === value ? checked : shared.includes(letter))).join("") };
    }
    if (name === "centred") return { centred: checked };
    return { [name]: Number(value) }; // groups, cell
  }

  function onHover(part) {
    const hovered = part ? Number(part.dataset.index) : null;
    if (hovered !== lab.state.hovered) lab.change({ hovered });
  }

  return lab.run({
    draw,
    onInput: (input) => lab.load(patchFor(input, lab.state)),
    onHover,
    actions: { preset: ({ dataset }) => lab.load(preset(dataset.preset)) },
    python: (state) => toPython(pytorchFor(state)[1], layouts[state.layout].shape),
  });
}

export default { render };
