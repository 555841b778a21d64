import { arraysOf, inCopies, keyOf, NAMES, neededAfter, run, ticksOf, trafficSays } from "./levels.js";
import { short } from "./shared/numbers.js";
import { more, readout, readoutsOf, setAttribute, setReadout, setSlider, setText, srOnly } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import { dial, legend } from "./shared/parts.js";
import "./kernel.css";

/**
 * The kernel lab: rows on their way between memory, cache and registers, and how many bytes that is.
 *
 * @typedef {object} State
 * @property {string} way, direction
 * @property {number} kernels   of a fused backward
 * @property {boolean} allocate whether a row is fetched before it is written
 * @property {number} rows, n, cache, block
 * @property {number} done      how much has run, from 0 to 1
 */

const WAYS = { plain: "plain", "in place": "in place", "in blocks": "in blocks", fused: "fused" };
const MACHINE = { rows: [4, 16, "rows"], n: [64, 4096, "numbers in a row, n"], cache: [2, 80, "rows that the cache holds"], block: [1, 16, "rows in a block"] };
const KINDS = Object.keys(NAMES);
const MOST = { arrays: 5, marks: 17 };
// Of the picture, in its own units: a column for each row; how high the levels and what is between are.
const COLUMN = 100;
const HIGH = { registers: 22, lane: 30, cache: 60, memory: 110 };
const TOP = { registers: 0, cache: HIGH.registers + HIGH.lane };
TOP.memory = TOP.cache + HIGH.cache + HIGH.lane;
const TALL = TOP.memory + HIGH.memory;

const dialOf = (name, title, step, ticks) => {
  const [min, max, words] = MACHINE[name];
  return dial(name, title, `${readout(name)}${name === "cache" ? " rows" : ""}`, { min, max, step }, ticks.map((tick) => [tick, String(tick)]), { words });
};

const body = `
  <div class="lk-switches">${choice("way", "How the layer is computed", WAYS)}
    ${choice("direction", "Direction", { forward: "forward", backward: "backward" })}</div>
  <p class="lk-says" data-quantity="sentence"></p>
  <div class="lk-machine">
    <div class="lk-names"><b>registers</b><span></span><span><b>cache</b><br>${readout("held")}</span>
      <span class="lk-most">${readout("copies")}<br>reads, writes</span><div><b>memory</b><p>${"<i></i>".repeat(MOST.arrays)}</p></div></div>
    <svg class="lk-levels" preserveAspectRatio="none" aria-hidden="true"><path class="lk-ground"/><path class="lk-column"/>
      ${KINDS.map((kind) => `<g class="lk-${kind}"><path class="lk-tiles"/><path class="lk-lines"/><path class="lk-heads"/></g>`).join("")}</svg>
  </div>
  <div class="lk-time" data-main>
    <svg class="lk-trace" preserveAspectRatio="none" aria-hidden="true"><path class="lk-ahead"/><path class="lk-past"/></svg>
    <label>${srOnly("How much has run")}<input type="range" name="done" min="0"></label>
    <svg class="lk-marks" aria-hidden="true">${`<text y="10"></text>`.repeat(MOST.marks)}</svg>
  </div>
  <div class="lk-ledger" data-answer>${Object.keys(WAYS).map((way) => `<div data-way="${way}"><b>${way}</b>
    <svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true"><path class="lk-past"/></svg>
    <output data-quantity="total"></output></div>`).join("")}</div>
  ${legend([["bar", "", "to or from memory; above the track, step by step (the last step empties the cache)"]])}
  ${more(`<p class="ln-facts"><span>from memory ${readout("read")}</span> <span>to memory ${readout("written")}</span> <span>together ${readout("bytes")} bytes, ${readout("each")} for each number</span> <span>between cache and registers ${readout("through")}</span></p>
    <div class="ln-dials lk-dials">${dialOf("rows", "rows", 1, [4, 8, 12, 16])}${dialOf("n", "n", 64, [64, 1024, 2048, 4096])}${dialOf("cache", "cache holds", 1, [2, 20, 40, 60, 80])}${dialOf("block", "rows in a block", 1, [1, 4, 8, 12, 16])}</div>
    <p class="lk-check"><label><input type="checkbox" name="allocate"> A row that is written is fetched first, if the cache does not hold it</label></p>
    <p class="lk-check"><label><input type="checkbox" name="kernels"> A fused backward is one kernel, like PyTorch’s for a CPU; for a GPU it has two</label></p>
    <p class="lk-way">The machine is small, and so are its arrays: what counts is how many of their rows fit. Pale rows, and an array called “free”, hold what no later step needs. One copy reads all rows and writes as many. When room is needed, the row
      that was used longest ago leaves the cache. The count ends when the result is in memory. γ, β and the two statistics of a row are left out: less than 0.3% of an array of 8,192 rows of 768.
      Backward begins with x, grad_y and the statistics. Plain and in place compute the three terms of grad_x, one operation after the other. Autograd does not know those terms:
      it goes back through each operation of the plain formula, which takes ${readout("autograd")}.</p>`)}`;

const toPython = ({ way, direction, kernels, allocate, rows, n, cache, block }) => `import torch
from layernorm_book.widgets.traffic import traffic

x = torch.zeros(${rows}, ${n})
moved = traffic(
    "${way}",
    "${direction}",
    rows=${rows},
    cache=${cache},
    block=${block},
    kernels=${kernels},
    allocate=${allocate ? "True" : "False"},
)
copies = (moved.read + moved.written) / (2 * ${rows})
print(copies, "copies,", copies * 2 * x.nbytes, "bytes")
`;

function render(props) {
  const programs = props.model.get("programs");
  const autograd = props.model.get("autograd");
  const lab = createLab(props, {
    kind: "ln-kernel",
    label: "The bytes that a layer moves",
    body,
    keys: ["way", "direction", "kernels", "allocate", "rows", "n", "cache", "block", "done"],
    fields: { ...Object.fromEntries(Object.entries(MACHINE).map(([name, [least, most, words]]) => [name, [words, least, most]])), done: ["how much has run", 0, 1], kernels: ["kernels", 1, 2] },
    fits: ({ way, direction, kernels, rows, n, cache, block }) => way in WAYS && ["forward", "backward"].includes(direction)
      && [kernels, rows, n, cache, block].every(Number.isInteger),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const names = [...root.querySelectorAll(".lk-names i")];
  const ledger = [...root.querySelectorAll("[data-way]")];
  const marks = [...root.querySelectorAll(".lk-marks text")];
  const write = (quantity, value, text, i = 0) => setReadout(readouts[quantity][i], value, text);

  const programOf = (way, { direction, kernels }) => programs[`${direction} ${way}${way === "fused" && direction === "backward" && kernels === 1 ? ", one kernel" : ""}`];

  /** A state's levels: a path of tiles and lines for each kind of content. */
  function drawLevels(program, now, at, ticks, { rows }) {
    const arrays = arraysOf(program);
    const paths = Object.fromEntries(KINDS.map((kind) => [kind, { tiles: "", lines: "", heads: "" }]));
    const strip = (level, array) => [TOP[level] + (HIGH[level] * arrays.indexOf(array)) / arrays.length, HIGH[level] / arrays.length];
    const needed = neededAfter(program, ticks, at, rows);
    const hue = ({ array, row, kind }) => (kind && needed.has(keyOf(array, row)) ? kind : "unused");
    const inUse = new Set([...now.memory.values(), ...now.cache.values()].filter((move) => hue(move) !== "unused").map(({ array }) => array));
    const tile = (level) => (move) => {
      const [top, high] = strip(level, move.array);
      paths[hue(move)].tiles += `M${move.row * COLUMN + 6} ${top + 1.5}h${COLUMN - 12}v${high - 3}h${12 - COLUMN}z`;
    };
    now.memory.forEach(tile("memory"));
    now.cache.forEach(tile("cache"));
    const across = ({ array, row }) => (row + (arrays.indexOf(array) + 0.5) / arrays.length) * COLUMN;
    const arrow = (move, from, to) => {
      const path = paths[move.kind || "unused"];
      path.lines += `M${across(move)} ${from}V${to}`;
      path.heads += `M${across(move)} ${to}h0`;
    };
    const [low, high] = [TOP.cache - 3, HIGH.registers + 3];
    const { loads, stores, fetched, evicted } = now.last;
    for (const move of loads) arrow(move, low, high);
    for (const move of stores) arrow(move, high, low);
    for (const move of fetched) arrow(move, TOP.memory - 3, TOP.cache + HIGH.cache + 3);
    for (const move of evicted) arrow(move, TOP.cache + HIGH.cache + 3, TOP.memory - 3);
    for (const move of [...loads, ...stores]) {
      const wide = COLUMN / arrays.length;
      paths[move.kind].tiles += `M${across(move) - wide / 2 + 3} 2h${wide - 6}v${HIGH.registers - 4}h${6 - wide}z`;
    }
    for (const kind of KINDS) for (const part in paths[kind]) setAttribute(find(`.lk-levels .lk-${kind} .lk-${part}`), "d", paths[kind][part]);

    setAttribute(find(".lk-levels"), "viewBox", `0 0 ${rows * COLUMN} ${TALL}`);
    let ground = `M0 0h${rows * COLUMN}v${HIGH.registers}h${-rows * COLUMN}zM0 ${TOP.cache}h${rows * COLUMN}v${HIGH.cache}h${-rows * COLUMN}z`;
    arrays.forEach((array) => {
      const [top, high] = strip("memory", array);
      const long = program.groups.some(({ local }) => local === array) ? Math.min(lab.state.block, rows) : rows;
      ground += `M0 ${top + 0.5}h${long * COLUMN}v${high - 1}h${-long * COLUMN}z`;
    });
    setAttribute(find(".lk-ground"), "d", ground);
    const row = ticks[at - 1]?.row;
    setAttribute(find(".lk-column"), "d", at && row !== undefined ? `M${row * COLUMN} 0h${COLUMN}v${TALL}h${-COLUMN}z` : "");

    // What each array holds: what was written to it last.
    const holds = { ...program.arrays };
    for (const { loop } of ticks.slice(0, at)) if (loop.writes) holds[loop.writes] = loop.kind;
    names.forEach((node, k) => {
      const kind = holds[arrays[k]] && !inUse.has(arrays[k]) ? "unused" : holds[arrays[k]];
      setText(node, kind ? NAMES[kind] : "");
      setAttribute(node, "class", kind ? `lk-${kind}` : "");
      node.toggleAttribute("hidden", k >= arrays.length);
    });
  }

  /** How much goes to and from memory at each tick, and which part of the work it is. */
  function drawTime(each, ticks, at) {
    const most = Math.max(4, ...each.slice(0, -1));
    const bars = (from, to) => each.slice(from, to).map((count, k) => `M${from + k + 0.1} 20v${-20 * Math.min(count / most, 1)}h.8V20z`).join("");
    setAttribute(find(".lk-trace"), "viewBox", `0 0 ${each.length} 20`);
    setAttribute(find(".lk-trace .lk-past"), "d", bars(0, at));
    setAttribute(find(".lk-trace .lk-ahead"), "d", bars(at));
    const parts = [];
    ticks.forEach(({ loop, over, start, size }, k) => {
      const text = over === "array" ? loop.mark : size > 1 ? `${start + 1}–${Math.min(start + size, lab.state.rows)}` : String(start + 1);
      const key = over === "array" ? loop : start;
      if (parts.at(-1)?.key !== key) parts.push({ key, text, from: k });
    });
    marks.forEach((node, k) => {
      const part = parts[k];
      setText(node, part ? part.text : "");
      setAttribute(node, "x", part ? `${+((50 * (part.from + (parts[k + 1]?.from ?? ticks.length))) / each.length).toFixed(2)}%` : 0);
    });
  }

  /** @param {State} state */
  function draw(state) {
    const { way, direction, rows, n } = state;
    const all = Object.fromEntries(Object.keys(WAYS).map((name) => {
      const program = programOf(name, state);
      const ticks = ticksOf(program, state);
      return [name, { program, ticks, end: run(program, ticks, state) }];
    }));
    const { program, ticks, end } = all[way];
    const at = Math.round(state.done * (ticks.length + 1));
    const now = run(program, ticks, state, at);
    const copies = ({ read, written }) => (read + written) / (2 * rows);

    for (const name of ["way", "direction"]) find(`[name=${name}][value="${state[name]}"]`).checked = true;
    find("[name=allocate]").checked = state.allocate;
    find("[name=kernels]").checked = state.kernels === 1;
    for (const name in MACHINE) {
      setSlider(find(`[name=${name}]`), state[name], String(state[name]));
      write(name, state[name], String(state[name]));
    }
    setAttribute(find("[name=done]"), "max", ticks.length + 1);
    const said = trafficSays(state, program, ticks, at, now, copies(end));
    setSlider(find("[name=done]"), at, said);

    drawLevels(program, now, at, ticks, state);
    drawTime(end.each, ticks, at);
    // The ways race: each has done the same share of its own work. Those after the chosen one are not told yet.
    // A scale on which a cache that holds everything is seen to save.
    const through = ({ loaded, stored }) => (loaded + stored) / (2 * rows);
    const most = Math.max(through(all.plain.end), ...Object.values(all).map(({ end }) => copies(end)));
    const ways = Object.keys(WAYS);
    ways.forEach((name, k) => {
      const row = ledger[k];
      const { program, ticks } = all[name];
      const own = name === way ? now : run(program, ticks, state, Math.round(state.done * (ticks.length + 1)));
      row.classList.toggle("lk-now", name === way);
      const open = k <= ways.indexOf(way);
      setAttribute(row.querySelector(".lk-past"), "d", open ? `M0 3h${((100 * copies(own)) / most).toFixed(2)}v10H0z` : "");
      write("total", copies(own), open ? inCopies(copies(own)) : "?", k);
    });
    setAttribute(readouts.sentence[0], "data-value", at);
    setText(readouts.sentence[0], said);
    const moved = copies(now);
    write("copies", moved, inCopies(moved));
    write("through", through(now), inCopies(through(now)));
    write("held", now.cache.size, `${now.cache.size} of ${state.cache} rows`);
    write("read", now.read, `${now.read} rows`);
    write("written", now.written, `${now.written} rows`);
    write("bytes", moved * 8 * rows * n, (moved * 8 * rows * n).toLocaleString("en"));
    write("each", moved * 8, short(moved * 8));
    write("autograd", autograd, inCopies(autograd));
    lab.speak(`${way}, ${direction}. ${said}`);
  }

  function onInput({ name, value, checked, max }) {
    if (name === "way" || name === "direction") lab.change({ [name]: value });
    else if (name === "allocate") lab.change({ allocate: checked });
    else if (name === "kernels") lab.change({ kernels: checked ? 1 : 2 });
    else lab.change({ [name]: name === "done" ? value / max : +value });
  }
  return lab.run({ draw, onInput, actions: {}, python: toPython });
}

export default { render };
