/**
 * Who shares a mean, and what comes out: groups of cells, normalized in float32 by the arithmetic
 * of layernorm.js.
 *
 * @typedef {"variance" | "square" | "none"} Statistics  μ and σ², the mean square, or nothing at all
 * @typedef {{ axes: string, shape: number[], start: number[] }} Layout
 */

import { layerNorm, meanSquare, reciprocalStd } from "./layernorm.js";

const f = Math.fround;

export const EPS = 1e-5;
export const ALPHA = 0.1; // DyT's α, for numbers up to 10

/**
 * The number of each cell's group, in memory order. Cells are in one group where they agree on
 * every axis that is not shared, and on the part of the channels where those are cut.
 * @param {Layout} layout
 * @param {string} shared  the letters of the axes along which cells share
 * @param {number} groups  of channels
 */
export function groupNumbers({ axes, shape }, shared, groups) {
  let numbers = [0];
  shape.forEach((size, axis) => {
    const letter = axes[axis];
    const parts = !shared.includes(letter) ? size : letter === "C" ? groups : 1;
    numbers = numbers.flatMap((number) =>
      Array.from({ length: size }, (_, i) => number * parts + Math.floor((i * parts) / size)));
  });
  return numbers;
}

/** What one group subtracts and divides by, and what comes out. @param {Float32Array} x */
function normalizeGroup(x, statistics) {
  if (statistics === "variance") {
    const { mean, xHat } = layerNorm(x, { eps: EPS });
    return { statistic: mean, out: xHat };
  }
  const square = meanSquare(x);
  const rstd = reciprocalStd(square, EPS);
  return { statistic: square, out: x.map((v) => v * rstd) };
}

/**
 * Normalize each group by itself. DyT has no groups: each cell goes through a curve.
 * @param {ArrayLike<number>} values  in memory order
 * @param {number[]} numbers          each cell's group
 * @param {Statistics} statistics
 * @returns {{ statistic: number[], out: Float32Array }}  of each group, of each cell
 */
export function normalizeGroups(values, numbers, statistics) {
  const x = Float32Array.from(values);
  if (statistics === "none") return { statistic: [], out: x.map((v) => Math.tanh(f(ALPHA * v))) };
  const members = [];
  numbers.forEach((group, i) => (members[group] ??= []).push(i));
  const out = new Float32Array(x.length);
  const statistic = members.map((cells) => {
    const group = normalizeGroup(Float32Array.from(cells, (i) => x[i]), statistics);
    cells.forEach((i, k) => (out[i] = group.out[k]));
    return group.statistic;
  });
  return { statistic, out };
}

const places = (now, before) => [...now].map((v, i) => v !== before[i]);

/**
 * What has moved since the start: for each cell of x, each group's statistic and each output.
 * @param {Layout} layout
 * @param {{ x: number[], shared: string, groups: number, statistics: Statistics }} state
 */
export function whatMoved(layout, { x, shared, groups, statistics }) {
  const numbers = groupNumbers(layout, statistics === "none" ? "" : shared, groups);
  const now = normalizeGroups(x, numbers, statistics);
  const start = normalizeGroups(layout.start, numbers, statistics);
  return {
    numbers,
    ...now,
    moved: { cells: places(x, layout.start), statistic: places(now.statistic, start.statistic), out: places(now.out, start.out) },
  };
}

const count = (places) => places.filter(Boolean).length;
const some = (n, name) => `${n || "no"} ${name}${n === 1 ? "" : "s"}`;

const SHARED = { variance: "mean", square: "mean square" };

/** What colours, frames and lines mean. @param {Statistics} statistics */
export function legendSays(statistics) {
  const what = SHARED[statistics];
  const who = what ? `Same colour: same ${what}. Framed: shares a ${what} with your cell.` : "Framed: your cell.";
  return `${who} Underlined: has moved.`;
}

/**
 * The consequence in a sentence.
 * @param {{ cells: boolean[], statistic: boolean[], out: boolean[] }} moved
 * @param {Statistics} statistics
 */
export function consequence({ cells, statistic, out }, statistics) {
  if (!count(cells)) return "Nothing has moved yet. Drag a cell of x, and see who moves with it.";
  const outputs = count(out);
  const rest = out.length - outputs;
  const means = SHARED[statistics];
  const who = [means && some(count(statistic), means), some(outputs, "output")].filter(Boolean).join(" and ");
  const others = !rest ? "nobody stands still" : `${rest} ${rest === 1 ? "stands" : "stand"} still`;
  return `You moved ${some(count(cells), "cell")}: ${who} moved, ${others}.`;
}
