/**
 * The normalized row in few digits: every operation rounds to the format, or only those of some steps.
 *
 * A sum runs in halves (layernorm.js), each addition rounded. A step that is not among the rounded
 * ones runs in float64, which is as good as exact here.
 *
 * @typedef {"one" | "two" | "twice" | "welford"} Way
 * @typedef {"mean" | "centred" | "again" | "var" | "rstd" | "x_hat"} Step
 */

import { FORMATS, store } from "./formats.js";
import { noise } from "./noise.js";

export const N = 768;
export const EPS = 1e-5;
export const WAYS = ["one", "two", "twice", "welford"];
/** @type {Record<Way, Step[]>} the steps of each way, in their order */
export const STEPS = {
  one: ["mean", "var", "centred", "rstd", "x_hat"],
  two: ["mean", "centred", "var", "rstd", "x_hat"],
  twice: ["mean", "centred", "again", "var", "rstd", "x_hat"],
  welford: ["mean", "var", "centred", "rstd", "x_hat"],
};
const SEED = 1596;
let shape; // the row before it is shifted and stretched

const wide = (v) => v;
const rounders = Object.fromEntries(FORMATS.map((format) => [format.name, format.name === "float32" ? Math.fround : (v) => store(v, format)]));

/** The row that goes in, as the format stores it. */
export function rowOf({ mean, sigma, format }) {
  shape ??= noise(SEED, N);
  return shape.map((z) => rounders[format](mean + sigma * z));
}

/** Sum in halves, each addition rounded. */
function sum(values, r, from = 0, to = values.length) {
  if (to - from > 8) {
    const middle = (from + to) >> 1;
    return r(sum(values, r, from, middle) + sum(values, r, middle, to));
  }
  let total = 0;
  for (let i = from; i < to; i++) total = r(total + values[i]);
  return total;
}

/**
 * Normalize a row.
 * @param {Float64Array} x
 * @param {string} format
 * @param {Way} way
 * @param {Step[]} [rounded]  the steps that round
 */
export function normalize(x, format, way, rounded = STEPS[way]) {
  const r = Object.fromEntries(STEPS.twice.map((step) => [step, rounded.includes(step) ? rounders[format] : wide]));
  const average = (values, f) => f(sum(values, f) / x.length);
  let [mean, variance] = [0, 0];
  if (way === "welford") {
    x.forEach((v, k) => {
      const distance = r.mean(v - mean);
      mean = r.mean(mean + r.mean(distance / (k + 1)));
      variance = r.var(variance + r.var(distance * r.var(v - mean)));
    });
    variance = r.var(variance / x.length);
  } else mean = average(x, r.mean);
  let centred = x.map((v) => r.centred(v - mean));
  if (way === "twice") {
    const shift = average(centred, r.again);
    centred = centred.map((v) => r.again(v - shift));
  }
  if (way === "one") variance = r.var(average(x.map((v) => r.var(v * v)), r.var) - r.var(mean * mean));
  else if (way !== "welford") variance = average(centred.map((v) => r.var(v * v)), r.var);
  const rstd = r.rstd(1 / r.rstd(Math.sqrt(r.rstd(variance + r.rstd(EPS)))));
  return { mean, var: variance, rstd, xHat: centred.map((v) => r.x_hat(v * rstd)) };
}

/** The largest difference, or NaN where one is no number. */
const largestGap = (a, b) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

/** The truth that a row is compared with: its own x̂ in float64. */
const exact = (x) => normalize(x, "float32", "two", []);

/** Whether nothing is left of a row before the layer begins: its numbers are all the same, or one is ∞. */
export const isGone = (x) => x.every((v) => v === x[0]) || !x.every(Number.isFinite);

/** @returns {number} the largest error of x̂, against float64 of the same row */
export function errorOf({ mean, sigma, format, way }) {
  const x = rowOf({ mean, sigma, format });
  return largestGap(normalize(x, format, way).xHat, exact(x).xHat);
}

/**
 * All that the lab tells of a state.
 * @returns {{ x: Float64Array, truth: object, found: object, error: number, errors: Record<Way, number>, alone: Record<Step, number>, worst: Step | null }}
 *   `alone` is the error that is left when that step alone rounds, and `worst` the step with the largest,
 *   or null where none is to blame: no step costs anything, or x itself is ∞
 */
export function lookAt({ mean, sigma, format, way }) {
  const x = rowOf({ mean, sigma, format });
  const truth = exact(x);
  const gap = ({ xHat }) => largestGap(xHat, truth.xHat);
  const found = normalize(x, format, way);
  const errors = Object.fromEntries(WAYS.map((by) => [by, gap(by === way ? found : normalize(x, format, by))]));
  const alone = Object.fromEntries(STEPS[way].map((step) => [step, gap(normalize(x, format, way, [step]))]));
  return { x, truth, found, error: errors[way], errors, alone, worst: x.every(Number.isFinite) ? worstOf(alone) : null };
}

/** The step with the largest error, or null where all are 0; no number counts as more than any. */
function worstOf(alone) {
  const size = (step) => (Number.isNaN(alone[step]) ? Infinity : alone[step]);
  const worst = Object.keys(alone).reduce((most, step) => (size(step) > size(most) ? step : most));
  return size(worst) ? worst : null;
}
