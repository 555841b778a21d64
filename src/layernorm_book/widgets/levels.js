// Rows between memory, cache and registers, as traffic.py counts them. Nothing but arithmetic and words.

/**
 * @typedef {{ name: string, mark: string, reads: string[], writes: string, kind: string }} Loop
 * @typedef {{ arrays: Record<string, string>, result: string,
 *   groups: { over: string, local: string, loops: Loop[] }[] }} Program
 * @typedef {{ loop: Loop, index: number, row: number, start: number, size: number, local: string, over: string }} Tick
 * @typedef {{ rows: number, cache: number, block: number, allocate: boolean }} Machine
 * @typedef {{ array: string, row: number, kind: string }} Move  of one row; its kind is what it holds
 */

/** What is done, in order. @returns {Tick[]} */
export function ticksOf({ groups }, { rows, block }) {
  const ticks = [];
  for (const { over, local, loops } of groups) {
    const size = { array: rows, block: Math.min(block, rows), row: 1 }[over];
    for (let start = 0; start < rows; start += size) {
      loops.forEach((loop, index) => {
        for (let row = start; row < Math.min(start + size, rows); row++) ticks.push({ loop, index, row, start, size, local, over });
      });
    }
  }
  return ticks;
}

const keyOf = (array, row) => `${array} ${row}`;

/**
 * Run the first `until` ticks; one more writes what is left of the result.
 * @param {Program} program
 * @param {Tick[]} ticks
 * @param {Machine} machine
 * @param {number} [until]
 * @returns {{ read: number, written: number, loaded: number, stored: number,
 *   cache: Map<string, Move & { dirty: boolean }>, memory: Map<string, Move>,
 *   last: { loads: (Move & { hit: boolean })[], stores: Move[], fetched: Move[], evicted: Move[] }, each: number[] }}
 *   `last` is what moved in the last tick, `each` how many rows went to or from memory in each
 */
export function run(program, ticks, machine, until = ticks.length + 1) {
  const [cache, memory] = [new Map(), new Map()];
  const done = { read: 0, written: 0, loaded: 0, stored: 0, cache, memory, last: { loads: [], stores: [], fetched: [], evicted: [] }, each: [] };
  for (const [array, kind] of Object.entries(program.arrays)) {
    for (let row = 0; kind && row < machine.rows; row++) memory.set(keyOf(array, row), { array, row, kind });
  }

  function write(key, { dirty, ...move }) {
    if (!dirty) return;
    memory.set(key, move);
    done.written++;
    done.last.evicted.push(move);
  }
  function put(key, entry) {
    cache.delete(key);
    cache.set(key, entry);
    if (cache.size <= machine.cache) return;
    const [oldest, left] = cache.entries().next().value;
    cache.delete(oldest);
    write(oldest, left);
  }
  function fetched(move) {
    done.read++;
    done.last.fetched.push(move);
  }

  for (const { loop: { reads, writes, kind }, row, start, local } of ticks.slice(0, until)) {
    done.last = { loads: [], stores: [], fetched: [], evicted: [] };
    const at = (array) => (array === local ? row - start : row);
    for (const array of reads) {
      const key = keyOf(array, at(array));
      const held = cache.get(key);
      const entry = held ?? { array, row: at(array), kind: memory.get(key)?.kind ?? "", dirty: false };
      if (!held) fetched(entry);
      put(key, entry);
      done.loaded++;
      done.last.loads.push({ ...entry, hit: !!held });
    }
    if (writes) {
      const key = keyOf(writes, at(writes));
      const entry = { array: writes, row: at(writes), kind, dirty: true };
      if (machine.allocate && !cache.has(key)) fetched({ ...entry, kind: memory.get(key)?.kind ?? "" });
      put(key, entry);
      done.stored++;
      done.last.stores.push(entry);
    }
    done.each.push(done.last.fetched.length + done.last.evicted.length);
  }
  if (until > ticks.length) {
    done.last = { loads: [], stores: [], fetched: [], evicted: [] };
    for (const [key, entry] of cache) {
      if (entry.array !== program.result) continue;
      write(key, entry);
      entry.dirty = false;
    }
    done.each.push(done.last.evicted.length);
  }
  return done;
}

// --- words ----------------------------------------------------------------------------------------

/** What an array holds, in words. */
export const NAMES = {
  "": "", x: "x", centred: "x − μ", square: "(x − μ)²", x_hat: "x̂", scaled: "γ · x̂", y: "y",
  grad_y: "grad_y", grad_x: "grad_x", product: "… · x̂", g: "g", line: "x̂ · m",
};
const round = (v) => String(+v.toFixed(2));
export const copiesInWords = (v) => `${round(v)} ${round(v) === "1" ? "copy" : "copies"}`;

const OPENING = {
  plain: "Every operation makes a new array. Drag to the right, and watch what the cache still holds when the next one begins.",
  "in place": "All operations work on one array, and write over what they read. Drag to the right.",
  "in blocks": "All operations on the first rows, then all of them on the next. Drag to the right.",
  fused: "One loop: what belongs to a row is finished before the next row begins. Drag to the right.",
};

/**
 * What happens at this tick, or what came of it all.
 * @param {string} way
 * @param {string} direction
 * @param {Tick[]} ticks
 * @param {number} at     how many ticks are done
 * @param {ReturnType<typeof run>} now
 * @param {number} copies in the end
 * @param {number} least  that any way can do with
 */
export function trafficSays(way, direction, ticks, at, now, copies, least) {
  if (at === 0) return OPENING[way];
  if (at > ticks.length) {
    const sum = `Done: ${copiesInWords(copies)} through memory, ${round(8 * copies)} bytes for each number.`;
    const must = direction === "forward" ? "x comes in once, and y goes out once" : "x and grad_y come in once, and grad_x goes out once";
    return copies > least ? `${sum} The least would be ${copiesInWords(least)}: ${must}.` : `${sum} No way can do with less: ${must}.`;
  }
  const { loop, row, over, index } = ticks[at - 1];
  const all = new Set(ticks.map((tick) => tick.loop)).size;
  const step = over === "array" && all > 1 ? `Step ${ticks.slice(0, at).filter((tick, k, some) => tick.loop !== some[k - 1]?.loop).length} of ${all}: ` : "";
  const name = `${step}${loop.name}, row ${row}.`;
  const missed = now.last.loads.filter(({ hit }) => !hit).map(({ kind }) => NAMES[kind]);
  const from = missed.length === 0 ? "The cache still holds what it needs." : `Memory has to send ${missed.join(" and ")}.`;
  const back = now.last.evicted.map(({ kind, row }) => `${NAMES[kind]} of row ${row}`);
  return `${name} ${from}${back.length ? ` To make room, ${back.join(" and ")} is written to memory.` : ""}`;
}
