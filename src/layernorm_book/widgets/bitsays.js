// What the bit lab says: a function of its state and of what the format made of it.

import { store } from "./formats.js";
import { short } from "./shared/numbers.js";

const percent = (share) => `${+(100 * Math.abs(share)).toPrecision(2)}%`;

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
  if (kept.sum === Infinity) return `${kept.var === Infinity ? "σ²" : kept.eps === Infinity ? "ε" : "σ² + ε"} is ∞: 1/√∞ is 0, and so is all of x̂. No NaN gives it away.`;
  const gone = kept.eps === 0 && asked.eps > 0 ? `${name} stores ε = ${short(asked.eps, 3)} as 0` : "";
  if (kept.sum === 0) {
    const lead = gone || (kept.eps === 0 ? "ε is 0" : "σ² and ε cancel");
    return `${lead}, and ${kept.var === 0 && asked.var > 0 ? `σ² = ${short(asked.var, 3)} as well` : "σ² brings nothing"}: under the root stands 0. 1/√0 is ∞, and a row of equal numbers becomes 0 · ∞, which is NaN.`;
  }
  const exact = 1 / Math.sqrt(kept.var + asked.eps);
  const off = kept.rstd / exact - 1;
  const harmless = kept.rstd === store(exact, format);
  if (kept.sum === kept.var && asked.eps !== 0) {
    const lead = gone || `Beside σ² = ${short(kept.var, 3)} nothing is left of ε: it is less than half a step of ${name} there`;
    return harmless ? `${lead}. That costs nothing: with ε, 1/√(σ² + ε) would round to the same number.`
      : `${lead}. 1/√(σ² + ε) is ${percent(off)} too ${off > 0 ? "large" : "small"}${Math.abs(off) < 2 ** -format.fraction ? ", no more than one rounding" : ""}.`;
  }
  if (kept.var === 0) return `σ² is 0: ε stands alone under the root. 1/√ε = ${short(kept.rstd, 3)} is a number, and a row of equal numbers becomes 0.`;
  if (kept.sum === kept.eps) return `Nothing is left of σ² beside ε: 1/√(σ² + ε) is ${short(kept.rstd, 3)} for every row as quiet as this one.`;
  const arrived = kept.sum - kept.var;
  return `${percent(arrived / asked.eps)} of ε arrives in the sum. 1/√(σ² + ε) is ${
    harmless ? "the nearest number to the true one" : `${percent(off)} too ${off > 0 ? "large" : "small"}`}.`;
}
