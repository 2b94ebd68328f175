/** Seeds of evaluations and steering runs. */

/** First 32 bits, big-endian, of the text's SHA-256 (hex): equal in all attempts of a point and all tries of a run. */
export function seedOf(sha256: (text: string) => string, text: string): number {
  return Number.parseInt(sha256(text).slice(0, 8), 16);
}

/** What the seed of a point is made of. */
export function pointSeedText(taskSeed: number, pointId: string): string {
  return `${taskSeed}:${pointId}`;
}
