// Random numbers: the same bits as Python draws (counter.py), in every browser.

/** Numbers that are all but Gaussian: sums of twelve even draws, less 6. The even draws are a counter, scrambled. */
export function noise(seed, count) {
  const out = new Float64Array(count);
  let counter = seed << 20;
  for (let k = 0; k < count; k++) {
    let total = 0;
    for (let j = 0; j < 12; j++) {
      let i = counter++ >>> 0;
      i = Math.imul(i ^ (i >>> 16), 0x21f0aaad);
      i = Math.imul(i ^ (i >>> 15), 0x735a2d97);
      total += (i ^ (i >>> 15)) >>> 0;
    }
    out[k] = total / 2 ** 32 - 6;
  }
  return out;
}
