import { fixed, short } from "./numbers.js";
import { readoutsOf, setAttribute, setReadout, setText } from "./page.js";
import { createLab, presetButtons } from "./form.js";
import { barNodes, barRows, clamp, drawBars, largest, LARGEST, panel, scaleFor, torchRows } from "./bars.js";
import { atStop, drawEpsilon, EPS } from "./epsilon.js";

/**
 * A lab of rows: a table with a step of the computation on each line, some under sliders, ε between
 * them, and PyTorch's answer below. `show` turns a state into a picture; `draw` paints it.
 *
 * @typedef {object} Bars       one step of a picture
 * @property {ArrayLike<number>} values
 * @property {string} [on]      the scale that it stands on, if not its own
 * @property {number} [from]    that scale counted from here
 * @property {[number, number]} [band]
 * @property {number[]} [guide]
 * @property {ArrayLike<number>} [marks]
 *
 * @typedef {object} Picture    what a state looks like
 * @property {Record<string, ArrayLike<number>>} scales   by name: the numbers that it must hold
 * @property {Record<string, Bars>} bars                  by step
 * @property {Record<string, number | [number, string]>} facts  by quantity: its value, and how it reads
 * @property {Record<string, number>} [knees]             by placement: the ε that begins to count
 * @property {{ step: string, unit: number, who: string, apart: (units: string) => string }} [quote]
 *   the step that PyTorch is asked for, one unit in the last place of what its error is counted in,
 *   who answers, and the distance in words
 * @property {(i: number) => string} trace                one element's way through the steps
 * @property {string} news                                what a screen reader is told
 */

const MOST_COLUMNS = 20; // a longer row shows a window of WINDOW elements
const WINDOW = 8;
const NUMBER = [-LARGEST, LARGEST];

const skeleton = (presets, title, hint) => `
  <div class="ln-presets" role="group" aria-label="${title}"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  <p class="ln-story">${hint}</p>
  <div class="ln-overview" hidden>
    <svg preserveAspectRatio="none" aria-hidden="true"><rect class="ln-column" height="100"/><path class="ln-bars"/></svg>
    <label><span></span><input type="range" name="window" min="0"></label>
  </div>
  <div class="ln-scroll"><table></table></div>
  <p class="ln-says"></p>
  <p class="ln-trace"></p>`;

/**
 * @param {object} props  what the host hands to `render`
 * @param {object} own
 * @param {string} [own.kind]  its class
 * @param {string} own.label   its name, for assistive technology
 * @param {string} own.title   what the presets are
 * @param {string} own.hint    what to do with it
 * @param {Record<string, string>} own.rows   what has sliders: name and symbol
 * @param {string[]} [own.choices]            the traits that are its state besides rows and ε
 * @param {Record<string, string>} own.steps  name and symbol of each step, in their order
 * @param {Record<string, string>} own.after  the panel below a step
 * @param {boolean} [own.compared]          whether PyTorch's answer stands below: then pictures have a `quote`
 * @param {(state: object) => boolean} [own.fits]
 * @param {(state: object, pytorch?: number[]) => Picture} own.show
 * @param {(lab: object, picture: Picture, state: object, scales: Record<string, Scale>) => void} own.paint  paints what this lab alone has
 * @param {(preset: object) => object} own.fromPreset  the state that a preset is
 * @param {Record<string, (lab: object) => void>} [own.actions]  by the buttons' data-do
 * @param {(input: HTMLInputElement, state: object) => object} [own.onInput]  what a control of its own changes
 * @param {(state: object) => string} own.python
 */
export function rowsLab(props, {
  kind, label, title, hint, rows, choices = [], steps, after, compared = true, fits = () => true, show, paint, fromPreset, actions = {}, onInput, python,
}) {
  const presets = props.model.get("presets");
  const names = Object.keys(rows);
  const lab = createLab(props, {
    kind,
    label,
    body: skeleton(presets, title, hint),
    keys: [...names, "eps", ...choices],
    fields: { ...Object.fromEntries(names.map((name) => [name, [rows[name], ...NUMBER]])), eps: EPS },
    fits: (state) => names.every((name) => state[name].length === state.x.length) && fits(state),
    // The preset that it began with, the first column, the lit element, the scales while a slider is dragged.
    local: { preset: null, first: 0, selected: 0, held: null },
  });
  const { root, find } = lab;

  let columns = []; // the elements that stand in the table
  let nodes = {}; // by step: the nodes that drawing writes to
  let readouts = {};
  let lit = null;
  let scales = {}; // as they were drawn last, for a drag to hold

  const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
  const isFor = (state) => (record) => record.eps.includes(state.eps) && names.every((name) => same(record[name], state[name]));

  /** The numbers that PyTorch gave for this state, if it was asked. */
  function answerTo(state) {
    const answer = lab.answer(isFor(state));
    return answer && (answer.values ?? answer[state.placement ?? "inside"][answer.eps.indexOf(state.eps)]);
  }

  // --- drawing ---

  /** Lay the table out anew, where it shows other elements. */
  function layOut({ x: { length: n }, first }) {
    const length = n > MOST_COLUMNS ? WINDOW : n;
    const from = clamp(first, 0, n - length);
    if (columns.length === length && columns[0] === from) return;
    columns = Array.from({ length }, (_, k) => from + k);
    find("table").innerHTML = `<thead><tr><th scope="col">element</th>${columns.map((i) => `<th scope="col">${i}</th>`).join("")}</tr></thead>
      ${Object.keys(steps).map((step) => barRows(step, steps[step], columns, step in rows) + (after[step] ? panel(columns, after[step]) : "")).join("")}
      ${compared ? torchRows(columns) : ""}`;
    for (const step in steps) nodes[step] = barNodes(find(`[data-step="${step}"]`));
    readouts = readoutsOf(root);
    lit = null;
  }

  /** Light one element's column through all steps. */
  function highlight(i) {
    if (lit === i) return;
    lit = i;
    for (const step in nodes) setAttribute(nodes[step].column, "x", i - columns[0]);
    for (const cell of root.querySelectorAll("td[data-index]")) cell.classList.toggle("ln-on", +cell.dataset.index === i);
  }

  function draw(state) {
    layOut(state);
    const selected = clamp(state.selected, columns[0], columns.at(-1));
    highlight(selected);
    const pytorch = answerTo(state);
    const picture = show(state, pytorch);
    scales = {};
    for (const name in picture.scales) scales[name] = scaleFor(picture.scales[name], state.held?.[name]);
    const scaleOf = (step) => {
      const { on = step, from = 0 } = picture.bars[step];
      return { ...scales[on], lo: scales[on].lo - from, hi: scales[on].hi - from };
    };

    const widths = Object.keys(steps).flatMap((step) => [scales[picture.bars[step].on ?? step]])
      .flatMap(({ lo, hi, digits }) => [fixed(lo, digits).length, fixed(hi, digits).length]);
    setAttribute(find("table"), "style", `--n: ${columns.length}; --chars: ${Math.max(5.2, ...widths)}`);
    for (const step in steps) drawBars(nodes[step], readouts[step], columns, picture.bars[step].values, scaleOf(step), picture.bars[step]);
    for (const quantity in picture.facts) {
      const [value, text] = [picture.facts[quantity]].flat();
      if (readouts[quantity]) setReadout(readouts[quantity][0], value, text ?? short(value));
    }
    if (picture.knees) drawEpsilon(find, state.eps, picture.knees);
    if (compared) drawAnswer(picture, pytorch, scaleOf(picture.quote.step).digits);
    drawOverview(state.x);
    setText(find(".ln-story"), presets[state.preset]?.story ?? hint);
    setText(find(".ln-trace"), `Element ${selected}: ${picture.trace(selected)}`);
    paint(lab, picture, state, scales);
    lab.speak(picture.news);
  }

  /** PyTorch's number for each element, how far off the furthest is, or that there is none. */
  function drawAnswer({ bars, quote: { step, unit, who, apart } }, pytorch, digits) {
    const off = pytorch && bars[step].values.map((v, i) => Math.abs(v - pytorch[i]) / unit);
    columns.forEach((i, k) => {
      setReadout(readouts.torch[k], pytorch ? pytorch[i] : "", pytorch ? fixed(pytorch[i], digits) : "·");
      setReadout(readouts.ulps[k], pytorch ? off[i] : "", pytorch ? String(+off[i].toFixed(1)) : "·");
    });
    const most = pytorch && largest(off);
    setAttribute(find(".ln-says"), "data-ulps", most ?? "");
    lab.sayAnswer(pytorch && `${lab.live ? `${who} says` : `While this page was built, ${who} said`}: ${
      most ? `${apart(short(most, 2))} (${short(most * unit, 2)})` : "the same bits"}.`);
  }

  /** The whole of a long row, and where the window stands. */
  function drawOverview(x) {
    const overview = find(".ln-overview");
    if (overview.toggleAttribute("hidden", columns.length === x.length)) return;
    const { lo, hi } = scaleFor(x);
    const height = (v) => ((100 * (hi - v)) / (hi - lo)).toFixed(1);
    const zero = height(clamp(0, lo, hi));
    let d = "";
    for (let i = 0; i < x.length; i++) d += `M${i} ${zero}V${height(x[i])}h.8V${zero}z`;
    setAttribute(find(".ln-overview svg"), "viewBox", `0 0 ${x.length} 100`);
    setAttribute(find(".ln-overview .ln-bars"), "d", d);
    setAttribute(find(".ln-overview .ln-column"), "x", columns[0]);
    setAttribute(find(".ln-overview .ln-column"), "width", columns.length);
    Object.assign(find("[name=window]"), { max: x.length - columns.length, value: columns[0] });
    setText(find(".ln-overview span"), `elements ${columns[0]} to ${columns.at(-1)} of ${x.length}`);
  }

  // --- what the reader does ---

  /** The state that a control asks for. */
  function patchFor(input, state) {
    const { name, value, dataset } = input;
    if (name === "eps") return { eps: atStop(value) };
    if (name === "window") return { first: +value };
    if (name in rows) return { [name]: state[name].with(+dataset.index, clamp(+value, ...NUMBER)) };
    return onInput(input, state);
  }

  const bound = Object.fromEntries(Object.keys(actions).map((name) => [name, () => actions[name](lab)]));
  return lab.run({
    draw,
    onInput: (input) => lab.change({ ...patchFor(input, lab.state), held: scales }),
    onRelease: () => lab.change({ held: null }),
    onHover: (part) => part && +part.dataset.index !== lab.state.selected && lab.change({ selected: +part.dataset.index }),
    actions: { preset: ({ dataset: { preset } }) => lab.load({ ...fromPreset(presets[preset]), preset }), ...bound },
    python,
  });
}

