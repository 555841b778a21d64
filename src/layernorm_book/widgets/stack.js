/**
 * A stack of blocks, forward and backward, in float32. With f(x) = W·relu(x) and N for LayerNorm, a
 * block makes f(x) or f(N(x)) of x; with a skip x + f(x), N(x + f(x)), x + f(N(x)) or x + N(f(N(x))).
 *
 * Each sum runs in float64 and is stored as float32, as a matrix product with a wide accumulator
 * does. So the order of its terms hardly counts, and a row becomes 0, ∞ or NaN where float32 ends.
 *
 * @typedef {"none" | "layernorm" | "post" | "pre" | "peri"} Norm  where LayerNorm stands
 */

import { layerNormBackward } from "./backward.js";
import { layerNorm } from "./layernorm.js";
import { noise } from "./noise.js";

export const [WIDTH, MOST] = [32, 48]; // numbers in a row, blocks
const CRITICAL = Math.sqrt(2 / WIDTH); // relu halves the mean square; this makes up for it
const f = Math.fround;
const drawn = new Map(); // by seed: the row, the upstream gradient, and a matrix for each block

/** What a seed stands for; all weights have the standard deviation √(2/32). */
function draw(seed) {
  if (!drawn.has(seed)) {
    const z = noise(seed, (2 + MOST * WIDTH) * WIDTH);
    const row = (k) => Float32Array.from(z.subarray(k * WIDTH, (k + 1) * WIDTH));
    const weights = Float32Array.from(z.subarray(2 * WIDTH), (v) => CRITICAL * v);
    drawn.set(seed, { x: row(0), upstream: row(1), weights });
  }
  return drawn.get(seed);
}

/** The root of the mean square, in float64: a square of float32 would end at 10³⁸ itself. */
export function rms(row) {
  let total = 0;
  for (const v of row) total += v * v;
  return Math.sqrt(total / row.length);
}

let scaled = {}; // the weights of a seed at a scale, as they were multiplied last

function weightsAt(seed, scale) {
  if (scaled.seed !== seed || scaled.scale !== scale) {
    const w = f(scale);
    scaled = { seed, scale, weights: draw(seed).weights.map((v) => w * v) };
  }
  return scaled.weights;
}

/**
 * The row before the first block and after each, and the gradient that comes back to each of these.
 * @param {{ scale: number, depth: number, norm: Norm, seed: number, skip?: boolean }} state
 *   `scale` multiplies all weights; the gradient starts behind the last block, with a size near 1
 * @returns {{ rows: Float32Array[], grads: Float32Array[] }}  depth + 1 of each
 */
export function run({ scale, depth, norm, seed, skip = false }) {
  const { x, upstream } = draw(seed);
  const weights = weightsAt(seed, scale);
  const [first, after, last] = [["layernorm", "pre", "peri"].includes(norm), norm === "peri", norm === "post"];
  const plus = (a, b) => a.map((v, i) => v + b[i]); // stored as float32
  const [rows, inputs, branches, sums] = [[x], [], [], []]; // what f reads, what it gives, before the last norm
  for (let block = 0; block < depth; block++) {
    const input = first ? layerNorm(rows[block]).xHat : rows[block];
    const [out, from] = [new Float32Array(WIDTH), block * WIDTH * WIDTH];
    for (let i = 0; i < WIDTH; i++) {
      let total = 0;
      for (let j = 0; j < WIDTH; j++) {
        const v = input[j];
        if (!(v <= 0)) total += weights[from + i * WIDTH + j] * v; // NaN stays NaN
      }
      out[i] = total;
    }
    const branch = after ? layerNorm(out).xHat : out;
    const total = skip ? plus(rows[block], branch) : branch;
    inputs.push(input);
    branches.push(out);
    sums.push(total);
    rows.push(last ? layerNorm(total).xHat : total);
  }

  const grads = Array(depth + 1);
  grads[depth] = upstream;
  for (let block = depth - 1; block >= 0; block--) {
    const sum = last ? layerNormBackward(grads[block + 1], sums[block]).gradX : grads[block + 1];
    const above = after ? layerNormBackward(sum, branches[block]).gradX : sum;
    const [total, from] = [new Float64Array(WIDTH), block * WIDTH * WIDTH];
    for (let i = 0; i < WIDTH; i++) {
      for (let j = 0; j < WIDTH; j++) total[j] += weights[from + i * WIDTH + j] * above[i];
    }
    const grad = Float32Array.from(total, (v, j) => (inputs[block][j] <= 0 ? 0 : v));
    const back = first ? layerNormBackward(grad, rows[block]).gradX : grad;
    grads[block] = skip ? plus(sum, back) : back;
  }
  return { rows, grads };
}

const atOne = new Map(); // by seed: the size of each row at scale 1, without a norm

/**
 * Between which scales of the weights the last row keeps a size from 1/10 to 10, without a norm:
 * its size is scale^depth times the size at scale 1.
 */
export function alive({ depth, seed }) {
  if (!atOne.has(seed)) atOne.set(seed, run({ scale: 1, depth: MOST, norm: "none", seed }).rows.map(rms));
  const size = atOne.get(seed)[depth];
  return [(0.1 / size) ** (1 / depth), (10 / size) ** (1 / depth)];
}
