import { bestOf, descentSays, path } from "./descends.js";
import { short, typeset } from "./shared/numbers.js";
import { readout, readoutsOf, setAttribute, setReadout, setSlider, setText } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import { dial, legend } from "./shared/parts.js";
import { barNodes, barRows, drawBars, each, heightOn } from "./shared/bars.js";
import "./descent.css";

/** Gradient descent of γ and β, step by step. */

const STEPS = 40;
const COLUMNS = [0, 1, 2, 3, 4, 5, 6, 7];
const RATES = { min: 0.05, max: 2.5, step: 0.05 };
const SCALES = { // wide enough for every best value, and what flies off is cut there
  weight: { lo: -1, hi: 5, step: 0.1, digits: 0 },
  bias: { lo: -4, hi: 5, step: 0.1, digits: 0 },
};
const MOST = 1e4; // of the loss, in its plot

const skeleton = `
  <div class="ln-dials">
    ${dial("step", "step", `= ${readout("step")}`, { min: 0, max: STEPS, step: 1 }, [[0, "0"], [10, "10"], [20, "20"], [30, "30"], [40, "40"]])}
    ${dial("rate", "learning rate", `= ${readout("rate")}`, RATES, [[0.05, "0.05"], [0.5, "0.5"], [1, "1"], [1.5, "1.5"], [2, "2"], [2.5, "2.5"]])}
  </div>
  <p class="ln-descent-says" data-quantity="says"></p>
  <div class="ln-descent">
    <div class="ln-scroll"><table><thead><tr><th scope="col"><span class="ln-hidden">feature</span></th>${COLUMNS.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
      ${barRows("weight", "γ", COLUMNS)}${barRows("bias", "β", COLUMNS)}</table></div>
    <div class="ln-loss"><p><b>loss</b> = ${readout("loss")}, over the steps</p>
      <svg viewBox="0 -6 206 136" aria-hidden="true">
        <path class="ln-axis" d="M34 4V112H198"/>
        <text x="30" y="8">10⁴</text><text x="30" y="62">100</text><text x="30" y="89">10</text><text x="30" y="116">1</text><text x="36" y="126">0</text><text x="79" y="126">10</text><text x="120" y="126">20</text><text x="161" y="126">30</text><text x="200" y="126">40</text>
        <path class="ln-floor"/><path class="ln-curve"/><path class="ln-off"/><path class="ln-dot"/>
      </svg></div>
  </div>
  ${legend([["tick", "best", "the best γ and β"], ["dash", "floor", "the smallest loss they reach"]])}`;

/** The tip of an arrow where a bar goes on beyond its plot. */
const tipOf = (i, v, { lo, hi }) => (v > hi ? `M${i + 0.2} 11L${i + 0.5} 0L${i + 0.8} 11z` : v < lo ? `M${i + 0.2} 89L${i + 0.5} 100L${i + 0.8} 89z` : "");

const across = (step) => 34 + (164 * step) / STEPS;
const up = (loss) => +(112 - (108 * Math.log10(Math.max(loss, 1))) / 4).toFixed(1); // above MOST it is off the plot

const toPython = ({ step, rate }) => `import torch
from layernorm_book.widgets.descent import task

z, target = task()
layer = torch.nn.LayerNorm(8)
optimizer = torch.optim.SGD(layer.parameters(), lr=${rate})
for _ in range(${step}):
    optimizer.zero_grad()
    loss = (layer(z) - target).square().sum(-1).mean() / 2
    loss.backward()
    optimizer.step()
print(layer.weight, layer.bias)
`;

function render(props) {
  const averages = props.model.get("averages");
  const best = bestOf(averages);
  const lab = createLab(props, {
    kind: "ln-descends",
    label: "Gradient descent of gamma and beta",
    body: skeleton,
    keys: ["step", "rate"],
    fields: { step: ["the step", 0, STEPS], rate: ["the learning rate", RATES.min, RATES.max] },
    fits: ({ step }) => Number.isInteger(step),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const nodes = Object.fromEntries(["weight", "bias"].map((name) => [name, barNodes(find(`[data-step=${name}]`))]));
  for (const name of ["weight", "bias"]) { // the best γ and β stay where they are
    const height = heightOn(SCALES[name]);
    const marks = each(COLUMNS, (i) => `M${i + 0.12} ${height(best[name][i])}h.76`).join("");
    nodes[name].zero.insertAdjacentHTML("afterend", `<path class="ln-marks" d="${marks}"/><path class="ln-cut"/>`);
  }

  function draw({ step, rate }) {
    const run = path(averages, rate, STEPS);
    const now = run[step];
    for (const name of ["weight", "bias"]) {
      drawBars(nodes[name], COLUMNS, now[name], SCALES[name]);
      setAttribute(find(`[data-step=${name}] .ln-cut`), "d", each(COLUMNS, (i) => tipOf(i, now[name][i], SCALES[name])).join(""));
      now[name].forEach((v, i) => Math.abs(v) >= 1e4 && setText(nodes[name].readouts[i], typeset(v.toExponential(0)))); // a column is narrow
    }
    for (const [name, value] of Object.entries({ step, rate })) {
      setSlider(find(`[name=${name}]`), value, String(value));
      setReadout(readouts[name][0], value, short(value));
    }
    setReadout(readouts.loss[0], now.loss, short(now.loss, 4));
    setAttribute(find(".ln-floor"), "d", `M34 ${up(best.loss)}H198`);
    const off = run.findIndex(({ loss }) => loss > MOST); // from here on the curve is above its plot
    const points = run.slice(0, off < 0 ? STEPS + 1 : off).map(({ loss }, k) => `${across(k).toFixed(1)} ${up(loss)}`);
    let tip = "";
    if (off > 0) {
      const [below, above] = [run[off - 1].loss, run[off].loss].map(Math.log10);
      const x = across(off - (above - Math.log10(MOST)) / (above - below));
      points.push(`${x.toFixed(1)} ${up(MOST)}`);
      tip = `M${(x - 4).toFixed(1)} 7L${x.toFixed(1)} -3L${(x + 4).toFixed(1)} 7z`;
    }
    setAttribute(find(".ln-curve"), "d", `M${points.join("L")}`);
    setAttribute(find(".ln-off"), "d", tip);
    setAttribute(find(".ln-dot"), "d", `M${across(step).toFixed(1)} ${up(Math.min(now.loss, MOST))}h0`);
    const says = descentSays(run, best, step);
    setAttribute(readouts.says[0], "data-value", now.loss / best.loss);
    setText(readouts.says[0], says);
    lab.speak(`Step ${step}, learning rate ${short(rate)}: loss ${short(now.loss, 3)}.`);
  }

  return lab.run({ draw, onInput: ({ name, value }) => lab.change({ [name]: +(+value).toFixed(2) }), actions: {}, python: toPython });
}

export default { render };
