import { DRAWS, answerTo, compare, draw as drawInput, passes } from "./faults.js";
import { EPS, atStop } from "./shared/eps.js";
import { clamp, powerOfTen, short } from "./shared/numbers.js";
import { readout, readoutsOf, setAttribute, setReadout, setSlider } from "./shared/page.js";
import "./asked.css";

/**
 * What a layer is asked, and what three tests make of its answers: the part that the bug lab and
 * the black box share.
 *
 * @typedef {{ n: number, mean: number, sigma: number, rows: "drawn" | "level",
 *   parameters: "fresh" | "trained", eps: number }} Asked
 */

const TESTS = ["assert_close", "atol = rtol = 10⁻³", "the judge’s bound"];
const STOPS = {
  n: ["n", [2, 3, 4, 8, 16, 64, 256, 768]],
  mean: ["mean", [0, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 2000, 5000, 10000]],
  sigma: ["σ", [1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 100]],
};
const SWITCHES = {
  rows: ["fix mean and σ", { drawn: "on average", level: "in each row" }],
  parameters: ["γ and β", { fresh: "1 and 0", trained: "drawn" }],
};
export const INPUT = [...Object.keys(STOPS), ...Object.keys(SWITCHES), "eps"];
const [LEAST, MOST] = [-9, 1]; // the powers of ten of the axis
const [WIDE, HIGH] = [1000, 40]; // a plot in its own units, stretched to the width that there is

/** Choices of which one is taken, each a radio button. */
export const segments = (name, title, choices, right) => `<fieldset><legend>${title}</legend><div>${Object.entries(choices).map(([value, text]) =>
  `<label${!right || value === right ? "" : " class=\"bl-wrong\""}><input type="radio" name="${name}" value="${value}"><span>${text}</span></label>`).join("")}</div></fieldset>`;
const slider = (name, title, most) => `<div class="bl-slider"><label><span>${title}</span>
  <input type="range" name="${name}" ${most === undefined ? 'min="-12" max="1" step="0.25"' : `min="0" max="${most}" step="1"`}></label>${readout(name)}</div>`;

/** The controls of an input. */
export const controls = () => `<div class="bl-asked">${Object.entries(STOPS).map(([name, [title, stops]]) => slider(name, title, stops.length - 1)).join("")}${slider("eps", "ε")}
  ${Object.entries(SWITCHES).map(([name, [title, choices]]) => segments(name, title, choices)).join("")}</div>`;

/** Where an error stands on the axis, in units of the plot; infinity and NaN at its end. */
const along = (error) => +(WIDE * (Number.isNaN(error) ? 1 : clamp((Math.log10(error) - LEAST) / (MOST - LEAST), 0, 1))).toFixed(1);
/** Dots are lines of no length with round caps: all of them together are one shape to the browser. */
const dots = (places) => places.map(([x, y]) => `M${x} ${y}h.01`).join("");
const plot = (shapes) => `<svg viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" aria-hidden="true">${
  shapes.map((name) => `<path class="bl-${name}"/>`).join("")}</svg>`;
const test = (name, k) => `<div class="bl-test" data-test="${k}"><b>${name}</b>
  ${plot(["zone", "edge", "out", "out", "in", "in"])}<output data-quantity="passed" data-index="${k}"></output></div>`;
const ticks = [-8, -6, -4, -2, 0];
const axis = `<div class="bl-axis" aria-hidden="true"><span>${ticks.map((power) =>
  `<i style="left: ${along(10 ** power) / 10}%">${powerOfTen(power)}</i>`).join("")}<i style="left: 100%">≥ 10</i></span></div>`;

/**
 * A word, a sentence, dots, and a second sentence. For one layer: a row of dots for each test, beside
 * what it allows. For two: one row, with the dots of one and rings for the other.
 * @param {string} legend
 * @param {boolean} two
 */
export const verdicts = (legend, two = false) => `<div class="bl-answer">
    <p class="bl-verdict">${readout("verdict")} <span class="bl-headline"></span></p>
    ${two ? `<div class="bl-pairs">${plot(["rings", "rings", "apart", "out", "out"])}</div>` : TESTS.map(test).join("")}
    ${axis}
    <p class="bl-legend">${legend}</p>
    <p class="bl-reason"></p>
  </div>`;

/** What a test does with a layer, wrong or right: a word or two. */
export function word({ of, passed, right }, test, wrong) {
  const [missed, alarms] = [passed[test], of - passed[test]];
  if (wrong && alarms === of && right[test] < of) return "fails right too"; // which proves nothing
  if (wrong) return alarms === of ? "catches it" : alarms ? `misses ${missed} of ${of}` : "misses it";
  return alarms ? `${alarms} false alarm${alarms === 1 ? "" : "s"}` : "passes it";
}

export const fields = { mean: ["mean", 0, 1e4], sigma: ["σ", 1e-3, 100], eps: EPS };
/** @param {Asked} state */
export const fits = (state) => STOPS.n[1].includes(state.n) && Object.keys(SWITCHES).every((name) => state[name] in SWITCHES[name][1]);

/** What a control of the input changes, or null where it is none. */
export function askedBy({ name, value }) {
  if (name === "eps") return { eps: atStop(value) };
  if (name in STOPS) return { [name]: STOPS[name][1][+value] };
  return name in SWITCHES ? { [name]: value } : null;
}

/** The input of a preset, whose label is none of it. */
export const fromPreset = ({ label, ...asked }) => asked;

/** The place of the stop nearest to a value. */
const nearest = (stops, value) => stops.reduce((best, stop, k) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? k : best), 0);

/** How high the dot of a draw stands, so that few hide each other. */
const height = (i) => 6 + ((i * 7) % DRAWS) * ((HIGH - 12) / (DRAWS - 1));
const shape = (nodes, d) => nodes.forEach((node) => setAttribute(node, "d", d));

/** The painter of these parts of a lab. */
export function painter({ root, find }, presets) {
  const readouts = readoutsOf(root);
  const [tests, [pairs]] = [".bl-test", ".bl-pairs"].map((part) => [...root.querySelectorAll(part)].map((node) => ({
    node, ...Object.fromEntries(["zone", "edge", "in", "out", "rings", "apart"].map((name) => [name, node.querySelectorAll(`.bl-${name}`)])),
  })));
  const radios = [...root.querySelectorAll("[type=radio]")];
  let known = {}; // the draws of the input that was shown last, and the right answers

  function askedFor(state) {
    const key = INPUT.map((name) => state[name]).join();
    if (known.key !== key) {
      const drawn = Array.from({ length: DRAWS }, (_, seed) => drawInput(seed, state));
      known = { key, drawn, answers: drawn.map((input) => answerTo(input, state.eps)) };
    }
    return known;
  }

  function paintControls(state) {
    for (const input of radios) {
      const chosen = String(state[input.name]) === input.value;
      if (input.checked !== chosen) input.checked = chosen;
    }
    for (const [name, [, stops]] of Object.entries(STOPS)) {
      const text = short(state[name], 3);
      setSlider(find(`[name=${name}]`), nearest(stops, state[name]), text);
      setReadout(readouts[name][0], state[name], text);
    }
    const eps = short(state.eps, 3);
    setSlider(find("[name=eps]"), Math.log10(state.eps), eps);
    setReadout(readouts.eps[0], Math.fround(state.eps), eps);
    presets.forEach((preset, k) => setAttribute(find(`[data-preset="${k}"]`), "aria-pressed",
      Object.entries(fromPreset(preset)).every(([key, value]) => state[key] === value)));
  }

  /**
   * Run a layer on the draws of an input, and show what the tests say.
   * @param {Asked} state
   * @param {import("./faults.js").Parts} parts
   * @param {import("./faults.js").Parts} [others]  a second layer, as rings
   * @param {boolean} [wrong]  whether the first is wrong, where that may be told
   */
  return function paint(state, parts, others, wrong) {
    paintControls(state);
    const { drawn, answers } = askedFor(state);
    const run = (layer) => drawn.map((input, k) => compare(input, answers[k], layer, state.eps));
    const seen = run(parts);
    const theirs = others && run(others);
    const found = {
      of: DRAWS,
      passed: TESTS.map((_, k) => seen.filter((one) => passes(one, k)).length),
      right: [0, 1].map((k) => answers.filter(({ rightPasses }) => rightPasses[k]).length),
    };
    const good = (k) => (wrong === undefined ? "" : found.passed[k] === (wrong ? 0 : DRAWS));
    setAttribute(root, "data-wrong", wrong ?? "");
    tests.forEach(({ node, zone, edge, in: inside, out: outside }, k) => {
      const most = seen[0].allowed[k];
      const [end, sides] = [along(most), [[], []]];
      // A draw stands to the edge as it stands to its own bound.
      seen.forEach((one, i) => sides[+passes(one, k)].push([along((one.error / one.allowed[k]) * most), height(i)]));
      shape(zone, `M0 ${HIGH / 2}H${end}`);
      shape(edge, `M${end} 2V${HIGH - 2}`);
      shape(outside, dots(sides[0]));
      shape(inside, dots(sides[1]));
      setReadout(readouts.passed[k], found.passed[k], word(found, k, wrong));
      setAttribute(node, "data-good", wrong && !found.passed[k] && found.right[k] < DRAWS ? "none" : good(k)); // none: it proves nothing
    });
    if (pairs) {
      const [own, other] = [seen, theirs ?? []].map((list) => list.map(({ error }, i) => [along(error), height(i)]));
      shape(pairs.out, dots(own));
      shape(pairs.rings, dots(other));
      shape(pairs.apart, other.map(([x, y], i) => `M${own[i][0]} ${y}H${x}`).join(""));
    }
    return { ...found, seen, theirs, good, drawn: drawn[0] };
  };
}
