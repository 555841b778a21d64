import { FORMATS, addOne, fieldsOf, kindOf, store } from "./formats.js";
import { parse, short, typeset } from "./numbers.js";
import { hidden, say } from "./page.js";

/** The bits of one number in three formats. `eps` is all the state there is; `draw` shows it. */

const RANGE = { least: 1e-50, most: 1e50 }; // what can be typed
const FIELDS = ["sign", "exponent", "fraction"];
const KINDS = {
  normal: "normal",
  subnormal: "subnormal: no leading 1, fewer digits",
  zero: "zero: nothing is left",
  infinite: "infinite: too large",
};

const superscript = (power) => String(power).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");

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
const out = (quantity, k) => `<output data-quantity="${quantity}" data-index="${k}"></output>`;
const cells = (width) => "<i></i>".repeat(width);

const block = ({ name, exponent, fraction }, k) => `
  <div class="lb-format" data-format="${name}">
    <p><b>${name}</b> ${out("kind", k)}</p>
    <div class="lb-bits" role="img" data-quantity="bits" data-index="${k}">${[1, exponent, fraction]
      .map((width, f) => `<span class="lb-${FIELDS[f]}"><small>${FIELDS[f]}</small>${cells(width)}</span>`).join("")}
    </div>
    <p class="ln-facts"><span>stores ${out("stored", k)} = ${out("reading", k)}</span>
      <span>error ${out("error", k)}</span> <span>1 + ε = ${out("plus", k)}</span></p>
  </div>`;

const preset = ({ eps, label, who }) =>
  `<button type="button" data-eps="${eps}">${typeset(label)}${who ? ` <small>${who}</small>` : ""}</button>`;

const skeleton = (presets) => `
  <div class="ln-presets" role="group" aria-label="Values of ε to start from">${presets.map(preset).join("")}</div>
  <div class="lb-eps">
    <label><span>ε</span> <input name="eps-typed" inputmode="decimal" aria-label="ε as a number"></label>
    <label>${hidden("ε on a logarithmic scale")}<input type="range" name="eps" min="-13" max="0" step="0.05">
      <span class="lb-zones" aria-hidden="true"><i>float16: zero</i><i>subnormal</i><i>normal</i></span></label>
  </div>
  <p class="lb-refusal" role="status"></p>
  ${FORMATS.map(block).join("")}
  <p class="lb-says"></p>
  <p class="ln-hidden lb-live" aria-live="polite"></p>`;

/**
 * @param {object} props
 * @param {import("@anywidget/types").AnyModel} props.model
 * @param {HTMLElement} props.el
 * @param {boolean} [props.live]  false on a static page, where no Python answers
 */
function render({ model, el, live = true }) {
  const root = document.createElement("form"); // so that Enter in the field is a change
  root.className = "ln-lab ln-bits";
  root.autocomplete = "off";
  root.setAttribute("aria-label", "Bits of ε in three formats");
  root.innerHTML = skeleton(model.get("recorded"));
  el.append(root);

  const find = (selector) => root.querySelector(selector);
  const readouts = {};
  for (const node of root.querySelectorAll("[data-quantity]")) (readouts[node.dataset.quantity] ??= []).push(node);
  const [slider, typed] = [find("[name=eps]"), find("[name=eps-typed]")];
  const bitCells = readouts.bits.map((node) => [...node.querySelectorAll("i")]);
  let speaking = 0;

  function write(quantity, k, value, text) {
    readouts[quantity][k].dataset.value = value;
    say(readouts[quantity][k], text);
  }

  function draw() {
    const eps = model.get("eps");
    const log = Math.log10(eps);
    if (Math.abs(+slider.value - log) > 0.05) slider.value = log;
    slider.setAttribute("aria-valuetext", short(eps, 4));
    if (!typed.dataset.editing) typed.value = short(eps, 12);
    FORMATS.forEach((format, k) => {
      const stored = store(eps, format);
      const kind = kindOf(stored, format);
      const { fields, significand, power } = fieldsOf(stored, format);
      const shown = digits[format.name];
      write("kind", k, kind, KINDS[kind]);
      readouts.kind[k].className = `lb-${kind}`;
      write("stored", k, stored, text(stored, shown));
      write("reading", k, significand, stored === Infinity ? "∞" : `${+significand.toPrecision(shown)} · 2${superscript(power)}`);
      write("error", k, stored / eps - 1, errorText(stored / eps - 1));
      const plus = addOne(stored, format);
      write("plus", k, plus, `${text(plus, shown)}${plus === 1 ? " (ε is lost)" : ""}`);
      readouts.bits[k].dataset.value = fields.join("");
      readouts.bits[k].setAttribute("aria-label", FIELDS.map((field, f) => `${field} ${fields[f]}`).join(", "));
      [...fields.join("")].forEach((bit, i) => {
        say(bitCells[k][i], bit);
        bitCells[k][i].className = bit === "1" ? "lb-on" : "";
      });
    });
    drawAnswer(eps);
    speak(eps);
  }

  /** Say what PyTorch stores, where it has been asked. */
  function drawAnswer(eps) {
    const said = [model.get("answer"), ...model.get("recorded")].find((answer) => answer.eps === eps);
    const mine = FORMATS.map((_, k) => readouts.bits[k].dataset.value);
    const off = said && FORMATS.filter((_, k) => said.bits[k] !== mine[k]);
    const who = live ? "PyTorch stores" : "While this page was built, PyTorch stored";
    find(".lb-says").dataset.agrees = said ? !off.length : "";
    say(find(".lb-says"), !said
      ? live ? "Waiting for PyTorch’s answer, which takes a running kernel." : "For this ε the bits are your browser’s own: while this page was built, PyTorch was asked for those on the buttons."
      : off.length ? `${who} other bits in ${off.map(({ name }) => name).join(" and ")}.` : `${who} the same bits in all three.`);
  }

  /** Tell a screen reader once the hand rests, and nothing at the start. */
  function speak(eps) {
    clearTimeout(speaking);
    const node = find(".lb-live");
    const news = FORMATS.map(({ name }, k) => `${name} ${readouts.kind[k].dataset.value}, ${readouts.stored[k].textContent}`).join("; ");
    if (node.dataset.ready) speaking = setTimeout(() => (node.textContent = `ε ${short(eps, 4)}: ${news}.`), 800);
    node.dataset.ready = true;
  }

  function change(eps) {
    find(".lb-refusal").textContent = "";
    model.set("eps", eps);
    model.save_changes();
  }

  function onInput({ target }) {
    if (target === typed) typed.dataset.editing = true;
    else change(+(10 ** target.value).toPrecision(3));
  }

  function onTyped({ target }) {
    if (target !== typed) return;
    delete typed.dataset.editing;
    const eps = parse(typed.value);
    const good = eps >= RANGE.least && eps <= RANGE.most;
    if (good) change(eps);
    else find(".lb-refusal").textContent = "ε takes a number from 1e−50 to 1e50.";
    draw();
  }

  function onClick({ target }) {
    const eps = target.closest?.("button")?.dataset.eps;
    if (eps) change(+eps);
  }

  const away = new AbortController();
  const listen = (type, handler) => root.addEventListener(type, handler, { signal: away.signal });
  listen("input", onInput);
  listen("change", onTyped);
  listen("click", onClick);
  listen("submit", (event) => event.preventDefault());
  const events = ["change:eps", "change:answer"];
  for (const event of events) model.on(event, draw);

  draw();
  return () => {
    away.abort();
    clearTimeout(speaking);
    for (const event of events) model.off(event, draw);
    root.remove();
  };
}

export default { render };
