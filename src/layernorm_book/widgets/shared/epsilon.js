// The slider of ε as a dial, with marks where ε begins to count.

import { field } from "./page.js";
import { dial } from "./dial.js";
import { RANGE } from "./eps.js";
import "./epsilon.css";

export { atStop, drawEpsilon, EPS } from "./eps.js";

const KNEES = { inside: "ε = σ²", outside: "ε = σ" };
const knee = (placement) => `<svg class="ln-knee ln-${placement}"><text y="9">${KNEES[placement]}</text><path d="M0 12v6"/></svg>`;

/**
 * @param {string[]} placements  those that have a knee
 * @param {string} [beside]      HTML behind its number
 */
export const epsilon = (placements, beside = "") => dial("eps", "ε",
  `= <span class="ln-value" data-quantity="eps">${field("eps", "ε as a number")}</span>${beside}`,
  RANGE, [[-12, "10⁻¹²"], [-9, "10⁻⁹"], [-6, "10⁻⁶"], [-3, "10⁻³"], [0, "1"]], { extra: placements.map(knee).join("") });
