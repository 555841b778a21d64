import { clamp, powerOfTen } from "./shared/numbers.js";
import { readout, readoutsOf, setAttribute, setReadout, setSlider } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import { dial } from "./shared/parts.js";
import { FULL, inWords, ONE, powersOf, sentence } from "./merge.js";
import "./collapse.css";

/**
 * The collapse lab: recorded training runs. In the one that is stuck all tokens have become one.
 *
 * @typedef {object} State
 * @property {number} frame  which of the recorded steps
 */

// Two plots in one picture: how far apart the tokens are, block by block, and the loss, step by step.
const [WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM] = [300, 172, 54, 290, 28, 148];
const DECADES = [-13, 0.5]; // of 1 − cosine
const scale = (lo, hi, from, to) => (v) => +(from + ((to - from) * (clamp(v, lo, hi) - lo)) / (hi - lo)).toFixed(1);
const line = (points) => `M${points.map((point) => point.join(" ")).join("L")}`;

const panel = (kind, title, marks) => `<svg class="lc-${kind}" viewBox="0 0 ${WIDE} ${HIGH}" aria-hidden="true">
  <text class="lc-title" x="${LEFT}" y="15">${title}</text>${marks}</svg>`;
const across = (y, text) => `<path class="lc-grid" d="M${LEFT} ${y}H${RIGHT}"/><text class="lc-end" x="${LEFT - 5}" y="${y + 4}">${text}</text>`;
const curves = (runs, kind) => runs.map((_, k) => `<path class="lc-curve lc-run-${k}" data-curve="${kind}-${k}"/>`).join("");

function body({ runs, steps, level, tokens }) {
  const last = steps.length - 1;
  const blocks = runs[0].apart[0].length;
  const power = scale(...DECADES, BOTTOM, TOP);
  const [least, most] = [Math.floor(Math.min(level, ...runs.flatMap(({ losses }) => losses)) * 2) / 2, Math.ceil(Math.max(...runs.flatMap(({ losses }) => losses)))];
  const loss = scale(least, most, BOTTOM, TOP);
  const block = scale(0, blocks - 1, LEFT + 8, RIGHT - 8);
  const step = scale(0, last, LEFT + 8, RIGHT - 8);
  const ticks = steps.flatMap((at, frame) => ((frame % 5 === 0 && frame < last - 1) || frame === last ? [[frame, String(at)]] : []));
  const parts = { power, loss, block, step };
  return { parts, html: `
  <p class="lc-says" data-answer data-quantity="sentence"></p>
  <div data-main>${dial("frame", "step", readout("step"), { min: 0, max: last, step: 1 }, ticks, { words: "Recorded step of training" })}</div>
  <div class="lc-board">
    <div class="lc-maps"><p class="lc-blocks">${Array.from({ length: blocks }, (_, k) => `<span>${k ? `block ${k}` : "start"}</span>`).join("")}</p>
      ${runs.map(({ name }, k) => `<p class="lc-name lc-run-${k}"><b>${name}</b> <span>loss <output data-quantity="loss" data-index="${k}"></output></span>
        <span>1 − cosine <output data-quantity="apart" data-index="${k}"></output></span></p>
        <canvas class="lc-run-${k}" width="${blocks * (tokens.length + 1) - 1}" height="${tokens.length}" role="img"></canvas>`).join("")}
      <p class="lc-key">Each square: ${tokens.length} tokens by ${tokens.length}. 1 − cosine is <span><i></i>1 or more</span> <span><i class="lc-some"></i>0.01</span> <span><i class="lc-full"></i>${powerOfTen(-FULL)} or less</span></p></div>
    <div class="lc-plots">
      ${panel("far", "1 − cosine, by block", `${[0, -4, -8, -12].map((p) => across(power(p), powerOfTen(p))).join("")}${
        Array.from({ length: blocks }, (_, k) => `<text class="lc-tick" x="${block(k)}" y="166">${k}</text>`).join("")}${curves(runs, "apart")}`)}
      ${panel("loss", "loss, by recorded step", `${[most, level].map((v) => across(loss(v), v === level ? v.toFixed(2) : v)).join("")}
        <text class="lc-level" x="${RIGHT - 14}" y="${loss(level) - 12}">character frequencies</text>${
        ticks.map(([frame, text]) => `<text class="lc-tick" x="${step(frame)}" y="166">${text}</text>`).join("")}${curves(runs, "loss")}<path class="lc-now"/>`)}
    </div>
  </div>` };
}

const toPython = ({ step, runs }) => `import torch
from torch.nn.functional import normalize


def apart(h):
    """1 - cosine, averaged over all pairs of two tokens; h is (tokens, d)."""
    unit = normalize(h.double(), dim=-1)
    cosines = unit @ unit.T  # (tokens, tokens)
    first, second = torch.triu_indices(len(h), len(h), 1)
    return 1 - cosines[first, second].mean().item()


print(apart(torch.randn(12, 64)))  # of tokens drawn at random
# After ${step} steps, before the first block and after each:
recorded = {
${runs.map(({ name, apart }) => `    ${JSON.stringify(name)}: [${apart.join(", ")}],`).join("\n")}
}
print(recorded)
`;

function render(props) {
  const { model } = props;
  const recording = Object.fromEntries(["runs", "steps", "level", "tokens"].map((key) => [key, model.get(key)]));
  const { runs, steps, tokens } = recording;
  const [blocks, size] = [runs[0].apart[0].length, tokens.length];
  const { parts: { power, loss, block, step }, html } = body(recording);
  const lab = createLab(props, {
    kind: "ln-collapse",
    label: "Tokens of recorded training runs",
    body: html,
    keys: ["frame"],
    fields: { frame: ["the recorded step", 0, steps.length - 1] },
    fits: ({ frame }) => Number.isInteger(frame),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const papers = [...root.querySelectorAll("canvas")].map((canvas) => canvas.getContext("2d"));
  const write = (quantity, value, text, k = 0) => setReadout(readouts[quantity][k], value, text);
  const curve = (kind, k) => find(`[data-curve=${kind}-${k}]`);
  runs.forEach(({ losses }, k) => curve("loss", k).setAttribute("d", line(losses.map((v, frame) => [step(frame), loss(v)]))));

  /** For each block a square, the fuller the nearer its tokens are, by powers of ten. */
  function drawMaps(paper, maps) {
    const image = paper.createImageData(paper.canvas.width, size);
    maps.forEach((map, b) => map.forEach((power, k) => {
      const at = Math.floor(k / size) * image.width + b * (size + 1) + (k % size);
      image.data.set([213, 94, 0, 255 * clamp(-power / FULL, 0, 1)], 4 * at);
    }));
    paper.putImageData(image, 0, 0);
  }

  /** @param {State} state */
  function draw({ frame }) {
    setSlider(find("[name=frame]"), frame, `step ${steps[frame]}`);
    write("step", steps[frame], `${steps[frame]} of ${steps.at(-1)}`);
    runs.forEach(({ name, losses, apart, maps }, k) => {
      const far = apart[frame];
      drawMaps(papers[k], powersOf(maps, frame, blocks, size));
      write("loss", losses[frame], losses[frame].toFixed(2), k);
      write("apart", far.at(-1), inWords(far.at(-1)), k);
      setAttribute(curve("apart", k), "d", line(far.map((v, b) => [block(b), power(v > 0 ? Math.log10(v) : -99)])));
      setAttribute(papers[k].canvas, "aria-label", `${name}: 1 − cosine is ${far.map(inWords).join(", ")} before the first block and after each`);
      find(`.lc-name.lc-run-${k}`).classList.toggle("lc-one", far.at(-1) < ONE);
    });
    setAttribute(find(".lc-now"), "d", `M${step(frame)} ${TOP}V${BOTTOM}`);
    const said = sentence(steps[frame], runs.map(({ name, apart }) => ({ name, apart: apart[frame].at(-1) })));
    write("sentence", said, said);
    lab.speak(said);
  }

  const now = ({ frame }) => ({ step: steps[frame], runs: runs.map(({ name, apart }) => ({ name, apart: apart[frame] })) });
  return lab.run({
    draw,
    onInput: ({ value }) => lab.change({ frame: +value }),
    python: (state) => toPython(now(state)),
  });
}

export default { render };
