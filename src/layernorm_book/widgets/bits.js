import { FORMATS, asState, fieldsOf, fromState, kindOf, read, reciprocalRoot, widthOf, wordOf } from "./formats.js";
import { DIGITS, bitsSay, written } from "./bitsays.js";
import { clamp, powerOfTen, short, superscript } from "./shared/numbers.js";
import { field, more, readout, readoutsOf, setAttribute, setReadout, setSlider, setText } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import { across, dial } from "./shared/parts.js";
import "./bits.css";

/**
 * The bit lab: ε is added to σ², and what is left of it depends on σ² and on the format.
 *
 * @typedef {object} State
 * @property {string} format
 * @property {number} var       σ² as it is asked for; the format stores the nearest number
 * @property {number} eps       ε, likewise
 * @property {number} var_bits  where var is 0: the word that stands for σ² if it is ∞, NaN or −0, else −1
 * @property {number} eps_bits  likewise
 */

const fields = { var: ["σ²", -1e50, 1e50], eps: ["ε", -1e50, 1e50] };
const AXIS = { min: -13.5, max: 5, step: 0.25 }; // powers of ten that both sliders share; at its left end stands 0
const TICKS = [[AXIS.min, "0"], ...[-12, -9, -6, -3, 0, 3].map((p) => [p, powerOfTen(p)])];
const FIELDS = ["sign", "exponent", "fraction"];
const MOST = [1, 8, 23]; // cells of each field, in the widest format
const SYMBOLS = { var: "σ²", eps: "ε", sum: "σ² + ε", rstd: "1/√(σ² + ε)" };
const KINDS = { normal: "", subnormal: "subnormal: fewer digits", zero: "zero", infinite: "infinite", nan: "" };
const byName = Object.fromEntries(FORMATS.map((format) => [format.name, format]));

const spell = (v, number) => (Number.isNaN(v) ? "NaN" : Object.is(v, -0) ? "−0" : Number.isFinite(v) ? number : v < 0 ? "−∞" : "∞");
const text = (v, digits) => spell(v, short(v, digits));

// --- the picture ----------------------------------------------------------------------------------

const cells = (name, field, width) => Array.from({ length: width }, (_, k) => (name in fields
  ? `<i role="switch" tabindex="-1" data-do="flip" data-of="${name}" data-field="${field}" data-k="${k}"></i>` : "<i></i>")).join("");

const number = (name) => `
  <div class="lb-number" data-number="${name}">
    <p>${name === "rstd" ? "x − μ is multiplied by " : ""}<b>${SYMBOLS[name]}</b> = <output data-quantity="${name in fields ? "stored" : name}" data-index="${name}"></output>
      <span class="lb-reading"></span> <span class="lb-kind"></span></p>
    <div class="lb-bits" role="${name in fields ? "group" : "img"}" data-quantity="bits" data-index="${name}">${MOST
      .map((width, f) => `<span class="lb-${FIELDS[f]}">${cells(name, f, width)}</span>`).join("")}</div>
  </div>`;

const fieldOf = (name, words) => `= <span data-quantity="${name}">${field(name, words)}</span>`;
const strips = `<rect class="lb-none" y="3" height="7" rx="2"/><text class="lb-none-name" y="-2">stored as 0</text>`;
const lost = `<rect class="lb-lost" y="3" height="7" rx="2"/><text class="lb-lost-name" y="11" dx="4">lost beside σ²</text>`;

const body = (presets) => `
  <p class="lb-says" data-answer data-quantity="sentence"></p>
  ${choice("format", "The format of every number", Object.fromEntries(FORMATS.map(({ name }) => [name, name])))}
  <div class="lb-axis" data-main>
    ${dial("var", "σ²", fieldOf("var", "σ² as a number"), AXIS, TICKS, { words: "σ² on a logarithmic scale", extra: strips })}
    ${dial("eps", "ε", fieldOf("eps", "ε as a number"), AXIS, TICKS, { words: "ε on a logarithmic scale", extra: lost + strips })}
  </div>
  <p class="lb-key"><span class="lb-sign"><i></i>sign</span> <span class="lb-exponent"><i></i>exponent</span> <span class="lb-fraction"><i></i>fraction</span>
    <span>Click a bit of σ² or ε to flip it.</span></p>
  ${Object.keys(SYMBOLS).map(number).join("")}
  <div class="ln-presets" role="group" aria-label="Values to start from"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  ${more(`<p class="ln-facts"><span>exactly, 1/√(σ² + ε) = ${readout("exact")}</span> <span>off by ${readout("off")}</span> <span>half a step at σ² ${readout("half")}</span></p>
    <p class="lb-how">σ² and ε are stored in the format, then the sum, the root and its reciprocal are each rounded to it. The arrow keys move from bit to bit, and Space flips.</p>
    <p class="ln-says"></p>`)}`;

const toPython = ({ format, ...state }) => `import torch

var = torch.tensor(${state.var}, dtype=torch.${format})
eps = torch.tensor(${state.eps}, dtype=torch.${format})
total = var + eps
rstd = 1 / total.sqrt()
print(var.item(), eps.item(), total.item(), rstd.item())
`;

/** What the state holds under a name. */
const held = (state, name) => fromState(state[name], state[`${name}_bits`], byName[state.format]);

function render(props) {
  const presets = props.model.get("presets");
  const lab = createLab(props, {
    kind: "ln-bits",
    label: "Bits of σ² and ε",
    body: body(presets),
    keys: ["var_bits", "eps_bits", "var", "eps", "format"],
    fields,
    fits: ({ format, var_bits, eps_bits }) => format in byName
      && [var_bits, eps_bits].every((word) => Number.isInteger(word) && word >= -1 && word < 2 ** widthOf(byName[format])),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const parts = Object.fromEntries(Object.keys(SYMBOLS).map((name) => {
    const part = find(`[data-number=${name}]`);
    return [name, { bits: part.querySelector(".lb-bits"), value: part.querySelector("output"), reading: part.querySelector(".lb-reading"),
      kind: part.querySelector(".lb-kind"), cells: [...part.querySelectorAll(".lb-bits span")].map((span) => [...span.children]) }];
  }));
  for (const name in fields) parts[name].cells[2][0].tabIndex = 0;

  const place = (v) => (v > 0 ? clamp(Math.log10(v), AXIS.min, AXIS.max) : AXIS.min);

  function drawNumber(name, stored, word, format) {
    const { bits, value, reading, kind, cells } = parts[name];
    const { fields: own, significand, power } = fieldsOf(stored, format);
    const all = word.toString(2).padStart(widthOf(format), "0");
    const cut = [all[0], all.slice(1, 1 + format.exponent), all.slice(1 + format.exponent)];
    const what = kindOf(stored, format);
    setReadout(value, stored, spell(stored, written(stored, format)));
    setText(reading, Number.isFinite(stored) && stored !== 0 ? `= ${stored < 0 ? "−" : ""}${+significand.toPrecision(DIGITS[format.name])} · 2${superscript(power)}` : "");
    setText(kind, KINDS[what]);
    setAttribute(kind, "class", `lb-kind lb-${what}`);
    setAttribute(bits, "data-value", all);
    setAttribute(bits, "aria-label", `Bits of ${SYMBOLS[name]}: ${FIELDS.map((field, f) => `${field} ${cut[f]}`).join(", ")}`);
    cells.forEach((row, f) => row.forEach((cell, k) => {
      const bit = cut[f][k];
      cell.hidden = bit === undefined;
      if (cell.hidden) return;
      setText(cell, bit);
      setAttribute(cell, "class", bit === "1" ? "lb-on" : "");
      if (!(name in fields)) return;
      setAttribute(cell, "aria-checked", bit === "1");
      setAttribute(cell, "aria-label", `${SYMBOLS[name]}, ${FIELDS[f]}${own[f].length > 1 ? ` bit ${k + 1} of ${own[f].length}` : ""}`);
    }));
  }

  /** Shade the shared axis from its left end up to a value, and name it where there is room. */
  function shade(dialOf, name, upTo) {
    const end = place(upTo);
    const width = Math.max(0, end - AXIS.min);
    setAttribute(find(`${dialOf} .lb-${name}`), "width", across(AXIS.min + width, AXIS.min, AXIS.max));
    setAttribute(find(`${dialOf} .lb-${name}-name`), "x", across(end, AXIS.min, AXIS.max));
    setAttribute(find(`${dialOf} .lb-${name}-name`), "visibility", width > 0 ? "visible" : "hidden");
  }

  /** @param {State} state */
  function draw(state) {
    const format = byName[state.format];
    const [variance, eps] = [held(state, "var"), held(state, "eps")];
    const { sum, rstd } = reciprocalRoot(variance.stored, eps.stored, format);
    find(`[name=format][value=${state.format}]`).checked = true;
    for (const [name, { stored, word, asked }] of [["var", variance], ["eps", eps]]) {
      setSlider(find(`[name=${name}]`), place(asked), text(asked, 4));
      setReadout(readouts[name][0], asked, text(asked, 12));
      drawNumber(name, stored, word, format);
    }
    drawNumber("sum", sum, wordOf(sum, format), format);
    drawNumber("rstd", rstd, wordOf(rstd, format), format);

    const least = read(1, format);
    const size = Math.abs(variance.stored);
    const half = size < Infinity ? Math.max(least, read(wordOf(size, format) + 1, format) - size) / 2 : NaN;
    shade(".ln-dial-var", "none", least / 2);
    shade(".ln-dial-eps", "none", least / 2);
    shade(".ln-dial-eps", "lost", variance.stored > 0 && half > least / 2 ? half : 0);

    const kept = { var: variance.stored, eps: eps.stored, sum, rstd };
    const said = bitsSay({ var: variance.asked, eps: eps.asked }, kept, format);
    const exact = 1 / Math.sqrt(variance.stored + eps.asked);
    setReadout(readouts.sentence[0], said, said);
    setReadout(readouts.exact[0], exact, text(exact, 6));
    setReadout(readouts.off[0], rstd / exact - 1, Number.isFinite(rstd / exact) ? short(rstd / exact - 1, 2) : "—");
    setReadout(readouts.half[0], half, text(half, 3));
    drawAnswer(state);
    lab.speak(said);
  }

  /** Say whether PyTorch has the same bits, where it has been asked. */
  function drawAnswer(state) {
    const pytorch = lab.answer((record) => ["format", "var", "eps"].every((key) => record[key] === state[key]) && state.var_bits < 0 && state.eps_bits < 0);
    const isNaNs = (bits) => Number.isNaN(read(parseInt(bits, 2), byName[state.format]));
    const off = pytorch && Object.values(parts).filter(({ bits: { dataset } }, k) =>
      pytorch.bits[k] !== dataset.value && !(isNaNs(pytorch.bits[k]) && isNaNs(dataset.value))).length;
    setAttribute(find(".ln-says"), "data-agrees", pytorch ? !off : "");
    lab.sayAnswer(pytorch && `${lab.live ? "PyTorch has" : "While this page was built, PyTorch had"} ${off ? "other bits" : "the same bits in all four"}.`);
  }

  const flip = ({ dataset }) => {
    const { state } = lab;
    const format = byName[state.format];
    const at = [0, 1, 1 + format.exponent][dataset.field] + +dataset.k;
    const { word } = held(state, dataset.of);
    const bit = 2 ** (widthOf(format) - 1 - at);
    const [value, bits] = asState(word + (Math.floor(word / bit) % 2 ? -bit : bit), format);
    lab.change({ [dataset.of]: value, [`${dataset.of}_bits`]: bits });
  };

  /** The bits of a number are one stop: the arrow keys move among them, Space and Enter flip. */
  root.addEventListener("keydown", (event) => {
    const here = event.target;
    if (here.dataset?.do !== "flip") return;
    const all = [...here.closest(".lb-bits").querySelectorAll("i:not([hidden])")];
    const to = { ArrowLeft: all.indexOf(here) - 1, ArrowRight: all.indexOf(here) + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined && event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (to === undefined) return flip(here);
    const next = all[clamp(to, 0, all.length - 1)];
    here.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const plain = (name, value) => ({ [name]: value, [`${name}_bits`]: -1 });
  return lab.run({
    draw,
    onInput: ({ name, value }) => lab.change(name === "format" ? { format: value, var_bits: -1, eps_bits: -1 }
      : plain(name, value <= AXIS.min + AXIS.step / 2 ? 0 : +(10 ** value).toPrecision(3))),
    onNumber: (name, value) => lab.change(plain(name, value)),
    actions: {
      flip,
      preset: ({ dataset }) => {
        const { label, ...state } = presets[dataset.preset];
        lab.change({ ...state, var_bits: -1, eps_bits: -1 });
      },
    },
    python: toPython,
  });
}

export default { render };
