import { meanAndVariance, onePassVariance } from "./layernorm.js";
import { gapSays, onePassSays } from "./onepass.js";
import { short } from "./shared/numbers.js";
import { readout, setAttribute, setText } from "./shared/page.js";
import { legend } from "./shared/parts.js";
import { squaresOf } from "./squares.js";
import { firstSteps, MARKS, stageOf } from "./wholerow.js";
import "./statistics.css";

/** The lab at its first stage: a row, its mean, and its variance in two passes and in one. */

const onePass = `<div class="ln-one-pass"><p><b>σ²</b> in two passes: ${readout("var")}</p>
  <p>in one, E[x²] − μ²: ${readout("var_one_pass")}</p><p class="ln-one-pass-says">${readout("one_pass_says")}</p></div>`;

// The number line around E[x²] and μ²: above it where they are, below it where float32 puts them.
const MOST_TICKS = 130; // where there are more, a bar stands for them
const areMany = ({ gap, from, to }) => (to - from) / gap > MOST_TICKS;
const KINDS = [["exact", 20, 33], ["stored", 73, 55]]; // the baseline of the text, the height of the marks
const line = `<svg class="ln-squares" viewBox="0 0 640 84" aria-hidden="true"><path class="ln-axis"/><path class="ln-ticks"/>${
  KINDS.map(([kind, base]) => `<g class="ln-${kind}"><text y="${base}"></text><path/><text></text><text></text></g>`).join("")}</svg>
  <p class="ln-key">${readout("gap")}</p>`;

function paintLine(find, squares) {
  const { gap, from, to } = squares;
  const at = (v) => +(176 + (450 * (v - from)) / (to - from)).toFixed(1);
  const few = !areMany(squares);
  let ticks = few ? "" : "M176 44H626";
  for (let v = Math.ceil(from / gap) * gap; few && v <= to; v += gap) ticks += `M${at(v)} 37v14`;
  setAttribute(find(".ln-axis"), "d", "M176 44H626");
  setAttribute(find(".ln-ticks"), "d", ticks);
  setAttribute(find(".ln-ticks"), "data-dense", !few);
  for (const [kind, base, high] of KINDS) {
    const [name, marks, square, mean] = find(`.ln-${kind}`).children;
    const [a, b] = squares[kind].map(at);
    setText(name, `${kind === "exact" ? "E[x²] − μ² =" : "in float32:"} ${short(squares[kind][0] - squares[kind][1], 3)}`);
    setAttribute(marks, "d", `M${b} ${high}H${a}${[a, b].map((x) => `M${x - 4} ${high}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0`).join("")}`);
    [[square, "E[x²]", a, a >= b], [mean, "μ²", b, a < b]].forEach(([node, text, x, right]) => {
      setText(node, text);
      for (const [key, value] of [["x", x + (right ? 5 : -5)], ["y", base], ["text-anchor", right ? "start" : "end"]]) setAttribute(node, key, value);
    });
  }
}

function show({ x: numbers }) {
  const x = Float32Array.from(numbers);
  const now = { x, ...meanAndVariance(x) };
  const pass = onePassVariance(x);
  const squares = squaresOf(x);
  const first = firstSteps([{ ...now, sigma: Math.sqrt(now.var) }]);
  return {
    ...first,
    facts: { ...first.facts, mean: [[now.mean, short(now.mean, 7)]], var_one_pass: [pass], one_pass_says: [[pass, onePassSays(now.var, pass)]], gap: [[squares.gap, gapSays(squares.gap, areMany(squares))]] },
    squares,
    news: `${first.news}, in one pass ${short(pass, 3)}.`,
    off: !(Math.abs(pass - now.var) <= 0.005 * now.var),
  };
}

const render = (props) => stageOf(props, 1e5, onePass, {
  scale: { ticks: [[-1e5, "−10⁵"], [-1e3, "−10³"], [0, "0"], [1e3, "10³"], [1e5, "10⁵"]] },
  steps: { x: "x", centred: "x − μ" },
  after: {},
  below: legend(MARKS) + line,
  behind: "",
  show,
  paint: ({ find }, { off, squares }) => {
    setAttribute(find(".ln-one-pass"), "data-off", off);
    paintLine(find, squares);
  },
});

export default { render };
