import { meanAndVariance, meanSquare, reciprocalStd, sum } from "./layernorm.js";

const f = Math.fround;

/**
 * Which ways the gradient takes back through the statistics.
 *
 * @typedef {"used" | "detached" | "absent"} Mu  the mean is subtracted; it is, and counts as a
 *   constant on the way back; or it is not: RMSNorm, where the mean square takes the variance's place
 * @typedef {"used" | "detached"} Sigma          what x − μ is divided by is followed back, or not
 */

/**
 * The backward pass in float32, with its three terms:
 *
 *     gradX = rstd · (g − mean(g) − xHat · mean(g · xHat)),  g = gradY · weight
 *
 * The second came through μ, the third through σ²: without that way, without that term.
 *
 * @param {ArrayLike<number>} gradY
 * @param {ArrayLike<number>} row
 * @param {{ weight?: ArrayLike<number>, eps?: number, mu?: Mu, sigma?: Sigma }} options
 */
export function layerNormBackward(gradY, row, { weight, eps = 1e-5, mu = "used", sigma = "used" } = {}) {
  const x = Float32Array.from(row);
  const { mean, var: variance } = mu === "absent" ? { mean: 0, var: meanSquare(x) } : meanAndVariance(x);
  const rstd = reciprocalStd(variance, eps);
  const xHat = x.map((v) => f(v - mean) * rstd);
  const g = Float32Array.from(gradY);
  if (weight) g.forEach((v, i) => (g[i] = v * f(weight[i])));

  const meanG = f(sum(g) / g.length);
  const meanGXHat = f(sum(g.map((v, i) => v * xHat[i])) / g.length);
  const level = mu === "used" ? meanG : 0; // where the line that is taken off starts, and how steep it is
  const slope = sigma === "used" ? meanGXHat : 0;
  const line = xHat.map((v) => v * slope);
  const rest = g.map((v, i) => f(v - level) - line[i]);
  return { x, mean, var: variance, rstd, xHat, g, meanG, meanGXHat, level, slope, line, rest, gradX: rest.map((v) => v * rstd) };
}
