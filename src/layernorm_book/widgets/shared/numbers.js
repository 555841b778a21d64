// Numbers as text.

/** A minus sign where JavaScript writes a hyphen. */
export const typeset = (text) => text.replaceAll("-", "−").replace("e+", "e");
export const fixed = (v, digits) => typeset(digits > 5 || Math.abs(v) >= 1e7 ? v.toExponential(1) : v.toFixed(digits)).replace(/^−(?=[0.]+$)/, "");

/** As many digits as asked for, and no zeros that say nothing. */
export function short(v, digits = 4) {
  const size = Math.abs(v);
  const plain = size === 0 || (size >= 1e-3 && size < 1e6);
  return typeset(plain ? String(+v.toPrecision(digits)) : v.toExponential(digits - 1).replace(/\.?0+e/, "e"));
}

/** A whole number with commas: 10,000. What is not whole stays. */
export const grouped = (v) => String(v).replace(/^−?\d{4,}$/, (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ","));

/** A number as someone types it: with a real minus sign, a comma, or the word of a sign. */
export const parse = (text) => (text.trim() ? Number(text.trim().replace("−", "-").replace(",", ".")) : NaN);

/** A whole number as an exponent. */
export const superscript = (power) => String(power).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");

/** A power of ten: 10³, and 1. */
export const powerOfTen = (power) => (power ? `10${superscript(power)}` : "1");

/** 10 to a power, to three digits. */
export const tenTo = (power) => +(10 ** power).toPrecision(3);

export const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);

/** Where a value stands between two others, in percent. */
export const across = (value, min, max) => `${+((100 * (value - min)) / (max - min)).toFixed(3)}%`;
