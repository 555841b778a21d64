// The game of the black box: who may be in it, and which question tells them apart?

import { RIGHT, answerTo, compare, draw } from "./faults.js";

/** Layers with one fault each, and the right one. */
export const SUSPECTS = [
  { divide: "outside" }, { divide: "no-root" }, { divide: "square" }, { size: "squared" }, { size: "fixed" }, { size: "zero" },
  { axes: "column" }, { axes: "all" }, { centre: "none" }, { count: "n-1" }, { squares: "one-pass" }, { precision: "bfloat16" },
  { affine: "shift-scale" }, { affine: "one-plus" }, {},
].map((fault) => ({ ...RIGHT, ...fault }));

/** How far apart two errors are, as a factor; what rounds away counts as rounding. */
const factor = (a, b) => {
  const size = (v) => (v < Infinity ? Math.max(v, 1e-6) : 1e6);
  return Math.max(size(a) / size(b), size(b) / size(a));
};

/** Whether two layers err alike in nearly all draws: then this input does not tell them apart. */
export const alike = (errors, others) => errors.filter((v, k) => factor(v, others[k]) < 1.1).length >= 0.9 * errors.length;

const QUESTIONS = {
  n: [4, 16], mean: [0, 2000], sigma: [0.001, 0.1, 1, 10], rows: ["drawn", "level"], parameters: ["fresh", "trained"], eps: [1e-5, 0.01, 0.5],
};
const questions = Object.entries(QUESTIONS).reduce((all, [name, values]) => all.flatMap((asked) => values.map((value) => ({ ...asked, [name]: value }))), [{}])
  .filter(({ mean, sigma }) => !mean || sigma >= 1); // else float32 itself is out of digits
const best = []; // by secret

/** The input that sets one layer apart from all other suspects the most, and by what factor at least. */
export function bestQuestion(secret) {
  return best[secret] ??= questions.map((asked) => {
    const input = draw(0, asked);
    const answer = answerTo(input, asked.eps);
    const [own, ...errors] = [secret, ...SUSPECTS.keys()].map((k) => compare(input, answer, SUSPECTS[k], asked.eps).error);
    return { ...asked, factor: Math.min(...errors.map((error, k) => (k === secret ? Infinity : factor(error, own)))) };
  }).reduce((most, found) => (found.factor > most.factor ? found : most));
}
