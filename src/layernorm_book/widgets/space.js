/**
 * Three numbers as a point in space. The vector (1, 1, 1) points up, so that the plane of all rows
 * that sum to 0 is the floor and centring lets a point drop onto it.
 */

import { layerNorm } from "./layernorm.js";

export const LARGEST = 2; // x lies in the cube from −2 to 2
export const CIRCLE = Math.sqrt(3);
export const SMALLEST_STD = 1e-4;

const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);
const tidy = (v) => +clamp(v, -LARGEST, LARGEST).toFixed(9);

/** All that the lab shows of a row, in float32. */
export function through(row, eps) {
  const { x, mean, var: variance, xHat } = layerNorm(row, { eps });
  return {
    x, mean, variance, xHat, eps,
    std: Math.fround(Math.sqrt(variance)),
    centred: x.map((v) => v - mean),
    radius: Math.fround(Math.hypot(...xHat)),
    constant: row.every((v) => v === row[0]),
  };
}

const exact = (row) => {
  const mean = (row[0] + row[1] + row[2]) / 3;
  const centred = row.map((v) => v - mean);
  return { mean, centred, std: Math.hypot(...centred) / CIRCLE };
};

/** The row moved along (1, 1, 1) to another mean, as far as the cube goes. */
export function shifted(row, mean) {
  const now = exact(row).mean;
  const by = clamp(mean - now, -LARGEST - Math.min(...row), LARGEST - Math.max(...row));
  return row.map((v) => tidy(v + by));
}

/**
 * The row moved away from (1, 1, 1), or towards it, to another σ. Where the cube is in the way, its
 * mean gives way. A constant row has no direction of its own: it gets (1, 0, −1).
 */
export function stretched(row, std) {
  const { mean, centred, std: now } = exact(row);
  const line = now > 1e-12 ? centred.map((v) => v / now) : [Math.sqrt(1.5), 0, -Math.sqrt(1.5)];
  const [low, high] = [Math.min(...line), Math.max(...line)];
  const size = Math.min(std, (2 * LARGEST) / (high - low));
  const around = clamp(mean, -LARGEST - size * low, LARGEST - size * high);
  return line.map((v) => tidy(around + size * v));
}

/**
 * Where a point stands in a view: to the right, up, and towards the viewer.
 * @param {ArrayLike<number>} point
 * @param {number} azimuth    of the viewer, in degrees
 * @param {number} elevation  above the floor; at 90 the view goes along (1, 1, 1)
 */
export function project([a, b, c], azimuth, elevation) {
  const turn = (azimuth * Math.PI) / 180;
  const tilt = (elevation * Math.PI) / 180;
  const east = (b - a) / Math.SQRT2;
  const south = (2 * c - a - b) / Math.sqrt(6);
  const up = (a + b + c) / CIRCLE;
  const right = east * Math.cos(turn) + south * Math.sin(turn);
  const near = south * Math.cos(turn) - east * Math.sin(turn);
  return [right, up * Math.cos(tilt) - near * Math.sin(tilt), near * Math.cos(tilt) + up * Math.sin(tilt)];
}

/** What happened to this row, in a sentence or two. */
export function sentence({ constant, variance, std, eps, radius }) {
  if (constant) {
    return "Three equal numbers stand on the line (1, 1, 1), so x drops onto the centre. There is no direction left to scale in: x̂ is 0, and ε keeps 0 / 0 away.";
  }
  const part = radius / CIRCLE;
  if (part > 0.9995) {
    const way = Math.abs(std - 1) < 0.005 ? "σ is 1, so it is on the circle already"
      : `scaling slides it ${std < 1 ? "out to" : "back to"} the circle`;
    return `Centring drops x onto the plane, and ${way}. ε is far too small beside σ² to be seen.`;
  }
  const percent = part < 0.01 ? "less than 1" : part > 0.985 ? (100 * part).toFixed(1) : Math.round(100 * part);
  return `x̂ stops at ${percent}% of the way from the centre to the circle, because ε is ${
    ratio(eps / variance)} σ². ${eps <= variance ? "The larger ε is, the nearer to the centre it stays." : `Beside such an ε the row hardly varies${part < 0.3 ? ", and it stays near the centre" : ""}.`}`;
}

function ratio(times) {
  if (times > 0.95 && times < 1.05) return "as large as";
  if (times > 1000) return "more than 1000 times";
  const text = times >= 10 ? String(Math.round(times)) : String(+times.toPrecision(2));
  return `${text} times`;
}
