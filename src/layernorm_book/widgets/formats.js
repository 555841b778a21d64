/**
 * Three floating-point formats: what each stores of a number, and in which bits.
 *
 * JavaScript's own numbers are float64. What is rounded here is the float64 that was given, once,
 * to the nearest number of the format, and to the one with an even fraction from halfway between.
 *
 * @typedef {{ name: string, exponent: number, fraction: number }} Format  widths in bits
 * @typedef {"normal" | "subnormal" | "zero" | "infinite" | "nan"} Kind
 */

/** @type {Format[]} */
export const FORMATS = [
  { name: "float32", exponent: 8, fraction: 23 },
  { name: "float16", exponent: 5, fraction: 10 },
  { name: "bfloat16", exponent: 8, fraction: 7 },
];

const view = new DataView(new ArrayBuffer(8));

/** The power of two that a float64 starts with, read from its bits, since log2 would round. */
function exponentOf(value) {
  view.setFloat64(0, value);
  return ((view.getUint16(0) >> 4) & 0x7ff) - 1023;
}

/** The powers of two that a float64 can be, in a table: `**` costs more than all the rest. */
const POWERS = Float64Array.from({ length: 2200 }, (_, k) => 2 ** (k - 1100));
const powerOfTwo = (power) => POWERS[power + 1100];

/** The exponent of the smallest normal number; subnormal numbers share its step. */
const leastExponent = ({ exponent }) => 2 - (1 << (exponent - 1));

/** The nearest whole number, and the even one from halfway: above 2^52 a float64 has no other. */
const nearestEven = (value) => value + 2 ** 52 - 2 ** 52;

/**
 * What the format stores of a number. Dividing by a power of two is exact, so this rounds once.
 * @param {number} value
 * @param {Format} format
 */
export function store(value, format) {
  const size = Math.abs(value);
  const step = powerOfTwo(Math.max(exponentOf(size), leastExponent(format)) - format.fraction);
  const largest = (2 - powerOfTwo(-format.fraction)) * powerOfTwo(1 - leastExponent(format));
  if (Number.isNaN(value)) return NaN;
  const rounded = size < Infinity ? nearestEven(size / step) * step : size;
  return (value < 0 || Object.is(value, -0) ? -1 : 1) * (rounded > largest ? Infinity : rounded);
}

/**
 * 1 + a stored number, in the format. A float64 has more than twice the digits of each format, so
 * rounding the sum to float64 first changes nothing.
 * @param {number} stored
 * @param {Format} format
 */
export const addOne = (stored, format) => store(1 + stored, format);

/** @returns {Kind} */
export function kindOf(stored, format) {
  const size = Math.abs(stored);
  if (Number.isNaN(size)) return "nan";
  if (size === Infinity) return "infinite";
  return size >= 2 ** leastExponent(format) ? "normal" : size ? "subnormal" : "zero";
}

/**
 * A stored number in its three fields, as strings of bits, and read as significand · 2^power.
 * @param {number} stored
 * @param {Format} format
 */
export function fieldsOf(stored, format) {
  const { exponent, fraction } = format;
  const kind = kindOf(stored, format);
  const size = Math.abs(stored);
  const power = kind === "normal" ? exponentOf(size) : leastExponent(format);
  const significand = size / 2 ** power;
  const [e, f] = {
    normal: [power - leastExponent(format) + 1, significand - 1],
    subnormal: [0, significand],
    zero: [0, 0],
    infinite: [2 ** exponent - 1, 0],
    nan: [2 ** exponent - 1, 0.5],
  }[kind];
  const bits = (whole, width) => whole.toString(2).padStart(width, "0");
  const sign = stored < 0 || Object.is(stored, -0) ? "1" : "0";
  return { fields: [sign, bits(e, exponent), bits(f * 2 ** fraction, fraction)], significand, power };
}

/** How many bits a number of the format has. */
export const widthOf = ({ exponent, fraction }) => 1 + exponent + fraction;

/** The bits of a number of the format, read as a whole number. */
export const wordOf = (stored, format) => parseInt(fieldsOf(stored, format).fields.join(""), 2);

/** The number that a word stands for, by its three fields. */
export function read(word, format) {
  const { exponent, fraction } = format;
  const f = (word % 2 ** fraction) / 2 ** fraction;
  const e = Math.floor(word / 2 ** fraction) % 2 ** exponent;
  const sign = word >= 2 ** (exponent + fraction) ? -1 : 1;
  if (e === 2 ** exponent - 1) return f ? NaN : sign * Infinity;
  return sign * (e ? (1 + f) * 2 ** (e - 1 + leastExponent(format)) : f * 2 ** leastExponent(format));
}

/**
 * A word as a state holds it: by its number, or by itself beside a 0 where no number of JSON stands
 * for it: ∞, −∞, −0 and each NaN.
 * @returns {[number, number]}  the number, and the word or −1
 */
export function asState(word, format) {
  const value = read(word, format);
  return Number.isFinite(value) && !Object.is(value, -0) ? [value, -1] : [0, word];
}

/**
 * What a state holds, read back.
 * @returns {{ stored: number, word: number, asked: number }}  asked is the number before it was rounded
 */
export function fromState(value, bits, format) {
  const stored = bits < 0 || value !== 0 ? store(value, format) : read(bits, format);
  return bits < 0 || value !== 0 ? { stored, word: wordOf(stored, format), asked: value } : { stored, word: bits, asked: stored };
}

/**
 * LayerNorm's σ² and ε on their way to what x − μ is multiplied by, each step rounded to the format.
 * @param {number} variance  as it is stored
 * @param {number} eps       as it is stored
 */
export function reciprocalRoot(variance, eps, format) {
  const sum = store(variance + eps, format);
  return { sum, rstd: store(1 / store(Math.sqrt(sum), format), format) };
}
