// Where the mean of the squares and the square of the mean lie, and where float32 puts them.

import { meanSquare, moments64, sum, ulp } from "./layernorm.js";

const f = Math.fround;

/**
 * E[x²] and μ² of a row on the number line, and the part of the line to look at: both of them, the
 * exact and the stored, and five of the gaps between float32 numbers.
 * @param {Float32Array} x
 * @returns {{ gap: number, exact: number[], stored: number[], from: number, to: number }}
 *   `gap` from one float32 number to the next; the pairs are [E[x²], μ²]
 */
export function squaresOf(x) {
  const { mean, variance } = moments64(x);
  const stored = [meanSquare(x), f(f(sum(x) / x.length) ** 2)];
  const exact = [mean * mean + variance, mean * mean];
  const gap = ulp(stored[0]);
  const middle = (exact[0] + exact[1]) / 2;
  const half = Math.max(2.5 * gap, ...[...stored, ...exact].map((v) => 1.25 * Math.abs(v - middle)));
  return { gap, exact, stored, from: middle - half, to: middle + half };
}
