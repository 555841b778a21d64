import "./choice.css";

/**
 * A choice of two or three, side by side: native radio buttons.
 * @param {string} name
 * @param {string} title  what is chosen, for assistive technology
 * @param {Record<string, string>} choices  value: words
 */
export const choice = (name, title, choices) => `<fieldset class="ln-switch"><legend class="ln-hidden">${title}</legend>${
  Object.entries(choices).map(([value, words]) => `<label><input type="radio" name="${name}" value="${value}"><span>${words}</span></label>`).join("")}</fieldset>`;
