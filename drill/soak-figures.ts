// Whether what was looked at again and again has stayed flat. Pure: who looked, and how, is not its affair.

/** What is bounded how. */
export type Kind =
  /** What is left after a collection: kept-memory.ts. */
  | 'keptMiB'
  /** What V8 has taken from the system, and gives back when it likes. */
  | 'rssMiB'
  /** Of a database server, beside its pages: an allocator keeps what each of its arenas has once had. */
  | 'serverRssMiB'
  /** Files, pipes and the like, and sockets with nobody at the other end. */
  | 'descriptors'
  /** TCP connections: most are in pools, which are as large as the busiest moment was. */
  | 'sockets'
  | 'threads'
  | 'connections'
  | 'lagMs'
  /** Rows of a table that is worked off, or has a row a capability. */
  | 'rows'
  /** Rows of a table that gathers them until somebody adds them up. */
  | 'rowsGathered'
  /** Rows of a table that keeps what has happened. */
  | 'rowsKept'
  | 'unproven';

/** A figure of something that lives; a process that was started again is another one. */
export type Series = {
  readonly process: string;
  readonly figure: string;
  readonly kind: Kind;
  /** In the order in which they were seen. */
  readonly values: readonly number[];
};

/** `ok` is null when there was too little to judge. */
export type Verdict = {
  readonly process: string;
  readonly figure: string;
  readonly before: number;
  readonly after: number;
  readonly limit: number;
  readonly ok: boolean | null;
  /** Of tables that keep what has happened: by how many rows they grew. */
  readonly perChange?: number;
};

export const bounds = {
  /** Of each series: what has just been started has not all of its memory and connections yet. */
  warmUpShare: 0.2,
  /** Five minutes. */
  samplesMin: 30,
  keptGrowthMiBMax: 5,
  /** V8's young generation, two semi-spaces of up to 32 MiB, which double when it likes. */
  rssGrowthMiBMax: 64,
  serverRssGrowthMiBMax: 32,
  descriptorsGrowthMax: 5,
  /** As many as there are clients: each has one request under way. */
  socketsGrowthMax: 20,
  threadsGrowthMax: 5,
  connectionsGrowthMax: 5,
  lagMsMax: 1_000,
  rowsGrowthMax: 100,
  rowsGatheredGrowthMax: 1_000,
  /** With all attempts at it, and what is done between two of them. */
  rowsKeptPerChangeMax: 40,
  unprovenAtEndMax: 0,
} as const;

/** A collector lets go in jumps, minutes apart, and where a median falls between them is chance: so what is compared is the most. */
const jumping: readonly Kind[] = ['rssMiB', 'serverRssMiB', 'rowsGathered'];
const most = (values: readonly number[]) => Math.max(...values);

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = Number.NaN, high = low] = sorted.slice(Math.floor((sorted.length - 1) / 2));
  return sorted.length % 2 === 1 ? low : (low + high) / 2;
}

/** The second and the last quarter of what comes after the warm-up. */
function quarters(
  values: readonly number[],
  typical: (some: readonly number[]) => number,
): { before: number; after: number } {
  const warm = values.slice(Math.ceil(values.length * bounds.warmUpShare));
  const at = (quarter: number) => Math.floor((warm.length * quarter) / 4);
  return { before: typical(warm.slice(at(1), at(2))), after: typical(warm.slice(at(3))) };
}

const growthLimit: Readonly<Record<Exclude<Kind, 'rowsKept' | 'unproven'>, (before: number) => number>> = {
  keptMiB: (before) => before + bounds.keptGrowthMiBMax,
  rssMiB: (before) => before + bounds.rssGrowthMiBMax,
  serverRssMiB: (before) => before + bounds.serverRssGrowthMiBMax,
  descriptors: (before) => before + bounds.descriptorsGrowthMax,
  sockets: (before) => before + bounds.socketsGrowthMax,
  threads: (before) => before + bounds.threadsGrowthMax,
  connections: (before) => before + bounds.connectionsGrowthMax,
  lagMs: () => bounds.lagMsMax,
  rows: (before) => before + bounds.rowsGrowthMax,
  rowsGathered: (before) => before + bounds.rowsGatheredGrowthMax,
};

const rounded = (value: number) => String(Math.round(value * 10) / 10);

/** @param changes of the owner while it was looked at */
export function judgeFlat({ process, figure, kind, values }: Series, changes: number): Verdict {
  const [first = Number.NaN, last = first] = [values[0], values.at(-1)];
  const of = (before: number, after: number, limit: number, isJudged = true): Verdict => ({
    process,
    figure,
    before,
    after,
    limit,
    ok: isJudged ? after <= limit : null,
  });
  if (kind === 'unproven') return of(median(values), last, bounds.unprovenAtEndMax);
  if (kind === 'rowsKept') {
    const kept = of(first, last, first + bounds.rowsKeptPerChangeMax * changes);
    return { ...kept, perChange: (last - first) / Math.max(1, changes) };
  }
  if (values.length < bounds.samplesMin) return of(first, last, growthLimit[kind](first), false);
  const { before, after } = quarters(values, jumping.includes(kind) ? most : median);
  return of(before, after, growthLimit[kind](before));
}

/** One line each, in columns; without what was nothing and is nothing. */
export function table(verdicts: readonly Verdict[]): string[] {
  const told = verdicts.filter(({ before, after }) => before !== 0 || after !== 0);
  const rows = [
    ['process', 'figure', 'before', 'after', 'limit', ''],
    ...told.map(({ process, figure, before, after, limit, ok, perChange }) => [
      process,
      figure,
      rounded(before),
      rounded(after),
      rounded(limit),
      `${ok === null ? 'too short to judge' : ok ? 'flat' : 'NOT FLAT'}${perChange === undefined ? '' : `: ${rounded(perChange)} a change`}`,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column >= 2 && column <= 4 ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
