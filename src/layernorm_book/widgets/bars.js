/**
 * Rows of numbers as bars, one under the other, so that each element keeps its column. Some bars
 * stand under sliders.
 *
 * @typedef {{ lo: number, hi: number, step: number, digits: number }} Scale
 */

import { fixed, short } from "./numbers.js";
import { hidden, put, say, write } from "./page.js";

export const LARGEST = 1e9;
export const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);
export const largest = (values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

// --- scales ---------------------------------------------------------------------------------------

/** The next of …, 1, 2, 5, 10, … from `size` up. */
function nice(size) {
  const decade = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].find((k) => k * decade >= size * 0.999) * decade;
}

/**
 * A scale that holds the values, with zero in view unless the row lies far from it. The old scale
 * stays while it serves, so that the picture does not jump under the hand.
 * @returns {Scale}
 */
export function scaleFor(values, old) {
  let [lo, hi] = [Math.min(...values), Math.max(...values)];
  const spread = hi - lo || Math.abs(hi) || 1;
  if (lo > 0 && lo < 3 * spread) lo = 0;
  if (hi < 0 && -hi < 3 * spread) hi = 0;
  const span = Math.max(hi - lo, spread);
  if (old && old.lo <= lo && hi <= old.hi && old.hi - old.lo < 4 * span) return old;
  const tick = nice(span / 5);
  const round = (v) => +v.toPrecision(12);
  lo = round(Math.floor(lo / tick - 0.5) * tick);
  hi = round(Math.ceil(hi / tick + 0.5) * tick);
  const digits = clamp(2 - Math.floor(Math.log10(hi - lo)), hi - lo < 100 ? 2 : largest([lo, hi]) < 1000 ? 1 : 0, 9);
  return { lo, hi, step: round(tick / 50), digits };
}

// --- a row of bars --------------------------------------------------------------------------------

/** A range and a field to type in, each in its label: one control of one element. */
const slider = (name, symbol, i) =>
  `<label>${hidden(`${symbol}, element ${i}`)}<input type="range" name="${name}" data-index="${i}"></label>`;
const field = (name, symbol, i) =>
  `<label>${hidden(`${symbol}, element ${i}, as a number`)}<input name="${name}-typed" data-index="${i}" inputmode="decimal"></label>`;

/** One readout a column. It is a box of its own: a new number costs the browser that box alone. */
const numbers = (name, columns, content = () => "") => columns.map((i) =>
  `<td data-index="${i}"><span data-quantity="${name}" data-index="${i}">${content(i)}</span></td>`).join("");

/** Two rows of a table: the bars of a quantity, under sliders if it has them, and its numbers. */
export const barRows = (name, symbol, columns, sliders) => `
  <tbody class="ln-step ln-${name}" data-step="${name}">
    <tr>
      <th scope="row" rowspan="2"><div><i class="ln-hi"></i><b>${symbol}</b><i class="ln-lo"></i></div></th>
      <td class="ln-high" colspan="${columns.length}"><div class="ln-plot">
        <svg viewBox="0 0 ${columns.length} 100" preserveAspectRatio="none" aria-hidden="true">
          <rect class="ln-column" width="1" height="100"/>
          <rect class="ln-band" width="${columns.length}"/>
          <path class="ln-bars"/><path class="ln-guide"/><path class="ln-zero"/><path class="ln-marks"/>
        </svg>
        ${sliders ? columns.map((i) => slider(name, symbol, i)).join("") : ""}
      </div></td>
    </tr>
    <tr class="ln-numbers${sliders ? " ln-under" : ""}">${numbers(name, columns, sliders ? (i) => field(name, symbol, i) : undefined)}</tr>
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
  const nodes = { sliders: [...body.querySelectorAll("[type=range]")] };
  for (const name of ["hi", "lo", "column", "band", "bars", "guide", "zero", "marks"]) nodes[name] = body.querySelector(`.ln-${name}`);
  return nodes;
}

export function setRange(range, { lo, hi, step }, value) {
  if (+range.min !== lo || +range.max !== hi) Object.assign(range, { min: lo, max: hi, step });
  range.value = value;
}

/** Light one element's column through all steps. */
export function light(root, steps, i, first = 0) {
  for (const step of Object.values(steps)) put(step.column, "x", i - first);
  for (const cell of root.querySelectorAll("td[data-index]")) cell.classList.toggle("ln-on", +cell.dataset.index === i);
}

/**
 * Show what PyTorch said to each element and how far off the furthest is, or that it said nothing.
 * @param {object} answer
 * @param {number[]} [answer.said]
 * @param {number} answer.unit    one unit in the last place, of what the error is counted in
 * @param {string} answer.who     who said it
 * @param {(units: string) => string} answer.apart  how far off that is, in words
 */
export function drawTorch(find, readouts, columns, { said, ours, unit, digits, live, who, apart }) {
  const off = said && ours.map((v, i) => Math.abs(v - said[i]) / unit);
  columns.forEach((i, k) => {
    write(readouts.torch[k], said ? said[i] : "", said ? fixed(said[i], digits) : "·");
    write(readouts.ulps[k], said ? off[i] : "", said ? String(+off[i].toFixed(1)) : "·");
  });
  const most = said && largest(off);
  const node = find(".ln-says");
  put(node, "data-ulps", most ?? "");
  say(node, said
    ? `${live ? `${who} says` : `While this page was built, ${who} said`}: ${most ? `${apart(short(most, 2))} (${short(most * unit, 2)})` : "the same bits"}.`
    : live ? "PyTorch’s answer takes a running kernel."
      : "While this page was built, PyTorch was not asked for this state: the numbers are your browser’s own.");
}

/** Draw the values of `columns` as bars on a scale, and write them into their readouts. */
export function drawBars(nodes, readouts, columns, values, scale, { band, guide, marks, base = 0 } = {}) {
  const { lo, hi, digits } = scale;
  const height = (v) => +clamp((100 * (hi - v)) / (hi - lo), 0, 100).toFixed(2);
  const line = (v) => `M0 ${height(v)}H${columns.length}`;
  const zero = height(base);
  put(nodes.bars, "d", columns.map((i, k) => `M${k + 0.22} ${zero}V${height(values[i])}h.56V${zero}z`).join(""));
  put(nodes.zero, "d", line(base));
  put(nodes.guide, "d", (guide ?? []).map(line).join(""));
  put(nodes.marks, "d", (marks ? columns : []).map((i, k) => `M${k + 0.1} ${height(marks[i])}h.8`).join(""));
  if (band) {
    put(nodes.band, "y", height(band[1]));
    put(nodes.band, "height", height(band[0]) - height(band[1]));
  }
  say(nodes.hi, short(hi, 3 + (lo > 0 || hi < 0)));
  say(nodes.lo, short(lo, 3 + (lo > 0 || hi < 0)));
  columns.forEach((i, k) => {
    const text = fixed(values[i], digits);
    write(readouts[k], values[i], text);
    const range = nodes.sliders[k];
    if (!range) return;
    setRange(range, scale, values[i]);
    put(range, "aria-valuetext", text);
  });
}
