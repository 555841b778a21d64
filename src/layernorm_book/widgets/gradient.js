import { ulp } from "./layernorm.js";
import { fixed, short } from "./numbers.js";
import { out, put, readoutsOf, say, write } from "./page.js";
import { answerTo, instrument, presetButtons } from "./instrument.js";
import {
  barNodes, barRows, clamp, drawBars, drawTorch, largest, LARGEST, light, panel, scaleFor, torchRows,
} from "./bars.js";
import { atStop, drawEpsilon, EPS, epsilon } from "./epsilon.js";
import { layerNormBackward } from "./backward.js";

/**
 * The gradient lab's front end: a row x, the gradient that arrives, and what goes on to x.
 * γ is 1, so g is grad_y.
 *
 * @typedef {{ x: number[], grad_y: number[], eps: number }} State
 */

const KEYS = ["x", "grad_y", "eps"];
const HINT = "Drag a bar of x or of g, or type a number: the three terms and grad_x follow.";
const SYMBOL = { x: "x", grad_y: "g", minus_mean: "−mean(g)", minus_line: "−x̂·<br>mean(g·x̂)", grad_x: "grad_x" };
const HAND = ["x", "grad_y"]; // what has sliders
const MOST = 20; // elements
const NUMBER = [-LARGEST, LARGEST];
const fields = { x: ["x", ...NUMBER], grad_y: ["g", ...NUMBER], eps: EPS };

const division = `<div class="ln-eps">${epsilon(["inside"])}</div>
  <p class="ln-facts"><span>rstd = ${out("rstd")}</span></p>`;

const middle = `
  <svg class="ln-fit" viewBox="0 0 240 120" aria-hidden="true">
    <path class="ln-axis"/><text x="236" y="116" class="ln-end">x̂</text><text x="4" y="10">g</text>
    <path class="ln-line"/><path class="ln-rest"/><path class="ln-dots"/>
  </svg>
  <p class="ln-facts">
    the line g ≈ mean(g) + x̂ · mean(g·x̂) stays behind:
    <span>mean(g) = ${out("mean_g")}</span> <span>mean(g·x̂) = ${out("mean_g_x_hat")}</span>
    <span>the rest goes on to x, times rstd; of the length of g it is ${out("share")}</span>
  </p>`;

const after = { x: division, grad_y: middle };

const table = (columns) => `
  <thead><tr><th scope="col">element</th>${columns.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
  ${Object.keys(SYMBOL).map((name) => barRows(name, SYMBOL[name], columns, HAND.includes(name))
    + (after[name] ? panel(columns, after[name]) : "")).join("")}
  ${torchRows(columns)}`;

const skeleton = (presets) => `
  <div class="ln-presets" role="group" aria-label="Gradients"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  <p class="ln-story">${HINT}</p>
  <div class="ln-scroll"><table></table></div>
  <p class="ln-says"></p>
  <p class="ln-trace"></p>`;

const fits = ({ x, grad_y }) => x.length <= MOST && grad_y.length === x.length;

const toPython = ({ x, grad_y, eps }) => `import torch
import torch.nn.functional as F

x = torch.tensor([${x.join(", ")}], dtype=torch.float32, requires_grad=True)
grad_y = torch.tensor([${grad_y.join(", ")}], dtype=torch.float32)
F.layer_norm(x, x.shape, eps=${eps}).backward(grad_y)
print(x.grad)
`;

/**
 * @param {object} props
 * @param {import("@anywidget/types").AnyModel} props.model
 * @param {HTMLElement} props.el
 * @param {boolean} [props.live]  false on a static page, where no Python answers
 */
function render({ model, el, live = true }) {
  const presets = model.get("presets");
  const lab = instrument({ model, el }, {
    kind: "ln-gradient", label: "Gradient lab", body: skeleton(presets), keys: KEYS, fields, fits,
  });
  const { root, find } = lab;

  let scales = {};
  let columns = [];
  let selected = 0;
  let steps = {}; // by name: the nodes that draw() writes to
  let readouts = {};

  function load(patch, story) {
    find(".ln-story").textContent = story;
    scales = {};
    lab.change(patch);
  }

  const actions = {
    preset({ dataset }) {
      const { x, grad_y, eps, story } = presets[dataset.preset];
      load({ x, grad_y, eps }, story);
    },
  };

  // --- drawing ---

  function layOut(n) {
    columns = Array.from({ length: n }, (_, i) => i);
    selected = Math.min(selected, n - 1);
    find("table").innerHTML = table(columns);
    for (const name in SYMBOL) steps[name] = barNodes(find(`[data-step="${name}"]`));
    readouts = readoutsOf(root);
    light(root, steps, selected);
  }

  const writeOne = (quantity, value, text = short(value)) => write(readouts[quantity][0], value, text);

  /** @param {State} state */
  function draw(state) {
    if (columns.length !== state.x.length) layOut(state.x.length);
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
    drawEpsilon(find, state.eps, { inside: now.var });
    drawFit(now);
    const [answer, k] = answerTo(state, HAND, model, live);
    drawTorch(find, readouts, columns, {
      said: answer?.grad_x[k], ours: now.gradX, digits: scaleOf("grad_x").digits, live, who: "PyTorch’s backward",
      unit: ulp(now.rstd * largest(now.g)), // the rest is a difference: counted in units of what was subtracted
      apart: (units) => `grad_x differs by at most ${units} units in the last place of rstd · the largest g`,
    });
    drawTrace(now);
    lab.speak(`Mean of g ${short(now.meanG, 3)}, mean of g times x hat ${short(now.meanGXHat, 3)}, largest gradient of x ${short(largest(now.gradX), 3)}.`);
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

  function drawTrace({ g, meanG, line, rstd, gradX }) {
    const i = selected;
    const [a, b, c, d, e] = [g[i], meanG, line[i], rstd, gradX[i]].map((v) => short(v, 6));
    const bracketed = (text) => (text.startsWith("−") ? `(${text})` : text);
    say(find(".ln-trace"), `Element ${i}: (${a} − ${bracketed(b)} − ${bracketed(c)}) · ${d} = ${e}`);
  }

  // --- the reader's hand ---

  function hand({ name, value, dataset }) {
    if (name === "eps") lab.change({ eps: atStop(value) });
    else lab.setOne(name, +value, dataset.index);
  }

  function point(part) {
    if (!part || +part.dataset.index === selected) return;
    selected = +part.dataset.index;
    light(root, steps, selected);
    draw(lab.state);
  }

  return lab.run({
    draw, hand, point, actions, restore: (state) => load(state, HINT), python: toPython,
  });
}

export default { render };
