import { DRAWS, FIXED, RIGHT, bfloat16, meanOf, statistics } from "./faults.js";
import { INPUT, askedBy, controls, fields, fits, fromPreset, painter, segments, verdicts } from "./asked.js";
import { createLab, presetButtons } from "./shared/form.js";
import { short } from "./shared/numbers.js";
import { more, readout, readoutsOf, setAttribute, setReadout, setText } from "./shared/page.js";

/**
 * A layer whose parts can be exchanged, an input, and what three tests say.
 *
 * @typedef {import("./faults.js").Parts & { n: number, mean: number, sigma: number,
 *   rows: "drawn" | "level", parameters: "fresh" | "trained", eps: number }} State
 * @typedef {{ of: number, passed: number[], right: number[] }} Verdicts  by test, in how many of so
 *   many draws the layer passes; and in how many the right layer passes the first two
 */

const PARTS = { // of each: what it is called, and its choices, the right one first
  divide: ["divide by", { inside: "√(σ² + ε)", outside: "σ + ε", "no-root": "σ² + ε", square: "(σ² + ε)²" }],
  size: ["ε", { given: "as given", squared: "ε²", fixed: "10⁻⁶", zero: "0" }],
  axes: ["share μ and σ", { row: "a row", column: "a column", all: "all rows" }],
  centre: ["the mean", { mean: "subtracted", none: "left in" }],
  count: ["sum", { n: "÷ n", "n-1": "÷ (n − 1)" }],
  squares: ["variance in", { "two-pass": "two passes", "one-pass": "one pass" }],
  precision: ["computed in", { float32: "float32", bfloat16: "bfloat16" }],
  affine: ["γ and β", { "scale-shift": "x̂·γ + β", "shift-scale": "(x̂ + β)·γ", "one-plus": "x̂·(1 + γ) + β" }],
};
const KEYS = [...Object.keys(PARTS), ...INPUT];
const AT_FIRST = ["divide", "centre", "count", "affine"]; // the parts of the brief lab that are not behind "More"

// --- what is said: functions of the state alone ----------------------------------------------------

/** The parts that are wrong. */
export const faults = (state) => Object.keys(RIGHT).filter((part) => state[part] !== RIGHT[part]);

/** By test, whether it fails the layer in every draw, and a right one in none. The judge fails none. */
const catches = ({ of, passed, right }, brief) => passed.map((count, k) => !count && (k < 2 ? right[k] === of : !brief));

/** What the tests say, in a word or two: all of them, or the usual two where the lab is brief. */
export function bigWord(state, found, brief = false) {
  const { of, passed: [passed] } = found;
  if (passed > 0 && passed < of) return "A matter of luck";
  if (passed) return "It passes";
  if (!faults(state).length) return "Fails, though right";
  const caught = catches(found, brief).filter(Boolean).length;
  return caught === (brief ? 2 : 3) ? "Caught" : ["Failed for the wrong reason", "One test catches it", "Two tests catch it"][caught];
}

/** What the tests say together. */
export function headline(state, found, brief = false) {
  const { of, passed: [usual, loose, judge], right: [right] } = found;
  const draws = `${usual} of ${of} draws`;
  if (!faults(state).length) {
    if (usual === of) return "Nothing is wrong with this layer, and assert_close finds nothing.";
    return `Nothing is wrong with this layer. Float32 rounds by more here than assert_close allows: ${usual ? `only ${draws} pass` : "no draw passes"}.`;
  }
  if (usual === of) return `The layer is wrong, and assert_close passes it in all ${of} draws.${brief ? "" : judge === of ? " On this input the judge cannot see it either." : " The judge’s bound is tighter here."}`;
  if (usual) return `The layer is wrong. assert_close passes it in ${draws}: the seed decides.`;
  if (right < of) {
    const [, byLoose, byJudge] = catches(found, brief);
    const draws = right ? ` in ${of - right} of ${of} draws` : "";
    if (!byLoose && !byJudge) return `assert_close fails it, but it fails a right layer too${draws}.`;
    return `assert_close proves nothing here, as it fails a right layer too${draws}. ${
      brief ? "The other test catches it." : byLoose && byJudge ? "The other two tests catch it." : `${byLoose ? "The tolerance of 10⁻³" : "The judge"} catches it.`}`;
  }
  if (loose === of) return "assert_close fails it. A tolerance of 10⁻³ lets it through.";
  if (brief) return loose ? "assert_close fails it. A wider bound lets some draws through." : "The layer is wrong, and this input shows it to both tests.";
  return loose || judge ? "assert_close fails it. A wider bound lets some draws through." : "The layer is wrong, and this input shows it to all three tests.";
}

const near = (v) => short(+v.toFixed(3));
const share = (apart) => (apart < 1e-4 ? `${short(apart * 1e6, 2)} parts in a million` : `${short(100 * apart, 2)}%`);

/** Why one fault shows or hides: its trace in the first row of the first draw, in numbers. */
export function reason(state, { x: rows, weight, bias }) {
  const wrong = faults(state);
  const [x] = rows;
  if (!wrong.length) return "Choose a part that is wrong, and look for an input that hides it.";
  if (wrong.length > 1) return `${wrong.length} parts are wrong, and the dots show what they do together.`;
  const right = statistics(x, RIGHT, state.eps);
  const own = statistics(x, state, state.eps);
  const apart = Math.abs(own.divisor / right.divisor - 1);
  const divides = Number.isNaN(own.divisor) ? "It divides by the root of a negative number"
    : `It divides the first row by ${short(own.divisor, 7)}. Right is ${short(right.divisor, 7)}: ${apart ? `${share(apart)} off` : "the same float32"}`;
  if (state.affine === "one-plus") return `In the first column it scales by ${short(1 + weight[0], 3)}, and not by ${short(weight[0], 3)}.`;
  if (wrong[0] === "affine") {
    return state.parameters === "fresh" ? "γ is 1 and β is 0: in either order x̂ comes out as it is."
      : `β is multiplied by γ as well: in the first column ${short(bias[0] * weight[0], 2)} is added, and not ${short(bias[0], 2)}.`;
  }
  if (wrong[0] === "centre") return `The mean of the first row is ${near(right.about)}, and it stays in.`;
  if (wrong[0] === "axes") {
    const all = state.axes === "all";
    const group = Float32Array.from(all ? rows.flatMap((row) => [...row]) : rows, (v) => v[0] ?? v);
    return `From the first number it subtracts ${near(meanOf(group))}, the mean of ${all ? "all six rows" : "its column"}. Its row’s is ${near(right.about)}.`;
  }
  if (wrong[0] === "precision") return `bfloat16 keeps 8 bits: it takes the first number, ${short(x[0], 7)}, for ${short(bfloat16(x[0]), 7)}.`;
  if (wrong[0] === "squares") {
    const digits = Math.max(0, Math.round(Math.log10(right.about ** 2 / right.variance)));
    return `${divides}. ${digits ? `The mean of x² and the square of the mean share about ${digits} digits${digits > 6 ? ", all that float32 has" : ""}.` : "The mean is small, so little cancels."}`;
  }
  return `${divides}.`;
}

export const toPython = (state) => {
  const x = `${short(state.mean) === "0" ? "" : `${state.mean} + `}${state.sigma === 1 ? "" : `${state.sigma} * `}torch.randn(6, ${state.n})`;
  const scale = state.parameters === "fresh" ? ["torch.ones", "torch.zeros"] : ["1 + 0.5 * torch.randn", "0.5 * torch.randn"];
  const eps = { given: "eps", squared: "eps**2", fixed: String(FIXED), zero: "0" }[state.size];
  const over = { row: "-1", column: "0", all: "(0, 1)" }[state.axes];
  const squares = state.squares === "two-pass" ? `(x - mean).square().sum(${over}, keepdim=True)`
    : `(x.square().mean(${over}, keepdim=True) - mean.square()) * n`;
  return `import torch
import torch.nn.functional as F

def layer(x, weight, bias, eps):
    ${state.precision === "float32" ? "" : "x = x.bfloat16()\n    "}mean = ${state.centre === "mean" ? "" : "0 * "}x.mean(${over}, keepdim=True)
    n = x.numel() // mean.numel()
    var = ${squares} / ${state.count === "n" ? "n" : "(n - 1)"}
    x_hat = (x - mean) / ${{ inside: `torch.sqrt(var + ${eps})`, outside: `(torch.sqrt(var) + ${eps})`, "no-root": `(var + ${eps})`, square: `(var + ${eps})**2` }[state.divide]}
    return ${{ "scale-shift": "x_hat * weight + bias", "shift-scale": "(x_hat + bias) * weight", "one-plus": "x_hat * (1 + weight) + bias" }[state.affine]}

passed, eps = 0, ${state.eps}
for seed in range(${DRAWS}):
    torch.manual_seed(seed)
    x = ${state.rows === "drawn" ? x : `F.layer_norm(torch.randn(6, ${state.n}), (${state.n},), eps=0) * ${state.sigma} + ${state.mean}`}
    weight, bias = ${scale.map((call) => `${call}(${state.n})`).join(", ")}
    y, right = layer(x, weight, bias, eps), F.layer_norm(x, (${state.n},), weight, bias, eps)
    passed += torch.allclose(y, right, rtol=1.3e-6, atol=1e-5)
print(f"assert_close: {passed} of ${DRAWS} draws pass")
`;
};

// --- the page -------------------------------------------------------------------------------------

const legend = `<span class="bl-dot"></span>largest error in each of ${DRAWS} draws (NaN at the end), <span class="bl-key"><span class="bl-dot bl-off"></span>where the test is mistaken</span> <span class="bl-key"><span class="bl-allowed"></span>what it allows</span>`;
const choicesOf = (parts, label) => `<div class="bl-parts" role="group" aria-label="${label}">${parts.map((part) =>
  segments(part, ...PARTS[part], RIGHT[part])).join("")}</div>`;
const skeleton = (presets, first, others) => `
  <p class="bl-step"><b>Break the layer</b> part by part. Right is green.</p>
  ${choicesOf(first, "The layer, part by part")}
  ${verdicts(legend)}
  <div class="ln-presets" role="group" aria-label="Inputs to start from"><b>Ask it</b>${presetButtons(presets)}</div>
  ${controls()}
  ${more(`${others.length ? choicesOf(others, "Its other parts") : ""}<p>Each draw is six rows. The largest error: <span class="ln-facts"><span>first draw ${readout("error")}</span>
      <span>the judge allows ${readout("allowed")}</span></span></p>
    <p class="ln-says"></p>`)}`;

function render(props) {
  const [presets, brief] = ["presets", "brief"].map((name) => props.model.get(name));
  const parts = Object.keys(PARTS);
  const first = brief ? AT_FIRST : parts;
  const lab = createLab(props, {
    kind: `ln-bugs${brief ? " bl-brief" : ""}`,
    label: "Bug lab: a layer in parts, and what tests say",
    body: skeleton(presets, first, parts.filter((part) => !first.includes(part))),
    keys: KEYS,
    fields,
    fits: (state) => fits(state) && parts.every((part) => state[part] in PARTS[part][1]),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const paint = painter(lab, presets);

  /** @param {State} state */
  function draw(state) {
    const found = paint(state, state, undefined, faults(state).length > 0);
    const { passed, good, seen: [{ error, allowed }], drawn } = found;
    setReadout(readouts.verdict[0], passed[0], bigWord(state, found, brief));
    setAttribute(readouts.verdict[0], "data-good", passed[0] || !faults(state).length || catches(found, brief).includes(true) ? good(0) : "chance");
    setText(find(".bl-headline"), headline(state, found, brief));
    setText(find(".bl-reason"), reason(state, drawn));
    setReadout(readouts.error[0], error, short(error, 3));
    setReadout(readouts.allowed[0], allowed[2], short(allowed[2], 3));
    const pytorch = lab.answer((record) => KEYS.every((key) => record[key] === state[key]));
    lab.sayAnswer(pytorch && `${lab.live ? "PyTorch runs" : "While this page was built, PyTorch ran"} the same layer on the same draws: ${
      pytorch.passes.join(", ")} of ${DRAWS} pass. Here: ${passed.join(", ")}.`);
    lab.speak(`${bigWord(state, found, brief)}. ${headline(state, found, brief)}`);
  }

  return lab.run({
    draw,
    onInput: (input) => lab.change(askedBy(input) ?? { [input.name]: input.value }),
    actions: { preset: ({ dataset: { preset } }) => lab.load(fromPreset(presets[preset])) },
    python: toPython,
  });
}

export default { render };
