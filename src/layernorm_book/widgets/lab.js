import { layerNorm, leadingOrderGap, relativeGap, ulp } from "./layernorm.js";
import { short } from "./shared/numbers.js";
import { readout, setAttribute } from "./shared/page.js";
import { rowsLab } from "./shared/rows.js";
import { clamp, largest, setRange } from "./shared/bars.js";
import { epsilon } from "./shared/epsilon.js";
import "./lab.css";

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

const ROWS = { x: "x", weight: "γ", bias: "β" };
const STEPS = { x: "x", centred: "x − μ", x_hat: "x̂", weight: "γ", bias: "β", y: "y" };
const SHOWN = { statistics: 2, normalize: 3, affine: 6 }; // steps of each stage
const otherPlacement = (placement) => (placement === "inside" ? "outside" : "inside");
const row = (value, { length }) => Array(length).fill(value);

// --- the page -------------------------------------------------------------------------------------

const statistics = `<p class="ln-facts">
  <span>mean μ = ${readout("mean")}</span> <span>variance σ² = ${readout("var")}</span>
  <span>σ = ${readout("std")}</span></p>`;

const division = `
  <div class="ln-eps">
    ${epsilon(["inside", "outside"])}
    <fieldset><legend class="ln-hidden">Where ε stands</legend>
      <label><input type="radio" name="placement" value="inside"> ε inside, √(σ² + ε)</label>
      <label><input type="radio" name="placement" value="outside"> ε outside, √σ² + ε</label>
    </fieldset>
    <p class="ln-facts"><span>x − μ is multiplied by ${readout("rstd")}</span></p>
  </div>
  <div class="ln-gap">
    <svg viewBox="0 0 240 92" aria-hidden="true">
      <path class="ln-axis" d="M30 4V74H236M30 39h-3M30 4h-3M30 74h-3"/>
      <text x="24" y="9" class="ln-end">1</text><text x="24" y="42" class="ln-end">10⁻⁴</text><text x="24" y="76" class="ln-end">10⁻⁸</text>
      <text x="30" y="86">σ = 10⁻⁴</text><text x="158" y="86" class="ln-mid">½</text><text x="236" y="86" class="ln-end">100</text>
      <path class="ln-leading"/><path class="ln-larger"/><path class="ln-smaller"/><polygon/>
    </svg>
    <p class="ln-facts"><span>placements differ by ${readout("gap")}</span> <span>leading order ${readout("leading")}</span>
      ${readout("sign")}</p>
  </div>`;

const affine = `
  <div class="ln-affine">
    <label>all γ<input type="range" name="weight-all"></label>
    <label>all β<input type="range" name="bias-all"></label>
    <button type="button" data-do="reset">Reset to 1 and 0</button>
    <button type="button" data-do="undo">Undo the normalization</button>
  </div>`;

const PANELS = {
  statistics: { x: statistics },
  normalize: { x: statistics, centred: division },
  affine: { x: statistics, centred: division, x_hat: affine },
};

// --- from a state to its picture ------------------------------------------------------------------

/** What both placements make of x̂, and by how much they differ. */
function gapFacts(now, other, { eps, placement }) {
  const sigma = Math.sqrt(now.var);
  const gap = largest(now.xHat.map((v, i) => v - other.xHat[i]));
  const inside = placement === "inside" ? now : other;
  const expected = sigma > 0 ? Math.abs(leadingOrderGap(sigma, eps)) * largest(inside.xHat) : NaN;
  const exact = sigma > 0 ? relativeGap(sigma, eps) : 0;
  return {
    gap: [gap, short(gap, 3)],
    leading: [expected, sigma > 0 ? short(expected, 3) : "none"],
    sign: [Math.sign(exact), exact ? `Outside is ${exact > 0 ? "larger: σ is below" : "smaller: σ is above"} ½.` : ""],
  };
}

/** The picture of a state, as far as the stage goes. */
const showIn = (stage) => (state, pytorch) => {
  const used = stage === "affine" ? state : { ...state, weight: null, bias: null };
  const now = layerNorm(state.x, used);
  const other = layerNorm(state.x, { ...used, placement: otherPlacement(state.placement) });
  const sigma = Math.sqrt(now.var);
  const spread = sigma * now.rstd;
  const centred = now.x.map((v) => v - now.mean);
  const exact = (v) => short(v, 7);
  return {
    scales: { x: now.x, x_hat: [-2, 2, ...now.xHat], weight: [0, 2, ...state.weight], bias: [-1, 1, ...state.bias], y: now.y },
    bars: {
      x: { values: now.x, band: [now.mean - sigma, now.mean + sigma], guide: [now.mean] },
      // The same bars on the same scale, standing on the mean: subtracting it moves zero, nothing else.
      centred: { values: centred, on: "x", from: now.mean, band: [-sigma, sigma] },
      x_hat: { values: now.xHat, band: [-spread, spread], guide: [-1, 1], marks: other.xHat },
      weight: { values: Float32Array.from(state.weight), guide: [1] },
      bias: { values: Float32Array.from(state.bias) },
      y: { values: now.y, marks: pytorch },
    },
    facts: { mean: now.mean, var: now.var, std: Math.fround(sigma), rstd: now.rstd, ...gapFacts(now, other, state) },
    knees: stage !== "statistics" && { inside: now.var, outside: sigma },
    quote: {
      step: stage === "affine" ? "y" : "x_hat",
      unit: pytorch && ulp(largest(pytorch)),
      who: "PyTorch",
      apart: (units) => `within ${units} units in the last place of the largest value`,
    },
    trace: (i) => [
      `x = ${exact(now.x[i])}`, `x − μ = ${exact(centred[i])}`, `x̂ = ${exact(now.xHat[i])}`, `γ·x̂ + β = y = ${exact(now.y[i])}`,
    ].slice(0, { statistics: 2, normalize: 3 }[stage]).concat(pytorch && stage !== "statistics" ? `PyTorch ${exact(pytorch[i])}` : []).join(" → "),
    news: `Mean ${short(now.mean, 3)}, variance ${short(now.var, 3)}${stage === "statistics" ? "."
      : `, epsilon ${short(state.eps, 3)}, largest output ${short(largest(now.y), 3)}.`}`,
  };
};

// --- what this lab alone has ----------------------------------------------------------------------

// |gap| as a fraction of x̂, both axes logarithmic: σ from 1e-4 to 100, the gap from 1e-8 to 1.
const across = (sigma) => 30 + (206 * (Math.log10(sigma) + 4)) / 6;
const up = (gap) => clamp(4 - (70 * Math.log10(Math.abs(gap) || 1e-12)) / 8, 4, 74);

/** A curve over σ as a path, where it is wanted. */
function curve(gapAt, eps, wanted) {
  let [d, pen] = ["", "M"];
  for (let k = 0; k <= 120; k++) {
    const sigma = 10 ** (k / 20 - 4);
    const gap = gapAt(sigma, eps);
    if (!wanted(gap)) { pen = "M"; continue; }
    d += `${pen}${across(sigma).toFixed(1)} ${up(gap).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

function paintGap(find, sigma, eps) {
  setAttribute(find(".ln-gap polygon"), "points", `${across(clamp(sigma, 1e-4, 100))} ${up(sigma > 0 ? relativeGap(sigma, eps) : 0)}`);
  const drawn = find(".ln-gap svg").dataset; // the curves follow from ε alone
  if (+drawn.eps === eps) return;
  drawn.eps = eps;
  setAttribute(find(".ln-leading"), "d", curve(leadingOrderGap, eps, (g) => Math.abs(g) < 1));
  setAttribute(find(".ln-larger"), "d", curve(relativeGap, eps, (g) => g > 0));
  setAttribute(find(".ln-smaller"), "d", curve(relativeGap, eps, (g) => g < 0));
}

const paintIn = (stage) => ({ root, find }, { facts }, state, scales) => {
  setAttribute(root, "data-stage", stage);
  if (stage === "statistics") return;
  setAttribute(root, "data-placement", state.placement);
  find(`[value=${state.placement}]`).checked = true;
  paintGap(find, Math.sqrt(facts.var), state.eps);
  for (const name of stage === "affine" ? ["weight", "bias"] : []) {
    setRange(find(`[name=${name}-all]`), scales[name], state[name].reduce((a, b) => a + b) / state[name].length);
  }
};

const toPython = ({ eps, placement, ...rows }) => `import torch
import torch.nn.functional as F

${Object.keys(ROWS).map((name) => `${name} = torch.tensor([${rows[name].join(", ")}], dtype=torch.float32)`).join("\n")}
${placement === "inside"
    ? `y = F.layer_norm(x, x.shape, weight, bias, eps=${eps})`
    : `y = (x - x.mean()) / (x.std(correction=0) + ${eps}) * weight + bias`}
print(y)
`;

/** A new γ and β for the same row. */
const setAffine = (lab, weight, bias) => lab.change({ weight: row(weight, lab.state.x), bias: row(bias, lab.state.x), held: null });

function render(props) {
  const stage = props.model.get("stage");
  return rowsLab(props, {
    label: "Layer normalization lab",
    title: "Inputs",
    hint: "Drag a bar or type a number: every step follows.",
    rows: ROWS,
    choices: ["placement"],
    steps: Object.fromEntries(Object.entries(STEPS).slice(0, SHOWN[stage])),
    after: PANELS[stage],
    compared: stage !== "statistics",
    fits: ({ placement }) => otherPlacement(otherPlacement(placement)) === placement,
    show: showIn(stage),
    paint: paintIn(stage),
    fromPreset: ({ x, eps }) => ({ x, eps, weight: row(1, x), bias: row(0, x) }),
    actions: {
      reset: (lab) => setAffine(lab, 1, 0),
      undo(lab) {
        const { mean, rstd } = layerNorm(lab.state.x, lab.state);
        setAffine(lab, 1 / rstd, mean);
      },
    },
    onInput: ({ name, value }, { x }) => name === "placement" ? { placement: value } : { [name.slice(0, -4)]: row(+value, x) },
    python: toPython,
  });
}

export default { render };
