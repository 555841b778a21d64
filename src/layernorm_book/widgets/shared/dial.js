import { across } from "./numbers.js";
import { srOnly } from "./page.js";
import "./dial.css";

/**
 * A horizontal slider under a line that names it, with ticks below.
 * @param {string} name
 * @param {string} title    its name
 * @param {string} says     HTML beside the title: a readout or a field
 * @param {{ min: number, max: number, step: number }} range
 * @param {[number, string][]} ticks  where, on the range, and the text
 * @param {string} [extra]  more SVG on the same scale, drawn above the slider
 * @param {number} [index]  where there are several of the name
 */
export function dial(name, title, says, { min, max, step }, ticks, { extra = "", index = 0, words = title } = {}) {
  return `<div class="ln-dial ln-dial-${name}"><p><b>${title}</b> ${says}</p><div class="ln-scale">
    <label>${srOnly(words)}<input type="range" name="${name}" data-index="${index}" min="${min}" max="${max}" step="${step}"></label>
    <svg aria-hidden="true">${ticks.map(([value, text]) => `<text x="${across(value, min, max)}" y="49">${text}</text>`).join("")}${extra}</svg>
  </div></div>`;
}
