// A whole row, moved at once: its mean put elsewhere, or its spread.

import { moments64 } from "./layernorm.js";
import { clamp, tenTo } from "./shared/numbers.js";

/** The mean and the standard deviation of a row, in float64. */
export function placeOf(row) {
  const { mean, variance } = moments64(row);
  return { mean, std: Math.sqrt(variance) };
}

/**
 * The row with another mean and another standard deviation, its pattern kept. A row without spread
 * has no pattern to stretch.
 * @param {number[]} row
 * @param {{ mean?: number, std?: number }} to
 * @param {number} largest  no element goes beyond it
 */
export function moved(row, to, largest = Infinity) {
  const now = placeOf(row);
  const { mean, std } = { ...now, ...to };
  const by = now.std > 0 ? std / now.std : 1;
  return row.map((v) => clamp(+(mean + (v - now.mean) * by).toPrecision(12), -largest, largest));
}

// --- the two dials --------------------------------------------------------------------------------

/** A scale over means that is fine near 0 and coarse far out, from −100 to 100 for −far to far. */
export function shiftScale(far) {
  const bend = Math.asinh(far);
  return {
    min: -100, max: 100, step: 1,
    at: (mean) => clamp((100 * Math.asinh(mean)) / bend, -100, 100),
    value: (stop) => +Math.sinh((stop * bend) / 100).toPrecision(3),
  };
}

/** A scale over standard deviations, logarithmic. */
export const STRETCH = {
  min: -4, max: 3, step: 0.05,
  at: (std) => clamp(Math.log10(std), -4, 3),
  value: tenTo,
};
