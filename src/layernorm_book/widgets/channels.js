/** What the channel lab knows, and says, of a model's channels. Numbers come packed, as int16. */

import { clamp } from "./shared/numbers.js";

export const LAYERS = 13;
export const CHANNELS = 384;
export const VIEWS = ["weight", "bias", "share"];
export const ROWS = ["all", "cls", "others"];
const UNIT = { weight: 1e-3, bias: 1e-3, share: 1e-4, cosine: 1e-4 };

/** The numbers out of their packing, all low bytes and then all high ones: for each view 13 × 384, for each choice of rows 384 twice. */
export function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const count = bytes.length / 2;
  const whole = Int16Array.from({ length: count }, (_, k) => bytes[k] + 256 * bytes[count + k]);
  let from = 0;
  const take = (count, unit) => Array.from(whole.subarray(from, (from += count)), (v) => +(v * unit).toFixed(4));
  const views = Object.fromEntries(VIEWS.map((view) => [view, take(LAYERS * CHANNELS, UNIT[view])]));
  const cosine = Object.fromEntries(ROWS.map((rows) => [rows, {
    worst: take(CHANNELS, UNIT.cosine), median: take(CHANNELS, UNIT.cosine),
  }]));
  return { ...views, cosine };
}

/** How far each γ is from its layer's mean, in standard deviations of the layer: 13 × 384. */
export function distances(weight) {
  return Array.from({ length: LAYERS }, (_, layer) => {
    const row = weight.slice(layer * CHANNELS, (layer + 1) * CHANNELS);
    const mean = row.reduce((sum, v) => sum + v, 0) / CHANNELS;
    const std = Math.sqrt(row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / CHANNELS);
    return row.map((v) => (v - mean) / std);
  }).flat();
}

/** The distance of γ, and the β, that have the full colour. */
const FULL = { weight: 6, bias: 1.2 };

/**
 * How strongly a number is drawn, from −1 to 1: the distance of γ and β by their squares, so that
 * what is large stands out, with their signs; shares, which differ by factors, by a logarithm that
 * begins somewhat above the even share.
 */
export function strength(view, value) {
  if (view !== "share") return Math.sign(value) * Math.min(1, (value / FULL[view]) ** 2);
  const even = 1 / CHANNELS;
  return clamp(Math.log(value / (1.4 * even) || 1e-9) / Math.log(0.32 / (1.4 * even)), 0, 1);
}

/** In how many layers a channel's γ is more than five standard deviations from its layer's mean. */
export const outliers = (distance, channel) =>
  distance.filter((far, at) => at % CHANNELS === channel && Math.abs(far) > 5).length;

/** How many channels cost more than this one: their worst sentence keeps a smaller cosine. */
export const costlier = (worst, channel) => worst.filter((v) => v < worst[channel]).length;

const WHERE = { all: "silenced in every token", cls: "silenced in [CLS] alone", others: "silenced in every token but [CLS]" };
const TIMES = ["most", "second most", "third most"];

/** What silencing a channel does, in three sentences. */
export function channelSays({ channel, rows, worst, median, above, hints }) {
  const cost = worst > 0.99995
    ? "no sentence moves in the first four decimals of its cosine"
    : `the worst of 24 sentences keeps a cosine of ${worst.toFixed(4)} to its embedding, and the median is ${median.toFixed(4)}`;
  const rank = above < TIMES.length ? `Of all 384 it costs the ${TIMES[above]}.` : `${above} of the others cost more.`;
  const layers = hints ? `${hints} ${hints > 1 ? "layers" : "layer"} of 13` : "no layer";
  const hint = `Its γ strays more than 5 standard deviations in ${layers}.`;
  return `Channel ${channel}, ${WHERE[rows]}: ${cost}. ${rank} ${hint}`;
}
