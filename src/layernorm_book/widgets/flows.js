// The sentences of the gradient lab, each a function of the state.

import { short } from "./shared/numbers.js";

const NONE = 1e-14; // of the largest factor there can be: this is float64's rounding
const ALL_BUT = 1e-3;

/**
 * How much of this gradient goes on.
 * @param {{ g: Float32Array, rest: Float32Array }} now
 */
export function shareSays({ g, rest }) {
  const size = Math.hypot(...g);
  if (!size) return "No gradient arrives, so none goes on.";
  const share = Math.hypot(...rest) / size;
  const goes = share < ALL_BUT ? "next to nothing goes on" : `${short(100 * share, 2)}% goes on, times rstd`;
  return `Of the length of g, which is γ · grad_y, ${goes}.`;
}

/**
 * What stays behind.
 * @param {{ xHat: Float32Array }} now
 * @param {{ mu: string, sigma: string }} state
 */
export function lineSays({ xHat }, { mu, sigma }) {
  const slope = sigma === "used" && xHat.some(Boolean);
  const what = mu === "used" ? (slope ? "straight line over x̂" : "mean of g") : slope ? "line through 0" : "";
  return `${what ? `The ${what} stays` : "Nothing stays"} behind.`;
}

/**
 * How many directions get through.
 * @param {number[]} values  singular, the largest first
 * @param {number} most      the largest that they can be
 */
export function spectrumSays(values, most) {
  const upTo = (share) => values.filter((v) => v <= share * most).length;
  const [n, stopped, little] = [values.length, upTo(NONE), upTo(ALL_BUT)];
  return `Of ${n} directions, ${n - little} get through, ${little - stopped} nearly stopped, ${stopped} stopped.`;
}

/** The singular values as a list. */
export const listed = (values, most) => values.map((v) => (v <= NONE * most ? "0" : short(v, 3))).join(" · ");
