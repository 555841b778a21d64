// What the rounding lab says: functions of its state and of what was found there.

import { EPS, N } from "./rounded.js";
import { grouped, short } from "./shared/numbers.js";

export const NAMES = { one: "one pass", two: "two passes", twice: "centred twice", welford: "Welford" };
export const TITLES = { mean: "μ", centred: "x − μ", again: "minus its mean", var: "σ²", rstd: "1/√(σ² + ε)", x_hat: "x̂" };

/** A ratio in words: 4,200 times, 7 times. */
const times = (ratio) => `${grouped(ratio < 10 ? Math.round(ratio) : +ratio.toPrecision(2))} times`;

/** How a variance that was found differs from the true one. */
function variance({ found, truth }) {
  const off = Math.abs(found.var / truth.var - 1);
  return off > 0.005 ? `σ² comes out as ${short(found.var, 4)} instead of ${short(truth.var, 4)}` : `σ² is off by one part in ${grouped(Math.round(+(1 / off).toPrecision(2)))}`;
}

/** Why an error says little, or "": the row itself, or a number on the way, is beyond the format. */
function beyond({ format }, seen) {
  const { x, found, error } = seen;
  const end = `65,504, where ${format} ends`;
  const made = found.xHat[0];
  if (x.some((v) => !Number.isFinite(v))) return `The row itself passes ${end}: x holds ∞, and no layer can bring it back.`;
  if (!Number.isFinite(found.mean)) return `The sum of the ${N} numbers passes ${end}: μ is ∞, and all of x̂ is NaN.`;
  if (x.every((v) => v === x[0])) {
    return `In ${format} all ${N} numbers of this row are stored as ${grouped(short(x[0], 7))}: their digits are gone before the layer begins.${
      made === 0 ? "" : ` Yet the layer makes ${Number.isNaN(made) ? "NaN" : short(made, 3)} of each, by rounding.`}`;
  }
  if (found.var === Infinity) return `The sum of the squares passes ${end}: σ² is ∞, and all of x̂ is 0. No NaN gives it away.`;
  if (found.var + EPS < 0) return `${variance(seen)}. A negative number has no square root, so all of x̂ is NaN.`;
  return Number.isNaN(error) ? "x̂ is NaN." : "";
}

/** Which step costs the most, and how. */
function cause({ way, mean, sigma }, seen) {
  const { alone, worst, error, found, truth } = seen;
  if (error <= 2.5 * alone.x_hat) return `No step stands out: rounding x̂ alone costs ${short(alone.x_hat, 2)}.`;
  if (way === "one" && mean > 3 * sigma && (worst === "mean" || worst === "var")) return `${variance(seen)}: it is the small difference of two numbers near μ².`;
  if (worst === "mean") {
    const off = short(Math.abs(found.mean - truth.mean), 2);
    const how = way === "welford" ? `Welford’s mean is rounded ${N} times on its way and ends ${off} off`
      : `The step that rounds away the most is μ: it is ${off} off, and shifts every number of the row alike`;
    return `${how}${sigma === 1 ? "" : ", before all is divided by σ"}.`;
  }
  return `The step that rounds away the most is ${worst === "var" ? `σ²: ${variance(seen).replace("σ²", "it")}` : worst === "again" ? "the second centring" : TITLES[worst]}.`;
}

/**
 * What has become of the digits, in a sentence or two.
 * @param {import("./rounding.js").State} state
 * @param {ReturnType<import("./rounded.js").lookAt>} seen
 */
export function sentence(state, seen) {
  const lost = beyond(state, seen);
  if (lost) return lost;
  const { error, errors } = seen;
  const lead = `x̂ is off by up to ${short(error, 2)}.`;
  if (state.way !== "twice" || !(errors.two > 3 * error)) return `${lead} ${cause(state, seen)}`;
  return `${lead} Without the second centring: ${short(errors.two, 2)}, ${times(errors.two / error)} as much. The centred row’s mean is the error of μ, and one line takes it away.`;
}
