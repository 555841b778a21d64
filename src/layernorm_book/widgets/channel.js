import { channelSays, CHANNELS, costlier, distances, LAYERS, outliers, ROWS, strength, unpack, VIEWS } from "./channels.js";
import { clamp, fixed, short } from "./shared/numbers.js";
import { field, more, readoutsOf, setAttribute, setReadout, setSlider, setText, srOnly } from "./shared/page.js";
import { createLab } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import { legend } from "./shared/parts.js";
import "./channel.css";

/**
 * The channel lab: γ, β and x̂² of a trained model's channels, and what silencing one of them costs.
 *
 * @typedef {object} State
 * @property {string} view    what the map shows
 * @property {string} rows    the tokens in which the channel is silenced
 * @property {boolean} zoom    whether the bars are cut off at 0.9
 * @property {boolean} every    whether every channel has its bar, or the chosen one alone
 * @property {number} channel
 */

const DEPTH = 100; // of the upper picture
const LEVELS = 8;
const WIDE = 2; // from this level on, a cell is three columns wide so that it is seen
const PICTURES = ["weight", "bias", "share"];
const mark = (side) => `<i class="ln-${side}"></i>`;
const SHOWS = {
  weight: `${mark("up")} γ far above its layer’s mean, ${mark("down")} far below; at the right, the channel’s own γ`,
  bias: `${mark("up")} β above 0, ${mark("down")} below; at the right, the channel’s own β`,
  share: "the stronger the colour, the larger the share of all x̂²; an even one is 0.26%",
};

const lines = (names) => names.map((name) => `<span>${name}</span>`).join("");
const body = (names) => `
  <p class="ln-story" data-quantity="sentence"></p>
  <div class="ln-choices">silenced in ${choice("rows", "where the channel is silenced", { all: "every token", cls: "[CLS] alone", others: "all but [CLS]" })}</div>
  <div class="ln-channels">
    <div class="ln-title"><b>cosine that is left</b> <span class="ln-ticks"><label><input type="checkbox" name="every"> all bars</label> <label><input type="checkbox" name="zoom"> zoom in</label></span> ${legend([["bar", "y", "median"], ["band", "y", "worst of 24 sentences"]])}</div>
    <div class="ln-ends"><span>1</span><span></span><span></span></div>
    <div class="ln-stage"><svg class="ln-cost ln-pick" viewBox="0 0 ${CHANNELS} ${DEPTH}" preserveAspectRatio="none" aria-hidden="true"><path class="ln-level" d="M0 0H${CHANNELS}M0 ${DEPTH / 2}H${CHANNELS}M0 ${DEPTH}H${CHANNELS}"/><g class="ln-every"><path class="ln-worst"/><path class="ln-median"/></g><g class="ln-mine"><path/><path/></g><path class="ln-frame"/></svg><p class="ln-veil">the other 383 bars are hidden</p></div>
    <div class="ln-left"><p>worst<output data-quantity="worst"></output></p><p>median<output data-quantity="median"></output></p></div>
    <div class="ln-hand"><label>${srOnly("channel")}<input type="range" name="channel" min="0" max="${CHANNELS - 1}" step="1"></label></div>
    <div class="ln-steps"><button type="button" data-do="less" aria-label="previous channel">‹</button><output data-quantity="channel">${field("channel", "channel")}</output><button type="button" data-do="greater" aria-label="next channel">›</button></div>
    <div class="ln-names" aria-hidden="true">${lines(names)}</div>
    <svg class="ln-map ln-pick" viewBox="0 0 ${CHANNELS} ${LAYERS}" preserveAspectRatio="none" aria-hidden="true">${PICTURES.map((view) => `<g class="ln-${view === "share" ? "x_hat" : view}" hidden></g>`).join("")}<path class="ln-frame"/></svg>
    <div class="ln-own">${names.map((_, k) => `<output data-quantity="own" data-index="${k}"></output>`).join("")}</div>
    <div class="ln-views">${choice("view", "what the map shows", { weight: "γ", bias: "β", share: "x̂²" })} <span class="ln-shows">${PICTURES.map((view) => `<span hidden>${SHOWS[view]}</span>`).join("")}</span>
      <div class="ln-presets" role="group" aria-label="Where to begin"><button type="button" data-do="start">Start</button></div></div>
  </div>
  ${more(`<p class="ln-says">A row of the map is one of the model’s 13 LayerNorms, in the order in which a token meets them: emb, the embeddings; att and ff, what follows attention and the feed-forward part of a block. A column is a channel, and it stands under its own bar. Arrow keys move the slider by one channel. All cosines were measured by <code>make wild</code> on <span class="ln-date"></span>.</p>`)}`;

const toPython = ({ channel, rows }) => `import torch
from layernorm_book.chapters.trained import load_layer_norms, load_measured

weight, bias = map(torch.tensor, load_layer_norms())  # (13, 384) each
cosine = load_measured("silenced_channels")["cosine"]["${rows}"]
worst, median = cosine["worst"][${channel}], cosine["median"][${channel}]
print(weight[:, ${channel}], bias[:, ${channel}], worst, median)
`;

/** One side of a map, 1 or −1, as paths of growing strength: each covers the cells that are at least so strong. */
function levels(view, values, side) {
  return Array.from({ length: LEVELS }, (_, level) => {
    let d = "";
    const beside = level < WIDE ? 0 : 1;
    for (let layer = 0; layer < LAYERS; layer++) {
      let from = -1;
      for (let c = 0; c <= CHANNELS; c++) {
        const strong = c < CHANNELS && side * strength(view, values[layer * CHANNELS + c]) * LEVELS > level + 0.5;
        if (strong && from < 0) from = c;
        if (!strong && from >= 0) {
          d += `M${from - beside} ${layer}H${c + beside}v1H${from - beside}z`;
          from = -1;
        }
      }
    }
    return `<path d="${d}"/>`;
  }).join("");
}

/** A channel's bar, three columns wide so that it is seen; the end of the scale cuts it off. */
const bar = (cosine, channel, least) =>
  `M${channel - 1} 0V${+clamp((DEPTH * (1 - cosine)) / (1 - least), 0, DEPTH).toFixed(1)}h3V0z`;

function render(props) {
  const { model } = props;
  const numbers = unpack(model.get("numbers"));
  const exact = model.get("exact");
  const lab = createLab(props, {
    kind: "ln-channel",
    label: "Channels of a trained model",
    body: body(model.get("names")),
    keys: ["view", "rows", "zoom", "every", "channel"],
    fields: { channel: ["channel", 0, CHANNELS - 1] },
    fits: ({ view, rows, channel }) => VIEWS.includes(view) && ROWS.includes(rows) && Number.isInteger(channel),
  });
  const { root, find } = lab;
  setText(find(".ln-date"), model.get("date"));
  const readouts = readoutsOf(root);
  const [range, ...radios] = ["channel", "rows", "view"].flatMap((name) => [...root.querySelectorAll(`[name=${name}]`)]);
  const maps = Object.fromEntries(PICTURES.map((view, k) => [view, root.querySelectorAll(".ln-map > g")[k]]));
  const far = distances(numbers.weight);
  for (const view of PICTURES) {
    const side = (name, sign) => `<g class="ln-${name}">${levels(view, view === "weight" ? far : numbers[view], sign)}</g>`;
    maps[view].innerHTML = side("up", 1) + side("down", -1);
  }
  const frames = [...root.querySelectorAll(".ln-frame")];
  const ends = [...find(".ln-ends").children];

  const drawn = new Map(); // the bars of each choice, once they have been asked for
  function bars(kind, rows, least) {
    const key = `${kind} ${rows} ${least}`;
    if (!drawn.has(key)) drawn.set(key, numbers.cosine[rows][kind].map((v, c) => bar(v, c, least)).join(""));
    return drawn.get(key);
  }

  const write = (quantity, value, text, i = 0) => setReadout(readouts[quantity][i], value, text);

  function own(view, layer, channel) {
    const at = layer * CHANNELS + channel;
    const value = exact[view]?.[at] ?? numbers[view][at];
    if (view === "share") return [value, `${fixed(100 * value, 1)}%`];
    return [value, value !== 0 && Math.abs(value) < 5e-4 ? short(value, 1) : fixed(value, 2)];
  }

  const [mine, shows] = [".ln-mine", ".ln-shows"].map((part) => [...find(part).children]);

  function draw({ view, rows, zoom, every, channel }) {
    const { worst, median } = numbers.cosine[rows];
    const says = channelSays({
      channel, rows, worst: worst[channel], median: median[channel],
      above: costlier(worst, channel), hints: outliers(far, channel),
    });
    write("sentence", channel, says);
    write("channel", channel, String(channel));
    write("worst", worst[channel], fixed(worst[channel], 4));
    write("median", median[channel], fixed(median[channel], 4));
    for (let layer = 0; layer < LAYERS; layer++) write("own", ...own(view, layer, channel), layer);
    setSlider(range, channel, `channel ${channel}`);
    for (const radio of radios) radio.checked = radio.value === (radio.name === "rows" ? rows : view);
    PICTURES.forEach((name, k) => {
      maps[name].toggleAttribute("hidden", name !== view);
      shows[k].toggleAttribute("hidden", name !== view);
    });
    const least = zoom ? 0.9 : 0;
    find("[name=zoom]").checked = zoom;
    [1, (1 + least) / 2, least].forEach((level, k) => setText(ends[k], String(level)));
    find("[name=every]").checked = every;
    setAttribute(find(".ln-stage"), "data-every", String(every));
    ["worst", "median"].forEach((kind, k) => {
      setAttribute(find(`.ln-${kind}`), "d", bars(kind, rows, least));
      setAttribute(mine[k], "d", bar(numbers.cosine[rows][kind][channel], channel, least));
    });
    frames.forEach((frame, k) => setAttribute(frame, "d", `M${channel - 3} 0h7V${k ? LAYERS : DEPTH}h-7z`));
    lab.speak(says);
  }

  // A pointer on a picture takes the channel under it, and keeps it while it is down.
  let held = null;
  function pick({ clientX }) {
    const { left, width } = held.getBoundingClientRect();
    const channel = clamp(Math.floor((CHANNELS * (clientX - left)) / width), 0, CHANNELS - 1);
    if (channel !== lab.state.channel) lab.change({ channel });
  }
  for (const picture of root.querySelectorAll(".ln-pick")) {
    picture.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      held = picture;
      picture.setPointerCapture(event.pointerId);
      pick(event);
      range.focus({ preventScroll: true });
      event.preventDefault();
    });
    picture.addEventListener("pointermove", (event) => held === picture && pick(event));
    for (const type of ["pointerup", "pointercancel"]) picture.addEventListener(type, () => (held = null));
    picture.addEventListener("mousedown", (event) => event.preventDefault());
  }

  const step = (by) => lab.change({ channel: clamp(lab.state.channel + by, 0, CHANNELS - 1) });
  return lab.run({
    draw,
    onInput: ({ name, value, checked }) => {
      if (name === "channel") lab.change({ channel: +value });
      else if (name === "zoom" || name === "every") lab.change({ [name]: checked });
      else if (checked) lab.change({ [name]: value });
    },
    onNumber: (_, number) => lab.change({ channel: Math.round(number) }),
    actions: {
      less: () => step(-1),
      greater: () => step(1),
    },
    python: toPython,
  });
}

export default { render };
