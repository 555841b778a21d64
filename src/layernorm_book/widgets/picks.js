// Which rows of the census are shown, in which order, and what a sentence says of them.

/** The texts that a query is looked for in, one for each row of what `packed` made. */
export const searched = ({ packages, rows }) => rows.map(({ p, c, o = "", k = "" }) =>
  [...packages[p].slice(0, 3), c, o, k].join(" ").toLowerCase());

/** For each row whether it has every word of the query. */
export function fitting(texts, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return texts.map((text) => words.every((word) => text.includes(word)));
}

/** The numbers of all rows in an order: a column's name, and "-" before it for the other way. */
export function ordered({ packages, rows }, sort) {
  const [down, column] = sort.startsWith("-") ? [-1, sort.slice(1)] : [1, sort];
  const key = {
    package: ({ p }) => packages[p][0].toLowerCase(),
    class: ({ c }) => c.toLowerCase(),
    verdict: ({ v }) => v,
    effect: ({ m }) => m,
  }[column];
  const keys = rows.map(key);
  const last = (i) => column === "effect" && keys[i] < 0; // without an effect, either way
  return rows.map((_, i) => i).sort((a, b) => last(a) - last(b)
    || (keys[a] === keys[b] ? 0 : keys[a] < keys[b] ? -down : down));
}

/** How many of the fitting rows have each verdict. */
export function counted(rows, fits) {
  const counts = [0, 0, 0, 0, 0];
  rows.forEach(({ v }, i) => (counts[v] += fits[i]));
  return counts;
}

/**
 * What is shown, in words.
 * @param {number[]} counts  of the rows shown, by verdict
 * @param {number} total     of all rows
 */
export function tableSays(counts, total) {
  const shown = counts.reduce((a, b) => a + b);
  if (!shown) return "No layer fits. Shorten the text, or choose “all”.";
  const which = shown === total ? `All ${total} layers` : `${shown} of ${total} layers`;
  const [agree, limit, differ] = counts;
  const judged = agree + limit + differ;
  if (!judged) return `${which}. The judge compared none of them with PyTorch.`;
  const most = judged === shown ? "" : `, ${judged} of them judged`;
  return `${which}${most}: ${agree} ${agree === 1 ? "agrees" : "agree"} with PyTorch, ${limit} more with a limit, ${differ} ${differ === 1 ? "differs" : "differ"}.`;
}
