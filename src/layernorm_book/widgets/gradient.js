import { ulp } from "./layernorm.js";
import { fixed, parse, short } from "./numbers.js";
import { put, say } from "./page.js";
import {
  barNodes, barRows, clamp, drawBars, largest, LARGEST, out, panel, same, scaleFor, torchRows, write,
} from "./kit.js";
import { layerNormBackward } from "./backward.js";

/**
 * The gradient lab's front end: a row x, the gradient that arrives, and what goes on to x.
 * The reader's hand changes `state`; `draw` shows it. γ is 1, so g is grad_y.
 *
 * @typedef {{ x: number[], grad_y: number[], eps: number }} State
 */

const KEYS = ["x", "grad_y", "eps"];
const HINT = "Drag a bar of x or of g, or type a number: the three terms and grad_x follow.";
const SYMBOL = { x: "x", grad_y: "g", minus_mean: "−mean(g)", minus_line: "−x̂·<br>mean(g·x̂)", grad_x: "grad_x" };
const HAND = ["x", "grad_y"]; // what has sliders

const middle = `
  <svg class="ln-fit" viewBox="0 0 240 120" aria-hidden="true">
    <path class="ln-axis"/><text x="236" y="116" class="ln-end">x̂</text><text x="4" y="10">g</text>
    <path class="ln-line"/><path class="ln-rest"/><path class="ln-dots"/>
  </svg>
  <p class="ln-facts">
    <span>the line g ≈ mean(g) + x̂ · mean(g·x̂) stays behind:</span>
    <span>mean(g) = ${out("mean_g")}</span> <span>mean(g·x̂) = ${out("mean_g_x_hat")}</span>
    <span>the rest, ${out("share")} of the length of g, goes on to x, times rstd = ${out("rstd")}</span>
  </p>`;

const table = (columns) => `
  <thead><tr><th scope="col">element</th>${columns.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
  ${Object.keys(SYMBOL).map((name) => barRows(name, SYMBOL[name], columns, HAND.includes(name))
    + (name === "grad_y" ? panel(columns, middle) : "")).join("")}
  ${torchRows(columns)}`;

const skeleton = `
  <div class="ln-presets" role="group" aria-label="Gradients to start from"><button type="button" data-preset="-1">Start</button></div>
  <p class="ln-story">${HINT}</p>
  <div class="ln-scroll"><table></table></div>
  <p class="ln-says"></p>
  <p class="ln-trace"></p>
  <p class="ln-done" role="status"></p>
  <p class="ln-hidden ln-live" aria-live="polite"></p>`;

/**
 * @param {object} props
 * @param {import("@anywidget/types").AnyModel} props.model
 * @param {HTMLElement} props.el
 * @param {boolean} [props.live]  false on a static page, where no Python answers
 */
function render({ model, el, live = true }) {
  const root = document.createElement("form");
  root.className = "ln-lab ln-gradient";
  root.autocomplete = "off";
  put(root, "aria-label", "Gradient lab");
  root.innerHTML = skeleton;
  el.append(root);

  const find = (selector) => root.querySelector(selector);
  const fromModel = () => Object.fromEntries(KEYS.map((key) => [key, model.get(key)]));
  const start = fromModel();
  const presets = model.get("presets");
  presets.forEach(({ label }, k) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: label });
    button.dataset.preset = k;
    find(".ln-presets").append(button);
  });

  /** @type {State} */
  let state = start;
  let scales = {};
  let columns = [];
  let selected = 0;
  let steps = {}; // by name: the nodes that draw() writes to
  let readouts = {};
  let pushing = false;
  let speaking = 0;

  function change(patch) {
    state = { ...state, ...patch };
    draw();
    pushing = true;
    for (const key in patch) model.set(key, patch[key]);
    model.save_changes();
    pushing = false;
  }

  function pull() {
    const now = fromModel();
    if (pushing || now.x.length !== now.grad_y.length || KEYS.every((key) => same(now[key], state[key]))) return;
    state = now;
    draw();
  }

  // --- drawing ---

  function layOut() {
    columns = Array.from(state.x.keys());
    selected = Math.min(selected, columns.length - 1);
    find("table").innerHTML = table(columns);
    for (const name in SYMBOL) steps[name] = barNodes(find(`[data-step="${name}"]`));
    readouts = {};
    for (const node of root.querySelectorAll("[data-quantity]")) (readouts[node.dataset.quantity] ??= []).push(node);
    select(selected);
  }

  /** Follow one element through all rows. */
  function select(i) {
    selected = i;
    for (const step of Object.values(steps)) put(step.column, "x", i);
    for (const cell of root.querySelectorAll("td[data-index]")) cell.classList.toggle("ln-on", +cell.dataset.index === i);
  }

  const writeOne = (quantity, value, text = short(value)) => write(readouts[quantity][0], value, text);

  function draw() {
    if (columns.length !== state.x.length) layOut();
    const now = layerNormBackward(state.grad_y, state.x, state);
    const sigma = Math.sqrt(now.var);
    const shown = {
      x: now.x, grad_y: now.g, minus_mean: now.g.map(() => -now.meanG), minus_line: now.line.map((v) => -v), grad_x: now.gradX,
    };
    const inView = ({ lo, hi } = {}, values) => values.every((v) => v >= lo && v <= hi);
    if (!inView(scales.x, now.x)) scales.x = scaleFor(now.x);
    // g and its terms share one scale, and so does grad_x while it is not much larger.
    const terms = [-1, 1, ...now.g, ...shown.minus_mean, ...shown.minus_line];
    const small = largest(now.gradX) <= 2 * largest(terms);
    scales.terms = scaleFor(small ? [...terms, ...now.gradX] : terms, scales.terms);
    const scaleOf = (name) => (name === "x" ? scales.x : name === "grad_x" && !small ? scaleFor([0, ...now.gradX]) : scales.terms);

    const texts = Object.keys(SYMBOL).flatMap((name) => [scaleOf(name).lo, scaleOf(name).hi].map((v) => fixed(v, scaleOf(name).digits).length));
    put(find("table"), "style", `--n: ${columns.length}; --chars: ${Math.max(5.2, ...texts)}`);
    for (const name in SYMBOL) {
      const { lo, hi } = scaleOf(name);
      const more = name === "x" ? { band: [now.mean - sigma, now.mean + sigma], guide: [now.mean] } : {};
      drawBars(steps[name], readouts[name], columns, shown[name], scaleOf(name), { base: clamp(0, lo, hi), ...more });
    }
    const length = (values) => Math.hypot(...values);
    const share = length(now.g) ? length(now.rest) / length(now.g) : 0;
    writeOne("mean_g", now.meanG);
    writeOne("mean_g_x_hat", now.meanGXHat);
    writeOne("share", share, `${short(100 * share, 2)} %`);
    writeOne("rstd", now.rstd);
    drawFit(now);
    drawTorch(now, scaleOf("grad_x").digits);
    drawTrace(now);
    speak(now);
  }

  /** g over x̂, the line that stays behind, and the rest of each element. */
  function drawFit({ xHat, g, meanG, meanGXHat, line }) {
    const wide = Math.max(2, largest(xHat)) * 1.1;
    const { lo, hi } = scales.terms;
    const across = (v) => (120 + (112 * v) / wide).toFixed(1);
    const up = (v) => (6 + (108 * (hi - v)) / (hi - lo)).toFixed(1);
    put(find(".ln-axis"), "d", `M8 ${up(0)}H232M120 6V114`);
    put(find(".ln-line"), "d", `M8 ${up(meanG - wide * meanGXHat)}L232 ${up(meanG + wide * meanGXHat)}`);
    put(find(".ln-rest"), "d", columns.map((i) => `M${across(xHat[i])} ${up(meanG + line[i])}V${up(g[i])}`).join(""));
    put(find(".ln-dots"), "d", columns.map((i) => `M${across(xHat[i])} ${up(g[i])}h0`).join(""));
  }

  /** What PyTorch said to exactly this state: live it answers each change, else it is on record. */
  function answer() {
    const answers = live ? [model.get("answer")] : model.get("recorded");
    return answers.find((said) => said.grad_x && KEYS.every((key) => same(said[key], state[key])))?.grad_x;
  }

  function drawTorch({ g, rstd, gradX }, digits) {
    const said = answer();
    // The rest is a difference: its error is counted in units of what was subtracted.
    const unit = ulp(rstd * largest(g));
    const off = said && gradX.map((v, i) => Math.abs(v - said[i]) / unit);
    columns.forEach((i) => {
      write(readouts.torch[i], said ? said[i] : "", said ? fixed(said[i], digits) : "·");
      write(readouts.ulps[i], said ? off[i] : "", said ? String(+off[i].toFixed(1)) : "·");
    });
    const most = said && largest(off);
    const node = find(".ln-says");
    node.dataset.ulps = said ? most : "";
    say(node, said
      ? `${live ? "PyTorch’s backward says" : "While this page was built, PyTorch’s backward said"}: ${most ? `grad_x differs by at most ${short(most, 2)} units in the last place of rstd · the largest g (${short(most * unit, 2)})` : "the same to the last bit"}.`
      : live ? "Waiting for PyTorch’s answer, which takes a running kernel."
        : "PyTorch answered for the start and for each preset, while this page was built. The numbers above are your browser’s own.");
  }

  function drawTrace({ g, meanG, line, rstd, gradX }) {
    const i = selected;
    const [a, b, c, d, e] = [g[i], meanG, line[i], rstd, gradX[i]].map((v) => short(v, 6));
    const bracketed = (text) => (text.startsWith("−") ? `(${text})` : text);
    say(find(".ln-trace"), `Element ${i}: (${a} − ${bracketed(b)} − ${bracketed(c)}) · ${d} = ${e}`);
  }

  /** Tell a screen reader once the hand rests, and nothing at the start. */
  function speak({ gradX, meanG, meanGXHat }) {
    clearTimeout(speaking);
    const text = `Mean of g ${short(meanG, 3)}, mean of g times x hat ${short(meanGXHat, 3)}, largest gradient of x ${short(largest(gradX), 3)}.`;
    const node = find(".ln-live");
    if (node.dataset.ready) speaking = setTimeout(() => (node.textContent = text), 800);
    node.dataset.ready = true;
  }

  // --- the reader's hand ---

  const setElement = (name, i, value) => change({ [name]: state[name].with(i, value) });

  function onInput({ target }) {
    if (target.name.endsWith("-typed")) target.dataset.editing = true;
    else setElement(target.name, +target.dataset.index, Number(target.value));
  }

  function onTyped({ target }) {
    if (!target.name.endsWith("-typed")) return;
    const name = target.name.slice(0, -6);
    const value = parse(target.value);
    delete target.dataset.editing;
    const good = Math.abs(value) <= LARGEST;
    find(".ln-done").textContent = good ? "" : `${SYMBOL[name]} takes a number from ${short(-LARGEST)} to ${short(LARGEST)}.`;
    if (good) setElement(name, +target.dataset.index, value);
    else draw();
  }

  function onClick({ target }) {
    const { preset } = target.closest?.("button")?.dataset ?? {};
    if (!preset) return;
    const { x, grad_y, eps, story } = presets[preset] ?? { ...start, story: HINT };
    find(".ln-story").textContent = story;
    scales = {};
    change({ x, grad_y, eps });
  }

  function onPoint({ target }) {
    const cell = target.closest?.("[data-index]");
    if (!cell || +cell.dataset.index === selected) return;
    select(+cell.dataset.index);
    draw();
  }

  const away = new AbortController();
  const listen = (type, handler) => root.addEventListener(type, handler, { signal: away.signal });
  listen("input", onInput);
  listen("change", onTyped);
  listen("click", onClick);
  listen("pointerover", onPoint);
  listen("focusin", onPoint);
  listen("submit", (event) => event.preventDefault());
  const events = [...KEYS.map((key) => [`change:${key}`, pull]), ["change:answer", draw]];
  for (const [event, handler] of events) model.on(event, handler);

  draw();
  return () => {
    away.abort();
    clearTimeout(speaking);
    for (const [event, handler] of events) model.off(event, handler);
    root.remove();
  };
}

export default { render };
