import { counted, fitting, ordered, searched, tableSays } from "./picks.js";
import { setAttribute, setReadout, setText, srOnly, readout, readoutsOf } from "./shared/page.js";
import { createLab, presetButtons } from "./shared/form.js";
import "./census.css";

/** The census: one table, to be searched, sorted and opened. */

const VERDICTS = ["right", "limit", "wrong", "other", "not built"];
const NAMES = ["agrees", "agrees, with a limit", "differs", "another layer", "not judged"];
const COLUMNS = { package: "package", class: "class", verdict: "verdict", effect: "largest effect" };
const PRESETS = [
  { label: "bugs", query: "bug", verdict: "wrong" },
  { label: "another ε", query: "-eps", verdict: "wrong" },
  { label: "1 + γ", query: "unit-offset", verdict: "wrong" },
  { label: "reset", query: "", verdict: "all" },
];

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const radio = (value, words) => `<label><input type="radio" name="verdict" value="${value}"><span>${words}</span> ${readout("count")}</label>`;

function skeleton({ packages, texts, rows }) {
  const row = ({ p, c, f = "", v, e }, i) => {
    const [name, version, , start] = packages[p];
    return `<tr data-row="${i}" data-verdict="${v}"><th scope="row"><label><input type="radio" name="chosen" value="${i}">${escaped(name)} <small>${escaped(version)}</small></label></th>`
      + `<td data-do="row" data-at="${i}"><a tabindex="-1" href="${escaped(start + f)}">${escaped(c)}</a></td><td data-do="row" data-at="${i}">${NAMES[v]}</td><td data-do="row" data-at="${i}">${escaped(texts[e] ?? "")}</td></tr>`;
  };
  return `
  <p class="ln-presets">${presetButtons(PRESETS)}</p>
  <p class="ln-find"><label>Find <input type="search" name="query" maxlength="60" placeholder="package, class, framework, bug …" autocapitalize="off" spellcheck="false"></label></p>
  <fieldset class="ln-verdicts"><legend class="ln-hidden">verdict</legend>${radio("all", "all")}${VERDICTS.map((v, k) => radio(v, NAMES[k])).join("")}</fieldset>
  <p class="ln-shown" data-quantity="shown"></p>
  <div class="ln-list"><table><caption class="ln-hidden">Normalization layers of published packages</caption>
    <thead><tr>${Object.entries(COLUMNS).map(([key, words]) => `<th scope="col" data-column="${key}"><button type="button" data-do="sort" data-sort="${key}">${words}</button><span class="ln-paper">${words}</span></th>`).join("")}</tr></thead>
    <tbody>${rows.map(row).join("")}<tr class="ln-opened" hidden><td colspan="4">
      <p class="ln-found" data-quantity="open"></p><p class="ln-effects"></p><p class="ln-why"><span></span> <a class="ln-cause" href="${packages[0][3]}">The line</a></p>
      <p class="ln-built"></p><p><a class="ln-source" href="${packages[0][3]}"></a> <button type="button" data-do="close">Close${srOnly(" this row")}</button></p></td></tr></tbody></table></div>`;
}

const toPython = ({ query, verdict, sort }) => `import torch
from layernorm_book.chapters.census import find, in_order, load

census = load()
rows = find(census["rows"], ${JSON.stringify(query)}, ${JSON.stringify(verdict)})
for row in in_order(rows, ${JSON.stringify(sort)}):
    print(row["package"], row["version"], row["class"], row["verdict"], row["link"])

print(f"compared with torch {census['torch']}; this is torch {torch.__version__}")
`;

function render(props) {
  const census = props.model.get("census");
  const { packages, texts, rows } = census;
  const lab = createLab(props, {
    kind: "ln-census",
    label: "The census of normalization layers",
    body: skeleton(census),
    keys: ["query", "verdict", "chosen", "sort"],
    fields: { chosen: ["the row", -1, rows.length - 1] },
    fits: ({ query, verdict, chosen, sort }) => query.length <= 60 && !/[&#+]/.test(query) && ["all", ...VERDICTS].includes(verdict)
      && Number.isInteger(chosen) && sort.replace(/^-/, "") in COLUMNS,
  });
  const { root, find } = lab;
  const readouts = readoutsOf(root);
  const lines = [...root.querySelectorAll("[data-row]")];
  const heads = [...root.querySelectorAll("[data-column]")];
  const opened = find(".ln-opened");
  const inAll = searched(census);
  const drawn = {}; // what the table shows now, so that only what changes is written

  function open(i) {
    const { p, c, f = "", l, n, b, w, a, k, s, r, h, v } = rows[i];
    const [name, version, framework, start] = packages[p];
    const fill = (where, text) => {
      setText(find(where), text);
      find(where).hidden = !text;
    };
    fill(".ln-found", `${NAMES[v]}: ${texts[w]}.`);
    fill(".ln-effects", a === undefined ? "" : texts[a]);
    find(".ln-why").hidden = s === undefined;
    setText(find(".ln-why span"), s === undefined ? "" : `Read as a ${k}: ${texts[s]}`);
    setAttribute(find(".ln-cause"), "href", start + (r ?? f));
    const asked = h ? "float32 and float16" : "float64, float32, float16 and bfloat16";
    fill(".ln-built", `${framework}${b === undefined ? "" : `, built as ${texts[b]}, asked in ${asked}`}.${n > 1 ? ` ${n} classes share this code.` : ""}`);
    setText(find(".ln-source"), `Source of ${c} in ${name} ${version}${l ? `, line ${l}` : ""}`);
    setAttribute(find(".ln-source"), "href", start + f);
  }

  function draw({ query, verdict, chosen, sort }) {
    if (drawn.query !== query) drawn.fits = fitting(inAll, query);
    if (drawn.sort !== sort) {
      opened.parentNode.append(...ordered(census, sort).map((i) => lines[i]), opened);
      for (const head of heads) {
        const at = sort.replace(/^-/, "") === head.dataset.column;
        setAttribute(head, "aria-sort", !at ? "none" : sort[0] === "-" ? "descending" : "ascending");
      }
    }
    const among = drawn.fits.map((fit, i) => fit && (verdict === "all" || VERDICTS[rows[i].v] === verdict));
    Object.assign(drawn, { query, sort });
    const isOpen = chosen >= 0 && among[chosen];
    lines.forEach((line, i) => {
      line.hidden = !among[i];
      line.firstChild.firstChild.firstChild.checked = isOpen && i === chosen;
    });
    opened.hidden = !isOpen;
    setAttribute(find(".ln-found"), "data-value", isOpen ? chosen : -1);
    if (isOpen) {
      open(chosen);
      if (lines[chosen].nextSibling !== opened) lines[chosen].after(opened);
    }
    const input = find("[name=query]");
    if (input.value !== query) input.value = query;
    find(`[name=verdict][value="${verdict}"]`).checked = true;
    const counts = counted(rows, drawn.fits);
    [drawn.fits.filter(Boolean).length, ...counts].forEach((count, k) => setReadout(readouts.count[k], count, String(count)));
    const shown = counted(rows, among);
    const says = tableSays(shown, rows.length);
    setAttribute(readouts.shown[0], "data-value", shown.reduce((a, b) => a + b));
    setText(readouts.shown[0], says);
    lab.speak(`${says}${isOpen ? ` Open: ${packages[rows[chosen].p][0]} ${rows[chosen].c}, ${NAMES[rows[chosen].v]}.` : ""}`);
  }

  const toggle = (i) => lab.change({ chosen: lab.state.chosen === i ? -1 : i });
  const actions = {
    preset: ({ dataset }) => {
      const { query, verdict } = PRESETS[dataset.preset];
      lab.load({ query, verdict, chosen: -1, ...(query ? {} : { sort: "package" }) });
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
  return lab.run({ draw, onInput, actions, python: toPython });
}

export default { render };
