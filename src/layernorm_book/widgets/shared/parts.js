// Parts of a lab's page that several labs have.

import "./legend.css";

export { dial } from "./dial.js";
export { across } from "./numbers.js";

/**
 * What the marks of a picture mean.
 * @param {[string, string, string][]} entries  how the mark looks ("bar", "dash", "band", or
 *   one of its lab's own: `ln-as-…`), whose colour it has (a class of base.css without "ln-", or ""), and words
 */
export const legend = (entries) => `<p class="ln-legend">${entries.map(([mark, hue, words]) =>
  `<span><i class="ln-swatch ln-as-${mark} ln-${hue}"></i>${words}</span>`).join(" ")}</p>`;
