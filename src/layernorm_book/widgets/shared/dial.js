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
 * @param {string} [index]
 */
export function dial(name, title, says, { min, max, step }, ticks, { extra = "", index, words = title } = {}) {
  const at = index === undefined ? "" : ` data-index="${index}"`;
  return `<div class="ln-dial ln-dial-${name}"><p><b>${title}</b> ${says}</p><div class="ln-scale">
    <label>${srOnly(words)}<input type="range" name="${name}"${at} min="${min}" max="${max}" step="${step}"></label>
    <svg aria-hidden="true">${ticks.map(([value, text]) => `<text x="${across(value, min, max)}" y="49">${text}</text>`).join("")}${extra}</svg>
  </div></div>`;
}
