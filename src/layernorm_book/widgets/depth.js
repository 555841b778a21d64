import { alive, MOST, rms, run, WIDTH } from "./stack.js";
import { clamp, powerOfTen, short } from "./shared/numbers.js";
import { field, more, readout, readoutsOf, setAttribute, setReadout, setSlider, setText } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import { across, dial } from "./shared/parts.js";
import "./depth.css";

/**
 * The depth lab: without normalization one scale of the weights survives depth; with it, every one.
 *
 * @typedef {object} State
 * @property {number} scale  what all weights are multiplied by
 * @property {number} depth  blocks
 * @property {"none" | "layernorm" | "post" | "pre" | "peri"} norm  the last three where each block has a skip
 * @property {number} seed   which weights
 */

const SEEDS = 8;
const SCALE = { min: -3, max: 3, step: 0.0625 }; // the slider's exponent of 2
const DEPTH = { min: 1, max: MOST, step: 1 };
const fields = { scale: ["the weights’ scale", 0.125, 8], depth: ["the number of blocks", 1, MOST], seed: ["the draw", 0, SEEDS - 1] };

// --- words ----------------------------------------------------------------------------------------

/** A size in words: 3.4, 600, 2 × 10²⁸. */
export function inWords(size) {
  if (Number.isNaN(size)) return "not a number";
  if (size === Infinity) return "∞";
  if (size === 0 || (size >= 0.01 && size < 9999.5)) return short(size, 2);
  const [digits, power] = size.toExponential(0).split("e");
  return `${digits} × ${powerOfTen(+power)}`;
}

const blocks = (n) => (n === 1 ? "one block" : `${n} blocks`);

/**
 * What has become of the row, in a sentence or two.
 * @param {number[]} sizes  of the row before the first block and after each
 * @param {number} back     the size of the gradient that comes back to block 1
 */
export function sentence({ norm, depth }, sizes, back) {
  const last = sizes.at(-1);
  const gradient = `The gradient at block 1 has size ${inWords(back)}.`;
  if (norm === "post") return `Post-LN sets the row back to size ${inWords(last)} after every block. ${gradient}`;
  if (norm === "pre") return `Pre-LN lets the row add up, to size ${inWords(last)} after ${blocks(depth)}. ${gradient}`;
  if (norm === "peri") return `Peri-LN adds a row of one size in every block: ${inWords(last)} after ${blocks(depth)}, at any weights. ${gradient}`;
  if (norm === "layernorm") return `With LayerNorm the row has size ${inWords(last)} after ${blocks(depth)}. Drag the weights: it ends about as large as the scale you set.`;
  const gone = sizes.findIndex((size) => !(size < Infinity));
  if (gone > 0) return `Block ${gone} gives numbers beyond the largest of float32, 3 × 10³⁸. What comes after is not a number.`;
  const zero = sizes.findIndex((size) => size === 0);
  if (zero > 0) return `After block ${zero} the row is exactly 0, and nothing brings it back.`;
  if (depth === 1) return `After one block the row has size ${inWords(last)}. Add blocks.`;
  if (last >= 0.1 && last <= 10) return `Here it works without LayerNorm: size ${inWords(last)} after ${blocks(depth)}. Move the weights a little.`;
  const far = last < 0.1 ? "faded" : "grown";
  return `Without LayerNorm the row has ${far} to size ${inWords(last)} after ${blocks(depth)}. ${gradient}`;
}

// --- the picture ----------------------------------------------------------------------------------

const [LEFT, RIGHT, TOP, BOTTOM] = [60, 636, 14, 142]; // of the plot, in its own units
// Powers of ten: below lies 0, above ∞ and NaN. With a skip all but "none" is near 1.
const AXES = [{ least: -46, most: 40, ticks: [20, 0, -20] }, { least: -2.6, most: 7.2, ticks: [6, 4, 2, 0, -2] }];
const upOn = ({ least, most }) => (size) => {
  const power = size > 0 ? Math.min(Math.log10(size), 99) : size === 0 ? least : most; // NaN is above, too
  return +(BOTTOM - ((BOTTOM - TOP) * ((size < Infinity ? power : most) - least)) / (most - least)).toFixed(1);
};
const column = (block, depth) => +(LEFT + ((RIGHT - LEFT) * (block + 0.5)) / (depth + 1)).toFixed(1);

/** A line through the sizes that are numbers, and a ring for each that is 0, ∞ or NaN. */
function curve(sizes, from, depth, up) {
  let [d, rings, pen] = ["", "", "M"];
  sizes.forEach((size, k) => {
    const [x, y] = [column(from + k, depth), up(size)];
    if (size > 0 && size < Infinity) { d += `${pen}${x} ${y}`; pen = "L"; }
    else { rings += `M${x - 3} ${y}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`; pen = "M"; }
  });
  return [d, rings];
}

const plot = ({ ticks }, up, skip) => `<svg class="ld-plot" viewBox="0 0 640 160" aria-hidden="true">
  ${ticks.map((p) => `<path class="ld-grid" d="M${LEFT} ${up(10 ** p)}H${RIGHT}"/><text class="ld-end" x="${LEFT - 6}" y="${up(10 ** p) + 4}">${powerOfTen(p)}</text>`).join("")}
  ${skip ? "" : `<text class="ld-end" x="${LEFT - 6}" y="${TOP + 3}">∞</text><text class="ld-end" x="${LEFT - 6}" y="${BOTTOM + 4}">0</text>`}
  <path class="ld-sizes"/><path class="ld-grads"/><path class="ld-grads ld-rings"/>
  <text class="ld-name-sizes">size of the row</text><text class="ld-name-grads">gradient that comes back</text></svg>`;

const NAMES = { none: "without LayerNorm", layernorm: "with LayerNorm" };
const SHORT = { none: "none", post: "post", pre: "pre", peri: "peri" };
const WAYS = ["x → W·relu(x), where relu replaces what is negative by 0; with the layer, x → W·relu(LayerNorm(x))",
  "x → x + f(x) with f(x) = W·relu(x), where relu replaces what is negative by 0. With N for LayerNorm, post is N(x + f(x)), pre is x + f(N(x)) and peri is x + N(f(N(x)))"];

const body = (presets, choices, skip) => `
  <p class="ld-says" data-answer data-quantity="sentence"></p>
  <div class="ld-controls" data-main>
    ${choice("norm", skip ? "Where LayerNorm stands" : "What stands before each block", choices)}
    ${dial("scale", "weights ×", `<span class="ln-value" data-quantity="scale">${field("scale", "Scale of the weights as a number")}</span>`, SCALE,
    [[-3, "⅛"], [-2, "¼"], [-1, "½"], [0, "1"], [1, "2"], [2, "4"], [3, "8"]], { words: "Scale of the weights", extra: `<rect class="ld-alive" y="4" height="6" rx="2"/><text class="ld-alive-name" y="11" dx="6">survives</text>` })}
    ${dial("depth", "blocks", readout("depth"), DEPTH, [[1, "1"], [24, "24"], [48, "48"]], { words: "Number of blocks" })}
  </div>
  <div class="ld-map"><canvas height="${WIDTH}" role="img"></canvas></div>
  <p class="ld-key"><span>The row first, then after each block</span>
    <label><input type="checkbox" name="own">divided by its size</label>
    <span><i class="ld-minus"></i>≤ −<span class="ld-span"></span> <i class="ld-zero"></i>0 <i class="ld-plus"></i>≥ <span class="ld-span"></span> <i class="ld-none"></i>∞ or NaN</span></p>
  ${plot(AXES[+skip], upOn(AXES[+skip]), skip)}
  <div class="ln-presets" role="group" aria-label="Weights to try"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  ${more(`<p class="ln-facts"><span>last row ${readout("size")}</span> <span>gradient at block 1 ${readout("grad")}</span>
      <span${skip ? " hidden" : ""}>alive without the layer: weights × ${readout("alive")}</span></p>
    <p class="ld-way">A block is ${WAYS[+skip]}. All of W is drawn anew in
      each block, with standard deviation √(2/32) times the scale. <button type="button" data-do="redraw">Draw other weights</button></p>
    <p class="ln-says"></p>`)}
  <output class="ln-hidden" data-quantity="sizes"></output>`;

const STEPS = { // of one block, in PyTorch
  none: ["f(row)", "row + f(row)"], layernorm: ["f(norm(row))"],
  post: ["", "norm(row + f(row))"], pre: ["", "row + f(norm(row))"], peri: ["", "row + norm(f(norm(row)))"],
};

const toPython = ({ scale, depth, norm }, skip) => `import torch
from torch.nn.functional import layer_norm

torch.manual_seed(0)  # other draws than the lab's, by the same rule
row = torch.randn(32)  # (32,)
norm = lambda x: layer_norm(x, (32,))
for block in range(${depth}):
    weight = ${scale} * (2 / 32) ** 0.5 * torch.randn(32, 32)  # (32, 32)
    f = lambda x: weight @ torch.relu(x)
    row = ${STEPS[norm][+skip]}
    print(block + 1, row.square().mean().sqrt().item())
`;

function render(props) {
  const presets = props.model.get("presets");
  const norms = props.model.get("norms");
  const skip = norms.some((norm) => !NAMES[norm]); // the places are those around a skip
  const up = upOn(AXES[+skip]);
  const choices = Object.fromEntries(norms.map((norm) => [norm, (skip ? SHORT : NAMES)[norm]]));
  const lab = createLab(props, {
    kind: "ln-depth",
    label: "A row through many blocks",
    body: body(presets, choices, skip),
    keys: ["scale", "depth", "norm", "own", "seed"],
    fields,
    fits: ({ depth, norm, seed }) => norms.includes(norm) && Number.isInteger(depth) && Number.isInteger(seed),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const canvas = find("canvas");
  const paper = canvas.getContext("2d");
  const write = (quantity, value, text) => setReadout(readouts[quantity][0], value, text);

  /**
   * Blue below 0, orange above, nothing at 0, grey where there is no number.
   * @param {number[]} spans  for each row the size that has full colour
   */
  function drawMap(rows, spans) {
    canvas.width = rows.length;
    const image = paper.createImageData(rows.length, WIDTH);
    rows.forEach((row, k) => row.forEach((v, i) => {
      const good = Math.abs(v) < Infinity;
      const rgb = !good ? [110, 118, 129] : v < 0 ? [0, 114, 178] : [213, 94, 0];
      image.data.set([...rgb, good ? 255 * Math.min(Math.abs(v) / spans[k], 1) : 255], 4 * (i * rows.length + k));
    }));
    paper.putImageData(image, 0, 0);
  }

  /** Put a name where its curve starts, on the side to which neither it nor the other curve goes. */
  function name(selector, x, anchor, start, end, other) {
    const goesUp = Math.abs(end - start) > 6 ? end < start : other <= start;
    for (const [key, value] of [["x", x], ["y", clamp(start + (goesUp ? 20 : -9), TOP + 12, BOTTOM - 2)], ["text-anchor", anchor]]) setAttribute(find(selector), key, value);
  }

  /** @param {State} state */
  function draw(state) {
    const { scale, depth, norm, seed, own } = state;
    const { rows, grads } = run({ ...state, skip });
    const sizes = rows.map(rms);
    const back = grads.slice(1).map(rms);
    const [least, most] = alive({ depth, seed });

    find(`[name=norm][value=${norm}]`).checked = true;
    find("[name=own]").checked = own;
    for (const [name, value] of [["scale", Math.log2(scale)], ["depth", depth]]) {
      setSlider(find(`[name=${name}]`), value, short(state[name], 3));
    }
    setReadout(find(".ln-value"), scale, short(scale, 3));
    const log = (v) => clamp(Math.log2(v), SCALE.min, SCALE.max);
    const band = norm === "none" && !skip ? [log(least), log(most)] : [SCALE.min, SCALE.max];
    root.classList.toggle("ld-unmarked", norm === "none" && skip);
    setAttribute(find(".ld-alive"), "x", across(band[0], SCALE.min, SCALE.max));
    // Beside a mark; inside a bar that leaves nothing beside it.
    const full = band[1] - band[0] > 5;
    setAttribute(find(".ld-alive-name"), "x", across(full ? 0 : Math.min(band[1], 0.75), SCALE.min, SCALE.max));
    for (const [part, key, value] of [["alive", "y", full ? 0 : 4], ["alive", "height", full ? 14 : 6], ["alive-name", "dx", full ? 0 : 6]]) setAttribute(find(`.ld-${part}`), key, value);
    root.classList.toggle("ld-full", full);
    setAttribute(find(".ld-alive"), "width", across(SCALE.min + band[1] - band[0], SCALE.min, SCALE.max));

    // A block makes a row of size 1 as large as its weights: so the colours span three of those.
    const span = skip ? 3 : 3 * scale;
    drawMap(rows, sizes.map((size) => (own ? 3 * size : span)));
    for (const node of root.querySelectorAll(".ld-span")) setText(node, short(own ? 3 : span, 3));
    const [backLine, backRings] = curve(back, 1, depth, up);
    setAttribute(find(".ld-sizes"), "d", curve(sizes, 0, depth, up).join(""));
    setAttribute(find(".ld-grads"), "d", backLine);
    setAttribute(find(".ld-rings"), "d", backRings);
    const [first, last, far, near] = [sizes[0], sizes.at(-1), back[0], back.at(-1)].map(up);
    name(".ld-name-sizes", LEFT + 4, "start", first, last, far);
    name(".ld-name-grads", RIGHT, "end", near, far, last);

    const said = sentence(state, sizes, back[0]);
    write("sentence", said, said);
    write("depth", depth, String(depth));
    write("size", sizes.at(-1), inWords(sizes.at(-1)));
    write("grad", back[0], inWords(back[0]));
    write("alive", `${least} ${most}`, `${short(least, 3)} to ${short(most, 3)}`);
    setAttribute(readouts.sizes[0], "data-value", sizes.join(" "));
    setAttribute(canvas, "aria-label", `The row after each of ${blocks(depth)}. ${said}`);
    root.classList.toggle("ld-tamed", norm !== "none");
    drawAnswer(state, sizes);
    lab.speak(said);
  }

  function drawAnswer({ scale, norm, seed, depth }, sizes) {
    const answer = lab.answer((record) => record.scale === scale && record.norm === norm && record.seed === seed);
    const pytorch = answer?.sizes.slice(0, depth + 1).map((size) => Number(String(size).replace("inf", "Infinity")));
    const alike = (a, b) => (Number.isNaN(a) ? Number.isNaN(b) : a === b || Math.abs(a / b - 1) < 1e-4);
    const off = pytorch && sizes.filter((size, k) => !alike(size, pytorch[k])).length;
    setAttribute(find(".ln-says"), "data-off", off ?? "");
    lab.sayAnswer(pytorch && `${lab.live ? "PyTorch’s" : "While this page was built, PyTorch’s"} sizes were ${
      off ? `others after ${blocks(off)}` : "the same after every block, to 4 digits"}.`);
  }

  const onInput = ({ name, value, checked }) => lab.change({ [name]: name === "own" ? checked : name === "norm" ? value : name === "scale" ? +(2 ** value).toPrecision(3) : +value });
  return lab.run({
    draw,
    onInput,
    actions: {
      preset: ({ dataset: { preset } }) => lab.change({ depth: MOST, scale: presets[preset].scale }),
      redraw: () => lab.change({ seed: (lab.state.seed + 1) % SEEDS }),
    },
    python: (state) => toPython(state, skip),
  });
}

export default { render };
