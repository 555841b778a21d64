import { ulp } from "./layernorm.js";
import { layerNormBackward } from "./backward.js";
import { short } from "./shared/numbers.js";
import { readout, setAttribute } from "./shared/page.js";
import { legend } from "./shared/parts.js";
import { rowsLab } from "./shared/rows.js";
import { largest } from "./shared/bars.js";
import { epsilon } from "./shared/epsilon.js";
import "./gradient.css";

/**
 * The gradient lab: a row x, the gradient that arrives, and what goes on to x. γ is 1, so g is grad_y.
 *
 * @typedef {{ x: number[], grad_y: number[], eps: number }} State
 */

const ROWS = { x: "x", grad_y: "g" };
const STEPS = { x: "x", grad_y: "g", minus_mean: "−mean(g)", minus_line: "−x̂·<br>mean(g·x̂)", grad_x: "grad_x" };
const MOST = 20; // elements
const MARKS = [["dash", "", "mean of x"], ["band", "", "μ − σ to μ + σ"]];

const controls = `<div class="ln-dials">${epsilon(["inside"])}<p class="ln-facts">${legend(MARKS)}<span>rstd = ${readout("rstd")}</span></p></div>`;

const middle = `
  <svg class="ln-fit" viewBox="0 0 240 120" aria-hidden="true">
    <path class="ln-axis"/><text x="236" y="116" class="ln-end">x̂</text><text x="4" y="10">g</text>
    <path class="ln-line"/><path class="ln-rest"/><path class="ln-dots"/>
  </svg>
  <p class="ln-facts">
    the line g ≈ mean(g) + x̂ · mean(g·x̂) stays behind:
    <span>mean(g) = ${readout("mean_g")}</span> <span>mean(g·x̂) = ${readout("mean_g_x_hat")}</span>
    <span>the rest goes on to x, times rstd; of the length of g it is ${readout("share")}</span>
  </p>`;

/** @param {State} state */
function show({ x, grad_y, eps }) {
  const now = layerNormBackward(grad_y, x, { eps });
  const { g, meanG, line, rest, rstd, gradX } = now;
  const sigma = Math.sqrt(now.var);
  const [minusMean, minusLine] = [g.map(() => -meanG), line.map((v) => -v)];
  // g and its terms share one scale, and so does grad_x while it is not much larger.
  const terms = [-1, 1, ...g, ...minusMean, ...minusLine];
  const on = largest(gradX) <= 2 * largest(terms) ? "terms" : "grad_x";
  const share = largest(g) ? Math.hypot(...rest) / Math.hypot(...g) : 0;
  return {
    scales: { x: now.x, terms: on === "terms" ? [...terms, ...gradX] : terms, grad_x: [0, ...gradX] },
    bars: {
      x: { values: now.x, band: [[now.mean - sigma, now.mean + sigma]], guide: [[now.mean]] },
      grad_y: { values: g, on: "terms" },
      minus_mean: { values: minusMean, on: "terms" },
      minus_line: { values: minusLine, on: "terms" },
      grad_x: { values: gradX, on },
    },
    facts: { mean_g: [meanG], mean_g_x_hat: [now.meanGXHat], share: [[share, `${short(100 * share, 2)} %`]], rstd: [rstd] },
    knees: { inside: now.var },
    quote: {
      step: "grad_x",
      unit: ulp(rstd * largest(g)), // the rest is a difference: counted in units of what was subtracted
      says: (most, live) => `${live ? "PyTorch’s backward says" : "While this page was built, PyTorch’s backward said"}: ${most
        ? `grad_x differs by at most ${short(most, 2)} units in the last place of rstd · the largest g` : "the same bits"}.`,
    },
    news: `Mean of g ${short(meanG, 3)}, mean of g times x hat ${short(now.meanGXHat, 3)}, largest gradient of x ${short(largest(gradX), 3)}.`,
    fit: now,
  };
}

/** g over x̂, the line that stays behind, and the rest of each element. */
function paint({ find }, { fit: { xHat, g, meanG, meanGXHat, line } }, state, { terms: { lo, hi } }) {
  const wide = Math.max(2, largest(xHat)) * 1.1;
  const across = (v) => (120 + (112 * v) / wide).toFixed(1);
  const up = (v) => (6 + (108 * (hi - v)) / (hi - lo)).toFixed(1);
  const path = (draw) => Array.from(g, (_, i) => draw(i)).join("");
  setAttribute(find(".ln-axis"), "d", `M8 ${up(0)}H232M120 6V114`);
  setAttribute(find(".ln-line"), "d", `M8 ${up(meanG - wide * meanGXHat)}L232 ${up(meanG + wide * meanGXHat)}`);
  setAttribute(find(".ln-rest"), "d", path((i) => `M${across(xHat[i])} ${up(meanG + line[i])}V${up(g[i])}`));
  setAttribute(find(".ln-dots"), "d", path((i) => `M${across(xHat[i])} ${up(g[i])}h0`));
}

const toPython = ({ x, grad_y, eps }) => `import torch
import torch.nn.functional as F

x = torch.tensor([${x.join(", ")}], dtype=torch.float32, requires_grad=True)
grad_y = torch.tensor([${grad_y.join(", ")}], dtype=torch.float32)
F.layer_norm(x, x.shape, eps=${eps}).backward(grad_y)
print(x.grad)
`;

const render = (props) => rowsLab(props, {
  kind: "ln-gradient",
  label: "Gradient lab",
  title: "Gradients",
  hint: "Drag a bar of x or of g, or type a number: the three terms and grad_x follow.",
  rows: ROWS,
  steps: STEPS,
  controls,
  after: { grad_y: middle },
  fits: ({ x }) => x.length <= MOST,
  show,
  paint,
  fromPreset: ({ x, grad_y, eps }) => ({ x, grad_y, eps }),
  python: toPython,
});

export default { render };
