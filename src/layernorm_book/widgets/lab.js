import { layerNorm, layerNorm64, ulp } from "./layernorm.js";
import { errorsSay, placementSays } from "./says.js";
import { short } from "./shared/numbers.js";
import { readout } from "./shared/page.js";
import { legend } from "./shared/parts.js";
import { firstSteps, MARKS, otherPlacement, rowsIn, stageOf } from "./wholerow.js";
import { largest } from "./shared/bars.js";
import { epsilon } from "./shared/epsilon.js";
import "./lab.css";

/** The lab once it divides: x̂ and ε at the stage "normalize", γ, β and y at the stage "affine". */

/** @typedef {import("./wholerow.js").State} State */

const DIVIDED = { x: "x", centred: "x − μ", x_hat: "x̂" };
const STEPS = { normalize: DIVIDED, affine: { ...DIVIDED, weight: "γ", bias: "β", y: "y" } };

// --- the page -------------------------------------------------------------------------------------

/** A readout of each row. */
const readouts = (quantity, count) => Array(count).fill(readout(quantity)).join(" and ");

/** The slider of ε, beside the variance that it is added to. */
const division = (count) => epsilon(["inside", "outside"], `<span>σ² = ${readouts("var", count)}</span>`);

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
  <p class="ln-facts"><span>x − μ is multiplied by ${readouts("rstd", count)}</span>
    <span>the two placements differ by ${readout("gap")}</span></p>
  <p class="ln-facts ln-sign">${readout("sign")}</p>`;

// --- from a state to its picture ------------------------------------------------------------------

const WHO = { inside: "PyTorch’s layer_norm", outside: "that formula in torch operations" };

/** The picture of a state, as far as the stage goes. */
const showIn = (affine, count) => (state, pytorch) => {
  const { eps, placement } = state;
  const n = state.x.length / count;
  const partners = affine ? { weight: state.weight, bias: state.bias } : {};
  const all = rowsIn(state.x, count).map((row) => {
    const now = layerNorm(row, { ...partners, eps, placement });
    const sigma = Math.sqrt(now.var);
    return {
      ...now, sigma, spread: sigma * now.rstd,
      other: layerNorm(row, { eps, placement: otherPlacement(placement) }).xHat,
      truth: layerNorm64({ x: now.x, ...partners, eps, placement }),
    };
  });
  const begun = firstSteps(all);
  const [first] = all;
  const [xHat, y, other, truth] = ["xHat", "y", "other", "truth"].map((name) => all.flatMap((now) => [...now[name]]));
  const [weight, bias] = [state.weight, state.bias].map((row) => Float32Array.from(y, (_, i) => row[i % n]));
  const furthest = (values, from) => largest(values.map((v, i) => v - from[i]));
  const gap = furthest(other, xHat);
  return {
    scales: { ...begun.scales, x_hat: [-2, 2, ...xHat], weight: [0, 2, ...state.weight], bias: [-1, 1, ...state.bias], y },
    bars: {
      ...begun.bars,
      x_hat: { values: xHat, band: all.map(({ spread }) => [-spread, spread]) },
      weight: { values: weight },
      bias: { values: bias },
      y: { values: y },
    },
    facts: {
      ...begun.facts, rstd: all.map(({ rstd }) => rstd),
      gap: [[gap, short(gap, 3)]],
      sign: [[first.sigma && Math.sign((1 - eps) / 2 - first.sigma), placementSays(first.sigma, eps)]],
    },
    knees: { [placement]: placement === "inside" ? first.var : first.sigma },
    quote: {
      step: affine ? "y" : "x_hat",
      unit: pytorch && ulp(largest(pytorch)),
      title: placement === "inside" ? "PyTorch" : "formula in torch",
      says: () => errorsSay(WHO[placement], furthest(pytorch, truth), furthest(affine ? y : xHat, truth)),
    },
    news: `${begun.news}, epsilon ${short(eps, 3)}, largest output ${short(largest(y), 3)}.`,
  };
};

/** A new γ and β for the same rows. */
const setAffine = (lab, ...values) => {
  const [weight, bias] = values.map((value) => lab.state.weight.map(() => value));
  lab.change({ weight, bias, held: null, base: null });
};

function render(props) {
  const count = props.model.get("rows");
  const affine = props.model.get("stage") === "affine";
  return stageOf(props, 1e4, count > 1 ? "" : division(1), {
    kind: `${affine ? "ln-of-affine" : ""}${count > 1 ? " ln-two" : ""}`,
    steps: STEPS[props.model.get("stage")],
    after: affine ? { x_hat: affinePanel(count) } : {},
    below: affine ? "" : legend(MARKS),
    behind: behind(count),
    compared: true,
    show: showIn(affine, count),
    paint: ({ find }, picture, { placement }) => (find(`[value=${placement}]`).checked = true),
    actions: {
      reset: (_, lab) => setAffine(lab, 1, 0),
      undo(_, lab) {
        const { x, eps, placement } = lab.state;
        const { mean, rstd } = layerNorm(x.slice(0, x.length / count), { eps, placement });
        setAffine(lab, 1 / rstd, mean);
      },
    },
  });
}

export default { render };
