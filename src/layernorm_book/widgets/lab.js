import { layerNorm, leadingOrderGap, relativeGap, ulp } from "./layernorm.js";
import { fixed, short } from "./numbers.js";
import { out, put, readoutsOf, say, write } from "./page.js";
import { answerTo, instrument, presetButtons } from "./instrument.js";
import {
  barNodes, barRows, clamp, drawBars, drawTorch, largest, LARGEST, light, panel, scaleFor, setRange, torchRows,
} from "./bars.js";
import { atStop, drawEpsilon, EPS, epsilon } from "./epsilon.js";

/**
 * The lab: one row through layer normalization.
 *
 * @typedef {object} State
 * @property {number[]} x
 * @property {number[]} weight
 * @property {number[]} bias
 * @property {number} eps
 * @property {"inside" | "outside"} placement
 */

const ROWS = ["x", "weight", "bias"]; // what has sliders
const KEYS = [...ROWS, "eps", "placement"];
const MOST_COLUMNS = 20; // a longer row shows a window of WINDOW elements
const WINDOW = 8;
const HINT = "Drag a bar or type a number: every step follows.";
const SYMBOL = { x: "x", centred: "x − μ", x_hat: "x̂", weight: "γ", bias: "β", y: "y" };
const STEPS = Object.keys(SYMBOL);
const SHOWN = { statistics: 2, normalize: 3, affine: 6 }; // steps of each stage
const other = (placement) => (placement === "inside" ? "outside" : "inside");

// --- the page -------------------------------------------------------------------------------------

const statistics = `<p class="ln-facts">
  <span>mean μ = ${out("mean")}</span> <span>variance σ² = ${out("var")}</span>
  <span>σ = ${out("std")}</span></p>`;

const division = `
  <div class="ln-eps">
    ${epsilon(["inside", "outside"])}
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
      <path class="ln-leading"/><path class="ln-larger"/><path class="ln-smaller"/><polygon/>
    </svg>
    <p class="ln-facts"><span>placements differ by ${out("gap")}</span> <span>leading order ${out("leading")}</span>
      ${out("sign")}</p>
  </div>`;

const affine = `
  <div class="ln-affine">
    <label>all γ<input type="range" name="weight-all"></label>
    <label>all β<input type="range" name="bias-all"></label>
    <button type="button" data-do="reset">Reset to 1 and 0</button>
    <button type="button" data-do="undo">Undo the normalization</button>
  </div>`;

const after = { x: statistics, centred: division, x_hat: affine };

const table = (stage, columns) => `
  <thead><tr><th scope="col">element</th>${columns.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
  ${STEPS.slice(0, SHOWN[stage]).map((step, k, steps) => barRows(step, SYMBOL[step], columns, ROWS.includes(step))
    + (after[step] && (k < steps.length - 1) ? panel(columns, after[step]) : "")).join("")}
  ${stage === "statistics" ? "" : torchRows(columns)}`;

const skeleton = (presets) => `
  <div class="ln-presets" role="group" aria-label="Inputs"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  <p class="ln-story">${HINT}</p>
  <div class="ln-overview" hidden>
    <svg preserveAspectRatio="none" aria-hidden="true"><rect class="ln-column" height="100"/><path class="ln-bars"/></svg>
    <label><span></span><input type="range" name="window" min="0"></label>
  </div>
  <div class="ln-scroll"><table></table></div>
  <p class="ln-says"></p>
  <p class="ln-trace"></p>`;

// --- the state ------------------------------------------------------------------------------------

const NUMBER = [-LARGEST, LARGEST];
const fields = { x: ["x", ...NUMBER], weight: ["γ", ...NUMBER], bias: ["β", ...NUMBER], eps: EPS };

const fits = (state) => ROWS.every((name) => state[name].length === state.x.length)
  && other(other(state.placement)) === state.placement;

const toPython = ({ eps, placement, ...rows }) => `import torch
import torch.nn.functional as F

${ROWS.map((name) => `${name} = torch.tensor([${rows[name].join(", ")}], dtype=torch.float32)`).join("\n")}
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
  const presets = model.get("presets");
  const lab = instrument({ model, el }, {
    label: "Layer normalization lab", body: skeleton(presets), keys: KEYS, fields, fits,
  });
  const { root, find } = lab;
  root.dataset.stage = stage;

  let scales = {};
  let [first, columns, selected] = [0, [], 0];
  let steps = {}; // by name: the nodes that draw() writes to
  let readouts = {};
  let curvesFor = 0; // the ε that the curves of the gap are drawn for

  // --- changing the state ---

  /** A row of one number, as long as x. */
  const row = (value, { length } = lab.state.x) => Array(length).fill(value);

  function load(patch, story) {
    find(".ln-story").textContent = story;
    first = selected = 0;
    scales = {};
    lab.change(patch);
  }

  /** A new γ and β for the same row. */
  function affect(weight, bias) {
    scales = {};
    lab.change({ weight, bias });
  }

  const actions = {
    preset({ dataset }) {
      const { x, eps, story } = presets[dataset.preset];
      load({ x, eps, weight: row(1, x), bias: row(0, x) }, story);
    },
    reset: () => affect(row(1), row(0)),
    undo() {
      const { mean, rstd } = layerNorm(lab.state.x, lab.state);
      affect(row(1 / rstd), row(mean));
    },
  };

  // --- drawing ---

  /** Lay the table out anew, when the row's length or the window has changed. */
  function layOut(n) {
    const length = n > MOST_COLUMNS ? WINDOW : n;
    first = clamp(first, 0, n - length);
    columns = Array.from({ length }, (_, k) => first + k);
    selected = clamp(selected, first, first + length - 1);
    find("table").innerHTML = table(stage, columns);
    curvesFor = 0;
    find(".ln-overview").hidden = length === n;
    find("[name=window]").max = n - length;
    steps = Object.fromEntries(STEPS.slice(0, SHOWN[stage]).map((step) => [step, barNodes(find(`[data-step="${step}"]`))]));
    readouts = readoutsOf(root);
    light(root, steps, selected, first);
  }

  const writeOne = (quantity, value, text = short(value)) => readouts[quantity] && write(readouts[quantity][0], value, text);

  const drawStep = (name, values, scale, marks) =>
    steps[name] && drawBars(steps[name], readouts[name], columns, values, scale, marks);

  /** @param {State} state */
  function draw(state) {
    const n = state.x.length;
    const wanted = n > MOST_COLUMNS ? WINDOW : n;
    if (columns.length !== wanted || columns[0] !== clamp(first, 0, n - wanted)) layOut(n);

    const shown = stage === "affine" ? state : { ...state, weight: null, bias: null };
    const now = layerNorm(state.x, shown);
    const twin = layerNorm(state.x, { ...shown, placement: other(state.placement) });
    const sigma = Math.sqrt(now.var);
    const centred = now.x.map((v) => v - now.mean);
    const [answer, k] = answerTo(state, ROWS, model, live);
    const said = answer?.[state.placement][k];

    scales.x ??= scaleFor(now.x);
    if (now.x.some((v) => v < scales.x.lo || v > scales.x.hi)) scales.x = scaleFor(now.x);
    const held = { x_hat: [-2, 2, ...now.xHat], weight: [0, 2, ...state.weight], bias: [-1, 1, ...state.bias], y: now.y };
    for (const name in held) scales[name] = scaleFor(held[name], scales[name]);
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
    drawStep("y", now.y, scales.y, { base: clamp(0, scales.y.lo, scales.y.hi), marks: said });

    writeOne("mean", now.mean);
    writeOne("var", now.var);
    writeOne("std", Math.fround(sigma));
    writeOne("rstd", now.rstd);
    if (stage !== "statistics") {
      drawEpsilon(find, state.eps, { inside: now.var, outside: sigma });
      find(`[value=${state.placement}]`).checked = true;
      put(root, "data-placement", state.placement);
      drawGap(state, now, twin, sigma);
      const [ours, { digits }] = stage === "affine" ? [now.y, scales.y] : [now.xHat, scales.x_hat];
      drawTorch(find, readouts, columns, {
        said, ours, digits, live, unit: said && ulp(largest(said)), who: "PyTorch",
        apart: (units) => `within ${units} units in the last place of the largest value`,
      });
    }
    if (stage === "affine") drawAll(state);
    if (n > MOST_COLUMNS) drawOverview(now.x);
    drawTrace(now, centred, said);
    lab.speak(`Mean ${short(now.mean, 3)}, variance ${short(now.var, 3)}`
      + (stage === "statistics" ? "." : `, epsilon ${short(state.eps, 3)}, largest output ${short(largest(now.y), 3)}.`));
  }

  function drawGap(state, now, twin, sigma) {
    const gap = largest(now.xHat.map((v, i) => v - twin.xHat[i]));
    const leading = leadingOrderGap(sigma, state.eps);
    const inside = state.placement === "inside" ? now : twin;
    const expected = sigma > 0 ? Math.abs(leading) * largest(inside.xHat) : NaN;
    writeOne("gap", gap, short(gap, 3));
    writeOne("leading", expected, sigma > 0 ? short(expected, 3) : "none");
    const exact = sigma > 0 ? relativeGap(sigma, state.eps) : 0;
    writeOne("sign", Math.sign(exact), exact ? `Outside is ${exact > 0 ? "larger: σ is below" : "smaller: σ is above"} ½.` : "");

    // |gap| as a fraction of x̂, both axes logarithmic: σ from 1e-4 to 100, the gap from 1e-8 to 1.
    const across = (s) => 30 + (206 * (Math.log10(s) + 4)) / 6;
    const up = (g) => clamp(4 - (70 * Math.log10(Math.abs(g) || 1e-12)) / 8, 4, 74);
    put(find(".ln-gap polygon"), "points", `${across(clamp(sigma, 1e-4, 100))} ${up(exact)}`);
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

  function drawAll(state) {
    for (const name of ["weight", "bias"]) {
      const mean = state[name].reduce((a, b) => a + b) / state[name].length;
      setRange(find(`[name=${name}-all]`), scales[name], mean);
    }
  }

  function drawOverview(x) {
    const { lo, hi } = scaleFor(x);
    const height = (v) => ((100 * (hi - v)) / (hi - lo)).toFixed(1);
    const zero = height(clamp(0, lo, hi));
    put(find(".ln-overview svg"), "viewBox", `0 0 ${x.length} 100`);
    let d = "";
    for (let i = 0; i < x.length; i++) d += `M${i} ${zero}V${height(x[i])}h.8V${zero}z`;
    put(find(".ln-overview .ln-bars"), "d", d);
    const column = find(".ln-overview .ln-column");
    put(column, "x", first);
    put(column, "width", columns.length);
    find("[name=window]").value = first;
    say(find(".ln-overview span"), `elements ${first} to ${first + columns.length - 1} of ${x.length}`);
  }

  function drawTrace(now, centred, said) {
    const i = selected;
    const digits = (v) => short(v, 7);
    const parts = [`x = ${digits(now.x[i])}`, `x − μ = ${digits(centred[i])}`];
    if (stage !== "statistics") parts.push(`x̂ = ${digits(now.xHat[i])}`);
    if (stage === "affine") parts.push(`γ·x̂ + β = y = ${digits(now.y[i])}`);
    if (said && stage !== "statistics") parts.push(`PyTorch ${digits(said[i])}`);
    say(find(".ln-trace"), `Element ${i}: ${parts.join(" → ")}`);
  }

  // --- the reader's hand ---

  function hand({ name, type, value, dataset }) {
    if (name === "eps") lab.change({ eps: atStop(value) });
    else if (type === "radio") lab.change({ placement: value });
    else if (name === "window") { first = +value; draw(lab.state); }
    else if (name.endsWith("-all")) lab.change({ [name.slice(0, -4)]: row(+value) });
    else lab.setOne(name, +value, dataset.index);
  }

  function point(part) {
    if (!part || +part.dataset.index === selected) return;
    selected = +part.dataset.index;
    light(root, steps, selected, first);
    draw(lab.state);
  }

  return lab.run({
    draw, hand, point, actions, restore: (state) => load(state, HINT), python: toPython,
  });
}

export default { render };
