// Rows between memory, cache and registers, as traffic.py counts them. Nothing but arithmetic and words.

/**
 * @typedef {{ name: string, mark: string, reads: string[], writes: string, kind: string }} Loop
 * @typedef {{ arrays: Record<string, string>, result: string,
 *   groups: { over: string, local: string, loops: Loop[] }[] }} Program
 * @typedef {{ loop: Loop, index: number, row: number, start: number, size: number, local: string, over: string }} Tick
 * @typedef {{ rows: number, cache: number, block: number, allocate: boolean }} Machine
 * @typedef {{ array: string, row: number, of: number, kind: string }} Move
 *   of one row, which belongs to row `of` of x; its kind is what it holds
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

/** The arrays from top to bottom: what is given, then what is made. The same order whatever carried the program here. */
const PLACES = ["x", "grad_y", "y", "a", "b", "c", "d"];
export const arraysOf = ({ arrays }) => Object.keys(arrays).sort((a, b) => PLACES.indexOf(a) - PLACES.indexOf(b));

/** A row of an array. */
export const keyOf = (array, row) => `${array} ${row}`;

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
    for (let row = 0; kind && row < machine.rows; row++) memory.set(keyOf(array, row), { array, row, of: row, kind });
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
      const entry = held ?? { array, row: at(array), of: row, kind: memory.get(key)?.kind ?? "", dirty: false };
      if (!held) fetched(entry);
      put(key, entry);
      done.loaded++;
      done.last.loads.push({ ...entry, hit: !!held });
    }
    if (writes) {
      const key = keyOf(writes, at(writes));
      const entry = { array: writes, row: at(writes), of: row, kind, dirty: true };
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

/**
 * The rows that are still needed after `at` ticks, by their keys: those of the given arrays, of the
 * result, and what is read before it is written again.
 * @param {Program} program
 * @param {Tick[]} ticks
 */
export function neededAfter({ arrays, result }, ticks, at, rows) {
  const needed = new Set();
  for (const array in arrays) {
    for (let row = 0; row < rows && (arrays[array] || array === result); row++) needed.add(keyOf(array, row));
  }
  for (const { loop, row, start, local } of ticks.slice(at).reverse()) {
    const key = (array) => keyOf(array, array === local ? row - start : row);
    if (loop.writes) needed.delete(key(loop.writes));
    for (const array of loop.reads) needed.add(key(array));
  }
  return needed;
}

// --- words ----------------------------------------------------------------------------------------

/** What an array holds, in words. */
export const NAMES = {
  x: "x", centred: "x − μ", square: "(x − μ)²", x_hat: "x̂", scaled: "γ · x̂", y: "y",
  grad_y: "grad_y", share: "grad_y · x̂", g: "g", product: "g · x̂", line: "x̂ · mean", grad_x: "grad_x", unused: "free",
};
const round = (v) => String(+v.toFixed(2));
export const inCopies = (v) => `${round(v)} ${round(v) === "1" ? "copy" : "copies"}`;

const OPENING = {
  plain: "Each operation makes a new array. Drag, and watch what the cache still holds when the next operation begins.",
  "in place": "All operations work on one array and write over it. Drag, and watch what the cache still holds.",
  "in blocks": "All operations on two rows, then all of them on the next two. Drag, and watch what the cache still holds.",
  fused: "One loop: a row is finished before the next one begins. Drag, and watch a single row.",
};
const ROWS = ["no rows", "one row", "two rows", "three rows", "four rows"];
const NEXT = ["", "one", "two", "three", "four"];

const list = (words) => (words.length < 2 ? String(words[0]) : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** "row 3 of x and of g", "rows 3 and 4 of g". Readers count from 1. */
function rowsOf(moves) {
  const [first] = moves;
  if (moves.every(({ of }) => of === first.of)) return `row ${first.of + 1} of ${list(moves.map(({ kind }) => NAMES[kind])).replace(" and ", " and of ")}`;
  if (moves.every(({ kind }) => kind === first.kind)) return `rows ${list(moves.map(({ of }) => of + 1))} of ${NAMES[first.kind]}`;
  return list(moves.map(({ of, kind }) => `row ${of + 1} of ${NAMES[kind]}`));
}

/** What a way does, before it has begun. */
function opening(way, { block, rows }) {
  const [now, then] = [ROWS[block] ?? `${block} rows`, NEXT[block] ?? block];
  if (way !== "in blocks" || block === 2) return OPENING[way];
  return block >= rows ? "One block holds all rows: this is the way in place again." : OPENING[way].replace("two rows", now).replace("two.", `${then}.`);
}

/**
 * What happens at this tick, or what came of it all.
 * @param {{ way: string, direction: string, block: number, rows: number }} state
 * @param {Program} program
 * @param {Tick[]} ticks
 * @param {number} at     how many ticks are done
 * @param {ReturnType<typeof run>} now
 * @param {number} copies in the end
 */
export function trafficSays(state, program, ticks, at, now, copies) {
  if (at === 0) return opening(state.way, state);
  if (at > ticks.length) {
    const forward = state.direction === "forward";
    const least = forward ? 1 : 1.5;
    const must = forward ? "x comes in once, and y goes out once" : "x and grad_y come in once, and grad_x goes out once";
    const sum = `Done: ${inCopies(copies)} through memory, ${round(8 * copies)} bytes for each number.`;
    return copies > least + 1e-9 ? `${sum} The least would be ${inCopies(least)}: ${must}.` : `${sum} No way can do with less: ${must}.`;
  }
  const { loop, over, row } = ticks[at - 1];
  const loops = [...new Set(ticks.map((tick) => tick.loop))];
  const what = over === "array" && loops.length > 3 ? `Step ${loops.indexOf(loop) + 1} of ${loops.length}, ${loop.name}.` : `Row ${row + 1}: ${loop.name}.`;
  const missed = now.last.loads.filter(({ hit }) => !hit);
  const from = missed.length ? missed : now.last.loads;
  const verb = from.length > 1 ? ["come", "are"] : ["comes", "is"];
  const came = `${rowsOf(from)} ${missed.length ? `${verb[0]} from memory` : `${verb[1]} still in the cache`}.`.replace("row", "Row");
  const left = now.last.evicted;
  if (!left.length) return `${what} ${came}`;
  const needed = neededAfter(program, ticks, at, state.rows);
  const isNew = (move) => now.last.stores.some(({ array, row }) => array === move.array && row === move.row);
  const useless = left.every((move) => isNew(move) || !needed.has(keyOf(move.array, move.row)));
  return `${what} ${came} To make room, ${rowsOf(left)} ${left.length > 1 ? "go" : "goes"} to memory${useless ? ", though no longer needed" : ""}.`;
}
