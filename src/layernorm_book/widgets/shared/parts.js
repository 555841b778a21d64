// Parts of a lab's page that several labs have.

import { srOnly } from "./page.js";
import "./dial.css";
import "./legend.css";

/**
 * What the marks of a picture mean.
 * @param {[string, string, string][]} entries  how the mark looks ("bar", "line", "dash", "band",
 *   "tick" or "dot"), whose colour it has (a class of base.css without "ln-", or ""), and words
 */
export const legend = (entries) => `<p class="ln-legend">${entries.map(([mark, hue, words]) =>
  `<span><i class="ln-swatch ln-as-${mark} ln-${hue}"></i>${words}</span>`).join(" ")}</p>`;

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

/** Where a value stands on a dial, in percent. */
export const across = (value, min, max) => `${+((100 * (value - min)) / (max - min)).toFixed(3)}%`;
