// What is said of the variance in one pass.

import { short } from "./shared/numbers.js";

/** What became of the variance in one pass. */
export function onePassSays(variance, onePass) {
  if (onePass === variance) return "The same number both ways.";
  if (onePass < 0) return "Negative: its root is NaN.";
  if (onePass === 0) return "Zero, as if nothing varied.";
  const off = Math.abs(onePass / variance - 1);
  if (!(off < 10)) return `${short(onePass / variance, 2)} times what it should be.`;
  if (off >= 0.005) return `Off by ${short(100 * off, 2)} %.`;
  return `The two agree to ${Math.floor(-Math.log10(off))} digits.`;
}
