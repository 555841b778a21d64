import { DRAWS, FIXED, RIGHT, SUSPECTS, alike, answerTo, bestQuestion, compare, draw as drawInput, passes, statistics } from "./faults.js";
import { short } from "./shared/numbers.js";
import { readout, readoutsOf, setAttribute, setReadout, setText } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { atStop } from "./shared/epsilon.js";
import "./bugs.css";

/**
 * A layer whose parts can be exchanged, an input, and what three tests say.
 *
 * @typedef {import("./faults.js").Parts & { n: number, mean: number, sigma: number,
 *   rows: "drawn" | "level", parameters: "fresh" | "trained", eps: number }} State
 * @typedef {{ of: number, passed: number[], right: number }} Verdicts  by test, in how many of so
 *   many draws the layer passes; and in how many the right layer passes the first
 */

const PARTS = { // of each: what it is called, and its choices, the right one first
  centre: ["the mean", { mean: "subtracted", none: "left in" }],
  count: ["variance: the sum", { n: "÷ n", "n-1": "÷ (n − 1)" }],
  squares: ["variance in", { "two-pass": "two passes", "one-pass": "one pass" }],
  divide: ["divide by", { inside: "√(σ² + ε)", outside: "σ + ε", "no-root": "σ² + ε" }],
  size: ["ε", { given: "as given", fixed: "always 10⁻⁶", zero: "0" }],
  affine: ["γ and β", { "scale-shift": "x̂·γ + β", "shift-scale": "(x̂ + β)·γ" }],
};
const TESTS = ["assert_close", "atol = rtol = 10⁻³", "the judge’s bound"];
const STOPS = {
  n: ["n", [2, 3, 4, 8, 16, 64, 256, 768]],
  mean: ["mean", [0, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 2000, 5000, 10000]],
  sigma: ["σ", [1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 100]],
};
const SWITCHES = {
  rows: ["mean, σ hold", { drawn: "on average", level: "in each row" }],
  parameters: ["γ and β", { fresh: "1 and 0", trained: "drawn" }],
};
const INPUT = [...Object.keys(STOPS), ...Object.keys(SWITCHES), "eps"];
const KEYS = [...Object.keys(PARTS), ...INPUT];
const [LEAST, MOST] = [-9, 1]; // the powers of ten of the axis

// --- what is said: functions of the state alone ----------------------------------------------------

/** The parts that are wrong. */
export const faults = (state) => Object.keys(RIGHT).filter((part) => state[part] !== RIGHT[part]);

/** One word for a test. */
export function word({ of, passed }, test) {
  return passed[test] === of ? "passes" : passed[test] ? `passes ${passed[test]} of ${of}` : "fails";
}

/** The verdict of the first test, a usual one, in a word or two. */
export function bigWord(state, { of, passed: [passed], right }) {
  if (passed > 0 && passed < of) return "A matter of luck";
  if (faults(state).length) return passed ? "It passes" : right < of ? "Caught by chance" : "Caught";
  return passed ? "It passes" : "Fails, though right";
}

/** What the three tests say together. */
export function headline(state, { of, passed: [usual, loose, judge], right }) {
  const draws = `${usual} of ${of} draws`;
  if (!faults(state).length) {
    if (usual === of) return "Nothing is wrong with this layer, and assert_close finds nothing.";
    return `Nothing is wrong with this layer. Float32 rounds by more here than assert_close allows: ${usual ? `only ${draws} pass` : "no draw passes"}.`;
  }
  if (usual === of) return `The layer is wrong, and assert_close passes it in all ${of} draws.${judge === of ? " On this input the judge cannot see it either." : " The judge’s bound is tighter here."}`;
  if (usual) return `The layer is wrong. assert_close passes it in ${draws}: the seed decides.`;
  if (right < of) return `assert_close fails it, but it would fail a right layer too: ${right ? `${of - right} of ${of}` : "all"} draws.`;
  if (loose === of) return "assert_close fails it. A tolerance of 10⁻³ lets it through.";
  return loose || judge ? "assert_close fails it. A wider bound lets some draws through." : "The layer is wrong, and this input shows it to all three tests.";
}

const share = (apart) => (apart < 1e-4 ? `${short(apart * 1e6, 2)} parts in a million` : `${short(100 * apart, 2)}%`);

/** Why one fault shows or hides: its trace in the first row of the first draw, in numbers. */
export function reason(state, row) {
  const wrong = faults(state);
  if (!wrong.length) return "Choose a part that is wrong, and look for an input that hides it.";
  if (wrong.length > 1) return `${wrong.length} parts are wrong; the larger error hides the smaller.`;
  const { x, weight, bias } = row;
  const right = statistics(x, RIGHT, state.eps);
  const own = statistics(x, state, state.eps);
  const apart = Math.abs(own.divisor / right.divisor - 1);
  const divides = Number.isNaN(own.divisor) ? "Its divisor is the root of a negative number"
    : `It divides the first row by ${short(own.divisor, 7)}. Right is ${short(right.divisor, 7)}: ${apart ? `${share(apart)} off` : "the same float32"}`;
  if (wrong[0] === "affine") {
    return state.parameters === "fresh" ? "γ is 1 and β is 0: in either order x̂ comes out as it is."
      : `β is multiplied by γ as well: in the first column ${short(bias[0] * weight[0], 2)} is added, and not ${short(bias[0], 2)}.`;
  }
  if (wrong[0] === "centre") return `The mean of the first row is ${short(right.about, 2)}, and it stays in.`;
  if (wrong[0] === "squares") {
    const digits = Math.max(0, Math.round(Math.log10(right.about ** 2 / right.variance)));
    return `${divides}. ${digits ? `The mean of x² and the square of the mean share about ${digits} digits${digits > 6 ? ", all that float32 has" : ""}.` : "The mean is small, so little cancels."}`;
  }
  return `${divides}.`;
}

// --- the game: a black box, and who it is ---------------------------------------------------------

const NAMES = [
  "the mean is left in", "÷ (n − 1)", "variance in one pass", "σ + ε", "no root", "ε is always 10⁻⁶", "no ε", "(x̂ + β)·γ", "nothing is wrong",
];
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** An input in words. */
export const question = ({ n, mean, sigma, eps, parameters }) =>
  `n = ${n}, mean ${short(mean)}, σ = ${short(sigma)}, ε = ${short(eps)}, ${parameters === "fresh" ? "γ = 1 and β = 0" : "γ and β drawn"}`;

/** How the game stands, in a word or two. */
export const gameWord = ({ secret, suspect, named }, together) =>
  suspect < 0 ? "Who is it?" : named ? (secret === suspect ? "Right" : "Not this one") : together ? "Possible" : "Ruled out";

/** What the errors of box and suspect say on this input. */
export function gameLine({ suspect }, together, error, theirs) {
  if (suspect < 0) return "One part of this box is wrong, or none. Pick a suspect: its errors appear as rings.";
  if (together) return "On this input the suspect errs as the box does, in draw after draw. Do they part on another?";
  return `On this input the suspect errs by ${short(theirs, 2)} and the box by ${short(error, 2)}.`;
}

/** What would have settled it. */
export function settled({ secret, suspect, named, asked }) {
  if (!named) return asked ? `Questions so far: ${asked}.` : "";
  if (secret !== suspect) return `Some input tells “${NAMES[suspect]}” from the box. Which?`;
  return `It is “${NAMES[secret]}”. Questions asked: ${asked}. One question settles it: ${question(bestQuestion(secret))}. No other suspect errs like this there.`;
}

const toPython = (state) => {
  const x = `${short(state.mean) === "0" ? "" : `${state.mean} + `}${state.sigma === 1 ? "" : `${state.sigma} * `}torch.randn(6, ${state.n})`;
  const scale = state.parameters === "fresh" ? ["torch.ones", "torch.zeros"] : ["1 + 0.5 * torch.randn", "0.5 * torch.randn"];
  const eps = { given: "eps", fixed: String(FIXED), zero: "0" }[state.size];
  const squares = state.squares === "two-pass" ? "(x - mean).square().sum(-1, keepdim=True)"
    : "(x.square().mean(-1, keepdim=True) - mean.square()) * x.shape[-1]";
  return `import torch
import torch.nn.functional as F

def layer(x, weight, bias, eps):
    mean = ${state.centre === "mean" ? "x.mean(-1, keepdim=True)" : "torch.zeros(1)"}
    var = ${squares} / ${state.count === "n" ? "x.shape[-1]" : "(x.shape[-1] - 1)"}
    x_hat = (x - mean) / ${{ inside: `torch.sqrt(var + ${eps})`, outside: `(torch.sqrt(var) + ${eps})`, "no-root": `(var + ${eps})` }[state.divide]}
    return ${state.affine === "scale-shift" ? "x_hat * weight + bias" : "(x_hat + bias) * weight"}

passed, eps = 0, ${state.eps}
for seed in range(${DRAWS}):
    torch.manual_seed(seed)
    x = ${state.rows === "drawn" ? x : `F.layer_norm(torch.randn(6, ${state.n}), (${state.n},), eps=0) * ${state.sigma} + ${state.mean}`}
    weight, bias = ${scale.map((call) => `${call}(${state.n})`).join(", ")}
    y, right = layer(x, weight, bias, eps), F.layer_norm(x, (${state.n},), weight, bias, eps)
    passed += torch.allclose(y, right, rtol=1.3e-6, atol=1e-5)
print(f"assert_close would pass {passed} of ${DRAWS} draws")
`;
};

// --- the page -------------------------------------------------------------------------------------

const segments = (name, title, choices, right) => `<fieldset><legend>${title}</legend><div>${Object.entries(choices).map(([value, text]) =>
  `<label${!right || value === right ? "" : " class=\"bl-wrong\""}><input type="radio" name="${name}" value="${value}"><span>${text}</span></label>`).join("")}</div></fieldset>`;
const slider = (name, title, most) => `<div class="bl-slider"><label><span>${title}</span>
  <input type="range" name="${name}" ${most === undefined ? 'min="-12" max="1" step="0.25"' : `min="0" max="${most}" step="1"`}></label>${readout(name)}</div>`;
const across = (value) => `${+(100 * Math.min(Math.max((Math.log10(value) - LEAST) / (MOST - LEAST), 0), 1)).toFixed(2)}%`;
const test = (name, k, game) => `<div class="bl-test" data-test="${k}"><b>${name}</b>
  <svg aria-hidden="true"><rect y="5" height="22"/><line y1="2" y2="30"/>${`<circle r="3.5"/>`.repeat(DRAWS)}<g>${game ? `<circle r="5.5"/>`.repeat(DRAWS) : ""}</g></svg>
  <output data-quantity="passed" data-index="${k}"></output></div>`;
const ticks = [-8, -6, -4, -2, 0];
const superscript = (power) => (power ? `10${String(power).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻")}` : "1");

const parts = `
  <p class="bl-step"><b>Break the layer</b> part by part. Right is green.</p>
  <div class="bl-parts" role="group" aria-label="The layer, part by part">${Object.entries(PARTS).map(([part, [title, choices]]) =>
    segments(part, title, choices, RIGHT[part])).join("")}</div>`;
const lineUp = `
  <p class="bl-step"><b>A black box.</b> What is wrong with it?</p>
  <div class="bl-suspects">${segments("suspect", "Suspects", Object.fromEntries(NAMES.map((name, k) => [`${k}`, name])))}
    <button type="button" data-do="name">This is it</button> <button type="button" data-do="next">Another box</button></div>`;
const legend = (game) => (game ? `<span class="bl-dot"></span>the box: its largest error in each of ${DRAWS} draws of x <span class="bl-dot bl-ring"></span>the suspect`
  : `<span class="bl-dot"></span>the largest error in each of ${DRAWS} draws of x, <span class="bl-dot bl-off"></span>where the test is mistaken`);

const skeleton = (presets, game) => `
  ${game ? lineUp : parts}
  <div class="bl-answer">
    <p class="bl-verdict">${readout("verdict")} <span class="bl-headline"></span></p>
    ${TESTS.map((name, k) => test(name, k, game)).join("")}
    <div class="bl-axis" aria-hidden="true"><span>${ticks.map((power) => `<i style="left: ${across(10 ** power)}">${superscript(power)}</i>`).join("")}</span></div>
    <p class="bl-legend">${legend(game)} <span class="bl-zone"></span>what it allows</p>
    <p class="bl-reason"></p>
  </div>
  <div class="ln-presets" role="group" aria-label="Inputs to start from"><b>Ask it</b>${presetButtons(presets)}</div>
  <div class="bl-asked">${Object.entries(STOPS).map(([name, [title, stops]]) => slider(name, title, stops.length - 1)).join("")}${slider("eps", "ε")}
    ${Object.entries(SWITCHES).map(([name, [title, choices]]) => segments(name, title, choices)).join("")}</div>
  <details class="ln-more"><summary>More</summary>
    <p>Each draw is six rows. The largest error: <span class="ln-facts"><span>first draw ${readout("error")}</span>
      <span>the judge allows ${readout("allowed")}</span></span></p>
    <p class="ln-says"></p></details>`;

/** The place of the stop nearest to a value. */
const nearest = (stops, value) => stops.reduce((best, stop, k) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? k : best), 0);

function render(props) {
  const presets = props.model.get("presets");
  const game = props.model.get("game");
  const lab = createLab(props, {
    kind: "ln-bugs",
    label: "Bug lab: a layer in parts, an input, three tests",
    body: skeleton(presets, game),
    keys: game ? INPUT : KEYS,
    local: game ? { secret: props.model.get("secret"), suspect: -1, named: false, asked: 0 } : {},
    fields: { mean: ["mean", 0, 1e4], sigma: ["σ", 1e-3, 100], eps: ["ε", 1e-12, 10] },
    fits: (state) => (game || Object.keys(PARTS).every((part) => state[part] in PARTS[part][1]))
      && Object.keys(SWITCHES).every((name) => state[name] in SWITCHES[name][1]) && STOPS.n[1].includes(state.n),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const tests = [...root.querySelectorAll(".bl-test")].map((node) => ({
    node, zone: node.querySelector("rect"), edge: node.querySelector("line"), dots: [...node.querySelectorAll("svg > circle")], rings: [...node.querySelectorAll("g > circle")],
  }));
  let known = {};
  let moved = false; // an input, since the hand last let go
  const radios = [...root.querySelectorAll("[type=radio]")];

  /** What is drawn for a state and the right answers, which its parts do not change. */
  function askedFor(state) {
    const key = INPUT.map((name) => state[name]).join();
    if (known.key !== key) {
      const drawn = Array.from({ length: DRAWS }, (_, seed) => drawInput(seed, state));
      known = { key, drawn, answers: drawn.map((input) => answerTo(input, state.eps)) };
    }
    return known;
  }

  /** Put a draw's error where it stands to its own bound, by the edge. */
  function put(dot, one, i, k, edge) {
    const error = one.error === 0 ? 0 : (one.error / one.allowed[k]) * edge;
    setAttribute(dot, "cx", across(Number.isNaN(error) ? Infinity : error));
    setAttribute(dot, "cy", 10 + ((i * 7) % DRAWS) * 0.63);
  }

  /** @param {State} given */
  function draw(given) {
    const state = game ? { ...given, ...SUSPECTS[given.secret] } : given;
    for (const input of radios) input.checked = String(state[input.name]) === input.value;
    for (const [name, [, stops]] of Object.entries(STOPS)) {
      find(`[name=${name}]`).value = nearest(stops, state[name]);
      setAttribute(find(`[name=${name}]`), "aria-valuetext", short(state[name], 3));
      setReadout(readouts[name][0], state[name], short(state[name], 3));
    }
    find("[name=eps]").value = Math.log10(state.eps);
    setAttribute(find("[name=eps]"), "aria-valuetext", short(state.eps, 3));
    setReadout(readouts.eps[0], Math.fround(state.eps), short(state.eps, 3));

    const { drawn, answers } = askedFor(state);
    const seen = drawn.map((input, k) => compare(input, answers[k], state, state.eps));
    const verdicts = {
      of: DRAWS,
      passed: tests.map((_, k) => seen.filter((one) => passes(one, k)).length),
      right: answers.filter(({ rightPasses }) => rightPasses).length,
    };
    const wrong = faults(state).length > 0;
    setAttribute(root, "data-wrong", game && !state.named ? "unknown" : wrong);
    const theirs = state.suspect >= 0 && drawn.map((input, k) => compare(input, answers[k], SUSPECTS[state.suspect], state.eps));
    tests.forEach(({ node, zone, edge, dots, rings }, k) => {
      const bound = across(seen[0].allowed[k]);
      setAttribute(zone, "width", bound);
      setAttribute(edge, "x1", bound);
      setAttribute(edge, "x2", bound);
      seen.forEach((one, i) => {
        put(dots[i], one, i, k, seen[0].allowed[k]);
        setAttribute(dots[i], "class", passes(one, k) ? "bl-in" : "");
      });
      rings.forEach((ring, i) => {
        if (!ring.toggleAttribute("hidden", !theirs)) put(ring, theirs[i], i, k, seen[0].allowed[k]);
      });
      setReadout(readouts.passed[k], verdicts.passed[k], word(verdicts, k));
      const good = verdicts.passed[k] === (wrong ? 0 : DRAWS);
      setAttribute(node, "data-good", good);
    });
    const { x: [row], weight, bias } = drawn[0];
    const [errors, rings] = [seen, theirs || []].map((list) => list.map(({ error }) => error));
    const together = theirs && alike(errors, rings);
    const said = game ? [gameWord(state, together), gameLine(state, together, middle(errors), middle(rings)), settled(state)]
      : [bigWord(state, verdicts), headline(state, verdicts), reason(state, { x: row, weight, bias })];
    setReadout(readouts.verdict[0], verdicts.passed[0], said[0]);
    setAttribute(readouts.verdict[0], "data-good", game ? (state.named ? state.secret === state.suspect : "") : verdicts.passed[0] === (wrong ? 0 : DRAWS));
    setText(find(".bl-headline"), said[1]);
    setText(find(".bl-reason"), said[2]);
    setReadout(readouts.error[0], seen[0].error, short(seen[0].error, 3));
    setReadout(readouts.allowed[0], seen[0].allowed[2], short(seen[0].allowed[2], 3));
    presets.forEach((preset, k) => setAttribute(find(`[data-preset="${k}"]`), "aria-pressed", asked(preset).every(([key, value]) => state[key] === value)));
    if (!game) drawAnswer(state, verdicts);
    lab.speak(said.slice(0, 2).join(". "));
  }

  const asked = (preset) => Object.entries(preset).filter(([key]) => key !== "label");

  function drawAnswer(state, { passed }) {
    const pytorch = lab.answer((record) => KEYS.every((key) => record[key] === state[key]));
    lab.sayAnswer(pytorch && `${lab.live ? "PyTorch runs" : "While this page was built, PyTorch ran"} the same layer on the same draws: ${
      pytorch.passes.join(", ")} of ${DRAWS} pass. Here: ${passed.join(", ")}.`);
  }

  function onInput({ name, value }) {
    if (name === "eps") lab.change({ eps: atStop(value) });
    else if (name in STOPS) lab.change({ [name]: STOPS[name][1][+value] });
    else if (name === "suspect") lab.change({ suspect: +value, named: false });
    else lab.change({ [name]: value });
    moved ||= name !== "suspect";
  }

  /** A question has been asked, once the hand lets go. */
  function onRelease() {
    if (game && moved) lab.change({ asked: lab.state.asked + 1 });
    moved = false;
  }

  return lab.run({
    draw,
    onInput,
    onRelease,
    actions: {
      preset: ({ dataset }) => lab.change({ ...Object.fromEntries(asked(presets[dataset.preset])), ...(game ? { asked: lab.state.asked + 1 } : {}) }),
      name: () => lab.change({ named: lab.state.suspect >= 0 }),
      next: () => lab.change({ secret: (lab.state.secret + 4) % SUSPECTS.length, suspect: -1, named: false, asked: 0 }),
    },
    python: (state) => toPython(game ? { ...state, ...SUSPECTS[state.secret] } : state),
  });
}

export default { render };
