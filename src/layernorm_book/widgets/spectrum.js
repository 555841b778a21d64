// By what factors can a gradient be stretched on its way back? In float64.

const dot = (a, b) => a.reduce((total, v, i) => total + v * b[i], 0);

/**
 * The matrix that takes grad_y to grad_x, as columns:
 *
 *     rstd · (I − 1·1ᵀ/n − xHat·xHatᵀ/n) · diag(weight)
 *
 * @param {{ x: ArrayLike<number>, weight: ArrayLike<number>, eps: number, mu: import("./backward.js").Mu, sigma: import("./backward.js").Sigma }} state
 */
export function backwardMatrix({ x, weight, eps, mu, sigma }) {
  const row = Array.from(x);
  const n = row.length;
  const mean = mu === "absent" ? 0 : row.reduce((a, v) => a + v) / n;
  const centred = row.map((v) => v - mean);
  const rstd = 1 / Math.sqrt(dot(centred, centred) / n + eps);
  const [one, two] = [mu === "used" ? 1 / n : 0, sigma === "used" ? rstd * rstd / n : 0];
  return centred.map((a, j) => centred.map((b, i) => ((i === j) - one - two * a * b) * rstd * weight[j]));
}

/**
 * The singular values of a square matrix, the largest first. One-sided Jacobi: turn two columns in
 * their plane until they are orthogonal, and so on with all pairs until none needs it; then the
 * lengths of the columns are the singular values.
 * @param {number[][]} matrix  its columns
 */
export function singularValues(matrix) {
  const columns = matrix.map((column) => [...column]);
  for (let sweep = 0, turned = true; turned && sweep < 30; sweep++) {
    turned = false;
    for (let p = 0; p < columns.length; p++) {
      for (let q = p + 1; q < columns.length; q++) {
        const [a, b] = [columns[p], columns[q]];
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        if (Math.abs(ab) <= 1e-15 * Math.sqrt(aa * bb)) continue;
        turned = true;
        const zeta = (bb - aa) / (2 * ab);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        columns[p] = a.map((v, i) => c * (v - t * b[i]));
        columns[q] = b.map((v, i) => c * (v + t * a[i]));
      }
    }
  }
  return columns.map((column) => Math.hypot(...column)).sort((a, b) => b - a);
}
