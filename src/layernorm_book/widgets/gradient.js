import { ulp } from "./layernorm.js";
import { layerNormBackward } from "./backward.js";
import { lineSays, listed, shareSays, spectrumSays } from "./flows.js";
import { backwardMatrix, singularValues } from "./spectrum.js";
import { short } from "./shared/numbers.js";
import { field, readout, setAttribute, setText, srOnly } from "./shared/page.js";
import { choice } from "./shared/choice.js";
import { rowsLab } from "./shared/rows.js";
import { largest } from "./shared/bars.js";
import { RANGE } from "./shared/eps.js";
import "./gradient.css";

/**
 * The gradient lab: a row x, the gradient that arrives at y, and what goes on to x.
 *
 * @typedef {object} State
 * @property {number[]} x
 * @property {number[]} grad_y
 * @property {number[]} weight
 * @property {number} eps
 * @property {import("./backward.js").Mu} mu
 * @property {import("./backward.js").Sigma} sigma
 */

const STEPS = { x: "x", grad_y: "grad_y", grad_x: "grad_x", weight: "γ" };
const MU = { used: "through μ", detached: "detach μ", absent: "no μ: RMSNorm" };
const SIGMA = { used: "through σ", detached: "detach σ" };
const MOST = 20; // elements

const controls = `<div class="ln-ways">${choice("mu", "way through the mean", MU)}${choice("sigma", "way through the variance", SIGMA)}</div>`;

// The key of the plot: the line that stays behind, in two numbers, and what goes on.
const KEY = [
  ["mean_g", "stays behind: mean(g)", "line"], ["mean_g_x_hat", "and x̂ times mean(g·x̂)", "same"],
  ["rstd", "goes on: the rest × rstd = 1/√(σ² + ε) =", "rest"],
];
const TICKS = [-2, -1, 1, 2];

// The dots first: what they lie on is for the reader to see, until the part below is opened.
const middle = `
  <details class="ln-stays"><summary>What stays behind</summary><div>
  <div><p data-quantity="line"></p>
  <p class="ln-facts">${KEY.map(([name, words, mark]) => `<span class="ln-of-${mark}">${words} ${readout(name)}</span>`).join("")}</p></div>
  <div class="ln-spectrum"><p data-quantity="through"></p>
    <svg aria-hidden="true"><svg viewBox="0 0 1000 100" preserveAspectRatio="none"><path class="ln-axis" d="M0 98H1000"/><path class="ln-factors"/></svg>
      <text y="100%" dy="12">0</text><text class="ln-middle" x="50%" y="100%" dy="12">singular values</text><text class="ln-end" x="100%" y="100%" dy="12"></text></svg>
    <p>${readout("singular")}</p></div></div></details>
  <div class="ln-fit"><svg aria-hidden="true">
    <svg viewBox="0 0 360 138" preserveAspectRatio="none"><path class="ln-axis"/><path class="ln-line"/><path class="ln-rest"/><path class="ln-dots"/></svg>
    <text x="97%" y="97%">x̂</text><text x="4" y="10">g = γ·grad_y</text><text class="ln-top" x="50%" dx="4" y="10"></text>
    ${TICKS.map((v) => `<text class="ln-middle" data-at="${v}" y="97%">${short(v)}</text>`).join("")}
  </svg></div>`;

const behind = `<div class="ln-facts">ε = <span class="ln-value" data-quantity="eps">${field("eps", "ε as a number")}</span>
  <label>${srOnly("ε")}<input type="range" name="eps" min="${RANGE.min}" max="${RANGE.max}" step="${RANGE.step}"></label></div>`;

const BEFORE = "Press a button, or drag a bar of grad_y.";

/** @param {State} state */
function show(state, before) {
  const [weight, gradY] = [state.weight, state.grad_y].map((row) => Float32Array.from(row));
  const now = layerNormBackward(gradY, state.x, { ...state, weight });
  const { g, level, line, rstd, xHat, gradX } = now;
  const spread = Math.sqrt(now.var);
  const factors = singularValues(backwardMatrix({ ...state, x: now.x, weight, eps: Math.fround(state.eps) }));
  const most = rstd * largest(weight);
  const quarter = (rstd * largest(g)) / 4; // of what would go on untouched: so little is seen to be little
  const [said, stays, through] = [shareSays(now), lineSays(now, state), spectrumSays(factors, most)];
  return {
    scales: {
      x: now.x, grad_y: [-1, 1, ...gradY], weight: [0, 2, ...weight], g: [-1, 1, ...g, level, ...line.map((v) => v + level)],
      grad_x: [-quarter, quarter, ...gradX], factors: [0, ...factors],
    },
    bars: {
      x: { values: now.x, band: [[now.mean - spread, now.mean + spread]], guide: state.mu === "absent" ? [] : [[now.mean]] },
      grad_y: { values: gradY },
      weight: { values: weight, guide: [[1]] },
      grad_x: { values: gradX },
    },
    facts: {
      mean_g: [[now.meanG, state.mu === "used" ? short(now.meanG, 3) : "–"]], mean_g_x_hat: [[now.meanGXHat, state.sigma === "used" ? short(now.meanGXHat, 3) : "–"]],
      rstd: [[rstd, short(rstd, 3)]],
      line: [[stays, stays]], through: [[through, through]], singular: [[factors.join(" "), listed(factors, most)]],
    },
    knees: {},
    quote: {
      step: "grad_x",
      unit: ulp(rstd * largest(g)), // the rest is a difference: counted in units of what was subtracted
      title: "PyTorch",
      says: (most, live) => `${live ? "PyTorch says" : "While this page was built, PyTorch said"}: grad_x within ${short(most, 2)} ulp.`,
    },
    story: before ? BEFORE : said,
    news: said,
    fit: now,
    factors,
  };
}

/** g over x̂, the line that stays behind, and the rest of each element. */
function paintFit(find, { xHat, g, level, slope, line }, { lo, hi }) {
  const wide = Math.max(2, largest(xHat)) * 1.1;
  const across = (v) => (180 + (170 * v) / wide).toFixed(1);
  const up = (v) => (6 + (126 * (hi - v)) / (hi - lo)).toFixed(1);
  const path = (draw) => Array.from(g, (_, i) => draw(i)).join("");
  setAttribute(find(".ln-fit .ln-axis"), "d", `M10 ${up(0)}H350M180 6V132${TICKS.map((v) => `M${across(v)} ${up(0)}v4`).join("")}`);
  for (const v of TICKS) setAttribute(find(`.ln-fit [data-at="${v}"]`), "x", `${(across(v) / 3.6).toFixed(1)}%`);
  setText(find(".ln-top"), short(hi, 3));
  setAttribute(find(".ln-line"), "d", `M10 ${up(level - wide * slope)}L350 ${up(level + wide * slope)}`);
  setAttribute(find(".ln-rest"), "d", path((i) => `M${across(xHat[i])} ${up(level + line[i])}V${up(g[i])}`));
  setAttribute(find(".ln-dots"), "d", path((i) => `M${across(xHat[i])} ${up(g[i])}h0`));
}

/** A dot for each singular value; those that fall together are stacked. */
function paintFactors(find, factors, { hi }) {
  const places = factors.map((v) => Math.round((1000 * v) / hi));
  const under = places.map((x, k) => places.slice(0, k).filter((other) => Math.abs(other - x) < 8).length);
  const step = Math.min(15, 76 / (Math.max(...under) || 1)); // the highest dot stays clear of the sentence
  setAttribute(find(".ln-factors"), "d", places.map((x, k) => `M${x} ${(88 - step * under[k]).toFixed(1)}h0`).join(""));
  find(".ln-spectrum .ln-end").textContent = short(hi, 3);
}

function paint({ find }, { fit, factors }, { mu, sigma }, scales) {
  for (const [name, value] of Object.entries({ mu, sigma })) find(`[name=${name}][value=${value}]`).checked = true;
  paintFit(find, fit, scales.g);
  paintFactors(find, factors, scales.factors);
}

const toPython = ({ x, grad_y, weight, eps, mu, sigma }) => {
  const [row, arrives, scale] = [x, grad_y, weight].map((v) => `torch.tensor([${v.join(", ")}]).float()`);
  const way = (kind) => (kind === "detached" ? ".detach()" : "");
  return `import torch

x = ${row}.requires_grad_()
weight = ${scale}
centred = x${mu === "absent" ? "" : ` - x.mean()${way(mu)}`}
var = centred.square().mean()${way(sigma)}
y = centred / (var + ${eps}).sqrt() * weight
y.backward(${arrives})
print(x.grad)
`;
};

const render = (props) => rowsLab(props, {
  kind: "ln-gradient",
  label: "Gradient lab",
  title: "Gradients",
  rows: ["x", "grad_y", "weight"],
  choices: ["mu", "sigma"],
  steps: STEPS,
  controls: "",
  after: { grad_x: middle },
  below: controls,
  compared: true,
  hidden: [],
  behind,
  recordedAs: ({ mu, sigma }) => `${mu} ${sigma}`,
  fits: ({ x, mu, sigma }) => x.length <= MOST && Object.hasOwn(MU, mu) && Object.hasOwn(SIGMA, sigma),
  // A book asks for a guess first: before anything was touched, the answers are not told there.
  show: (state) => show(state, props.live === false && !props.model.get("revision")),
  paint,
  onInput: ({ name, value }) => ({ [name]: value }),
  python: toPython,
});

export default { render };
