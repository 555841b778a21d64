// The slider of ε, over its logarithm, with marks where ε begins to count.

import { short } from "./numbers.js";
import { setAttribute, setReadout, setSlider, srOnly } from "./page.js";
import { across, dial } from "./parts.js";
import "./epsilon.css";

export { EPS, atStop } from "./stops.js";

const RANGE = { min: -12, max: 1, step: 0.25 };
const KNEES = { inside: "ε = σ²", outside: "ε = σ" };
const knee = (placement) => `<svg class="ln-knee ln-${placement}"><text y="9">${KNEES[placement]}</text><path d="M0 12v6"/></svg>`;

/**
 * @param {string[]} placements  those that have a knee
 * @param {string} [beside]      HTML behind its number
 */
export const epsilon = (placements, beside = "") => dial("eps", "ε",
  `= <span class="ln-value" data-quantity="eps"><label>${srOnly("ε as a number")}<input name="eps-typed" inputmode="decimal"></label></span>${beside}`,
  RANGE, [[-12, "10⁻¹²"], [-9, "10⁻⁹"], [-6, "10⁻⁶"], [-3, "10⁻³"], [0, "1"]], { extra: placements.map(knee).join("") });

/** @param {Record<string, number>} knees  by placement: the ε at which it counts, of those to be seen */
export function drawEpsilon(find, eps, knees) {
  const text = short(eps, 3);
  setSlider(find("[name=eps]"), Math.log10(eps), text);
  setReadout(find(".ln-value"), Math.fround(eps), text);
  for (const placement in KNEES) {
    const node = find(`.ln-knee.ln-${placement}`);
    const log = Math.log10(knees[placement]);
    if (node && !node.toggleAttribute("hidden", !(log >= -12 && log <= 1))) setAttribute(node, "x", across(log, -12, 1));
  }
}
