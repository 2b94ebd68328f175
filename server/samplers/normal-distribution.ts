/** The standard normal distribution: cumulative share and its inverse, to about seven digits. */

/** Share of the distribution below z (Abramowitz and Stegun 1964, 7.1.26, absolute error below 1.5e-7). */
export function shareBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const polynomial =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const erf = 1 - polynomial * Math.exp(-x * x);
  return z >= 0 ? 0.5 * (1 + erf) : 0.5 * (1 - erf);
}

/** The z below which the share lies, found by bisection, so that it is the exact inverse of {@link shareBelow}. */
export function quantile(share: number): number {
  let low = -Z_MAX;
  let high = Z_MAX;
  for (let round = 0; round < 60; round += 1) {
    const middle = (low + high) / 2;
    if (shareBelow(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Values further out than this many standard deviations are not proposed. */
const Z_MAX = 5;
