import { parse, short } from "./numbers.js";
import { setAttribute, setText } from "./page.js";
import { letDrag } from "./drag.js";
import "./base.css";

/**
 * What every lab is: a form that shows a state. A control, a link and Python change the state, and
 * `draw` shows it. What is drawn follows from the state alone; nothing else is kept.
 */

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
 * @param {object} props
 * @param {import("@anywidget/types").AnyModel} props.model
 * @param {HTMLElement} props.el
 * @param {boolean} [props.live]  false on a static page, where no Python answers
 * @param {number} [props.place]  which one of the page's labs it is, where the host knows
 * @param {object} own
 * @param {string} [own.kind] its class
 * @param {string} own.label  its name, for assistive technology
 * @param {string} own.body   its HTML
 * @param {string[]} own.keys the traits that are its state
 * @param {object} [own.local] what is its state besides, at the start: of this view, not of Python or links
 * @param {Record<string, [string, number, number]>} [own.fields]  of each number in it: symbol, least, most
 * @param {(state: object) => boolean} [own.fits]  whether the parts of a state fit together
 */
export function createLab({ model, el, live = true, place }, { kind = "", label, body, keys, local = {}, fields = {}, fits = () => true }) {
  const root = document.createElement("form"); // it keeps radio buttons to itself; Enter is a change
  root.className = `ln-lab ${kind}`;
  root.autocomplete = "off";
  setAttribute(root, "aria-label", label);
  root.innerHTML = body + foot;
  el.append(root);

  const found = {};
  function find(selector) {
    if (!found[selector]?.isConnected) found[selector] = root.querySelector(selector);
    return found[selector];
  }

  const inRange = (value, [, least, most]) => value >= least && value <= most;
  const usable = (state) => fits(state)
    && Object.keys(fields).every((key) => [state[key]].flat().every((value) => inRange(value, fields[key])));
  const fromModel = () => Object.fromEntries(keys.map((key) => [key, model.get(key)]));
  const start = { ...fromModel(), ...local };

  /** Where it stands among the labs of the document: a link means one of them. */
  const ownPlace = () => String(place ?? [...document.querySelectorAll(".ln-lab")].indexOf(root));

  /** The state in the page's address, or null where it holds none that can be used. */
  function fromLink() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.get("lab") !== ownPlace() || keys.some((key) => !given.has(key))) return null;
    const state = Object.fromEntries(keys.map((key) => [key, read(given.get(key), start[key])]));
    return usable(state) ? { ...start, ...state } : null;
  }
  const toLink = () => `${location.href.split("#")[0]}#lab=${ownPlace()}${keys
    .map((key) => `&${key}=${encodeURI(lab.state[key]).replaceAll("+", "")}`).join("")}`;

  let draw;
  let pushing = false;
  let [speaking, spoken] = [0, null];

  /** Change some of the state. What Python has of it goes there, under a new revision number. */
  function change(patch) {
    lab.state = { ...lab.state, ...patch };
    const shared = keys.filter((key) => key in patch);
    pushing = true;
    for (const key of shared) model.set(key, patch[key]);
    if (shared.length) model.set("revision", model.get("revision") + 1);
    pushing = false;
    draw(lab.state);
    if (shared.length) model.save_changes();
  }

  /** Begin anew from another state. */
  const load = (patch) => change({ ...local, ...patch });

  /** Begin from the state in the page's address, if it holds one; return it. */
  function follow() {
    const state = fromLink();
    if (state) load(state);
    return state;
  }

  const setOne = (name, value, i) => change({ [name]: i === undefined ? value : lab.state[name].with(+i, value) });

  /** Take over what Python has set. Its answer may be told before the state that it answers. */
  function onModelChange() {
    const now = fromModel();
    if (pushing || !usable(now)) return;
    lab.state = { ...lab.state, ...now };
    draw(lab.state);
  }

  /**
   * PyTorch's answer to the state: Python's, once it answers the latest revision; on a static page
   * the one on record that `isFor` knows as the state's; or undefined.
   */
  function answer(isFor) {
    if (!live) return model.get("recorded").find(isFor);
    const latest = model.get("answer");
    return latest.revision === model.get("revision") ? latest : undefined;
  }

  /** Say what came of comparing with PyTorch's answer, if there is one. */
  const sayAnswer = (text) => setText(find(".ln-says"), text ?? (live ? "PyTorch: waiting …"
    : "While this page was built, PyTorch was not asked for this state: the numbers are your browser’s own."));

  /** Tell a screen reader once the controls rest, what is news, and nothing at the start. */
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
   * @param {(input: HTMLInputElement) => void} does.onInput    the reader moves this control
   * @param {typeof setOne} [does.onNumber]                     has typed a number into a field
   * @param {() => void} [does.onRelease]                       and has let go of it
   * @param {Record<string, (button: HTMLElement, lab: object) => void>} [does.actions]  by the buttons' data-do
   * @param {(state: object) => string} does.python             the lines that reproduce a state
   * @returns {() => void} takes everything away again
   */
  function run(does) {
    draw = does.draw;
    const buttons = {
      start: () => load(start),
      link: () => copy(toLink(), "Link copied."),
      python: () => copy(does.python(lab.state), "Python copied."),
      ...does.actions,
    };

    function onTyped({ name, value, dataset }) {
      const key = name.slice(0, -6);
      const [symbol, least, most] = fields[key];
      const number = parse(value);
      const good = inRange(number, fields[key]);
      delete dataset.editing;
      find(".ln-done").textContent = good ? "" : `${symbol} takes a number from ${short(least)} to ${short(most)}.`;
      if (good) (does.onNumber ?? setOne)(key, number, dataset.index);
      else draw(lab.state);
    }

    const listen = (type, handler) => root.addEventListener(type, handler);
    const typed = ({ name }) => name.endsWith("-typed");
    listen("input", ({ target }) => {
      if (typed(target)) target.dataset.editing = true;
      else does.onInput(target);
    });
    listen("change", ({ target }) => {
      if (typed(target)) onTyped(target);
      else does.onRelease?.();
    });
    listen("click", ({ target }) => {
      const button = target.closest?.("[data-do]");
      if (button) buttons[button.dataset.do](button, lab);
    });
    listen("submit", (event) => event.preventDefault());
    letDrag(root);
    const onPrint = () => root.querySelectorAll(".ln-more").forEach((part) => (part.open = true));
    addEventListener("beforeprint", onPrint);
    addEventListener("hashchange", follow);
    const events = [...keys, "answer"].map((key) => `change:${key}`);
    for (const event of events) model.on(event, onModelChange);

    if (follow()) root.scrollIntoView();
    else draw(lab.state);
    return () => {
      removeEventListener("hashchange", follow);
      removeEventListener("beforeprint", onPrint);
      clearTimeout(speaking);
      for (const event of events) model.off(event, onModelChange);
      root.remove();
    };
  }

  const lab = { root, find, live, state: start, change, load, setOne, answer, sayAnswer, speak, run };
  return lab;
}
