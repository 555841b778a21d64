import { parse, short } from "./numbers.js";
import { put } from "./page.js";

/**
 * What every widget of the book is: a form that shows a state. The reader's hand changes the state,
 * and so does a shared link, and Python where it runs; `draw` shows it. Nothing else is kept.
 */

const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

/**
 * What PyTorch said to exactly this state, if it was asked: its answer, and which of the answer's ε
 * is meant. Live it answers each change, else its answers are on record.
 */
export function answerTo(state, rows, model, live) {
  const answers = live ? [model.get("answer")] : model.get("recorded");
  const one = answers.find((said) => said.eps?.includes(state.eps) && rows.every((name) => same(said[name], state[name])));
  return one ? [one, one.eps.indexOf(state.eps)] : [];
}

const foot = `
  <div class="ln-foot"><button type="button" data-do="link">Copy link</button>
    <button type="button" data-do="python">Copy as Python</button> <span class="ln-done" role="status"></span></div>
  <textarea class="ln-copied" aria-label="Text to copy" readonly hidden></textarea>
  <p class="ln-hidden ln-live" aria-live="polite"></p>`;

/** The buttons of the presets, numbered. */
export const presetButtons = (presets) =>
  presets.map(({ label }, k) => `<button type="button" data-do="preset" data-preset="${k}">${label}</button>`).join("");

/** A state's value out of a link, of the kind that the start has there. */
const read = (text, like) => Array.isArray(like) ? text.split(",").map(parse)
  : typeof like === "number" ? parse(text) : typeof like === "boolean" ? text === "true" : text;

/**
 * @param {{ model: import("@anywidget/types").AnyModel, el: HTMLElement }} props
 * @param {object} own
 * @param {string} [own.kind] its class
 * @param {string} own.label  its name, for assistive technology
 * @param {string} own.body   its HTML
 * @param {string[]} own.keys the traits that are its state
 * @param {Record<string, [string, number, number]>} [own.fields]  of each number in it: symbol, least, most
 * @param {(state: object) => boolean} [own.fits]  whether the parts of a state fit together
 */
export function instrument({ model, el }, { kind = "", label, body, keys, fields = {}, fits = () => true }) {
  const index = document.querySelectorAll(".ln-lab").length; // which one of the page a link means
  const root = document.createElement("form"); // it keeps radio buttons to itself; Enter is a change
  root.className = `ln-lab ${kind}`;
  root.autocomplete = "off";
  put(root, "aria-label", label);
  root.innerHTML = body + foot;
  el.append(root);

  const found = new Map();
  function find(selector) {
    if (!found.get(selector)?.isConnected) found.set(selector, root.querySelector(selector));
    return found.get(selector);
  }

  const inRange = (value, [, least, most]) => value >= least && value <= most;
  const usable = (state) => fits(state)
    && Object.keys(fields).every((key) => [state[key]].flat().every((value) => inRange(value, fields[key])));
  const fromModel = () => Object.fromEntries(keys.map((key) => [key, model.get(key)]));
  const start = fromModel();

  /** The state in the page's address, or null where it holds none that can be used. */
  function fromLink() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.get("lab") !== String(index) || keys.some((key) => !given.has(key))) return null;
    const state = Object.fromEntries(keys.map((key) => [key, read(given.get(key), start[key])]));
    return usable(state) ? state : null;
  }
  const toLink = () => `${location.href.split("#")[0]}#lab=${index}${keys
    .map((key) => `&${key}=${String(lab.state[key]).replaceAll("+", "")}`).join("")}`;

  let draw;
  let pushing = false;
  let [speaking, spoken] = [0, null];

  function change(patch) {
    lab.state = { ...lab.state, ...patch };
    draw(lab.state);
    pushing = true;
    for (const key in patch) model.set(key, patch[key]);
    model.save_changes();
    pushing = false;
  }

  /** Take over what Python has set; a row and its partner of a new length arrive one by one. */
  function pull() {
    const now = fromModel();
    if (pushing || !usable(now)) return;
    lab.state = now;
    draw(now);
  }

  const setOne = (name, value, i) => change({ [name]: i === undefined ? value : lab.state[name].with(+i, value) });

  /** Tell a screen reader once the hand rests, what is news, and nothing at the start. */
  function speak(text) {
    clearTimeout(speaking);
    spoken ??= text;
    if (text !== spoken) speaking = setTimeout(() => (find(".ln-live").textContent = spoken = text), 800);
  }

  async function copy(text, done) {
    const box = find(".ln-copied");
    try {
      await navigator.clipboard.writeText(text);
      box.hidden = true;
    } catch {
      box.value = text; // no permission, or no clipboard on this origin
      box.hidden = false;
      box.select();
      done = "Copy this:";
    }
    find(".ln-done").textContent = done;
  }

  /**
   * Draw, and listen from now on.
   * @param {object} does
   * @param {(state: object) => void} does.draw
   * @param {(input: HTMLInputElement) => void} does.hand   the reader moved this control
   * @param {(part: Element | null) => void} [does.point]   the pointer or the focus is here
   * @param {Record<string, (button: HTMLElement) => void>} [does.actions]  by the buttons' data-do
   * @param {(state: object) => void} [does.restore]        a link brought this state
   * @param {(state: object) => string} does.python         the lines that reproduce a state
   * @returns {() => void} takes everything away again
   */
  function run({ hand, point, actions, restore = change, python, ...does }) {
    draw = does.draw;
    const redraw = () => draw(lab.state);
    const buttons = {
      start: () => restore(start),
      link: () => copy(toLink(), "Link copied."),
      python: () => copy(python(lab.state), "Python copied."),
      ...actions,
    };

    function onTyped({ target }) {
      if (!target.name.endsWith("-typed")) return;
      const name = target.name.slice(0, -6);
      const [symbol, least, most] = fields[name];
      const value = parse(target.value);
      const good = inRange(value, fields[name]);
      delete target.dataset.editing;
      find(".ln-done").textContent = good ? "" : `${symbol} takes a number from ${short(least)} to ${short(most)}.`;
      if (good) setOne(name, value, target.dataset.index);
      else redraw();
    }

    const listen = (type, handler) => root.addEventListener(type, handler);
    listen("input", ({ target }) => {
      if (target.name.endsWith("-typed")) target.dataset.editing = true;
      else hand(target);
    });
    listen("change", onTyped);
    listen("click", ({ target }) => {
      const button = target.closest?.("[data-do]");
      if (button) buttons[button.dataset.do](button);
    });
    for (const type of ["pointerover", "focusin", "pointerleave"]) {
      listen(type, ({ target }) => point?.(target === root ? null : target.closest?.("[data-index]")));
    }
    listen("submit", (event) => event.preventDefault());
    const onLink = () => {
      const state = fromLink();
      if (state) restore(state);
    };
    addEventListener("hashchange", onLink);
    const events = [...keys.map((key) => [`change:${key}`, pull]), ["change:answer", redraw]];
    for (const [event, handler] of events) model.on(event, handler);

    redraw();
    if (lab.state !== start) root.scrollIntoView();
    return () => {
      removeEventListener("hashchange", onLink);
      clearTimeout(speaking);
      for (const [event, handler] of events) model.off(event, handler);
      root.remove();
    };
  }

  const lab = { root, find, state: fromLink() ?? start, change, setOne, speak, run };
  return lab;
}
