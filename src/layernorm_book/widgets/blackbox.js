import { DRAWS } from "./faults.js";
import { SUSPECTS, alike, bestQuestion } from "./suspects.js";
import { INPUT, askedBy, controls, fields, fits, fromPreset, painter, segments, verdicts } from "./asked.js";
import { createLab, presetButtons } from "./shared/form.js";
import { short } from "./shared/numbers.js";
import { readoutsOf, setAttribute, setReadout, setText } from "./shared/page.js";
import "./blackbox.css";

/**
 * A game: a layer with one fault, or none, in a black box. The reader asks it and picks a suspect,
 * whose errors appear as rings, until no input tells the two apart.
 *
 * @typedef {import("./asked.js").Asked & { secret: number, suspect: number, named: boolean, out: number, missed: number }} State
 *   out has a bit for each suspect that some question has set apart from the box; missed counts wrong names
 */

const NAMES = [
  "σ + ε", "no root", "a square", "ε²", "ε is always 10⁻⁶", "no ε", "columns share", "all rows share", "mean left in", "÷ (n − 1)",
  "one pass", "bfloat16", "(x̂ + β)·γ", "x̂·(1 + γ)", "all right",
];
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** An input in words. */
export const question = ({ n, mean, sigma, rows, eps, parameters }) =>
  `n = ${n}, mean ${short(mean)} and σ = ${short(sigma)}${rows === "level" ? " in each row" : ""}, ε = ${short(eps)}, ${parameters === "fresh" ? "γ = 1 and β = 0" : "γ and β drawn"}`;

/** How the game stands, in a word or two. */
export const gameWord = ({ secret, suspect, named }, together) =>
  suspect < 0 ? "Who is it?" : named ? (secret === suspect ? "Right" : "Not this one") : together ? "Possible" : "Ruled out";

/** What the errors of box and suspect say on this input. */
export function gameLine({ suspect, named }, together, error, theirs) {
  if (suspect < 0) return "One part of this box is wrong, or none. Pick a suspect: its errors appear as rings.";
  if (together) return `On this input the suspect errs as the box does, in draw after draw.${named ? "" : " Do they part on another?"}`;
  return `On this input the suspect errs by ${short(theirs, 2)} and the box by ${short(error, 2)}.`;
}

/** What would have settled it, or how many suspects are left. */
export function settled({ secret, suspect, named, missed }, together, left) {
  const names = `${missed} wrong name${missed === 1 ? "" : "s"}`;
  if (!named) return together ? "Sure? Then name it." : suspect < 0 ? "" : `Struck out. ${left} of ${NAMES.length} are left.`;
  if (secret !== suspect) return `Some input tells “${NAMES[suspect]}” from the box. Which? ${names} so far.`;
  return `It is “${NAMES[secret]}”, ${missed ? `after ${names}` : "at the first name"}. One question settles it: ${question(bestQuestion(secret))}. No other suspect errs like this there.`;
}

// --- the page -------------------------------------------------------------------------------------

const legend = `<span class="bl-dot"></span>the box: largest error in each of ${DRAWS} draws (NaN at the end) <span class="bl-key"><span class="bl-dot bl-ring"></span>the suspect’s</span>`;
const skeleton = (presets) => `
  <p class="bl-step"><b>A black box.</b> What is wrong with it?</p>
  <div class="bl-suspects">${segments("suspect", "Suspects", Object.fromEntries(NAMES.map((name, k) => [`${k}`, name])))}
    <button type="button" data-do="name">This is it</button> <button type="button" data-do="next">Another box</button></div>
  ${verdicts(legend, true)}
  <div class="ln-presets" role="group" aria-label="Inputs to start from"><b>Ask it</b>${presetButtons(presets)}</div>
  ${controls()}`;

/** The layer of a box as lines of PyTorch would give it away: the input alone. */
const toPython = ({ n, mean, sigma, eps }) => `import torch
import torch.nn.functional as F

x = ${mean} + ${sigma} * torch.randn(6, ${n})
right = F.layer_norm(x, (${n},), eps=${eps})
print(right)
`;

function render(props) {
  const presets = props.model.get("presets");
  const lab = createLab(props, {
    kind: "ln-bugs ln-box",
    label: "Black box: a layer with a fault to be named",
    body: skeleton(presets),
    keys: ["secret", "suspect", "named", "out", "missed", ...INPUT],
    fields: { ...fields, secret: ["box", 0, 14], suspect: ["suspect", -1, 14], out: ["ruled out", 0, 2 ** 15 - 1], missed: ["wrong names", 0, 99] },
    fits: (state) => fits(state) && [state.secret, state.suspect, state.out, state.missed].every(Number.isInteger),
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const paint = painter(lab, presets);
  const suspects = [...root.querySelectorAll("[name=suspect]")];
  let together; // whether box and suspect err alike in what is drawn

  /** Who is ruled out: those of before, and the suspect, where it is drawn as another than the box. */
  const ruledOut = ({ secret, suspect, named, out }) =>
    (suspect >= 0 && suspect !== secret && (named || !together) ? out | (1 << suspect) : out);
  const change = (patch) => lab.change({ out: ruledOut(lab.state), ...patch });

  /** @param {State} state */
  function draw(state) {
    const { secret, suspect, named } = state;
    const shown = named ? secret !== SUSPECTS.length - 1 : undefined;
    const { seen, theirs } = paint(state, SUSPECTS[secret], SUSPECTS[suspect], shown);
    const [errors, rings] = [seen, theirs ?? []].map((list) => list.map(({ error }) => error));
    together = suspect >= 0 && alike(errors, rings);
    const ruled = ruledOut(state);
    const left = NAMES.filter((_, k) => !(ruled & (1 << k))).length;
    const text = gameLine(state, together, middle(errors), middle(rings));
    setReadout(readouts.verdict[0], suspect, gameWord(state, together));
    setAttribute(readouts.verdict[0], "data-good", named ? secret === suspect : "");
    setText(find(".bl-headline"), text);
    setText(find(".bl-reason"), settled(state, together, left));
    suspects.forEach((input, k) => setAttribute(input, "aria-description", ruled & (1 << k) ? "ruled out" : ""));
    lab.speak(`${gameWord(state, together)}. ${text}`);
  }

  return lab.run({
    draw,
    onInput: (input) => change(askedBy(input) ?? { suspect: +input.value, named: false }),
    actions: {
      preset: ({ dataset: { preset } }) => change(fromPreset(presets[preset])),
      name: () => {
        const { secret, suspect, named, missed } = lab.state;
        const wrong = suspect >= 0 && suspect !== secret && !named;
        change({ named: suspect >= 0, missed: Math.min(missed + wrong, 99) });
      },
      next: () => lab.change({ secret: (lab.state.secret + 4) % SUSPECTS.length, suspect: -1, named: false, out: 0, missed: 0 }),
    },
    python: toPython,
  });
}

export default { render };
