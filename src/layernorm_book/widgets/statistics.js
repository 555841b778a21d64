import { meanAndVariance, onePassVariance } from "./layernorm.js";
import { onePassSays } from "./onepass.js";
import { short } from "./shared/numbers.js";
import { readout, setAttribute } from "./shared/page.js";
import { legend } from "./shared/parts.js";
import { firstSteps, MARKS, stageOf } from "./wholerow.js";
import "./statistics.css";

/** The lab at its first stage: a row, its mean, and its variance in two passes and in one. */

const onePass = `<div class="ln-one-pass"><p><b>σ²</b> in two passes: ${readout("var")}</p>
  <p>in one, E[x²] − μ²: ${readout("var_one_pass")}</p><p class="ln-one-pass-says">${readout("one_pass_says")}</p></div>`;

function show({ x: numbers }) {
  const x = Float32Array.from(numbers);
  const now = { x, ...meanAndVariance(x) };
  const pass = onePassVariance(x);
  const first = firstSteps([{ ...now, sigma: Math.sqrt(now.var) }]);
  return {
    ...first,
    facts: { ...first.facts, var_one_pass: [pass], one_pass_says: [[pass, onePassSays(now.var, pass)]] },
    news: `${first.news}, in one pass ${short(pass, 3)}.`,
    off: !(Math.abs(pass - now.var) <= 0.005 * now.var),
  };
}

const render = (props) => stageOf(props, 1e5, onePass, {
  steps: { x: "x", centred: "x − μ" },
  after: {},
  below: legend(MARKS),
  behind: "",
  show,
  paint: ({ find }, { off }) => setAttribute(find(".ln-one-pass"), "data-off", off),
});

export default { render };
