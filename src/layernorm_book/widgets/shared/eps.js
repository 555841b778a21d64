// ε on a slider, over its logarithm, with marks where it begins to count if the slider has any.

import { across, clamp, short, tenTo } from "./numbers.js";
import { setAttribute, setReadout, setSlider } from "./page.js";

export const EPS = ["ε", 1e-12, 10]; // its symbol, and from where to where it goes
export const RANGE = { min: -12, max: 1, step: 0.25 };

/** The ε of a slider's stop. */
export const atStop = (value) => clamp(tenTo(value), EPS[1], EPS[2]);

/** @param {Record<string, number>} knees  by placement: the ε at which it counts, of those to be seen */
export function drawEpsilon(find, eps, knees) {
  const text = short(eps, 3);
  setSlider(find("[name=eps]"), Math.log10(eps), text);
  setReadout(find(".ln-value"), Math.fround(eps), text);
  for (const placement of ["inside", "outside"]) {
    const node = find(`.ln-knee.ln-${placement}`);
    const log = Math.log10(knees[placement]);
    if (node && !node.toggleAttribute("hidden", !(log >= -12 && log <= 1))) setAttribute(node, "x", across(log, -12, 1));
  }
}
