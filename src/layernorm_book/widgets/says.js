// The sentences of the lab, each a function of the state.

import { short } from "./shared/numbers.js";

/** Which placement of ε gives the larger values, for real numbers. */
export function placementSays(sigma, eps) {
  if (sigma === 0) return "σ is 0, so every x̂ is 0 in both.";
  if (eps >= 1) return "Outside gives the smaller values: ε is 1 or more.";
  const crossing = (1 - eps) / 2;
  const where = `(1 − ε)/2 = ${short(crossing, 4)}`;
  if (sigma === crossing) return `Both give the same values: σ is exactly ${where}.`;
  return sigma < crossing ? `Outside gives the larger values, since σ is below ${where}.`
    : `Outside gives the smaller values, since σ is above ${where}.`;
}

/**
 * How far two answers in float32 are from the same steps in float64.
 * @param {string} who
 * @param {number} theirs  the largest error of that answer
 * @param {number} ours    the largest error of the browser's
 */
export function errorsSay(who, theirs, ours) {
  const [a, b] = [short(theirs, 2), short(ours, 2)];
  if (a === b) return `Compared with float64, ${who} and your browser are both off by at most ${a}.`;
  return `Compared with float64, ${who} is off by at most ${a}, your browser by ${b}.`;
}
