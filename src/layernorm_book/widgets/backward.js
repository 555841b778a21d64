import { meanAndVariance, normalize, reciprocalStd, sum } from "./layernorm.js";

const f = Math.fround;

/**
 * The backward pass in float32, with its three terms:
 *
 *     gradX = rstd · (g − mean(g) − xHat · mean(g · xHat)),  g = gradY · weight
 *
 * @param {ArrayLike<number>} gradY
 * @param {ArrayLike<number>} row
 * @param {{ weight?: ArrayLike<number>, eps?: number }} options
 */
export function layerNormBackward(gradY, row, { weight, eps = 1e-5 } = {}) {
  const x = Float32Array.from(row);
  const { mean, var: variance } = meanAndVariance(x);
  const xHat = normalize(x, mean, variance, eps);
  const rstd = reciprocalStd(variance, eps);
  const g = Float32Array.from(gradY);
  if (weight) g.forEach((v, i) => (g[i] = v * f(weight[i])));

  const meanG = f(sum(g) / g.length);
  const meanGXHat = f(sum(g.map((v, i) => v * xHat[i])) / g.length);
  const line = xHat.map((v) => v * meanGXHat);
  const rest = g.map((v, i) => f(v - meanG) - line[i]);
  return { x, mean, var: variance, rstd, xHat, g, meanG, meanGXHat, line, rest, gradX: rest.map((v) => v * rstd) };
}
