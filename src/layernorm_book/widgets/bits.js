import { FORMATS, addOne, fieldsOf, kindOf, store } from "./formats.js";
import { short, superscript, typeset } from "./shared/numbers.js";
import { readoutsOf, setAttribute, setReadout, setSlider, setText, srOnly } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import "./bits.css";

/** The bits of one number, ε, in three formats. */

const fields = { eps: ["ε", 1e-50, 1e50] };
const FIELDS = ["sign", "exponent", "fraction"];
const KINDS = {
  normal: "normal",
  subnormal: "subnormal: no leading 1, fewer digits",
  zero: "zero: nothing is left",
  infinite: "infinite: too large",
};

/** How far the stored number is from the typed one, in percent or parts of a billion. */
function errorText(error) {
  const size = Math.abs(error);
  if (!size) return "exact";
  const sign = error < 0 ? "−" : "+";
  return size >= 1e-5 ? `${sign}${+(100 * size).toPrecision(2)}%` : `${sign}${short(size, 2)}`;
}

/** Digits enough to tell a number from its neighbours, or the number itself where it is short. */
const digits = { float32: 9, float16: 5, bfloat16: 4 };

const text = (v, digits) => (v === Infinity ? "∞" : short(v, digits));
const of = (quantity, k) => `<output data-quantity="${quantity}" data-index="${k}"></output>`;
const cells = (width) => "<i></i>".repeat(width);

const block = ({ name, exponent, fraction }, k) => `
  <div class="lb-format" data-format="${name}">
    <p><b>${name}</b> ${of("kind", k)}</p>
    <div class="lb-bits" role="img" data-quantity="bits" data-index="${k}">${[1, exponent, fraction]
      .map((width, f) => `<span class="lb-${FIELDS[f]}"><small>${FIELDS[f]}</small>${cells(width)}</span>`).join("")}
    </div>
    <p class="ln-facts"><span>stores ${of("stored", k)} = ${of("reading", k)}</span>
      <span>error ${of("error", k)}</span> <span>1 + ε = ${of("plus", k)}</span></p>
  </div>`;

const preset = ({ eps, label, who }) =>
  `<button type="button" data-do="preset" data-eps="${eps}">${typeset(label)}${who ? ` <small>${who}</small>` : ""}</button>`;

const skeleton = (presets) => `
  <div class="ln-presets" role="group" aria-label="Values of ε to start from">${presets.map(preset).join("")}</div>
  <div class="lb-eps">
    <label><span>ε</span> <input name="eps-typed" inputmode="decimal" aria-label="ε as a number"></label>
    <label>${srOnly("ε on a logarithmic scale")}<input type="range" name="eps" min="-13" max="0" step="0.05">
      <span class="lb-zones" aria-hidden="true"><i>float16: zero</i><i>subnormal</i><i>normal</i></span></label>
  </div>
  ${FORMATS.map(block).join("")}
  <p class="ln-says"></p>`;

const toPython = ({ eps }) => `import torch

stored = [torch.tensor(${eps}, dtype=dtype) for dtype in (${FORMATS.map(({ name }) => `torch.${name}`).join(", ")})]
print("stored:", [v.item() for v in stored])
print("1 + ε: ", [(1 + v).item() for v in stored])
`;

function render(props) {
  const presets = props.model.get("recorded").filter(({ label }) => label);
  const lab = createLab(props, { kind: "ln-bits", label: "Bits of ε in three formats", body: skeleton(presets), keys: ["eps"], fields });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const [slider, typed] = [find("[name=eps]"), find("[name=eps-typed]")];
  const bitCells = readouts.bits.map((node) => [...node.querySelectorAll("i")]);

  const show = (quantity, k, value, text) => setReadout(readouts[quantity][k], value, text);

  function draw({ eps }) {
    setSlider(slider, Math.log10(eps), short(eps, 4));
    if (!typed.dataset.editing) typed.value = short(eps, 12);
    FORMATS.forEach((format, k) => {
      const stored = store(eps, format);
      const kind = kindOf(stored, format);
      const { fields, significand, power } = fieldsOf(stored, format);
      const shown = digits[format.name];
      show("kind", k, kind, KINDS[kind]);
      setAttribute(readouts.kind[k], "class", `lb-${kind}`);
      show("stored", k, stored, text(stored, shown));
      show("reading", k, significand, stored === Infinity ? "∞" : `${+significand.toPrecision(shown)} · 2${superscript(power)}`);
      show("error", k, stored / eps - 1, errorText(stored / eps - 1));
      const plus = addOne(stored, format);
      show("plus", k, plus, `${text(plus, shown)}${plus === 1 ? " (ε is lost)" : ""}`);
      setAttribute(readouts.bits[k], "data-value", fields.join(""));
      setAttribute(readouts.bits[k], "aria-label", FIELDS.map((field, f) => `${field} ${fields[f]}`).join(", "));
      [...fields.join("")].forEach((bit, i) => {
        setText(bitCells[k][i], bit);
        setAttribute(bitCells[k][i], "class", bit === "1" ? "lb-on" : "");
      });
    });
    drawAnswer(eps);
    const news = FORMATS.map(({ name }, k) => `${name} ${readouts.kind[k].dataset.value}, ${readouts.stored[k].textContent}`).join("; ");
    lab.speak(`ε ${short(eps, 4)}: ${news}.`);
  }

  /** Say what PyTorch stores, where it has been asked. */
  function drawAnswer(eps) {
    const pytorch = lab.answer((record) => record.eps === eps);
    const off = pytorch && FORMATS.filter((_, k) => pytorch.bits[k] !== readouts.bits[k].dataset.value).map(({ name }) => name);
    setAttribute(find(".ln-says"), "data-agrees", off ? !off.length : "");
    lab.sayAnswer(off && `${lab.live ? "PyTorch stores" : "While this page was built, PyTorch stored"} ${
      off.length ? `other bits in ${off.join(" and ")}` : "the same bits in all three"}.`);
  }

  return lab.run({
    draw,
    onInput: ({ value }) => lab.change({ eps: +(10 ** value).toPrecision(3) }),
    actions: { preset: ({ dataset }) => lab.change({ eps: +dataset.eps }) },
    python: toPython,
  });
}

export default { render };
