import { clamp, fixed, short } from "./numbers.js";
import { more, readoutsOf, setAttribute, setReadout, setText, srOnly } from "./page.js";
import { createLab, presetButtons } from "./form.js";
import { barNodes, barRows, cells, drawBars, each, largest, LARGEST, panel, scaleFor, torchRows } from "./bars.js";
import { atStop, drawEpsilon, EPS } from "./eps.js";

/**
 * A lab of rows: a table with a step of the computation on each line, some under handles, and behind
 * "More" the other steps and PyTorch's answer. `show` turns a state into a picture; `draw` paints it.
 * One row, or two side by side: then x holds both, one after the other, and its partners hold one.
 *
 * @typedef {object} Bars       one step of a picture
 * @property {ArrayLike<number>} values
 * @property {string} [on]      the scale that it stands on, if not its own
 * @property {number} [from]    that scale counted from here
 * @property {[number, number][]} [band]  for each row
 * @property {number[][]} [guide]         for each row
 *
 * @typedef {object} Picture    what a state looks like
 * @property {Record<string, ArrayLike<number>>} scales   by name: the numbers that it must hold
 * @property {Record<string, Bars>} bars                  by step
 * @property {Record<string, number | [number, string]>} facts  by quantity: its value, and how it reads
 * @property {Record<string, number>} [knees]             by placement: the ε that begins to count
 * @property {{ step: string, unit: number, title: string, says: (most: number, live: boolean) => string }} [quote]
 *   the step that PyTorch is asked for, one unit in the last place of what its error is counted in,
 *   who answers, and the comparison in words, where the furthest element is `most` units off
 * @property {string} [story]                             what is to be said of it; else the story of the preset with this x
 * @property {string} news                                what a screen reader is told
 */

const MOST_COLUMNS = 20; // a longer row shows a window of WINDOW elements
const WINDOW = 8;
const NUMBER = [-LARGEST, LARGEST];

/** Of two rows what the table shows is much: it comes first, and what changes it all at once below. */
const skeleton = (presets, hint, two, { title, controls, below, behind, compared }) => {
  const top = `<div class="ln-presets" role="group" aria-label="${title}"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  <p class="ln-story">${hint}</p>
  ${controls}`;
  return `${two ? "" : top}
  <div class="ln-window" hidden>
    <label><span></span><input type="range" name="window" min="0"></label>
  </div>
  <div class="ln-scroll"><table class="ln-main"></table></div>
  ${two ? top : below}
  ${more(`${behind}<div class="ln-scroll" tabindex="0"><table class="ln-behind"></table></div>
    ${compared ? `<p class="ln-says"></p>` : ""}`)}`;
};

/**
 * @param {object} props  what the host hands to `render`
 * @param {object} own
 * @param {string} [own.kind]  its class
 * @param {string} own.label   its name, for assistive technology
 * @param {string} own.title   what the presets are
 * @param {string[]} own.rows  the steps that have handles; x is the first
 * @param {string[]} own.choices              the traits that are its state besides rows and ε
 * @param {Record<string, string>} own.steps  name and symbol of each step, in their order
 * @param {Record<string, string>} own.after  the panel below a step
 * @param {string[]} own.hidden             the steps that stand behind "More"
 * @param {string} own.controls               HTML above the table
 * @param {string} own.below                  HTML below the table
 * @param {string} own.behind                 HTML behind "More"
 * @param {boolean} own.compared            whether PyTorch's answer is told: then pictures have a `quote`
 * @param {(state: object) => string} own.recordedAs    the name under which a record holds the state's answer
 * @param {(state: object) => boolean} own.fits  
 * @param {(state: object, pytorch?: number[]) => Picture} own.show
 * @param {(lab: object, picture: Picture, state: object, scales: Record<string, Scale>) => void} own.paint  paints what this lab alone has
 * @param {Record<string, (button: HTMLElement, lab: object) => void>} [own.actions]  by the buttons' data-do
 * @param {(input: HTMLInputElement, state: object) => object} own.onInput    what a control of its own changes
 * @param {(state: object) => string} own.python
 */
export function rowsLab(props, own) {
  const { rows, steps, after, hidden, compared } = own;
  const [presets, hint, count] = ["presets", "hint", "rows"].map((name) => props.model.get(name));
  const states = presets.map(({ label, story, ...state }) => state);
  const lengthOf = (state) => state.x.length / count; // of one row
  const lab = createLab(props, {
    ...own,
    body: skeleton(presets, hint, count > 1, own),
    keys: [...rows, "eps", ...own.choices],
    fields: { ...Object.fromEntries(rows.map((name) => [name, [steps[name], ...NUMBER]])), eps: EPS },
    fits: (state) => rows.every((name) => name === "x" || state[name].length === lengthOf(state)) && own.fits(state),
    // The first column; and while something is dragged, the scales as they were and what it started from.
    local: { first: 0, held: null, base: null },
  });
  const { root, find } = lab;

  let columns = []; // the elements that stand in the table
  let nodes = {}; // by step: the nodes that drawing writes to
  let readouts = {};
  let scales = {}; // as they were drawn last, for a drag to hold

  const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);
  const isFor = (state) => (record) => record.eps.includes(state.eps) && rows.every((name) => same(record[name], state[name]));

  /** The numbers that PyTorch gave for this state, if it was asked. */
  function answerTo(state) {
    const answer = lab.answer(isFor(state));
    return answer && (answer.values ?? answer[own.recordedAs(state)]?.[answer.eps.indexOf(state.eps)]);
  }

  // --- drawing ---

  /** Lay the tables out anew, where they show other elements. */
  function layOut(state) {
    const { x, first } = state;
    const n = lengthOf(state);
    const length = n > MOST_COLUMNS ? WINDOW : n;
    const from = clamp(first, 0, n - length);
    const wanted = Array.from({ length }, (_, k) => from + k);
    if (count > 1) wanted.push(null, ...wanted.map((i) => i + n));
    if (same(columns, wanted)) return;
    columns = wanted;
    const head = `<thead><tr><th scope="col">${srOnly("element")}</th>${cells(columns, (i) => `<th scope="col">${i % n}</th>`)}</tr></thead>`;
    const body = (step) => barRows(step, steps[step], columns, rows.includes(step), step !== "x" && rows.includes(step) ? n : undefined)
      + (after[step] ? panel(columns, after[step]) : "");
    const inTable = (names) => head + names.map(body).join("");
    find(".ln-main").innerHTML = inTable(Object.keys(steps).filter((step) => !hidden.includes(step)));
    find(".ln-behind").innerHTML = inTable(hidden) + (compared ? torchRows(columns) : "");
    for (const step in steps) nodes[step] = barNodes(find(`[data-step="${step}"]`));
    readouts = readoutsOf(root);
  }

  function draw(state) {
    layOut(state);
    const pytorch = answerTo(state);
    const picture = own.show(state, pytorch);
    scales = {};
    // Where x̂ shows the pattern, x shows how far from zero the row is.
    for (const name in picture.scales) scales[name] = scaleFor(picture.scales[name], state.held?.[name], name === "x" && steps.x_hat);
    const scaleOf = (step) => {
      const { on = step, from = 0 } = picture.bars[step];
      return { ...scales[on], lo: scales[on].lo - from, hi: scales[on].hi - from };
    };

    const widths = Object.keys(steps).flatMap((step) => {
      const { lo, hi, digits } = scales[picture.bars[step].on ?? step];
      return [lo, hi].map((v) => fixed(v, digits).length);
    });
    // A width of its own, and no variable: that would be inherited, and cost all that stands below.
    const em = (columns.length * Math.max(5.2, ...widths) * 0.62).toFixed(1);
    for (const table of [find(".ln-main"), find(".ln-behind")]) setAttribute(table, "style", `min-width:calc(${em} * var(--small) + var(--head))`);
    for (const step in steps) drawBars(nodes[step], columns, picture.bars[step].values, scaleOf(step), picture.bars[step]);
    for (const quantity in picture.facts) {
      // One for each row, each a value or a value and how it reads.
      picture.facts[quantity].forEach((fact, r) => {
        const [value, text] = [fact].flat();
        if (readouts[quantity]?.[r]) setReadout(readouts[quantity][r], value, text ?? short(value));
      });
    }
    if (picture.knees) drawEpsilon(find, state.eps, picture.knees);
    if (compared) drawAnswer(picture, pytorch, scaleOf(picture.quote.step).digits);
    drawWindow(state.x);
    setText(find(".ln-story"), picture.story ?? presets.find(({ x }) => same(x, state.x))?.story ?? hint);
    own.paint(lab, picture, state, scales);
    lab.speak(picture.news);
  }

  /** PyTorch's number for each element, how far off the furthest is, or that there is none. */
  function drawAnswer({ bars, quote: { step, unit, title, says } }, pytorch, digits) {
    const off = pytorch && bars[step].values.map((v, i) => Math.abs(v - pytorch[i]) / unit);
    find(".ln-torch").toggleAttribute("hidden", !pytorch && !lab.live);
    setText(find(".ln-torch th"), title);
    each(columns).forEach((i, k) => {
      setReadout(readouts.torch[k], pytorch ? pytorch[i] : "", pytorch ? fixed(pytorch[i], digits) : "·");
      setReadout(readouts.ulps[k], pytorch ? off[i] : "", pytorch ? String(+off[i].toFixed(1)) : "·");
    });
    const most = pytorch && largest(off);
    setAttribute(find(".ln-says"), "data-ulps", most ?? "");
    lab.sayAnswer(pytorch && says(most, lab.live));
  }

  /** Which part of a long row is shown. */
  function drawWindow({ length }) {
    if (find(".ln-window").toggleAttribute("hidden", count > 1 || columns.length === length)) return;
    Object.assign(find("[name=window]"), { max: length - columns.length, value: columns[0] });
    setText(find(".ln-window span"), `elements ${columns[0]} to ${columns.at(-1)} of ${length}`);
  }

  // --- what the reader does ---

  /** The state that a control asks for. */
  function patchFor(input, state) {
    const { name, value, dataset } = input;
    if (name === "eps") return { eps: atStop(value) };
    if (name === "window") return { first: +value };
    if (rows.includes(name)) return { [name]: state[name].with(+dataset.index, clamp(+value, ...NUMBER)) };
    return own.onInput(input, state);
  }

  return lab.run({
    ...own,
    draw,
    onInput: (input) => lab.change({ base: null, ...patchFor(input, lab.state), held: scales }),
    onRelease: () => lab.change({ held: null, base: null }),
    actions: { preset: ({ dataset: { preset } }) => lab.load(states[preset]), ...own.actions },
  });
}

