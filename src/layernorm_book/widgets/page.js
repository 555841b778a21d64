// What the widgets share in writing to the page.

/** Set an attribute, and leave the page alone where it stands already. */
export function put(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Set a text, in the text node that is there: cheaper for the browser than a new one. */
export function say(node, text) {
  node.firstChild ?? node.append("");
  if (node.firstChild.data !== text) node.firstChild.data = text;
}

/** A text for assistive technology alone. */
export const hidden = (text) => `<span class="ln-hidden">${text}</span>`;
