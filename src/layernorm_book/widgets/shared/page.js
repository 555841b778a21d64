// Writing to the page.

/** Set an attribute, and leave the page alone where it stands already. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Set a text, in the text node that is there: cheaper for the browser than a new one. */
export function setText(node, text) {
  node.firstChild ?? node.append("");
  if (node.firstChild.data !== text) node.firstChild.data = text;
}

/** Show a number: its full value in data-value, its text for the eye. */
export function setReadout(node, value, text) {
  setAttribute(node, "data-value", value);
  const input = node.firstElementChild?.control; // a field in its label
  if (!input) setText(node, text);
  else if (!input.dataset.editing && input.value !== text) input.value = text;
}

/** Put a slider where a value stands, and say the value in words. */
export function setSlider(range, value, text) {
  range.value = value;
  setAttribute(range, "aria-valuetext", text);
}

/** A text for screen readers alone. */
export const srOnly = (text) => `<span class="ln-hidden">${text}</span>`;

/** A field for a number, for assistive technology in words; `more` are further attributes. */
export const field = (name, words, more = "") => `<label>${srOnly(words)}<input name="${name}-typed"${more} inputmode="decimal"></label>`;

/** All that is not for the first look. */
export const more = (body) => `<details class="ln-more"><summary>More</summary>${body}</details>`;

/** A place for a number that is not one of several. */
export const readout = (quantity) => `<output data-quantity="${quantity}"></output>`;

/** The readouts of a part of the page: for each quantity its nodes, in the order of their elements. */
export function readoutsOf(part) {
  const readouts = {};
  for (const node of part.querySelectorAll("[data-quantity]")) (readouts[node.dataset.quantity] ??= []).push(node);
  return readouts;
}
