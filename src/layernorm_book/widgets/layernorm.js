/**
 * Layer normalization in float32, one function per step:
 *
 *     mean, var = meanAndVariance(x)
 *     xHat      = normalize(x, mean, var, eps, placement)
 *     y         = scaleAndShift(xHat, weight, bias)
 *
 * JavaScript computes in float64. One + − × ÷ or √ of float32 numbers, rounded to float32
 * afterwards, is exactly what float32 hardware gives: so `f` stands around every operation, and
 * an assignment into a Float32Array rounds as well.
 *
 * @typedef {"inside" | "outside"} Placement  where ε stands: √(σ² + ε) or √σ² + ε
 */

const f = Math.fround;

/**
 * Sum in halves, so that rounding errors grow as log n and not as n.
 * @param {Float32Array} values
 * @returns {number}
 */
export function sum(values, from = 0, to = values.length) {
  if (to - from > 8) {
    const middle = (from + to) >> 1;
    return f(sum(values, from, middle) + sum(values, middle, to));
  }
  let total = 0;
  for (let i = from; i < to; i++) total = f(total + values[i]);
  return total;
}

/**
 * The mean and the biased variance, in two passes: Σ x / n, then Σ (x − mean)² / n.
 * @param {Float32Array} x
 */
export function meanAndVariance(x) {
  const mean = f(sum(x) / x.length);
  const squares = x.map((v) => f(v - mean) ** 2);
  return { mean, var: f(sum(squares) / x.length) };
}

/**
 * The mean of the squares: Σ x² / n. Of a centred row that is its variance.
 * @param {Float32Array} x
 */
export const meanSquare = (x) => f(sum(x.map((v) => v * v)) / x.length);

/**
 * The variance in one pass, as the mean of the squares less the square of the mean. Both are large
 * where the mean is, and their difference keeps what digits they have left.
 * @param {Float32Array} x
 */
export function onePassVariance(x) {
  const mean = f(sum(x) / x.length);
  return f(meanSquare(x) - f(mean * mean));
}

/**
 * What x − mean is multiplied by: 1 / √(var + ε), or 1 / (√var + ε).
 * @param {number} variance
 * @param {number} eps
 * @param {Placement} placement
 */
export function reciprocalStd(variance, eps, placement = "inside") {
  const e = f(eps);
  const std = placement === "inside" ? f(Math.sqrt(f(variance + e))) : f(f(Math.sqrt(variance)) + e);
  return f(1 / std);
}

/**
 * Centre x and scale it to unit variance.
 * @param {Float32Array} x
 * @param {number} mean
 * @param {number} variance
 * @param {number} eps
 * @param {Placement} placement
 * @returns {Float32Array}
 */
export function normalize(x, mean, variance, eps, placement = "inside") {
  const rstd = reciprocalStd(variance, eps, placement);
  return x.map((v) => f(v - mean) * rstd);
}

/**
 * Give each element its own scale and shift.
 * @param {Float32Array} xHat
 * @param {Float32Array} weight
 * @param {Float32Array} bias
 * @returns {Float32Array}
 */
export function scaleAndShift(xHat, weight, bias) {
  return xHat.map((v, i) => f(v * weight[i]) + bias[i]);
}

/**
 * All three steps, with everything that they find on the way.
 * @param {ArrayLike<number>} row
 * @param {{ weight?: ArrayLike<number>, bias?: ArrayLike<number>, eps?: number, placement?: Placement }} options
 */
export function layerNorm(row, { weight, bias, eps = 1e-5, placement = "inside" } = {}) {
  const x = Float32Array.from(row);
  const now = meanAndVariance(x);
  const xHat = normalize(x, now.mean, now.var, eps, placement);
  const y = scaleAndShift(xHat, x.map((_, i) => weight?.[i] ?? 1), x.map((_, i) => bias?.[i] ?? 0));
  return { x, ...now, rstd: reciprocalStd(now.var, eps, placement), xHat, y };
}

const average64 = (row) => row.reduce((a, v) => a + v, 0) / row.length;

/** The mean and the biased variance of a row, in float64. */
export function moments64(row) {
  const mean = average64(row);
  return { mean, variance: average64(Array.from(row, (v) => (v - mean) ** 2)) };
}

/**
 * The same three steps in float64, for the float32 numbers of the row: the truth that both float32
 * answers are compared with.
 */
export function layerNorm64({ x, weight, bias, eps, placement = "inside" }) {
  const { mean, variance } = moments64(x);
  const std = placement === "inside" ? Math.sqrt(variance + eps) : Math.sqrt(variance) + eps;
  return Array.from(x, (v, i) => ((v - mean) / std) * (weight?.[i] ?? 1) + (bias?.[i] ?? 0));
}

/**
 * By what fraction the outside form is larger than the inside form, for real numbers:
 * √(σ² + ε) / (σ + ε) − 1, written without a difference of near equals. Zero at σ = (1 − ε) / 2.
 */
export function relativeGap(sigma, eps) {
  const inside = Math.sqrt(sigma * sigma + eps);
  const outside = sigma + eps;
  return (eps * (1 - 2 * sigma - eps)) / (outside * (inside + outside));
}

/** The same to leading order in ε: ε · (1/(2σ²) − 1/σ). Zero at σ = ½. */
export function leadingOrderGap(sigma, eps) {
  return eps * (1 / (2 * sigma * sigma) - 1 / sigma);
}

/** One unit in the last place of a float32: its distance to the next larger one. */
export function ulp(value) {
  const exponent = Math.floor(Math.log2(Math.abs(value))); // −∞ of 0
  return 2 ** (Math.max(exponent, -126) - 23);
}
