import { PILES, counted, fitting, groupSays, heights, inputSays, lines as linesOf, offOn, ordered, piled, searched, tableSays, told } from "./picks.js";
import { setAttribute, setReadout, setText, srOnly, readout, readoutsOf } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import { choice } from "./shared/choice.js";
import "./census.css";

/** The census: a dot for each layer, piled by how far off it is on an input; and the table. */

const COLUMNS = { package: "package", class: "class", group: "verdict", off: "off" };
const PRESETS = [{ label: "slips", query: "slip" }, { label: "reset", query: "" }];
const SHORT = { usual: "usual", quiet: "quiet", far: "far", half: "float16", loud: "loud" };
const PITCH = { wide: 8.7, narrow: 7.4 }; // of the dots: census.css has their radius
const FOOT = 26; // the height below them
const SHARES = [2.4, 2.4, 1, 1, 1, 1, 1]; // of the width, for each pile: the first two hold most dots
const WHOLE = SHARES.reduce((a, b) => a + b);

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const radio = (value, words) => `<label data-group="${value}"><input type="radio" name="group" value="${value}"><span>${words}</span> ${readout("count")}</label>`;

function skeleton({ packages, rows, groups }) {
  const row = ({ p, c, f = "", g, k }, i) => {
    const [name, version, , start] = packages[p];
    const cell = `<td data-do="row" data-at="${i}">`;
    return `<tr data-row="${i}" data-group="${groups[g][0]}"><th scope="row"><label><input type="radio" name="chosen" value="${i}">${escaped(name)} <small>${escaped(version)}</small></label></th>`
      + `${cell}<a tabindex="-1" href="${escaped(start + f)}">${escaped(c)}</a></td>${cell}${groups[g][1]}${k === "slip" ? ", a slip" : ""}</td>${cell}</td></tr>`;
  };
  const dot = ({ g, k }, i) => `<circle data-group="${groups[g][0]}"${k ? ` data-kind="${k}"` : ""} data-do="row" data-at="${i}"><title></title></circle>`;
  return `
  ${choice("given", "the input that sizes are about", SHORT)}
  <p class="ln-shown" data-quantity="seen"></p>
  <svg class="ln-dots" role="img">${rows.map((r, i) => (r.m ? dot(r, i) : "")).join("")}${PILES.map(([words]) => `<text class="ln-pile">${words}</text><text class="ln-many"></text>`).join("")}</svg>
  <fieldset class="ln-groups"><legend class="ln-hidden">verdict</legend>${radio("all", "all")}${groups.map(([key, words]) => radio(key, words.replace("differs: ", ""))).join("")}</fieldset>
  <div class="ln-find"><label>Find <input type="search" name="query" maxlength="60" placeholder="package, class, framework …" autocapitalize="off" spellcheck="false"></label><span class="ln-presets">${presetButtons(PRESETS)}</span></div>
  <p class="ln-shown" data-quantity="shown"></p>
  <div class="ln-list"><table><caption class="ln-hidden">Normalization layers of published packages</caption>
    <thead><tr>${Object.entries(COLUMNS).map(([key, words]) => `<th scope="col" data-column="${key}"><button type="button" data-do="sort" data-sort="${key}">${words}</button><span class="ln-paper">${words}</span></th>`).join("")}</tr></thead>
    <tbody>${rows.map(row).join("")}<tr class="ln-opened" hidden><td colspan="4">
      <p class="ln-why"><span></span> <a class="ln-cause" href="${packages[0][3]}">The line</a> <a class="ln-witness" href="${packages[0][3]}">Their other code</a></p><p class="ln-sizes"></p><p class="ln-found" data-quantity="open"></p>
      <p><span class="ln-built"></span> <a class="ln-source" href="${packages[0][3]}"></a> <button type="button" data-do="close">Close${srOnly(" this row")}</button></p></td></tr></tbody></table></div>`;
}

const toPython = ({ query, group, given, sort }) => `import torch
from layernorm_book.chapters.census import find, group_of, in_order, load, off_on, told

census = load()
rows = find(census["rows"], ${JSON.stringify(query)}, ${JSON.stringify(group)})
for row in in_order(rows, ${JSON.stringify(sort)}, ${JSON.stringify(given)}):
    size = told(off_on(row, ${JSON.stringify(given)}))
    print(row["package"], row["version"], row["class"], group_of(row), size, row["link"])

print(f"compared with torch {census['torch']}; this is torch {torch.__version__}")
`;

function render(props) {
  const census = props.model.get("census");
  const first = { sort: props.model.get("sort"), given: props.model.get("given") }; // what “reset” returns to
  const { inputs, groups, packages, texts, rows } = census;
  const lab = createLab(props, {
    kind: "ln-census",
    label: "The census of normalization layers",
    body: skeleton(census),
    keys: ["query", "group", "given", "chosen", "sort"],
    fields: { chosen: ["the row", -1, rows.length - 1] },
    fits: ({ query, group, given, chosen, sort }) => query.length <= 60 && !/[&#+]/.test(query) && ["all", ...groups.map(([key]) => key)].includes(group)
      && given in SHORT && Number.isInteger(chosen) && sort.replace(/^-/, "") in COLUMNS,
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const lines = [...root.querySelectorAll("[data-row]")];
  const heads = [...root.querySelectorAll("[data-column]")];
  const dots = new Map([...root.querySelectorAll("circle")].map((dot) => [+dot.dataset.at, dot]));
  const [words, manys] = [".ln-pile", ".ln-many"].map((name) => [...root.querySelectorAll(name)]);
  const opened = find(".ln-opened");
  const narrow = matchMedia("(max-width: 600px)");
  const inAll = searched(census);
  const drawn = {}; // what the page shows now, so that only what changes is written
  let revealing = 0;

  function open(i) {
    const { p, c, f = "", l, n, b, w, k, s, r, t, h, g, m } = rows[i];
    const [name, version, framework, start] = packages[p];
    const fill = (where, text) => {
      setText(find(where), text);
      find(where).hidden = !text;
    };
    fill(".ln-found", `${m ? "The judge" : groups[g][1]}: ${texts[w]}.`);
    fill(".ln-sizes", m ? `Off by ${inputs.map(([, name], at) => (m[at] < 0 ? "" : `${told(m[at])} on ${name}`)).filter(Boolean).join(", ")}.` : "");
    find(".ln-why").hidden = s === undefined;
    setText(find(".ln-why span"), s === undefined ? "" : `Read as: ${k}. ${texts[s]}`);
    setAttribute(find(".ln-cause"), "href", start + (r ?? f));
    setAttribute(find(".ln-witness"), "href", t ?? start);
    find(".ln-witness").hidden = !t;
    const asked = h ? "float32 and float16" : "float64, float32, float16 and bfloat16";
    fill(".ln-built", `${framework}${b === undefined ? "" : `, built as ${texts[b]}, asked in ${asked}`}.${n > 1 ? ` ${n} classes share this code.` : ""}`);
    setText(find(".ln-source"), `Source of ${c} in ${name} ${version}${l ? `, line ${l}` : ""}`);
    setAttribute(find(".ln-source"), "href", start + f);
  }

  /** Move every dot to its pile. */
  function pile(at) {
    const [wide, pitch] = narrow.matches ? [360, PITCH.narrow] : [654, PITCH.wide];
    const across = SHARES.map((share) => Math.floor((share * wide) / WHOLE / pitch));
    const middles = SHARES.map((share, to) => ((SHARES.slice(0, to).reduce((a, b) => a + b, 0) + share / 2) * wide) / WHOLE);
    const stands = piled(rows, at);
    const high = heights(stands);
    const base = Math.max(...drawn.heights.map((all) => linesOf(all, across))) * pitch + 14;
    setAttribute(find(".ln-dots"), "viewBox", `0 0 ${wide} ${(base + FOOT).toFixed(1)}`);
    for (const [i, to, place] of stands) {
      const x = middles[to] + ((place % across[to]) - (Math.min(across[to], high[to]) - 1) / 2) * pitch;
      const y = base - (Math.floor(place / across[to]) + 0.5) * pitch;
      dots.get(i).style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
      setAttribute(dots.get(i), "data-pile", to);
      setText(dots.get(i).firstChild, `${packages[rows[i].p][0]} ${rows[i].c}: ${told(offOn(rows[i], at))}`);
    }
    for (let to = 0; to < PILES.length; to++) {
      for (const [node, y] of [[words[to], base + 17], [manys[to], base - Math.ceil(high[to] / across[to]) * pitch - 4]]) {
        setAttribute(node, "x", middles[to].toFixed(1));
        setAttribute(node, "y", y.toFixed(1));
      }
      setText(manys[to], high[to] ? String(high[to]) : "");
    }
  }

  /** Scroll the list, as little as shows a row and what is opened below it, or to its top: once a frame, for the table is laid out then anyway. */
  function reveal(line) {
    cancelAnimationFrame(revealing);
    revealing = requestAnimationFrame(() => {
      const list = find(".ln-list");
      const end = opened.offsetTop + opened.offsetHeight - list.clientHeight;
      list.scrollTop = line ? Math.min(Math.max(list.scrollTop, end), line.offsetTop - find("thead").offsetHeight) : 0;
    });
  }

  function draw({ query, group, given, chosen, sort }) {
    const at = inputs.findIndex(([key]) => key === given);
    drawn.heights ??= inputs.map((_, k) => heights(piled(rows, k)));
    if (drawn.query !== query) drawn.fits = fitting(inAll, query);
    if (drawn.given !== given) {
      const sizes = rows.map((row) => offOn(row, at));
      const says = inputSays(inputs[at], sizes.filter((size) => size >= 0));
      setAttribute(readouts.seen[0], "data-value", at);
      setText(readouts.seen[0], says);
      setAttribute(find(".ln-dots"), "aria-label", says);
      lines.forEach((line, i) => setText(line.lastChild, told(sizes[i])));
      setText(find("[data-sort=off]"), `off on ${inputs[at][1]}`);
      setText(find("[data-column=off] .ln-paper"), `off on ${inputs[at][1]}`);
      pile(at);
    }
    const reordered = drawn.sort !== sort || (drawn.given !== given && sort.endsWith("off"));
    if (reordered) {
      opened.parentNode.append(...ordered(census, sort, at).map((i) => lines[i]), opened);
      for (const head of heads) {
        const here = sort.replace(/^-/, "") === head.dataset.column;
        setAttribute(head, "aria-sort", !here ? "none" : sort[0] === "-" ? "descending" : "ascending");
      }
    }
    const among = drawn.fits.map((fit, i) => fit && (group === "all" || groups[rows[i].g][0] === group));
    const moved = reordered || drawn.query !== query || drawn.group !== group;
    Object.assign(drawn, { query, group, sort, given });
    const isOpen = chosen >= 0 && among[chosen];
    lines.forEach((line, i) => {
      line.hidden = !among[i];
      line.firstChild.firstChild.firstChild.checked = isOpen && i === chosen;
      const dot = dots.get(i);
      if (dot) setAttribute(dot, "class", isOpen && i === chosen ? "ln-here" : among[i] ? "" : "ln-away");
    });
    opened.hidden = !isOpen;
    setAttribute(find(".ln-found"), "data-value", isOpen ? chosen : -1);
    if (isOpen) {
      open(chosen);
      if (lines[chosen].nextSibling !== opened) lines[chosen].after(opened);
      if (moved || drawn.chosen !== chosen) reveal(lines[chosen]);
    } else if (moved) reveal(null); // other rows: their beginning
    drawn.chosen = chosen;
    const input = find("[name=query]");
    if (input.value !== query) input.value = query;
    find(`[name=group][value="${group}"]`).checked = true;
    find(`[name=given][value="${given}"]`).checked = true;
    const counts = counted(rows, drawn.fits, groups.length);
    [drawn.fits.filter(Boolean).length, ...counts].forEach((count, k) => setReadout(readouts.count[k], count, String(count)));
    const shown = counted(rows, among, groups.length);
    const here = groups.find(([key]) => key === group);
    const says = here ? groupSays(shown, here) : tableSays(shown, rows.length);
    setAttribute(readouts.shown[0], "data-value", shown.reduce((a, b) => a + b));
    setText(readouts.shown[0], says);
    lab.speak(`${readouts.seen[0].textContent} ${says}${isOpen ? ` Open: ${packages[rows[chosen].p][0]} ${rows[chosen].c}, ${groups[rows[chosen].g][1]}.` : ""}`);
  }

  const toggle = (i) => lab.change({ chosen: lab.state.chosen === i ? -1 : i });
  const actions = {
    preset: ({ dataset }) => {
      const { query } = PRESETS[dataset.preset];
      lab.load({ query, group: "all", chosen: -1, ...(query ? {} : first) });
    },
    sort: ({ dataset: { sort } }) => lab.change({ sort: lab.state.sort === sort ? `-${sort}` : sort }),
    row: ({ dataset }) => toggle(+dataset.at),
    close: () => {
      const line = lines[lab.state.chosen];
      lab.change({ chosen: -1 });
      line.querySelector("input").focus();
    },
  };
  const onInput = ({ name, value }) =>
    lab.change({ [name]: name === "chosen" ? +value : value.replace(/[&#+]/g, " ") }); // these end a value in a link
  const stop = lab.run({ draw, onInput, actions, python: toPython });
  const onTurn = () => pile(inputs.findIndex(([key]) => key === lab.state.given));
  narrow.addEventListener("change", onTurn);
  return () => {
    narrow.removeEventListener("change", onTurn);
    stop();
  };
}

export default { render };
