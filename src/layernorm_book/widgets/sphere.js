import { fixed, short } from "./shared/numbers.js";
import { field, more, readout, readoutsOf, setAttribute, setReadout, setSlider, srOnly } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { dial } from "./shared/parts.js";
import { atStop, drawEpsilon, EPS, epsilon } from "./shared/epsilon.js";
import { CIRCLE, LARGEST, project, sentence, shifted, SMALLEST_STD, stretched, through } from "./space.js";
import "./shared/handles.css";
import "./sphere.css";

/**
 * The sphere lab: a row of three numbers as a point that drops onto a plane and slides onto a circle.
 *
 * @typedef {object} State
 * @property {number[]} x
 * @property {number} eps
 * @property {number} azimuth    how far the view is turned about (1, 1, 1), in degrees
 * @property {number} elevation  of the viewer above the plane, in degrees
 */

const FLOOR = 3.3; // radius of the disc that is drawn of the plane; no x − μ lies outside
const SIZE = { width: 440, height: 350, unit: 57, x: 220, y: 178 };
const PLAN = { width: 160, height: 160, unit: 23, x: 80, y: 80 };
const STEPS = { x: "x", centred: "x − μ", x_hat: "x̂" };
const ELEMENTS = [0, 1, 2];
const TURN = 0.5; // degrees for each pixel of a drag
// As a drag goes.
const ARROWS = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, -5], ArrowDown: [0, 5] };

// --- the page -------------------------------------------------------------------------------------

const column = (i) => `<label data-index="${i}">${srOnly(`x, element ${i}`)}<input type="range" name="x" data-index="${i}" min="${-LARGEST}" max="${LARGEST}" step="0.05"><i class="ln-handle"></i></label>`;
const numbers = (name) => ELEMENTS.map((i) => `<td><span data-quantity="${name}" data-index="${i}">${
  name === "x" ? field("x", `x, element ${i}, as a number`, ` data-index="${i}"`) : ""
}</span></td>`).join("");
const SHIFT = { min: -LARGEST, max: LARGEST, step: 0.05 };
const STRETCH = { min: Math.log10(SMALLEST_STD), max: 0.275, step: 0.025 };
const angle = (name, title, most) => dial(name, title, `${readout(name)}°`, { min: -most, max: most, step: 5 },
  [-most, 0, most].map((v) => [v, `${short(v)}°`]));
const floor = `<ellipse class="ln-floor"/><path class="ln-far"/><path class="ln-circle ln-far-side"/>
  <path class="ln-shadows"/><path class="ln-circle ln-near-side"/><path class="ln-near"/>
  <path class="ln-spoke"/><path class="ln-slide"/><circle class="ln-centre" r="2.5"/>
  <circle class="ln-dot ln-centred"/><circle class="ln-dot ln-x_hat"/>`;

/** Without spaces between its parts, so that one of them can change places and leave no trace. */
const drawing = `
  <svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" aria-hidden="true">
  <g class="ln-half"><path class="ln-axes"/><path class="ln-normal"/></g>
  <g class="ln-ground">${floor}</g>
  <g class="ln-half"><path class="ln-axes"/><path class="ln-normal"/></g>
  <g class="ln-point"><path class="ln-drop"/><circle class="ln-dot ln-x"/></g>
  <g class="ln-labels">${["x₀", "x₁", "x₂", "(1, 1, 1)", "plane: sums to 0", "radius √3", "x", "x − μ", "x̂"]
  .map((text) => `<text>${text}</text>`).join("")}</g>
  </svg>`.replace(/\s*\n\s*/g, "");

const body = (presets) => `
  <div class="ln-presets" role="group" aria-label="Rows to start from"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  <p class="ln-story" data-quantity="sentence"></p>
  <div class="ln-space">
    <div class="ln-view" tabindex="0" role="application" aria-label="View of the three numbers as a point; arrow keys turn it">
      ${drawing}
      <p>drag to turn</p>
    </div>
    <div class="ln-row">
      <div class="ln-plot ln-x"><svg viewBox="0 0 3 100" preserveAspectRatio="none" aria-hidden="true"><path class="ln-bars"/><path class="ln-zero" d="M0 50H3"/></svg>${
        ELEMENTS.map(column).join("")}</div>
      <table><tbody>${Object.entries(STEPS).map(([name, symbol]) =>
        `<tr class="ln-${name}"><th scope="row">${symbol}</th>${numbers(name)}</tr>`).join("")}</tbody></table>
    </div>
    <div class="ln-plan"><svg viewBox="0 0 ${PLAN.width} ${PLAN.height}" aria-hidden="true"><g class="ln-ground">${floor}</g></svg>
      <p>straight down (1, 1, 1)<br>x̂ is ${readout("radius")} from the centre</p></div>
  </div>
  <div class="ln-dials">
    ${dial("shift", "shift", `μ = ${readout("mean")}`, SHIFT, [-LARGEST, 0, LARGEST].map((v) => [v, short(v)]), { words: "shift the row: its mean" })}
    ${dial("stretch", "stretch", `σ = ${readout("std")}`, STRETCH, [[-4, "10⁻⁴"], [-2, "0.01"], [0, "1"]], { words: "stretch the row: its standard deviation" })}
    ${epsilon(["inside"])}
  </div>
  ${more(`<div class="ln-dials">${angle("azimuth", "turn", 180)}${angle("elevation", "tilt", 90)}</div>
    <table class="ln-torch"><tbody><tr><th scope="row">PyTorch’s x̂</th>${numbers("torch")}</tr></tbody></table>
    <p class="ln-says"></p>`)}`;

const toPython = ({ x, eps }) => `import torch
import torch.nn.functional as F

x = torch.tensor([${x.join(", ")}], dtype=torch.float32)
centred = x - x.mean()
x_hat = F.layer_norm(x, (3,), eps=${eps})
print(centred, x_hat, x_hat.norm())
`;

// --- drawing --------------------------------------------------------------------------------------

const px = (v) => +v.toFixed(2);

/** A view of the floor: from above where the elevation is 90. */
function frame({ unit, x, y }, azimuth, elevation) {
  const at = (point) => {
    const [right, up, near] = project(point, azimuth, elevation);
    return { x: px(x + unit * right), y: px(y - unit * up), near };
  };
  return { at, unit, centre: { x, y }, slope: Math.sin((elevation * Math.PI) / 180) };
}

const to = (a, b) => `M${a.x} ${a.y}L${b.x} ${b.y}`;

/** The half of a circle on the floor that is nearer to the viewer, or the other. */
function half({ centre: { x, y }, unit, slope }, radius, near) {
  const [rx, ry] = [px(radius * unit), px(radius * unit * Math.abs(slope))];
  return `M${x - rx} ${y}A${rx} ${ry} 0 0 ${near === slope >= 0 ? 0 : 1} ${x + rx} ${y}`;
}

/** From a to b with an arrow's head, if there is room for one. */
function arrow(a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy);
  if (length < 14) return length > 2 ? to(a, b) : "";
  const [ux, uy] = [dx / length, dy / length];
  const tip = { x: px(b.x - 7 * ux), y: px(b.y - 7 * uy) };
  const wing = (side) => `L${px(tip.x - 8 * ux - side * 4 * uy)} ${px(tip.y - 8 * uy + side * 4 * ux)}`;
  return `${to(a, tip)}${wing(1)}M${tip.x} ${tip.y}${wing(-1)}`;
}

const AXES = ELEMENTS.map((i) => ELEMENTS.map((k) => (k === i ? 2.3 : 0)));
const ALONG = [1, -1].map((sign) => ELEMENTS.map(() => (sign * 3.35) / CIRCLE));
const onFloor = (point) => point.map((v) => v - (point[0] + point[1] + point[2]) / 3);

function nodesOf(part) {
  const nodes = {};
  for (const name of ["floor", "far", "near", "far-side", "near-side", "shadows", "spoke", "slide", "centre", "centred", "x_hat"]) {
    nodes[name] = part.querySelector(`.ln-${name}`);
  }
  return nodes;
}

function place(dot, at, r) {
  setAttribute(dot, "cx", at.x);
  setAttribute(dot, "cy", at.y);
  setAttribute(dot, "r", px(r + 0.5 * at.near));
}

/** The floor and what lies on it. */
function drawGround(nodes, view, { centred, xHat, radius }, r) {
  const { centre, unit, slope, at } = view;
  const [foot, end] = [at(centred), at(xHat)];
  const edge = Math.max(CIRCLE, Math.hypot(...centred));
  const direction = Math.hypot(...xHat) > 0 ? Array.from(xHat, (v) => (v / radius) * edge) : [0, 0, 0];
  for (const [name, value] of [["cx", centre.x], ["cy", centre.y], ["rx", FLOOR * unit], ["ry", px(FLOOR * unit * Math.abs(slope))]]) {
    setAttribute(nodes.floor, name, value);
  }
  setAttribute(nodes.far, "d", half(view, FLOOR, false));
  setAttribute(nodes.near, "d", half(view, FLOOR, true));
  setAttribute(nodes["far-side"], "d", half(view, CIRCLE, false));
  setAttribute(nodes["near-side"], "d", half(view, CIRCLE, true));
  setAttribute(nodes.shadows, "d", AXES.map((axis) => to(centre, at(onFloor(axis)))).join(""));
  setAttribute(nodes.spoke, "d", to(centre, at(direction)));
  setAttribute(nodes.slide, "d", arrow(foot, end));
  place(nodes.centre, { ...centre, near: 0 }, r / 2);
  place(nodes.centred, foot, r);
  place(nodes.x_hat, end, r);
  return { foot, end };
}

const CHAR = 7.4; // the width of a letter, roughly

const AROUND = [0, 1, -1, 2, -2, 3, -3, 4];

/** A place beside a point where a label covers as little as may be; `first` is tried before others, in eighths of a turn. */
function beside(point, text, taken, first = 0) {
  const [w, h] = [text.length * CHAR + 4, 17];
  let best;
  for (let k = 0; k < 8; k++) {
    const angle = ((first + AROUND[k]) * Math.PI) / 4;
    const [x, y] = [point.x + (12 + w / 2) * Math.cos(angle), point.y - (10 + h / 2) * Math.sin(angle)];
    const box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
    const over = taken.reduce((sum, other) => sum
      + Math.max(0, Math.min(box[2], other[2]) - Math.max(box[0], other[0]))
      * Math.max(0, Math.min(box[3], other[3]) - Math.max(box[1], other[1])), 0);
    const out = Math.max(0, -box[0], -box[1], box[2] - SIZE.width, box[3] - SIZE.height);
    const cost = over + 50 * out + k * 0.5;
    if (!best || cost < best.cost) best = { x: px(x), y: px(y), cost, box };
  }
  return best;
}

const around = ({ x, y }, r) => [x - r, y - r, x + r, y + r];

/** Boxes along a line, for labels to keep clear of. */
const along = (a, b) => [0.25, 0.5, 0.75].map((t) => around({ x: a.x + t * (b.x - a.x), y: a.y + t * (b.y - a.y) }, 5));

const ROUND = Array.from({ length: 40 }, (_, k) => (k * Math.PI) / 20);

/** The same along the circle. */
const alongCircle = ({ centre: { x, y }, unit, slope }) => ROUND.map((t) => around({ x: x + CIRCLE * unit * Math.cos(t), y: y + CIRCLE * unit * slope * Math.sin(t) }, 3));

function render(props) {
  const presets = props.model.get("presets");
  const lab = createLab(props, {
    kind: "ln-sphere",
    label: `Three numbers as a point in space${props.place > 1 ? ", again" : ""}`, // one name each
    body: body(presets),
    keys: ["azimuth", "elevation", "x", "eps"],
    fields: { x: ["x", -LARGEST, LARGEST], eps: EPS, azimuth: ["turn", -180, 180], elevation: ["tilt", -90, 90] },
    fits: ({ x }) => x.length === 3,
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const ranges = [...root.querySelectorAll(".ln-plot input")];
  const view = find(".ln-view");
  const [halves, labels] = [[...view.querySelectorAll(".ln-half")], [...view.querySelectorAll("text")]];
  const [ground, plan] = [nodesOf(view), nodesOf(find(".ln-plan"))];
  const point = find(".ln-point");

  const write = (quantity, value, text) => setReadout(readouts[quantity][0], value, text);

  function drawColumns({ x }) {
    const level = (v) => px((100 * (LARGEST - v)) / (2 * LARGEST));
    setAttribute(find(".ln-bars"), "d", ELEMENTS.map((i) => `M${i + 0.24} 50V${level(x[i])}h.52V50z`).join(""));
    ranges.forEach((range, i) => {
      setSlider(range, x[i], short(x[i]));
      setAttribute(range.nextElementSibling, "style", `top:${level(x[i])}%`);
    });
  }

  function drawView(numbers, { azimuth, elevation }) {
    const from = frame(SIZE, azimuth, elevation);
    const { foot, end } = drawGround(ground, from, numbers, 5.5);
    const top = from.at(numbers.x);
    const above = from.slope >= 0;
    const [front, back] = [halves[1], halves[0]];
    // What stands above the floor is in front of it if the viewer is above, too.
    const upper = (group, on) => {
      setAttribute(group.firstElementChild, "d", on ? AXES.map((axis) => to(from.centre, from.at(axis))).join("") : "");
      setAttribute(group.lastElementChild, "d", to(from.centre, from.at(ALONG[on ? 0 : 1])));
    };
    upper(front, above);
    upper(back, !above);
    const before = numbers.mean >= 0 === above;
    const anchor = before ? labels[0].parentNode : view.querySelector(".ln-ground");
    if (point.nextElementSibling !== anchor) anchor.before(point);
    setAttribute(point.querySelector(".ln-drop"), "d", to(top, foot));
    place(point.querySelector(".ln-dot"), top, 6.5);

    const tips = AXES.map(from.at);
    const tall = from.at(ALONG[0]);
    const { x: cx, y: cy } = from.centre;
    const ry = FLOOR * from.unit * Math.abs(from.slope);
    const fixedOnes = [
      { x: cx, y: Math.min(cy + ry + 13, SIZE.height - 10) },
      { x: cx + CIRCLE * from.unit + 38, y: cy },
    ];
    const taken = [around(top, 8), around(foot, 7), around(end, 7), around(from.centre, 4), ...along(top, foot), ...along(foot, end),
      ...alongCircle(from), ...tips.flatMap((tip) => along(from.centre, tip))];
    const put = (k, at) => {
      setAttribute(labels[k], "x", px(at.x));
      setAttribute(labels[k], "y", px(at.y));
      if (at.box) taken.push(at.box);
      else taken.push([at.x - labels[k].textContent.length * CHAR / 2, at.y - 8, at.x + labels[k].textContent.length * CHAR / 2, at.y + 8]);
    };
    put(4, fixedOnes[0]);
    put(5, fixedOnes[1]);
    tips.forEach((tip, i) => put(i, beside(tip, labels[i].textContent, taken, (Math.atan2(cy - tip.y, tip.x - cx) * 4) / Math.PI)));
    for (const [k, at] of [[6, top], [7, foot], [8, end]]) put(k, beside(at, labels[k].textContent, taken));
    put(3, beside(tall, labels[3].textContent, taken));
  }

  /** @param {State} state */
  function draw(state) {
    const numbers = through(state.x, state.eps);
    drawColumns(numbers);
    drawView(numbers, state);
    drawGround(plan, frame(PLAN, state.azimuth, 90), numbers, 3.5);

    for (const [name, values] of [["x", numbers.x], ["centred", numbers.centred], ["x_hat", numbers.xHat]]) {
      ELEMENTS.forEach((i) => setReadout(readouts[name][i], values[i], digits(values[i])));
    }
    write("mean", numbers.mean, short(numbers.mean, 3));
    write("std", numbers.std, short(numbers.std, numbers.std < 0.01 ? 2 : 3));
    write("radius", numbers.radius, short(numbers.radius, 4));
    write("azimuth", state.azimuth, String(Math.round(state.azimuth)));
    write("elevation", state.elevation, String(Math.round(state.elevation)));
    setSlider(find("[name=shift]"), numbers.mean, readouts.mean[0].textContent);
    setSlider(find("[name=stretch]"), Math.log10(Math.max(numbers.std, SMALLEST_STD)), readouts.std[0].textContent);
    for (const name of ["azimuth", "elevation"]) find(`[name=${name}]`).value = state[name];
    drawEpsilon(find, state.eps, { inside: numbers.variance });
    const text = sentence(numbers);
    write("sentence", text, text);
    drawAnswer(numbers, state);
    lab.speak(`x̂ is ${Array.from(numbers.xHat, digits).join(", ")}. ${text}`);
  }

  /** A number in a column of six letters. */
  const digits = (v) => (v && Math.abs(v) < 1e-3 ? short(v, 1) : fixed(v, Math.abs(v) < 0.01 ? 4 : 3));

  function drawAnswer({ xHat }, { x, eps }) {
    const answer = lab.answer((record) => record.eps.includes(eps) && record.x.every((v, i) => v === x[i]));
    const pytorch = answer && (answer.values ?? answer.inside[answer.eps.indexOf(eps)]);
    ELEMENTS.forEach((i) => setReadout(readouts.torch[i], pytorch ? pytorch[i] : "", pytorch ? digits(pytorch[i]) : "·"));
    const apart = pytorch && Math.max(...ELEMENTS.map((i) => Math.abs(xHat[i] - pytorch[i])));
    lab.sayAnswer(pytorch && `${lab.live ? "PyTorch says" : "While this page was built, PyTorch said"}: ${
      apart ? `x̂ within ${short(apart, 2)} of your browser’s` : "the same bits"}.`);
  }

  // --- what the reader does ---

  function patchFor({ name, value, dataset }, { x }) {
    if (name === "eps") return { eps: atStop(value) };
    if (name === "shift") return { x: shifted(x, +value) };
    if (name === "stretch") return { x: stretched(x, 10 ** value) };
    if (name === "x") return { x: x.with(+dataset.index, +value) };
    return { [name]: +value };
  }

  const turned = (azimuth, elevation) => lab.change({
    azimuth: Math.round(((((azimuth + 180) % 360) + 360) % 360) - 180),
    elevation: Math.round(Math.min(Math.max(elevation, -90), 90)),
  });

  let turning = null; // while the view is dragged: from where, and how it stood then
  view.addEventListener("pointerdown", ({ button, pointerId, clientX, clientY }) => {
    if (button || turning) return;
    turning = { pointerId, clientX, clientY, ...lab.state };
    view.setPointerCapture(pointerId);
  });
  view.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
    if (turning?.pointerId !== pointerId) return;
    turned(turning.azimuth + TURN * (clientX - turning.clientX), turning.elevation + TURN * (clientY - turning.clientY));
  });
  for (const type of ["pointerup", "pointercancel"]) {
    view.addEventListener(type, ({ pointerId }) => turning?.pointerId === pointerId && (turning = null));
  }
  view.addEventListener("keydown", (event) => {
    const by = ARROWS[event.key];
    if (!by || event.target !== view) return;
    event.preventDefault();
    turned(lab.state.azimuth + by[0], lab.state.elevation + by[1]);
  });

  return lab.run({
    draw,
    onInput: (input) => lab.change(patchFor(input, lab.state)),
    actions: { preset: ({ dataset: { preset } }) => lab.load({ x: presets[preset].x, eps: presets[preset].eps }) },
    python: toPython,
  });
}

export default { render };
