// Gradient descent of γ and β from averages over the rows, in float64. Nothing but arithmetic and words.

/**
 * @typedef {{ x: number[], xx: number[], t: number[], xt: number[], tt: number[] }} Averages
 *   for each feature, over the rows: of x̂, x̂², the target, their product, and the target squared
 * @typedef {{ weight: number[], bias: number[], loss: number }} Point
 */

/** Half the squared error of a row, averaged over the rows. */
function lossAt({ x, xx, t, xt, tt }, weight, bias) {
  return weight.reduce((sum, g, i) => {
    const b = bias[i];
    return sum + (g * g * xx[i] + b * b + tt[i] + 2 * (g * b * x[i] - g * xt[i] - b * t[i])) / 2;
  }, 0);
}

/**
 * The best γ and β: for each feature the line of least squares of the target over x̂.
 * @param {Averages} averages
 * @returns {Point}
 */
export function bestOf(averages) {
  const { x, xx, t, xt } = averages;
  const weight = x.map((m, i) => (xt[i] - m * t[i]) / (xx[i] - m * m));
  const bias = x.map((m, i) => t[i] - weight[i] * m);
  return { weight, bias, loss: lossAt(averages, weight, bias) };
}

/**
 * Plain gradient descent from γ = 1 and β = 0.
 * @param {Averages} averages
 * @param {number} rate
 * @param {number} steps
 * @returns {Point[]}  of steps + 1
 */
export function path(averages, rate, steps) {
  const { x, xx, t, xt } = averages;
  let [weight, bias] = [x.map(() => 1), x.map(() => 0)];
  const points = [{ weight, bias, loss: lossAt(averages, weight, bias) }];
  for (let k = 0; k < steps; k++) {
    const nextWeight = weight.map((g, i) => g - rate * (g * xx[i] + bias[i] * x[i] - xt[i]));
    bias = bias.map((b, i) => b - rate * (weight[i] * x[i] + b - t[i]));
    weight = nextWeight;
    points.push({ weight, bias, loss: lossAt(averages, weight, bias) });
  }
  return points;
}

/**
 * What has become of the loss.
 * @param {Point[]} points
 * @param {Point} best
 * @param {number} step
 */
export function descentSays(points, best, step) {
  const above = (k) => points[k].loss - best.loss;
  if (step === 0) return "γ is 1 and β is 0, as in every fresh layer. Take a step.";
  const left = above(step) / above(0);
  if (left < 0.001) return "Arrived: the bars stand at the best values.";
  const share = `${Math.floor(100 * (1 - left))}%`;
  const off = (k, i) => points[k].weight[i] - best.weight[i];
  const jumps = best.weight.some((_, i) => off(step, i) * off(step - 1, i) < 0 && Math.abs(off(step, i)) > 0.3);
  if (above(step) > above(step - 1)) return "Bars jump across their best values, and some land farther out: the loss grows.";
  if (jumps) return `Bars jump across their best values, but the loss falls: ${share} of the avoidable loss is gone.`;
  return `${share} of the avoidable loss is gone.`;
}
