/**
 * A layer norm in parts, each of which can be exchanged for a wrong one, on drawn inputs: the
 * parts of `parity/formula.py`, in float32.
 *
 * @typedef {{ divide: "inside" | "outside" | "no-root" | "square",
 *   size: "given" | "squared" | "fixed" | "zero", axes: "row" | "column" | "all",
 *   centre: "mean" | "none", count: "n" | "n-1", squares: "two-pass" | "one-pass",
 *   precision: "float32" | "bfloat16", affine: "scale-shift" | "shift-scale" | "one-plus" }} Parts
 * @typedef {{ x: Float32Array[], weight: Float32Array, bias: Float32Array }} Draw
 */

import { sum } from "./layernorm.js";
import { noise } from "./noise.js";

const f = Math.fround;

/** @type {Parts} */
export const RIGHT = {
  divide: "inside", size: "given", axes: "row", centre: "mean", count: "n", squares: "two-pass", precision: "float32", affine: "scale-shift",
};
export const [ROWS, DRAWS, FIXED] = [6, 20, 1e-6];

// --- what is drawn --------------------------------------------------------------------------------

const drawn = new Map(); // by seed and n

/** Give each row the mean 0 and the standard deviation 1. */
function level(z, n) {
  const out = z.slice();
  for (let from = 0; from < ROWS * n; from += n) {
    const row = out.subarray(from, from + n);
    const mean = row.reduce((a, v) => a + v, 0) / n;
    for (let i = 0; i < n; i++) row[i] -= mean;
    const std = Math.sqrt(row.reduce((a, v) => a + v * v, 0) / n);
    for (let i = 0; i < n; i++) row[i] /= std;
  }
  return out;
}

/** @returns {Draw} */
export function draw(seed, { n, mean, sigma, rows, parameters }) {
  const key = `${seed} ${n}`;
  if (!drawn.has(key)) drawn.set(key, noise(seed, (ROWS + 2) * n));
  const z = rows === "level" ? level(drawn.get(key), n) : drawn.get(key);
  const spread = parameters === "trained" ? 0.5 : 0;
  const row = (k, from, by) => {
    const out = new Float32Array(n);
    for (let i = 0; i < n; i++) out[i] = from + by * z[k * n + i];
    return out;
  };
  return {
    x: Array.from({ length: ROWS }, (_, k) => row(k, mean, sigma)),
    weight: row(ROWS, 1, spread),
    bias: row(ROWS + 1, 0, spread),
  };
}

// --- the layer ------------------------------------------------------------------------------------

const single = new Float32Array(1);
const word = new Uint32Array(single.buffer); // its bits

/** The nearest bfloat16, by way of float32: the even one from halfway between two. */
export function bfloat16(value) {
  single[0] = value;
  word[0] = (word[0] + 0x7fff + ((word[0] >>> 16) & 1)) & 0xffff0000;
  return single[0];
}
/** What rounds each step. */
const rounding = ({ precision }) => (precision === "bfloat16" ? bfloat16 : f);
export const meanOf = (x) => sum(x) / x.length;

/** What x is centred about, and what the rest is divided by. */
export function statistics(x, parts, eps) {
  const { divide, size } = parts;
  const r = rounding(parts);
  const stored = r === f ? x : x.map(r);
  const n = x.length;
  const about = parts.centre === "mean" ? r(meanOf(stored)) : 0;
  const twice = parts.squares === "two-pass";
  const squares = new Float32Array(n);
  for (let i = 0; i < n; i++) squares[i] = r(r(stored[i] - (twice ? about : 0)) ** 2);
  const total = twice ? r(sum(squares)) : r(r(r(meanOf(squares)) - r(about * about)) * n);
  const variance = r(total / (parts.count === "n" ? n : n - 1));
  const e = f({ given: eps, squared: eps * eps, fixed: FIXED, zero: 0 }[size]);
  const inside = r(variance + e);
  const divisor = divide === "outside" ? r(r(Math.sqrt(variance)) + e)
    : { inside: r(Math.sqrt(inside)), "no-root": inside, square: r(inside * inside) }[divide];
  return { about, variance, divisor };
}

/**
 * All rows of y.
 * @param {Draw} draw
 * @param {Parts} parts
 * @returns {Float32Array[]}
 */
export function layer({ x, weight, bias }, parts, eps) {
  const r = rounding(parts);
  const { axes, affine } = parts;
  const groups = axes === "row" ? x : axes === "all" ? [Float32Array.from(x.flatMap((row) => [...row]))]
    : [...weight.keys()].map((i) => Float32Array.from(x, (row) => row[i]));
  const found = groups.map((group) => statistics(group, parts, eps));
  const scale = affine === "one-plus" ? weight.map((v) => 1 + v) : weight;
  return x.map((row, k) => {
    const y = new Float32Array(row.length);
    for (let i = 0; i < y.length; i++) {
      const { about, divisor } = found[axes === "row" ? k : axes === "all" ? 0 : i];
      const xHat = r(r(r(row[i]) - about) / divisor);
      y[i] = affine === "shift-scale" ? f(xHat + bias[i]) * scale[i] : f(xHat * scale[i]) + bias[i];
    }
    return y;
  });
}

/** The right row, in float64; the mean is taken twice, so that it is good at any offset. */
export function exact(x, weight, bias, eps) {
  const n = x.length;
  const y = new Float64Array(x);
  for (let k = 0; k < 2; k++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += y[i] / n;
    for (let i = 0; i < n; i++) y[i] -= mean;
  }
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (y[i] * y[i]) / n;
  const rstd = 1 / Math.sqrt(variance + eps);
  for (let i = 0; i < n; i++) y[i] = y[i] * rstd * weight[i] + bias[i];
  return { y, rstd };
}

// --- the tests ------------------------------------------------------------------------------------

/** What two usual tests allow. The third, the judge, works it out from the input. */
export const TOLERANCES = [{ rtol: 1.3e-6, atol: 1e-5 }, { rtol: 1e-3, atol: 1e-3 }];
const [KERNELS, ROUNDINGS] = [4, 16]; // those of parity/cases.py
const worse = (a, b) => (b > a || b !== b ? b : a); // NaN, once there, stays

/**
 * What is right for a draw, and what the judge allows. It measures PyTorch's own kernel; here the
 * right layer in float32 stands in for it.
 * @param {Draw} draw
 */
export function answerTo(draw, eps) {
  const { x, weight, bias } = draw;
  const rows = x.map((row) => exact(row, weight, bias, eps));
  const own = measure(layer(draw, RIGHT, eps), rows);
  let terms = 0;
  x.forEach((row, k) => {
    for (let i = 0; i < row.length; i++) terms = Math.max(terms, (1 + Math.abs(row[i]) * rows[k].rstd) * Math.abs(weight[i]));
  });
  const judge = KERNELS * own.error + (ROUNDINGS + 4 * Math.sqrt(x[0].length)) * 2 ** -23 * (own.largest + terms);
  return { rows, judge, rightPasses: own.ratio.map((ratio) => ratio <= 1) };
}

/** The largest error of some rows, and the errors as multiples of what each usual test allows. */
function measure(results, rows) {
  let [error, largest, strict, loose] = [0, 0, 0, 0];
  results.forEach((y, k) => {
    const right = rows[k].y;
    for (let i = 0; i < y.length; i++) {
      const off = Math.abs(y[i] - right[i]);
      const size = Math.abs(right[i]);
      error = worse(error, off);
      largest = Math.max(largest, size);
      strict = worse(strict, off / (TOLERANCES[0].atol + TOLERANCES[0].rtol * size));
      loose = worse(loose, off / (TOLERANCES[1].atol + TOLERANCES[1].rtol * size));
    }
  });
  return { error, largest, ratio: [strict, loose] };
}

/**
 * The largest error of a layer on one draw, and what each test allows an error like that.
 * @param {Draw} draw
 * @param {ReturnType<typeof answerTo>} answer
 * @returns {{ error: number, allowed: number[] }}
 */
export function compare(draw, answer, parts, eps) {
  const { error, largest, ratio } = measure(layer(draw, parts, eps), answer.rows);
  const usual = TOLERANCES.map(({ atol, rtol }, k) => (error > 0 && error < Infinity ? error / ratio[k] : atol + rtol * largest));
  return { error, allowed: [...usual, answer.judge] };
}

/** Whether an error is allowed; NaN is not. */
export const passes = ({ error, allowed }, test) => error <= allowed[test];
