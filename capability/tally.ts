// What facades count of reads, by the side that was asked first: only ever growing, so that a window is a difference. How it is added up
// over windows and replicas, and told (GET /api/analysis of an admin listener). All pure.

/** Times are counted by the first of these that is not below; the last count is beyond all. */
export const latencyBoundsMs = [
  1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 3_000,
  5_000, 10_000,
] as const;

export type SideTally = {
  /** That this side was asked first. */
  readonly reads: number;
  /** Of them: a 5xx, no answer, one of no use, or one that the route's `isError` calls one. */
  readonly errors: number;
  /** By `latencyBoundsMs`, and one more. */
  readonly times: readonly number[];
};

export type Tally = {
  readonly legacy: SideTally;
  readonly service: SideTally;
  /** Mirrored reads whose answers were compared. */
  readonly compared: number;
  /** Of them, those that still differed, by more than noise, when both sides were asked again. */
  readonly differing: number;
};

const noReads: SideTally = { reads: 0, errors: 0, times: Array(latencyBoundsMs.length + 1).fill(0) };
export const emptyTally: Tally = { legacy: noReads, service: noReads, compared: 0, differing: 0 };

const combineSides = (a: SideTally, b: SideTally, sign: 1 | -1): SideTally => ({
  reads: a.reads + sign * b.reads,
  errors: a.errors + sign * b.errors,
  times: a.times.map((count, at) => count + sign * (b.times[at] ?? 0)),
});

const combine = (a: Tally, b: Tally, sign: 1 | -1): Tally => ({
  legacy: combineSides(a.legacy, b.legacy, sign),
  service: combineSides(a.service, b.service, sign),
  compared: a.compared + sign * b.compared,
  differing: a.differing + sign * b.differing,
});

/** What was counted since; counts only grow. */
export const tallySince = (earlier: Tally, now: Tally): Tally => combine(now, earlier, -1);

export const addTallies = (all: readonly Tally[]): Tally =>
  all.reduce((sum, each) => combine(sum, each, 1), emptyTally);

/** @returns undefined of nothing; what is beyond all bounds counts as the last of them */
export function quantileMs(times: readonly number[], quantile: number): number | undefined {
  const all = times.reduce((sum, each) => sum + each, 0);
  if (all === 0) return undefined;
  let left = quantile * all;
  for (const [at, count] of times.entries()) {
    const from = latencyBoundsMs[at - 1] ?? 0;
    const to = latencyBoundsMs[at] ?? from;
    if (count > 0 && left <= count) return from + ((to - from) * left) / count;
    left -= count;
  }
  return latencyBoundsMs.at(-1);
}

/** What `GET /api/analysis` of a facade's admin listener answers: counts since it was started. */
export type AnalysisReport = {
  /** Another one has counted from 0. */
  readonly replica: string;
  readonly capabilities: readonly (Tally & { readonly capability: string })[];
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

const isSide = (value: unknown): value is SideTally =>
  isRecord(value) &&
  isCount(value.reads) &&
  isCount(value.errors) &&
  Array.isArray(value.times) &&
  value.times.length === latencyBoundsMs.length + 1 &&
  value.times.every(isCount);

const isCapability = (value: unknown): value is Tally & { readonly capability: string } =>
  isRecord(value) &&
  typeof value.capability === 'string' &&
  isSide(value.legacy) &&
  isSide(value.service) &&
  isCount(value.compared) &&
  isCount(value.differing);

/** @returns undefined for what is no report, or one that is counted otherwise */
export function parseAnalysisReport(body: unknown): AnalysisReport | undefined {
  if (!isRecord(body) || typeof body.replica !== 'string' || !Array.isArray(body.capabilities))
    return undefined;
  const { replica, capabilities } = body;
  return capabilities.every(isCapability) ? { replica, capabilities } : undefined;
}
