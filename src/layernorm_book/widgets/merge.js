// What a recording of tokens says: how to read it, and its sentences.

import { powerOfTen, short } from "./shared/numbers.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
export const [ONE, CLOSE] = [1e-6, 0.1]; // tokens nearer than that are one, or close
export const FULL = 5; // powers of ten that 1 − cosine is recorded to; a square has its full colour there

/**
 * How far apart tokens are in one frame: for each block a row of tokens × tokens powers of ten of
 * 1 − cosine, to a quarter; −FULL stands for less too.
 * @param {string} maps  a letter for each pair of each block of each frame
 */
export function powersOf(maps, frame, blocks, tokens) {
  const pairs = (tokens * (tokens - 1)) / 2;
  return Array.from({ length: blocks }, (_, block) => {
    const out = new Float64Array(tokens * tokens).fill(-FULL);
    let at = (frame * blocks + block) * pairs;
    for (let i = 0; i < tokens; i++) {
      for (let j = i + 1; j < tokens; j++) out[i * tokens + j] = out[j * tokens + i] = LETTERS.indexOf(maps[at++]) / 4 - FULL;
    }
    return out;
  });
}

/** A small size in words: 0.4, 0.003, 6 × 10⁻¹³. */
export function inWords(size) {
  if (!(size > 0)) return "0";
  if (size >= 0.001) return short(size, 1);
  const [digits, power] = size.toExponential(0).split("e");
  return `${digits === "1" ? "" : `${digits} × `}${powerOfTen(+power)}`;
}

const and = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);

/**
 * What has become of the tokens, in a sentence.
 * @param {number} step
 * @param {{ name: string, apart: number }[]} runs  1 − cosine after the last block, averaged
 */
export function sentence(step, runs) {
  const when = step === 0 ? "Before training" : step === 1 ? "After one step" : `After ${step} steps`;
  const of = (good) => runs.filter(({ apart }) => good(apart)).map(({ name }) => name);
  const [merged, close, apart] = [of((a) => a < ONE), of((a) => a >= ONE && a < CLOSE), of((a) => !(a < CLOSE))];
  const parts = [];
  if (merged.length) parts.push(`${and(merged)} ${merged.length > 1 ? "have" : "has"} merged all tokens into one`);
  if (close.length) parts.push(`the tokens of ${and(close)} lie close together`);
  if (apart.length) parts.push(`the tokens of ${and(apart)} differ`);
  return `${when}, ${parts.join("; ")}.`;
}
