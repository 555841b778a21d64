// Which rows of the census are shown, in which order, in which pile, and what is said of them.

const NAN = 1e9; // stands for NaN and infinity
const VISIBLE = 1e-3; // what a test with a loose tolerance would see

/** The texts that a query is looked for in, one for each row of what `packed` made. */
export const searched = ({ packages, rows }) => rows.map(({ p, c, o = "", k = "" }) =>
  [...packages[p].slice(0, 3), c, o, k].join(" ").toLowerCase());

/** For each row whether it has every word of the query. */
export function fitting(texts, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return texts.map((text) => words.every((word) => text.includes(word)));
}

/** How far off a row is on an input, by its number; −1 where it was not measured. */
export const offOn = ({ m }, given) => m?.[given] ?? -1;

/** The numbers of all rows in an order: a column's name, and "-" before it for the other way. */
export function ordered({ packages, rows }, sort, given) {
  const [down, column] = sort.startsWith("-") ? [-1, sort.slice(1)] : [1, sort];
  const key = {
    package: ({ p }) => packages[p][0].toLowerCase(),
    class: ({ c }) => c.toLowerCase(),
    group: ({ g }) => g,
    off: (row) => offOn(row, given),
  }[column];
  const keys = rows.map(key);
  const last = (i) => column === "off" && keys[i] < 0; // not measured, either way
  return rows.map((_, i) => i).sort((a, b) => last(a) - last(b)
    || (keys[a] === keys[b] ? 0 : keys[a] < keys[b] ? -down : down));
}

/** How many of the fitting rows are in each group. */
export function counted(rows, fits, groups) {
  const counts = Array(groups).fill(0);
  rows.forEach(({ g }, i) => (counts[g] += fits[i]));
  return counts;
}

/** A size in words. */
export function told(size) {
  if (size < 0) return "";
  if (size < 1e-5) return "under 0.001%";
  if (size >= NAN) return "NaN or ∞";
  return size >= 10 ? `${size.toFixed(0)}-fold` : `${+(100 * size).toPrecision(2)}%`;
}

/** The piles of dots, by size: what stands below each, and the size up to which it goes. */
export const PILES = [["<0.001%", 1e-5], ["<0.1%", 1e-3], ["<1%", 1e-2], ["<10%", 0.1], ["<100%", 1], ["more", NAN], ["NaN, ∞", Infinity]];

/** Where the dot of each measured row stands on an input: [number, pile, place in it], by group. */
export function piled(rows, given) {
  const high = PILES.map(() => 0);
  return rows.map((row, i) => [i, row.g, offOn(row, given)]).filter(([, , size]) => size >= 0)
    .sort((a, b) => a[1] - b[1] || a[0] - b[0])
    .map(([i, , size]) => {
      const pile = PILES.findIndex(([, most]) => size < most);
      return [i, pile, high[pile]++];
    });
}

/** How many dots stand in each pile. */
export const heights = (stands) => PILES.map((_, to) => stands.filter(([, pile]) => pile === to).length);

/** How many lines of dots the highest pile has, where so many dots stand across each. */
export const lines = (high, across) => Math.max(...high.map((dots, to) => Math.ceil(dots / across[to])));

/** What an input is, and how many layers it shows. */
export function inputSays([, name, what], sizes) {
  const seen = sizes.filter((size) => size >= VISIBLE).length;
  return `${name[0].toUpperCase()}${name.slice(1)} (${what}): ${seen} of ${sizes.length} layers are off by 0.1% or more.`;
}

/** What a group is, and how many of it are shown. */
export function groupSays(counts, [, name, means]) {
  const shown = counts.reduce((a, b) => a + b);
  return shown ? `${shown} ${shown === 1 ? "layer" : "layers"} of “${name.replace("differs: ", "")}”: ${means}.` : tableSays(counts, 0);
}

/**
 * What is shown, in words.
 * @param {number[]} counts  of the rows shown, by group: agrees, with a limit, four that differ, two not judged
 * @param {number} total     of all rows
 */
export function tableSays(counts, total) {
  const shown = counts.reduce((a, b) => a + b);
  if (!shown) return "No layer fits. Shorten the text, or choose “all”.";
  const which = shown === total ? `All ${total} layers` : `${shown} of ${total} layers`;
  const [agree, limit] = counts;
  const differ = counts.slice(2, 6).reduce((a, b) => a + b);
  const judged = agree + limit + differ;
  if (!judged) return `${which}. The judge compared none of them with PyTorch.`;
  const most = judged === shown ? "" : `, ${judged} of them judged`;
  return `${which}${most}: ${agree} ${agree === 1 ? "agrees" : "agree"} with PyTorch, ${limit} more with a limit, ${differ} ${differ === 1 ? "differs" : "differ"}.`;
}
