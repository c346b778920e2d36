// How sure one can be of a share that was met so often: Wilson's bounds, at 95 %. Pure.

const z = 1.96;

function wilson(count: number, of: number): { readonly middle: number; readonly half: number } {
  const share = count / of;
  const scale = 1 + (z * z) / of;
  return {
    middle: (share + (z * z) / (2 * of)) / scale,
    half: (z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of))) / scale,
  };
}

/** The upper bound of a share that was met `count` times in `of`; 1 of nothing. */
export function shareAtMost(count: number, of: number): number {
  if (of === 0) return 1;
  const { middle, half } = wilson(count, of);
  return Math.min(1, middle + half);
}

/** The lower bound; 0 of nothing. */
export function shareAtLeast(count: number, of: number): number {
  if (of === 0) return 0;
  const { middle, half } = wilson(count, of);
  return Math.max(0, middle - half);
}
