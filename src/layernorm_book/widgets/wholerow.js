import { moved, placeOf, shiftScale, STRETCH } from "./moves.js";
import { short } from "./shared/numbers.js";
import { readout, setSlider } from "./shared/page.js";
import { dial } from "./shared/parts.js";
import { rowsLab } from "./shared/rows.js";
import { LARGEST } from "./shared/bars.js";
import "./wholerow.css";

/**
 * What each stage of the lab has: one row, or two that share γ and β, and two handles that move all
 * of a row at once.
 *
 * @typedef {object} State
 * @property {number[]} x        both rows, one after the other, where there are two
 * @property {number[]} weight
 * @property {number[]} bias
 * @property {number} eps
 * @property {"inside" | "outside"} placement
 */

export const otherPlacement = (placement) => (placement === "inside" ? "outside" : "inside");
const times = (count, make) => Array.from({ length: count }, (_, r) => make(r));

/** The rows that stand in x, one after the other. */
export const rowsIn = (x, count) => times(count, (r) => x.slice((r * x.length) / count, ((r + 1) * x.length) / count));

export const MARKS = [["dash", "", "mean μ"], ["band", "", "from μ − σ to μ + σ"]];
const SHIFT_TICKS = [[-1e4, "−10⁴"], [-100, "−100"], [0, "0"], [100, "100"], [1e4, "10⁴"]];

/** The two handles of a whole row: where its mean is, and how far it spreads. */
function handles(scale, r, count) {
  // The outermost are left out where two rows leave less room.
  const ticks = scale.ticks.slice(count - 1, 6 - count).map(([v, text]) => [scale.at(v), text]);
  const [of, row] = count > 1 ? [`row ${r + 1}: `, `row ${r + 1}`] : ["", "the row"];
  return dial("shift", `${of}shift`, `μ = ${readout("mean")}`, scale, ticks, { index: r, words: `shift ${row}: its mean` })
    + dial("stretch", "stretch", `σ = ${readout("std")}`, STRETCH, [[-4, "10⁻⁴"], [-2, "0.01"], [0, "1"], [2, "100"]].slice(count - 1),
      { index: r, words: `stretch ${row}: its standard deviation` });
}

/** The handles of all rows, and what else the stage has beside them. */
const dials = (scale, count, beside) => `<div class="ln-dials ln-dials-${count}">${times(count, (r) => handles(scale, r, count)).join("")}${beside}</div>`;

/**
 * The first steps of a picture: the rows, and the rows centred.
 * @param {{ x: Float32Array, mean: number, var: number, sigma: number }[]} rows
 */
export function firstSteps(rows) {
  const each = (name) => rows.map((row) => row[name]);
  const told = (name) => each(name).map((v) => short(v, 3)).join(" and ");
  const x = rows.flatMap((row) => [...row.x]);
  const centred = rows.flatMap((row) => [...row.x.map((v) => v - row.mean)]);
  return {
    scales: { x, centred },
    bars: {
      x: { values: x, band: rows.map(({ mean, sigma }) => [mean - sigma, mean + sigma]), guide: each("mean").map((mean) => [mean]) },
      // One row's bars on the scale of x, standing on the mean: subtracting it moves zero, nothing else.
      centred: { values: centred, ...(rows.length > 1 ? {} : { on: "x", from: rows[0].mean }), band: rows.map(({ sigma }) => [-sigma, sigma]) },
    },
    facts: { mean: each("mean"), var: each("var"), std: each("sigma").map(Math.fround) },
    news: `Mean ${told("mean")}, variance ${told("var")}`,
  };
}

const toPython = (count) => ({ x, weight, bias, eps, placement }) => {
  const list = (values) => `[${values.join(", ")}]`;
  const tensors = { x: count > 1 ? rowsIn(x, count).map(list) : x, weight, bias };
  return `import torch
import torch.nn.functional as F

${Object.keys(tensors).map((name) => `${name} = torch.tensor(${list(tensors[name])}, dtype=torch.float32)`).join("\n")}
${placement === "inside"
    ? `y = F.layer_norm(x, x.shape[-1:], weight, bias, eps=${eps})`
    : `y = (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + ${eps}) * weight + bias`}
print(y)
`;
};

/**
 * A stage of the lab: what `rowsLab` takes, and besides
 * @param {number} far     how far a row may be shifted
 * @param {string} beside  HTML beside the handles
 * @param {object} [own.scale]  ticks of its own for the shift
 */
export function stageOf(props, far, beside, own) {
  const count = props.model.get("rows");
  const scale = { ticks: SHIFT_TICKS, ...shiftScale(far), ...own.scale };

  /** The rows, one of them moved by a handle. While it is held the row that it was taken from stays the pattern. */
  function shifted({ name, value, dataset: { index } }, { x, base }) {
    const from = base?.of === name + index ? base.x : x;
    const to = name === "shift" ? { mean: scale.value(+value) } : { std: STRETCH.value(+value) };
    const rows = rowsIn(from, count);
    rows[index] = moved(rows[index], to, LARGEST);
    return { x: rows.flat(), base: { of: name + index, x: from } };
  }

  return rowsLab(props, {
    label: "Layer normalization lab",
    title: "Rows to start from",
    rows: ["x", "weight", "bias"],
    choices: ["placement"],
    recordedAs: ({ placement }) => placement,
    fits: ({ placement }) => otherPlacement(otherPlacement(placement)) === placement,
    hidden: ["centred"],
    python: toPython(count),
    ...own,
    controls: dials(scale, count, beside),
    paint(lab, picture, state) {
      rowsIn(state.x, count).forEach((row, r) => {
        const { mean, std } = placeOf(row);
        for (const [name, { at }, value] of [["shift", scale, mean], ["stretch", STRETCH, std]]) {
          const range = lab.find(`[name=${name}][data-index="${r}"]`);
          setSlider(range, at(value), short(value, 3));
          range.disabled = name === "stretch" && !std;
        }
      });
      own.paint(lab, picture, state);
    },
    onInput: (input, state) => input.name === "placement" ? { placement: input.value } : shifted(input, state),
  });
}
