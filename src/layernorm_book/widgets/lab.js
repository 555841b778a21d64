import { layerNorm, leadingOrderGap, relativeGap, ulp } from "./layernorm.js";
import { fixed, parse, short } from "./numbers.js";
import { hidden, put, say } from "./page.js";
import {
  barNodes, barRows, clamp, drawBars, largest, LARGEST, out, panel, same, scaleFor, setRange,
  torchRows, write,
} from "./kit.js";

/**
 * The lab's front end. The reader's hand changes `state`; `draw` shows it. Nothing else is kept.
 *
 * @typedef {object} State
 * @property {number[]} x
 * @property {number[]} weight
 * @property {number[]} bias
 * @property {number} eps
 * @property {"inside" | "outside"} placement
 */

const KEYS = ["x", "weight", "bias", "eps", "placement"];
const EPS = { least: 1e-12, most: 10 }; // the slider runs over their logarithms
const MOST_COLUMNS = 20; // a longer row shows a window of WINDOW elements
const WINDOW = 8;
const HINT = "Drag a bar or type a number: every step follows.";
const SYMBOL = { x: "x", centred: "x − μ", x_hat: "x̂", weight: "γ", bias: "β", y: "y" };
const STEPS = {
  statistics: ["x", "centred"],
  normalize: ["x", "centred", "x_hat"],
  affine: ["x", "centred", "x_hat", "weight", "bias", "y"],
};
const other = (placement) => (placement === "inside" ? "outside" : "inside");

// --- the page -------------------------------------------------------------------------------------

const hasSliders = (step) => ["x", "weight", "bias"].includes(step);

const statistics = `<p class="ln-facts">
  <span>mean μ = ${out("mean")}</span> <span>variance σ² = ${out("var")}</span>
  <span>σ = ${out("std")}</span></p>`;

const epsilon = `
  <div class="ln-eps">
    <div class="ln-scale">
      <label><span>ε</span><input type="range" name="eps" min="-12" max="1" step="0.25"></label>
      <span class="ln-knee ln-inside" title="Here an inside ε takes x̂ down to 0.71 of its size">ε = σ²</span>
      <span class="ln-knee ln-outside" title="Here an outside ε takes x̂ down to half its size">ε = σ</span>
      <span class="ln-ticks" aria-hidden="true">${["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "1"]
        .map((text, k) => `<i style="--at: ${(3 * k) / 13}">${text}</i>`).join("")}</span>
    </div>
    <span class="ln-value" data-quantity="eps"><label>${hidden("ε as a number")}<input name="eps-typed" inputmode="decimal"></label></span>
    <fieldset><legend class="ln-hidden">Where ε stands</legend>
      <label><input type="radio" name="placement" value="inside"> ε inside, √(σ² + ε)</label>
      <label><input type="radio" name="placement" value="outside"> ε outside, √σ² + ε</label>
    </fieldset>
    <p class="ln-facts"><span>x − μ is multiplied by ${out("rstd")}</span></p>
  </div>
  <div class="ln-gap">
    <svg viewBox="0 0 240 92" aria-hidden="true">
      <path class="ln-axis" d="M30 4V74H236M30 39h-3M30 4h-3M30 74h-3"/>
      <text x="24" y="9" class="ln-end">1</text><text x="24" y="42" class="ln-end">10⁻⁴</text><text x="24" y="76" class="ln-end">10⁻⁸</text>
      <text x="30" y="86">σ = 10⁻⁴</text><text x="158" y="86" class="ln-mid">½</text><text x="236" y="86" class="ln-end">100</text>
      <path class="ln-leading"/><path class="ln-larger"/><path class="ln-smaller"/><circle r="4"/>
    </svg>
    <p>Gap between the placements: ${out("gap")}, by the leading order ${out("leading")}.
      ${out("sign")}</p>
  </div>`;

const affine = `
  <div class="ln-affine">
    <label>all γ <input type="range" name="weight-all"></label>
    <label>all β <input type="range" name="bias-all"></label>
    <button type="button" data-do="reset">Reset to 1 and 0</button>
    <button type="button" data-do="undo" title="γ = √(σ² + ε) and β = μ give the input back">Undo the normalization</button>
  </div>`;

const after = { x: statistics, centred: epsilon, x_hat: affine };

const table = (stage, columns) => `
  <thead><tr><th scope="col">element</th>${columns.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
  ${STEPS[stage].map((step, k, steps) => barRows(step, SYMBOL[step], columns, hasSliders(step))
    + (after[step] && (k < steps.length - 1) ? panel(columns, after[step]) : "")).join("")}
  ${stage === "statistics" ? "" : torchRows(columns)}`;

const skeleton = `
  <div class="ln-presets" role="group" aria-label="Inputs to start from"><button type="button" data-do="start">Start</button></div>
  <p class="ln-story">${HINT}</p>
  <div class="ln-overview" hidden>
    <svg preserveAspectRatio="none" aria-hidden="true"><rect class="ln-column" height="100"/><path class="ln-bars"/></svg>
    <label><span></span><input type="range" name="window" min="0"></label>
  </div>
  <div class="ln-scroll"><table></table></div>
  <p class="ln-says"></p>
  <p class="ln-trace"></p>
  <div class="ln-foot"><button type="button" data-do="link">Copy link</button>
    <button type="button" data-do="python">Copy as Python</button> <span class="ln-done" role="status"></span></div>
  <textarea class="ln-copied" aria-label="Text to copy" readonly hidden rows="6"></textarea>
  <p class="ln-hidden ln-live" aria-live="polite"></p>`;

// --- sharing --------------------------------------------------------------------------------------

/** The state as a URL fragment; `index` says which lab of the page it belongs to. */
const toFragment = (state, index) =>
  `#lab=${index}${KEYS.map((key) => `&${key}=${state[key]}`).join("")}`;

/** The state in a URL fragment, or null where it has none that can be used. */
function fromFragment(fragment, index) {
  const given = new URLSearchParams(fragment.slice(1));
  if (given.get("lab") !== String(index) || KEYS.some((key) => !given.has(key))) return null;
  const row = (key) => given.get(key).split(",").map(parse);
  const state = { x: row("x"), weight: row("weight"), bias: row("bias"), eps: +given.get("eps"), placement: given.get("placement") };
  const n = state.x.length;
  const rows = [state.x, state.weight, state.bias];
  const good = rows.every((r) => r.length === n && r.every((v) => Math.abs(v) <= LARGEST))
    && n <= 4096 && state.eps >= EPS.least && state.eps <= EPS.most && other(other(state.placement)) === state.placement;
  return good ? state : null;
}

const toPython = ({ x, weight, bias, eps, placement }) => `import torch
import torch.nn.functional as F

x = torch.tensor([${x.join(", ")}], dtype=torch.float32)
weight = torch.tensor([${weight.join(", ")}], dtype=torch.float32)
bias = torch.tensor([${bias.join(", ")}], dtype=torch.float32)
${placement === "inside"
    ? `y = F.layer_norm(x, x.shape, weight, bias, eps=${eps})`
    : `y = (x - x.mean()) / (x.std(correction=0) + ${eps}) * weight + bias`}
print(y)
`;

// --- the widget -----------------------------------------------------------------------------------

/**
 * @param {object} props
 * @param {import("@anywidget/types").AnyModel} props.model
 * @param {HTMLElement} props.el
 * @param {boolean} [props.live]  false on a static page, where no Python answers
 */
function render({ model, el, live = true }) {
  const stage = model.get("stage");
  const index = document.querySelectorAll(".ln-lab").length;
  const root = document.createElement("form"); // a form keeps its radio buttons to itself
  root.className = "ln-lab";
  root.dataset.stage = stage;
  root.autocomplete = "off";
  put(root, "aria-label", "Layer normalization lab");
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
  let state = fromFragment(location.hash, index) ?? start;
  let scales = {};
  let [first, columns, selected] = [0, [], 0];
  let steps = {}; // by name: the nodes that draw() writes to
  let readouts = {};
  let pushing = false;
  let curvesFor = 0; // the ε that the curves of the gap are drawn for
  let speaking = 0;

  // --- changing the state ---

  function change(patch, { rescale = false } = {}) {
    state = { ...state, ...patch };
    if (rescale) scales = {};
    draw();
    pushing = true;
    for (const key in patch) model.set(key, patch[key]);
    model.save_changes();
    pushing = false;
  }

  function pull() {
    const now = fromModel();
    if (pushing || KEYS.every((key) => same(now[key], state[key]))) return;
    const n = now.x.length; // weight and bias of a new length arrive after x
    if (now.weight.length !== n || now.bias.length !== n) return;
    state = now;
    draw();
  }

  const setElement = (name, i, value) => change({ [name]: state[name].with(i, value) });
  const ones = (n) => Array(n).fill(1);
  const zeros = (n) => Array(n).fill(0);

  const actions = {
    start: () => load(start, HINT),
    reset: () => change({ weight: ones(state.x.length), bias: zeros(state.x.length) }, { rescale: true }),
    undo() {
      const { mean, rstd } = layerNorm(state.x, state);
      const n = state.x.length;
      change({ weight: ones(n).fill(1 / rstd), bias: zeros(n).fill(mean) }, { rescale: true });
    },
    link: () => copy(location.href.split("#")[0] + toFragment(state, index), "Link copied."),
    python: () => copy(toPython(state), "Python copied."),
  };

  function load(patch, story) {
    find(".ln-story").textContent = story;
    first = selected = 0;
    change(patch, { rescale: true });
  }

  async function copy(text, done) {
    const box = find(".ln-copied");
    try {
      await navigator.clipboard.writeText(text);
      box.hidden = true;
    } catch {
      box.value = text; // no permission, or no clipboard on this origin
      box.hidden = false;
      box.select();
      done = "Select all and copy.";
    }
    find(".ln-done").textContent = done;
  }

  // --- drawing ---

  /** Lay the table out anew, when the row's length or the window has changed. */
  function layOut() {
    const n = state.x.length;
    const length = n > MOST_COLUMNS ? WINDOW : n;
    first = clamp(first, 0, n - length);
    columns = Array.from({ length }, (_, k) => first + k);
    selected = clamp(selected, first, first + length - 1);
    find("table").innerHTML = table(stage, columns);
    curvesFor = 0;
    find(".ln-overview").hidden = length === n;
    find("[name=window]").max = n - length;

    const all = (selector) => [...root.querySelectorAll(selector)];
    steps = {};
    for (const step of STEPS[stage]) {
      steps[step] = barNodes(find(`[data-step="${step}"]`));
    }
    readouts = {};
    for (const node of all("[data-quantity]")) (readouts[node.dataset.quantity] ??= []).push(node);
    select(selected);
  }

  /** Follow one element through all steps. */
  function select(i) {
    selected = i;
    for (const step of Object.values(steps)) put(step.column, "x", i - first);
    for (const cell of root.querySelectorAll("td[data-index]")) cell.classList.toggle("ln-on", +cell.dataset.index === i);
  }

  const writeOne = (quantity, value, text = short(value)) => readouts[quantity] && write(readouts[quantity][0], value, text);

  const drawStep = (name, values, scale, marks) =>
    steps[name] && drawBars(steps[name], readouts[name], columns, values, scale, marks);

  function draw() {
    const n = state.x.length;
    const wanted = n > MOST_COLUMNS ? WINDOW : n;
    if (columns.length !== wanted || columns[0] !== clamp(first, 0, n - wanted) || !find("tbody")) layOut();

    const shown = stage === "affine" ? state : { ...state, weight: null, bias: null };
    const now = layerNorm(state.x, shown);
    const twin = layerNorm(state.x, { ...shown, placement: other(state.placement) });
    const sigma = Math.sqrt(now.var);
    const centred = now.x.map((v) => v - now.mean);
    const said = answer();

    scales.x ??= scaleFor(now.x);
    if (now.x.some((v) => v < scales.x.lo || v > scales.x.hi)) scales.x = scaleFor(now.x);
    for (const [name, values] of [["x_hat", [-2, 2, ...now.xHat]], ["weight", [0, 2, ...state.weight]], ["bias", [-1, 1, ...state.bias]], ["y", now.y]]) {
      scales[name] = scaleFor(values, scales[name]);
    }
    const { lo, hi, digits } = scales.x;
    const chars = Math.max(5.2, fixed(lo, digits).length, fixed(hi, digits).length);
    put(find("table"), "style", `--n: ${columns.length}; --chars: ${chars}`);
    drawStep("x", now.x, scales.x, { band: [now.mean - sigma, now.mean + sigma], guide: [now.mean], base: clamp(0, lo, hi) });
    // The same bars on the same scale, standing on the mean: subtracting it moves zero, nothing else.
    drawStep("centred", centred, { ...scales.x, lo: lo - now.mean, hi: hi - now.mean }, { band: [-sigma, sigma] });
    const spread = sigma * now.rstd;
    drawStep("x_hat", now.xHat, scales.x_hat, { band: [-spread, spread], guide: [-1, 1], marks: twin.xHat });
    drawStep("weight", Float32Array.from(state.weight), scales.weight, { guide: [1] });
    drawStep("bias", Float32Array.from(state.bias), scales.bias);
    drawStep("y", now.y, scales.y, { base: clamp(0, scales.y.lo, scales.y.hi), marks: said?.values });

    writeOne("mean", now.mean);
    writeOne("var", now.var);
    writeOne("std", Math.fround(sigma));
    writeOne("rstd", now.rstd);
    if (stage !== "statistics") {
      drawEps(now, sigma);
      drawGap(now, twin, sigma);
      drawTorch(said, stage === "affine" ? now.y : now.xHat);
    }
    if (stage === "affine") drawAll();
    if (n > MOST_COLUMNS) drawOverview(now.x);
    drawTrace(now, centred, said);
    speak(now);
  }

  function drawEps(now, sigma) {
    const range = find("[name=eps]");
    const text = short(state.eps, 3);
    range.value = Math.log10(state.eps);
    put(range, "aria-valuetext", text);
    writeOne("eps", Math.fround(state.eps), text);
    find(`[name=placement][value=${state.placement}]`).checked = true;
    for (const [placement, knee] of [["inside", now.var], ["outside", sigma]]) {
      const node = find(`.ln-knee.ln-${placement}`);
      const at = (Math.log10(knee) + 12) / 13;
      node.hidden = !(at >= 0 && at <= 1);
      node.style.setProperty("--at", at);
      node.classList.toggle("ln-on", placement === state.placement);
    }
  }

  function drawGap(now, twin, sigma) {
    const gap = largest(now.xHat.map((v, i) => v - twin.xHat[i]));
    const leading = leadingOrderGap(sigma, state.eps);
    const inside = state.placement === "inside" ? now : twin;
    const expected = sigma > 0 ? Math.abs(leading) * largest(inside.xHat) : NaN;
    writeOne("gap", gap, short(gap, 3));
    writeOne("leading", expected, sigma > 0 ? short(expected, 3) : "undefined");
    const exact = sigma > 0 ? relativeGap(sigma, state.eps) : 0;
    writeOne("sign", Math.sign(exact), exact > 0 ? "Outside is larger: σ is below ½." : exact < 0 ? "Outside is smaller: σ is above ½." : "");

    const dot = find(".ln-gap circle");
    // |gap| as a fraction of x̂, both axes logarithmic: σ from 1e-4 to 100, the gap from 1e-8 to 1.
    const across = (s) => 30 + (206 * (Math.log10(s) + 4)) / 6;
    const up = (g) => clamp(4 - (70 * Math.log10(Math.abs(g) || 1e-12)) / 8, 4, 74);
    put(dot, "cx", across(clamp(sigma, 1e-4, 100)));
    put(dot, "cy", up(exact));
    if (curvesFor === state.eps) return;
    curvesFor = state.eps;
    const curve = (gapAt, wanted) => {
      let d = "";
      let pen = "M";
      for (let k = 0; k <= 120; k++) {
        const s = 10 ** (k / 20 - 4);
        const g = gapAt(s, state.eps);
        if (!wanted(g)) { pen = "M"; continue; }
        d += `${pen}${across(s).toFixed(1)} ${up(g).toFixed(1)}`;
        pen = "L";
      }
      return d;
    };
    put(find(".ln-leading"), "d", curve(leadingOrderGap, (g) => Math.abs(g) < 1));
    put(find(".ln-larger"), "d", curve(relativeGap, (g) => g > 0));
    put(find(".ln-smaller"), "d", curve(relativeGap, (g) => g < 0));
  }

  /** What PyTorch said to exactly this state: live it answers each change, else it is on record. */
  function answer() {
    const answers = live ? [model.get("answer")] : model.get("recorded");
    for (const { x, weight, bias, eps, [state.placement]: values } of answers) {
      const k = eps?.indexOf(state.eps) ?? -1;
      if (k >= 0 && same(x, state.x) && same(weight, state.weight) && same(bias, state.bias)) {
        return { values: values[k], recorded: !live };
      }
    }
    return null;
  }

  function drawTorch(said, ours) {
    const unit = said && ulp(largest(said.values));
    const off = said && ours.map((v, i) => Math.abs(v - said.values[i]) / unit);
    const digits = scales[stage === "affine" ? "y" : "x_hat"].digits;
    columns.forEach((i, k) => {
      write(readouts.torch[k], said ? said.values[i] : "", said ? fixed(said.values[i], digits) : "·");
      write(readouts.ulps[k], said ? off[i] : "", said ? String(+off[i].toFixed(1)) : "·");
    });
    const most = said && largest(off);
    const node = find(".ln-says");
    node.dataset.ulps = said ? most : "";
    say(node, said
      ? `${live ? "PyTorch says" : "While this page was built, PyTorch said"}: ${most ? `the largest difference is ${short(most, 2)} ${most === 1 ? "unit" : "units"} in the last place of the largest value (${short(most * unit, 2)})` : "the same to the last bit"}.`
      : live ? "Waiting for PyTorch’s answer, which takes a running kernel."
        : "PyTorch answered for the starting input at each stop of ε, and for each preset, while this page was built. For this state it has no answer here: the numbers above are your browser’s own.");
  }

  function drawAll() {
    for (const name of ["weight", "bias"]) {
      const mean = state[name].reduce((a, b) => a + b) / state[name].length;
      setRange(find(`[name=${name}-all]`), scales[name], mean);
    }
  }

  function drawOverview(x) {
    const { lo, hi } = scaleFor(x);
    const height = (v) => ((100 * (hi - v)) / (hi - lo)).toFixed(1);
    const zero = height(clamp(0, lo, hi));
    const box = find(".ln-overview");
    put(box.querySelector("svg"), "viewBox", `0 0 ${x.length} 100`);
    let d = "";
    for (let i = 0; i < x.length; i++) d += `M${i} ${zero}V${height(x[i])}h.8V${zero}z`;
    put(box.querySelector(".ln-bars"), "d", d);
    const column = box.querySelector(".ln-column");
    put(column, "x", first);
    put(column, "width", columns.length);
    box.querySelector("input").value = first;
    say(box.querySelector("span"), `elements ${first} to ${first + columns.length - 1} of ${x.length}`);
  }

  function drawTrace(now, centred, said) {
    const i = selected;
    const digits = (v) => short(v, 7);
    const parts = [`x = ${digits(now.x[i])}`, `x − μ = ${digits(centred[i])}`];
    if (stage !== "statistics") parts.push(`x̂ = ${digits(now.xHat[i])}`);
    if (stage === "affine") parts.push(`γ·x̂ + β = y = ${digits(now.y[i])}`);
    if (said && stage !== "statistics") parts.push(`PyTorch ${digits(said.values[i])}`);
    say(find(".ln-trace"), `Element ${i}: ${parts.join(" → ")}`);
  }

  /** Tell a screen reader once the hand rests, and nothing at the start. */
  function speak(now) {
    clearTimeout(speaking);
    const text = `Mean ${short(now.mean, 3)}, variance ${short(now.var, 3)}`
      + (stage === "statistics" ? "." : `, epsilon ${short(state.eps, 3)}, largest output ${short(largest(now.y), 3)}.`);
    const node = find(".ln-live");
    if (node.dataset.ready) speaking = setTimeout(() => (node.textContent = text), 800);
    node.dataset.ready = true;
  }

  // --- the reader's hand ---

  function onInput({ target }) {
    const { name, type, dataset } = target;
    const value = Number(target.value);
    if (name.endsWith("-typed")) target.dataset.editing = true;
    else if (name === "eps") change({ eps: clamp(+(10 ** value).toPrecision(3), EPS.least, EPS.most) });
    else if (type === "radio") change({ placement: target.value });
    else if (name === "window") { first = value; draw(); }
    else if (name.endsWith("-all")) change({ [name.slice(0, -4)]: state.x.map(() => value) });
    else setElement(name, +dataset.index, value);
  }

  function onTyped({ target }) {
    if (!target.name.endsWith("-typed")) return;
    const name = target.name.slice(0, -6);
    const value = parse(target.value);
    delete target.dataset.editing;
    const [least, most] = name === "eps" ? [EPS.least, EPS.most] : [-LARGEST, LARGEST];
    const good = value >= least && value <= most;
    find(".ln-done").textContent = good ? "" : `${name === "eps" ? "ε" : SYMBOL[name]} takes a number from ${short(least)} to ${short(most)}.`;
    if (!good) draw();
    else if (name === "eps") change({ eps: value });
    else setElement(name, +target.dataset.index, value);
  }

  function onClick({ target }) {
    const { do: action, preset } = target.closest?.("button")?.dataset ?? {};
    if (action) actions[action]();
    if (!preset) return;
    const { x, eps, story } = presets[preset];
    load({ x, eps, weight: ones(x.length), bias: zeros(x.length) }, story);
  }

  function onPoint({ target }) {
    const cell = target.closest?.("[data-index]");
    if (!cell || +cell.dataset.index === selected) return;
    select(+cell.dataset.index);
    draw();
  }

  const away = new AbortController();
  const listen = (node, type, handler) => node.addEventListener(type, handler, { signal: away.signal });
  listen(root, "input", onInput);
  listen(root, "change", onTyped);
  listen(root, "click", onClick);
  listen(root, "pointerover", onPoint);
  listen(root, "focusin", onPoint);
  listen(root, "submit", (event) => event.preventDefault());
  listen(window, "hashchange", () => {
    const shared = fromFragment(location.hash, index);
    if (shared) load(shared, HINT);
  });
  const events = [...KEYS.map((key) => [`change:${key}`, pull]), ["change:answer", draw]];
  for (const [event, handler] of events) model.on(event, handler);

  draw();
  if (state !== start) root.scrollIntoView();
  return () => {
    away.abort();
    clearTimeout(speaking);
    for (const [event, handler] of events) model.off(event, handler);
    root.remove();
  };
}

export default { render };
