import { FORMATS } from "./formats.js";
import { N, STEPS, WAYS, errorOf, isGone, lookAt, rowOf } from "./rounded.js";
import { NAMES, TITLES, sentence } from "./roundsays.js";
import { clamp, grouped, powerOfTen, short } from "./shared/numbers.js";
import { more, readout, readoutsOf, setAttribute, setReadout, setSlider, setText } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import { dial } from "./shared/parts.js";
import "./rounding.css";

/**
 * The rounding lab: where the digits of x̂ go, and the one line that brings them back.
 *
 * @typedef {object} State
 * @property {number} mean
 * @property {number} sigma
 * @property {string} format
 * @property {import("./rounded.js").Way} way
 */

const MEAN = { min: 0, max: 6, step: 0.25 }; // the sliders' exponents of 10
const SIGMA = { min: -2, max: 2, step: 0.25 };
const fields = { mean: ["the mean", 1, 1e6], sigma: ["σ", 0.01, 100] };

// --- the picture ----------------------------------------------------------------------------------

const DECADES = 6; // of κ: as many as the mean's slider has; σ says from where
const ERROR = [-8, 2];
const BAND = 1; // errors above it, and NaN, stand in a band at the top, a lane for each way
const TICKS = [-6, -4, -2, 0];
const KAPPAS = [-2, 0, 2, 4, 6, 8];
const across = (mean) => +((1000 * clamp(Math.log10(mean), 0, DECADES)) / DECADES).toFixed(1); // of 1000
const height = (power) => +((100 * (ERROR[1] - power)) / (ERROR[1] - ERROR[0])).toFixed(2); // of 100
const isUseless = (error) => !(error <= BAND);
const lane = (way) => +((height(0) * (WAYS.indexOf(way) + 0.5)) / WAYS.length).toFixed(2);
const up = (error, way) => isUseless(error) ? lane(way) : height(Math.max(Math.log10(error), ERROR[0]));

/**
 * A way's errors over the mean, as a path. What is in the band is a stroke in the way's own lane, half-way
 * to the neighbours, and no line leads there; nothing is drawn where the row is gone.
 */
function curve(points, way) {
  const kind = (k) => !points[k] || points[k].gone ? "gap" : isUseless(points[k].errors[way]) ? "band" : "line";
  const halfway = (k, l) => +((across(points[k].mean) + across((points[l] ?? points[k]).mean)) / 2).toFixed(1);
  return points.map(({ mean, errors }, k) => {
    if (kind(k) === "gap") return "";
    if (kind(k) === "line") return `${kind(k - 1) === "line" ? "L" : "M"}${across(mean)} ${up(errors[way])}`;
    return `${kind(k - 1) === "band" ? "" : `M${halfway(k, k - 1)} ${lane(way)}`}H${halfway(k, k + 1)}`;
  }).join("");
}

const share = (error) => (Number.isNaN(error) ? 100 : +clamp(12.5 * (Math.log10(error) + 8), 1, 100).toFixed(1)); // of a step's bar, in percent

// The lines are stretched to the box; the text keeps its size.
const plot = `<svg class="lr-plot" role="img"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
    <path class="lr-band" d="M0 ${height(1)}H1000"/>${[...TICKS.map(height), 100].map((y) => `<path class="lr-grid" d="M0 ${y}H1000"/>`).join("")}
    <path class="lr-gone"/>${WAYS.map((way) => `<path class="lr-way lr-${way}"/>`).join("")}<path class="lr-dot"/>${WAYS.map((way) => `<path class="lr-ghost lr-${way}"/>`).join("")}<path class="lr-heart"/></svg>
  ${TICKS.filter((p) => p).map((p) => `<text class="lr-end" x="-6" y="${height(p)}%" dy="4">${powerOfTen(p)}</text>`).join("")}
  <text class="lr-end" x="-6" y="${height(1)}%" dy="-4">NaN</text><text class="lr-end" x="-6" y="${height(1)}%" dy="8">or >1</text>
  <text class="lr-top" x="6" y="${height(0)}%" dy="14">error of x̂</text>
  ${KAPPAS.map((p) => `<text class="lr-kappa" y="100%" dy="17">${powerOfTen(p)}</text>`).join("")}<text class="lr-axis" x="50%" y="100%" dy="31">κ = |μ|/σ</text>
  <text class="lr-gone-name" y="100%" dy="-8">no digits left in x</text></svg>`;

const swatch = (way) => `<i class="lr-swatch lr-${way}"></i>${NAMES[way]}`;
const ten = ([lo, hi], every) => Array.from({ length: Math.floor((hi - lo) / every) + 1 }, (_, k) => [lo + k * every, powerOfTen(lo + k * every)]);

const body = (presets) => `
  <p class="lr-says" data-answer data-quantity="sentence"></p>
  <div class="lr-choices" data-main>${choice("way", "The way to the statistics", Object.fromEntries(WAYS.map((way) => [way, swatch(way)])))}
    ${choice("format", "The format of every number", Object.fromEntries(FORMATS.map(({ name }) => [name, name])))}</div>
  <div class="lr-dials">
    ${dial("mean", "mean μ", `= ${readout("mean")}`, MEAN, ten([0, 6], 1), { words: "Mean of the row" })}
    ${dial("sigma", "σ", `= ${readout("sigma")}`, SIGMA, ten([-2, 2], 2), { words: "Standard deviation of the row" })}
  </div>
  <p class="lr-key"></p>
  <ol class="lr-steps">${STEPS.twice.map((_, k) => `<li><b></b> <output data-quantity="alone" data-index="${k}"></output><i></i></li>`).join("")}</ol>
  ${plot}
  <div class="ln-presets" role="group" aria-label="Rows to try"><button type="button" data-do="start">Start</button>${presetButtons(presets)}</div>
  ${more(`<p class="ln-facts"><span>error ${readout("error")}</span> <span>κ ${readout("kappa")}</span> <span>different numbers in the row ${readout("distinct")} of ${N}</span></p>
    <p class="ln-facts"><span>μ as found ${readout("found-mean")}, exactly ${readout("true-mean")}</span> <span>σ² as found ${readout("found-var")}, exactly ${readout("true-var")}</span></p>
    <p class="lr-how">The row is μ + σ·z, with ${N} numbers z drawn once from a bell curve, stored in the format. From there every sum, difference, product and root rounds to
      the format, and sums run in halves. The error is the largest distance to x̂ in float64, of the same stored row, with ε = 10⁻⁵. In 16 bits PyTorch’s own kernel
      keeps float32 to the end and rounds x̂ alone, which is the last box.</p>
    <p class="ln-says"></p>`)}
  <output class="ln-hidden" data-quantity="errors"></output>`;

const LINES = {
  two: `mean = x.mean()
centred = x - mean  # (768,)
var = centred.square().mean()`,
  twice: `centred = x - x.mean()  # (768,)
centred -= centred.mean()  # the one line
var = centred.square().mean()`,
  one: `mean = x.mean()
var = x.square().mean() - mean.square()
centred = x - mean  # (768,)`,
  welford: `mean, var = torch.zeros(2, dtype=x.dtype)
for k, value in enumerate(x, start=1):
    distance = value - mean
    mean = mean + distance / k
    var = var + distance * (value - mean)
var = var / 768
centred = x - mean  # (768,)`,
};
const toPython = ({ mean, sigma, format, way }) => `import torch
from layernorm_book.widgets.rounding import row

x = torch.tensor(row(${mean}, ${sigma}, "${format}")).to(torch.${format})  # (768,), the lab's row
# PyTorch keeps its sums of 16-bit numbers in float32, where the lab rounds them too.
${LINES[way]}
x_hat = centred / (var + 1e-5).sqrt()
wide = x.double()
true = (wide - wide.mean()) / (wide.var(correction=0) + 1e-5).sqrt()
print((x_hat - true).abs().max().item())
`;

function render(props) {
  const presets = props.model.get("presets");
  const lab = createLab(props, {
    kind: "ln-rounding",
    label: "Rounding on the way to x̂",
    body: body(presets),
    keys: ["mean", "sigma", "format", "way"],
    fields,
    fits: ({ format, way }) => FORMATS.some(({ name }) => name === format) && WAYS.includes(way),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const chips = [...root.querySelectorAll(".lr-steps li")];
  const write = (quantity, value, text) => setReadout(readouts[quantity][0], value, text);
  const means = Array.from({ length: 13 }, (_, k) => 10 ** (k / 2));
  const curves = new Map(); // for each format and σ, what a drag of the mean does not change

  /** For each mean: whether nothing is left of the row, and else the error of each way. */
  function curvesOf({ format, sigma }) {
    const key = `${format} ${sigma}`;
    if (!curves.has(key)) {
      if (curves.size > 100) curves.clear();
      curves.set(key, means.map((mean) => ({ mean, gone: isGone(rowOf({ mean, sigma, format })),
        errors: Object.fromEntries(WAYS.map((way) => [way, errorOf({ mean, sigma, format, way })])) })));
    }
    return curves.get(key);
  }

  /** @param {State} state */
  function draw(state) {
    const { mean, sigma, format, way } = state;
    const seen = lookAt(state);
    for (const name of ["way", "format"]) find(`[name=${name}][value=${state[name]}]`).checked = true;
    for (const name of ["mean", "sigma"]) {
      setSlider(find(`[name=${name}]`), Math.log10(state[name]), short(state[name], 3));
      write(name, state[name], grouped(short(state[name], 7)));
    }

    setText(find(".lr-key"), `${NAMES[way][0].toUpperCase()}${NAMES[way].slice(1)}, ${format}. Error if one step alone rounds:`);
    STEPS.twice.forEach((_, k) => {
      const step = STEPS[way][k];
      const [chip, error] = [chips[k], seen.alone[step]];
      chip.hidden = !step;
      setAttribute(chip, "class", step && step === seen.worst ? "lr-lit" : "");
      setAttribute(chip, "data-step", step ?? "");
      if (!step) return setAttribute(readouts.alone[k], "data-value", "");
      setText(chip.firstChild, TITLES[step]);
      setReadout(readouts.alone[k], error, Number.isNaN(error) ? "NaN" : short(error, 2));
      setAttribute(chip.lastChild, "style", `background-size:${share(error)}%`);
    });

    const now = { mean, gone: isGone(seen.x), errors: seen.errors };
    const points = [...curvesOf(state).filter((point) => point.mean !== mean), now].sort((a, b) => a.mean - b.mean);
    for (const by of WAYS) {
      setAttribute(find(`.lr-way.lr-${by}`), "d", curve(points, by));
      setAttribute(find(`.lr-ghost.lr-${by}`), "d", now.gone ? "" : `M${across(mean)} ${up(seen.errors[by], by)}h0`);
    }
    [...root.querySelectorAll(".lr-kappa")].forEach((text, k) => {
      const place = (KAPPAS[k] + Math.log10(sigma)) / DECADES; // where the mean is κ·σ
      setAttribute(text, "x", `${+(100 * place).toFixed(2)}%`);
      setAttribute(text, "visibility", place >= 0 && place <= 1 ? "visible" : "hidden");
    });
    const gone = points.filter((point) => point.gone).map((point) => across(point.mean));
    setAttribute(find(".lr-gone"), "d", gone.map((x) => `M${Math.max(x - 42, 0)} 100H${Math.min(x + 42, 1000)}`).join(""));
    setAttribute(find(".lr-gone-name"), "x", gone.length ? `${clamp(gone[0] / 10, 15, 82)}%` : 0);
    setAttribute(find(".lr-gone-name"), "visibility", gone.length ? "visible" : "hidden");
    for (const part of [".lr-dot", ".lr-heart"]) setAttribute(find(part), "d", `M${across(mean)} ${up(seen.error, way)}h0`);
    setAttribute(find(".lr-heart"), "class", `lr-heart lr-${way}`);
    setAttribute(root, "data-way", way);

    const said = sentence(state, seen);
    write("sentence", said, said);
    write("error", seen.error, short(seen.error, 3));
    write("kappa", mean / sigma, grouped(short(mean / sigma, 3)));
    const distinct = new Set(seen.x).size;
    write("distinct", distinct, String(distinct));
    for (const of of ["found", "true"]) {
      const { mean: m, var: v } = of === "found" ? seen.found : seen.truth;
      write(`${of}-mean`, m, short(m, 9));
      write(`${of}-var`, v, short(v, 4));
    }
    setAttribute(readouts.errors[0], "data-value", WAYS.map((by) => seen.errors[by]).join(" "));
    setAttribute(find(".lr-plot"), "aria-label", `Error of x̂ at κ = ${short(mean / sigma, 2)}: ${WAYS.map((by) => `${NAMES[by]} ${short(seen.errors[by], 2)}`).join(", ")}`);
    drawAnswer(state);
    lab.speak(said);
  }

  function drawAnswer({ mean, sigma, format }) {
    const answer = lab.answer((record) => record.mean === mean && record.sigma === sigma && record.format === format);
    setAttribute(find(".ln-says"), "data-error", answer?.error ?? "");
    lab.sayAnswer(answer && `${lab.live ? "PyTorch’s" : "While this page was built, PyTorch’s"} own kernel erred by ${
      Number.isFinite(answer.error) ? short(answer.error, 2) : "NaN"} on this row.`);
  }

  const onInput = ({ name, value }) => lab.change({ [name]: name === "way" || name === "format" ? value : +(10 ** value).toPrecision(3) });
  return lab.run({
    draw,
    onInput,
    actions: {
      preset: ({ dataset }) => {
        const { label, ...state } = presets[dataset.preset];
        lab.change(state);
      },
    },
    python: toPython,
  });
}

export default { render };
