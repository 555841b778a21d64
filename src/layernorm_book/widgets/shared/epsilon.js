// The slider of ε, over its logarithm, with marks where ε begins to count.

import { short } from "./numbers.js";
import { setAttribute, setReadout, srOnly } from "./page.js";
import "./epsilon.css";

export const EPS = ["ε", 1e-12, 10]; // its symbol, and from where to where it goes
const KNEES = { // the text above or below the slider, and where its mark stands
  inside: ["ε = σ²", 9, "M0 12v5"],
  outside: ["ε = σ", 56, "M0 42v5"],
};
const across = (log) => `${(100 * (log + 12)) / 13}%`;
const knee = (placement) => {
  const [text, y, mark] = KNEES[placement];
  return `<svg class="ln-knee ln-${placement}"><text y="${y}">${text}</text><path d="${mark}"/></svg>`;
};

/** @param {string[]} placements  those that have a knee */
export const epsilon = (placements) => `
  <div><div class="ln-scale">
    <label><span>ε</span><input type="range" name="eps" min="-12" max="1" step="0.25"></label>
    <svg aria-hidden="true">${["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "1"]
      .map((text, k) => `<text x="${across(3 * k - 12)}" y="70">${text}</text>`).join("")}${placements.map(knee).join("")}</svg>
  </div></div>
  <span class="ln-value" data-quantity="eps"><label>${srOnly("ε as a number")}<input name="eps-typed" inputmode="decimal"></label></span>`;

/** The ε of a slider's stop. */
export const atStop = (value) => Math.min(Math.max(+(10 ** value).toPrecision(3), EPS[1]), EPS[2]);

/** @param {Record<string, number>} knees  by placement: the ε at which it counts */
export function drawEpsilon(find, eps, knees) {
  const range = find("[name=eps]");
  const text = short(eps, 3);
  range.value = Math.log10(eps);
  setAttribute(range, "aria-valuetext", text);
  setReadout(find(".ln-value"), Math.fround(eps), text);
  for (const placement in knees) {
    const node = find(`.ln-knee.ln-${placement}`);
    const log = Math.log10(knees[placement]);
    if (!node.toggleAttribute("hidden", !(log >= -12 && log <= 1))) setAttribute(node, "x", across(log));
  }
}
