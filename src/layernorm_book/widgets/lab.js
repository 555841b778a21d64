import { layerNorm, layerNorm64, onePassVariance, ulp } from "./layernorm.js";
import { moved, placeOf, shiftScale, STRETCH } from "./moves.js";
import { errorsSay, onePassSays, placementSays } from "./says.js";
import { short } from "./shared/numbers.js";
import { readout, setAttribute, setSlider } from "./shared/page.js";
import { dial, legend } from "./shared/parts.js";
import { rowsLab } from "./shared/rows.js";
import { largest, LARGEST } from "./shared/bars.js";
import { epsilon } from "./shared/epsilon.js";
import "./lab.css";

/**
 * The lab: one row through layer normalization, or two that share γ and β.
 *
 * @typedef {object} State
 * @property {number[]} x        both rows, one after the other, where there are two
 * @property {number[]} weight
 * @property {number[]} bias
 * @property {number} eps
 * @property {"inside" | "outside"} placement
 */

const STEPS = { x: "x", centred: "x − μ", x_hat: "x̂", weight: "γ", bias: "β", y: "y" };
const SHOWN = { statistics: 2, normalize: 3, affine: 6 }; // steps of each stage
const FAR = { statistics: 1e5, normalize: 1e4, affine: 1e4 }; // how far a row may be shifted
const otherPlacement = (placement) => (placement === "inside" ? "outside" : "inside");
const fill = (value, { length }) => Array(length).fill(value);
const times = (count, make) => Array.from({ length: count }, (_, r) => make(r));

/** The rows that stand in x, one after the other. */
const rowsIn = (x, count) => times(count, (r) => x.slice((r * x.length) / count, ((r + 1) * x.length) / count));

// --- the page -------------------------------------------------------------------------------------

const SHIFT_TICKS = [[-1e4, "−10⁴"], [-100, "−100"], [0, "0"], [100, "100"], [1e4, "10⁴"]];

/** The two handles of a whole row: where its mean is, and how far it spreads. */
function handles(stage, r, count) {
  const scale = shiftScale(FAR[stage]);
  // The outermost are left out where two rows leave less room.
  const ticks = SHIFT_TICKS.slice(count - 1, count > 1 ? -1 : undefined).map(([v, text]) => [scale.at(v), text]);
  const [of, row] = count > 1 ? [`row ${r + 1}: `, `row ${r + 1}`] : ["", "the row"];
  return dial("shift", `${of}shift`, `μ = ${readout("mean")}`, scale, ticks, { index: r, words: `shift ${row}: its mean` })
    + dial("stretch", "stretch", `σ = ${readout("std")}`, STRETCH, [[-4, "10⁻⁴"], [-2, "0.01"], [0, "1"], [2, "100"]].slice(count - 1),
      { index: r, words: `stretch ${row}: its standard deviation` });
}

const onePass = `<div class="ln-one-pass"><p><b>σ²</b> in two passes: ${readout("var")}</p>
  <p>in one, E[x²] − μ²: ${readout("var_one_pass")}</p><p class="ln-one-pass-says">${readout("one_pass_says")}</p></div>`;

/** The slider of ε, beside the variance that it is added to. */
const division = (count) => epsilon(["inside", "outside"], `<span>σ² = ${Array(count).fill(readout("var")).join(" and ")}</span>`);

const controls = (stage, count) => `<div class="ln-dials ln-dials-${count}">${
  times(count, (r) => handles(stage, r, count)).join("")}${
  stage === "statistics" ? onePass : count > 1 ? "" : division(1)}</div>`;

const MARKS = [["dash", "", "mean μ"], ["band", "", "from μ − σ to μ + σ"]];

const affinePanel = (count) => `<div class="ln-affine">
    <button type="button" data-do="undo">Undo the normalization${count > 1 ? " of row 1" : ""}</button>
    <button type="button" data-do="reset">γ = 1, β = 0</button>
    ${legend(MARKS)}
  </div>`;

const behind = (count) => `
  ${count > 1 ? `<div class="ln-dials">${division(2)}</div>` : ""}
  <fieldset class="ln-where"><legend>Where ε stands</legend>
    <label><input type="radio" name="placement" value="inside"> inside the root, √(σ² + ε)</label>
    <label><input type="radio" name="placement" value="outside"> outside, √σ² + ε</label>
  </fieldset>
  <p class="ln-facts"><span>x − μ is multiplied by ${Array(count).fill(readout("rstd")).join(" and ")}</span>
    <span>the two placements differ by ${readout("gap")}</span></p>
  <p class="ln-facts ln-sign">${readout("sign")}</p>`;

// --- from a state to its picture ------------------------------------------------------------------

const WHO = { inside: "PyTorch’s layer_norm", outside: "that formula in torch operations" };

/** The picture of a state, as far as the stage goes. */
const showIn = (stage, count) => (state, pytorch) => {
  const { eps, placement } = state;
  const n = state.x.length / count;
  const affine = stage === "affine";
  const partners = affine ? { weight: state.weight, bias: state.bias } : {};
  const all = rowsIn(state.x, count).map((row) => {
    const now = layerNorm(row, { ...partners, eps, placement });
    const sigma = Math.sqrt(now.var);
    return {
      ...now, sigma, spread: sigma * now.rstd, centred: now.x.map((v) => v - now.mean),
      other: layerNorm(row, { eps, placement: otherPlacement(placement) }).xHat,
      truth: layerNorm64({ x: now.x, ...partners, eps, placement }),
    };
  });
  const [first] = all;
  const each = (name) => all.map((now) => now[name]); // one for each row
  const told = (name) => each(name).map((v) => short(v, 3)).join(" and ");
  const [x, centred, xHat, y, other, truth] = ["x", "centred", "xHat", "y", "other", "truth"].map((name) => all.flatMap((now) => [...now[name]]));
  const [weight, bias] = [state.weight, state.bias].map((row) => Float32Array.from(x, (_, i) => row[i % n]));
  const furthest = (values, from) => largest(values.map((v, i) => v - from[i]));
  const gap = furthest(other, xHat);
  const pass = onePassVariance(first.x);
  return {
    scales: { x, centred, x_hat: [-2, 2, ...xHat], weight: [0, 2, ...state.weight], bias: [-1, 1, ...state.bias], y },
    bars: {
      x: { values: x, band: all.map(({ mean, sigma }) => [mean - sigma, mean + sigma]), guide: all.map(({ mean }) => [mean]) },
      // One row's bars on the scale of x, standing on the mean: subtracting it moves zero, nothing else.
      centred: { values: centred, ...(count > 1 ? {} : { on: "x", from: first.mean }), band: all.map(({ sigma }) => [-sigma, sigma]) },
      x_hat: { values: xHat, band: all.map(({ spread }) => [-spread, spread]) },
      weight: { values: weight, guide: fill([1], all) },
      bias: { values: bias },
      y: { values: y },
    },
    facts: {
      mean: each("mean"), var: each("var"), std: each("sigma").map(Math.fround), rstd: each("rstd"),
      var_one_pass: [pass], one_pass_says: [[pass, onePassSays(first.var, pass)]],
      gap: [[gap, short(gap, 3)]],
      sign: [[first.sigma && Math.sign((1 - eps) / 2 - first.sigma), placementSays(first.sigma, eps)]],
    },
    knees: stage !== "statistics" && { [placement]: placement === "inside" ? first.var : first.sigma },
    quote: {
      step: affine ? "y" : "x_hat",
      unit: pytorch && ulp(largest(pytorch)),
      title: placement === "inside" ? "PyTorch" : "formula in torch",
      says: () => errorsSay(WHO[placement], furthest(pytorch, truth), furthest(affine ? y : xHat, truth)),
    },
    news: `Mean ${told("mean")}, variance ${told("var")}${
      stage === "statistics" ? `, in one pass ${short(pass, 3)}.` : `, epsilon ${short(eps, 3)}, largest output ${short(largest(y), 3)}.`}`,
    all,
  };
};

// --- what this lab alone has ----------------------------------------------------------------------

const paintIn = (stage, count) => ({ find }, { all, facts }, state) => {
  const scale = shiftScale(FAR[stage]);
  rowsIn(state.x, count).forEach((row, r) => {
    const { mean, std } = placeOf(row);
    for (const [name, { at }, value] of [["shift", scale, mean], ["stretch", STRETCH, std]]) {
      const range = find(`[name=${name}][data-index="${r}"]`);
      setSlider(range, at(value), short(value, 3));
      range.disabled = name === "stretch" && !std;
    }
  });
  if (stage === "statistics") {
    const [pass] = facts.var_one_pass;
    setAttribute(find(".ln-one-pass"), "data-off", !(Math.abs(pass - all[0].var) <= 0.005 * all[0].var));
    return;
  }
  find(`[value=${state.placement}]`).checked = true;
};

const toPython = (count) => ({ x, weight, bias, eps, placement }) => {
  const list = (values) => `[${values.join(", ")}]`;
  const tensor = (name, text) => `${name} = torch.tensor(${text}, dtype=torch.float32)`;
  return `import torch
import torch.nn.functional as F

${tensor("x", list(count > 1 ? rowsIn(x, count).map(list) : x))}
${tensor("weight", list(weight))}
${tensor("bias", list(bias))}
${placement === "inside"
    ? `y = F.layer_norm(x, x.shape[-1:], weight, bias, eps=${eps})`
    : `y = (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + ${eps}) * weight + bias`}
print(y)
`;
};

/** A new γ and β for the same rows. */
const setAffine = (lab, weight, bias) => lab.change({ weight: fill(weight, lab.state.weight), bias: fill(bias, lab.state.bias), held: null, base: null });

function render(props) {
  const stage = props.model.get("stage");
  const count = props.model.get("rows");

  /** The rows, one of them moved by a handle. While it is held the row that it was taken from stays the pattern. */
  function shifted({ name, value, dataset: { index } }, { x, base }) {
    const from = base?.of === name + index ? base.x : x;
    const to = name === "shift" ? { mean: shiftScale(FAR[stage]).value(+value) } : { std: STRETCH.value(+value) };
    const rows = rowsIn(from, count);
    rows[index] = moved(rows[index], to, LARGEST);
    return { x: rows.flat(), base: { of: name + index, x: from } };
  }

  return rowsLab(props, {
    kind: `ln-of-${stage}${count > 1 ? " ln-two" : ""}`,
    label: "Layer normalization lab",
    title: "Rows to start from",
    rows: ["x", "weight", "bias"],
    choices: ["placement"],
    recordedAs: ({ placement }) => placement,
    steps: Object.fromEntries(Object.entries(STEPS).slice(0, SHOWN[stage])),
    hidden: ["centred"],
    after: stage === "affine" ? { x_hat: affinePanel(count) } : {},
    controls: controls(stage, count),
    below: stage === "affine" ? "" : legend(MARKS),
    behind: stage === "statistics" ? "" : behind(count),
    compared: stage !== "statistics",
    fits: ({ placement }) => otherPlacement(otherPlacement(placement)) === placement,
    show: showIn(stage, count),
    paint: paintIn(stage, count),
    actions: {
      reset: (_, lab) => setAffine(lab, 1, 0),
      undo(_, lab) {
        const { x, eps, placement } = lab.state;
        const { mean, rstd } = layerNorm(x.slice(0, x.length / count), { eps, placement });
        setAffine(lab, 1 / rstd, mean);
      },
    },
    onInput: (input, state) => input.name === "placement" ? { placement: input.value } : shifted(input, state),
    python: toPython(count),
  });
}

export default { render };
