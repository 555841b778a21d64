// What the bit lab says: a function of its state and of what the format made of it.

import { store } from "./formats.js";
import { grouped, short } from "./shared/numbers.js";

/** Digits enough to tell a number of a format from its neighbours. */
export const DIGITS = { float32: 9, float16: 5, bfloat16: 4 };
/** A number that a format stores, as the lab writes it everywhere. */
export const written = (v, format) => grouped(short(v, DIGITS[format.name]));
const ROOT = "1/\u2060√"; // which no line breaks in two
const percent = (share) => `${+(100 * Math.abs(share)).toPrecision(2)}%`;

/** How far a number is off, in words. */
function amiss(share) {
  const way = share > 0 ? "large" : "small";
  return Math.abs(share) >= 1e-4 ? `${percent(share)} too ${way}` : `too ${way} by one part in ${grouped(+(1 / Math.abs(share)).toPrecision(2))}`;
}

/**
 * What is left of ε, and what that does to the layer.
 * @param {{ var: number, eps: number }} asked  the numbers that were asked for
 * @param {{ var: number, eps: number, sum: number, rstd: number }} kept  what the format keeps of them
 * @param {import("./formats.js").Format} format
 */
export function bitsSay(asked, kept, format) {
  const { name } = format;
  if (Number.isNaN(kept.var) || Number.isNaN(kept.eps)) return `${Number.isNaN(kept.var) ? "σ²" : "ε"} is NaN, and so is all that comes after it.`;
  if (Number.isNaN(kept.sum)) return "∞ − ∞ is NaN, and so is all that comes after it.";
  if (kept.sum < 0) return "σ² + ε is negative: its root is NaN, and so is all of x̂.";
  if (kept.sum === Infinity) return `${kept.var === Infinity ? "σ²" : kept.eps === Infinity ? "ε" : "σ² + ε"} is ∞: ${ROOT}∞ is 0, and so is all of x̂. No NaN gives it away.`;
  const gone = kept.eps === 0 && asked.eps > 0 ? `${name} stores ε = ${short(asked.eps, 3)} as 0` : "";
  if (kept.sum === 0) {
    const lead = gone || (kept.eps === 0 ? "ε is 0" : "σ² and ε cancel");
    const also = kept.eps !== 0 ? "" : asked.var > 0 ? `, and σ² = ${short(asked.var, 3)} as well` : gone ? ", and σ² is 0" : ", and so is σ²";
    return `${lead}${also}: nothing is left under the root. ${ROOT}0 is ∞, and a row of equal numbers becomes 0 · ∞, which is NaN.`;
  }
  const exact = 1 / Math.sqrt(kept.var + asked.eps);
  const off = kept.rstd / exact - 1;
  const harmless = kept.rstd === store(exact, format);
  if (kept.sum === kept.var && asked.eps !== 0) {
    const lead = gone || `Beside σ² = ${grouped(short(kept.var, 3))} nothing is left of ε: it is at most half a step of ${name} there`;
    return harmless ? `${lead}. That costs nothing: with ε, ${ROOT}(σ² + ε) would round to the same number.`
      : `${lead}. ${ROOT}(σ² + ε) is ${amiss(off)}${Math.abs(off) < 2 ** -format.fraction ? ", no more than rounding alone can cost" : ""}.`;
  }
  if (asked.eps === 0) return `ε is 0: σ² stands alone under the root, and ${ROOT}σ² = ${written(kept.rstd, format)}.`;
  if (kept.var === 0) return `σ² is 0: ε stands alone under the root. ${ROOT}ε = ${written(kept.rstd, format)} is finite, and a row of equal numbers becomes 0.`;
  if (kept.sum === kept.eps) return `Nothing is left of σ² beside ε: ${ROOT}(σ² + ε) is ${written(kept.rstd, format)}, the same for every row as quiet as this one.`;
  const arrived = kept.sum - kept.var;
  return `${percent(arrived / asked.eps)} of ε arrives in the sum. ${ROOT}(σ² + ε) is ${
    harmless ? "the nearest number to the true one" : amiss(off)}.`;
}
