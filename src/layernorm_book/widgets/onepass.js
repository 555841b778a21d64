// What is said of the variance in one pass.

import { short } from "./shared/numbers.js";

/** How far float32 numbers lie apart, where E[x²] is. */
export function gapSays(gap, many) {
  return many ? `Here the numbers of float32 are ${short(gap, 2)} apart, too close to draw.`
    : `Each tick is a number that float32 has. They are ${short(gap)} apart here.`;
}

/** What became of the variance in one pass. */
export function onePassSays(variance, onePass) {
  if (onePass === variance) return "The same number both ways.";
  if (onePass < 0) return "Negative: its root is NaN, and so is the output.";
  if (onePass === 0) return "Zero, as if nothing varied.";
  const off = Math.abs(onePass / variance - 1);
  if (!(off < 10)) return `${short(onePass / variance, 2)} times what it should be.`;
  if (off >= 0.005) return `Off by ${short(100 * off, 2)} %.`;
  return `The two agree to ${Math.floor(-Math.log10(off))} digits.`;
}
