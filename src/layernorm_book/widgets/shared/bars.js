/**
 * Rows of numbers as bars, one under the other, so that each element keeps its column. Some bars
 * stand under sliders.
 *
 * @typedef {{ lo: number, hi: number, step: number, digits: number }} Scale
 */

import { clamp, fixed, short } from "./numbers.js";
import { field, setAttribute, setReadout, setSlider, setText, srOnly } from "./page.js";
import "./handles.css";
import "./bars.css";

export const LARGEST = 1e9;
export const largest = (values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

// --- scales ---------------------------------------------------------------------------------------

/** The next of …, 1, 2, 5, 10, … from `size` up. */
function nice(size) {
  const decade = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].find((k) => k * decade >= size * 0.999) * decade;
}

/**
 * A scale that holds the values, with zero in view unless the row lies far from it.
 * @param {Scale} [held]  stays while it holds them, so that the picture does not jump in a drag
 * @param {*} [zero]  whether zero stays in view in any case
 * @returns {Scale}
 */
export function scaleFor(values, held, zero) {
  let [lo, hi] = [Math.min(...values), Math.max(...values)];
  if (held && held.lo <= lo && hi <= held.hi) return held;
  const spread = hi - lo || Math.abs(hi) || 1;
  if (lo > 0 && (zero || lo < 3 * spread)) lo = 0;
  if (hi < 0 && (zero || -hi < 3 * spread)) hi = 0;
  const tick = nice(Math.max(hi - lo, spread) / 5);
  const round = (v) => +v.toPrecision(12);
  lo = round(Math.floor(lo / tick - 0.5) * tick);
  hi = round(Math.ceil(hi / tick + 0.5) * tick);
  const digits = clamp(2 - Math.floor(Math.log10(spread)), spread < 100 ? 2 : largest([lo, hi]) < 1000 ? 1 : 0, 9);
  return { lo, hi, step: round(tick / 50), digits };
}

/** How far below the top of a plot a value of the scale stands, in percent. */
export const heightOn = ({ lo, hi }) => (v) => +clamp((100 * (hi - v)) / (hi - lo), 0, 100).toFixed(2);

// --- a row of bars --------------------------------------------------------------------------------

/**
 * A range in its label, and the handle that stands for it in the picture. The range is the control
 * of keyboard, name and value; the handle stands where the state puts it, and `drag.js` lets a
 * pointer take it.
 */
const slider = (name, symbol, i) =>
  `<label data-index="${i}">${srOnly(`${symbol}, element ${i}`)}<input type="range" name="${name}" data-index="${i}"><i class="ln-handle"></i></label>`;
/** The field of an element. */
export const fieldOf = (name, symbol, i) => field(name, `${symbol}, element ${i}, as a number`, ` data-index="${i}"`);

/**
 * The columns of a table are elements, and null where a gap stands between two rows.
 * Calls `make` with each element and its place.
 */
export const each = (columns, make = (i) => i) => columns.flatMap((i, place) => (i === null ? [] : [make(i, place)]));

/** The runs of columns between the gaps, as [first place, place behind the last]. */
function runs(columns) {
  const gap = columns.indexOf(null);
  return gap < 0 ? [[0, columns.length]] : [[0, gap], [gap + 1, columns.length]];
}

/** A cell for each column, empty where the gap is. */
export const cells = (columns, make) => columns.map((i) => (i === null ? "<td></td>" : make(i))).join("");

/** One readout a column. It is a box of its own: a new number costs the browser that box alone. */
const numbers = (name, columns, content = () => "", n = Infinity) => cells(columns, (i) => `<td data-index="${i}"><span data-quantity="${name}${i < n ? "" : "-again"}" data-index="${i % n}">${i < n ? content(i) : ""}</span></td>`);

/**
 * Two rows of a table: the bars of a quantity, under handles if it has them, and its numbers.
 * @param {number} [n]  a quantity of n elements repeats after that, to look at alone
 */
export const barRows = (name, symbol, columns, sliders, n = Infinity) => `
  <tbody class="ln-step ln-${name}" data-step="${name}">
    <tr>
      <th scope="row" rowspan="2"><div><i class="ln-hi"></i><b>${symbol}</b><i class="ln-lo"></i></div></th>
      <td class="ln-high" colspan="${columns.length}"><div class="ln-plot">
        <svg viewBox="0 0 ${columns.length} 100" preserveAspectRatio="none" aria-hidden="true">
          <path class="ln-band"/>
          <path class="ln-bars"/><path class="ln-guide"/><path class="ln-zero"/>
        </svg>
        ${sliders ? columns.map((i) => (i !== null && i < n ? slider(name, symbol, i) : "<span></span>")).join("") : ""}
      </div></td>
    </tr>
    <tr class="ln-numbers${sliders ? " ln-under" : ""}">${numbers(name, columns, sliders ? (i) => fieldOf(name, symbol, i) : undefined, n)}</tr>
  </tbody>`;

/** What PyTorch says to each element, and how far off that is in units in the last place. */
export const torchRows = (columns) => `
  <tbody class="ln-torch">${[["torch", "torch"], ["ulps", "ulp"]].map(([name, title]) =>
    `<tr class="ln-numbers"><th scope="row">${title}</th>${numbers(name, columns)}</tr>`).join("")}
  </tbody>`;

/** A box between two steps, as wide as the table. */
export const panel = (columns, content) =>
  `<tbody><tr><td class="ln-panel" colspan="${columns.length + 1}"><div>${content}</div></td></tr></tbody>`;

/** The nodes of one such body that drawing writes to. */
export function barNodes(body) {
  const nodes = {
    sliders: [...body.querySelectorAll("[type=range]")],
    handles: [...body.querySelectorAll(".ln-handle")],
    readouts: [...body.querySelectorAll("[data-quantity]")],
  };
  for (const name of ["hi", "lo", "band", "bars", "guide", "zero"]) nodes[name] = body.querySelector(`.ln-${name}`);
  return nodes;
}

function setRange(range, { lo, hi, step }, value, text) {
  if (+range.min !== lo || +range.max !== hi) Object.assign(range, { min: lo, max: hi, step });
  setSlider(range, value, text);
}

/**
 * Draw the values of `columns` as bars on a scale, and write them into their readouts.
 * @param {object} more
 * @param {[number, number][]} [more.band]  a shaded interval, for each row
 * @param {number[][]} [more.guide]         dashed lines, for each row
 */
export function drawBars(nodes, columns, values, scale, { band = [], guide = [] } = {}) {
  const { lo, hi, digits } = scale;
  const height = heightOn(scale);
  const base = clamp(0, lo, hi); // where the bars stand
  const zero = height(base);
  const blocks = runs(columns);
  const path = (name, parts) => setAttribute(nodes[name], "d", parts.join(""));
  path("bars", each(columns, (i, k) => `M${k + 0.22} ${zero}V${height(values[i])}h.56V${zero}z`));
  path("zero", blocks.map(([from, to]) => `M${from} ${zero}H${to}`));
  path("guide", guide.flatMap((lines, r) => lines.map((v) => `M${blocks[r][0]} ${height(v)}H${blocks[r][1]}`)));
  path("band", band.map(([low, high], r) => `M${blocks[r][0]} ${height(high)}H${blocks[r][1]}V${height(low)}H${blocks[r][0]}z`));
  setText(nodes.hi, short(hi, 3 + 3 * (lo > 0 || hi < 0)));
  setText(nodes.lo, short(lo, 3 + 3 * (lo > 0 || hi < 0)));
  each(columns).forEach((i, k) => {
    const text = fixed(values[i], Math.max(digits, Math.abs(values[i]) < 10 ? 2 : 0)); // next to 1000, 0.2 is not 0
    setReadout(nodes.readouts[k], values[i], text);
    const range = nodes.sliders[k];
    if (!range) return;
    setRange(range, scale, values[i], text);
    setAttribute(nodes.handles[k], "style", `top:${height(values[i])}%`);
  });
}
