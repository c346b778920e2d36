// What a verification has found, in words and as JSON.
import { type Counts, type Example, emptyResult, type TableState } from '../sync/verify-store.ts';
import type { Output } from './command.ts';
import { number } from './following.ts';

export const sum = (states: readonly TableState[], of: (state: TableState) => number) =>
  states.reduce((total, each) => total + of(each), 0);

const classes = [
  'missing',
  'extra',
  'different',
  'roundTrip',
  'quarantined',
  'unproven',
  'repaired',
] as const;

export function countsOf(states: readonly TableState[]): Counts {
  const of = (name: keyof Counts) => sum(states, ({ result }) => result?.[name] ?? 0);
  return {
    missing: of('missing'),
    extra: of('extra'),
    different: of('different'),
    roundTrip: of('roundTrip'),
    quarantined: of('quarantined'),
    unproven: of('unproven'),
    repaired: of('repaired'),
  };
}

const words: Readonly<Record<(typeof classes)[number], string>> = {
  missing: 'missing on the target',
  extra: 'only on the target',
  different: 'different',
  roundTrip: 'not the same after there and back',
  quarantined: 'in quarantine',
  unproven: 'not proven: they changed at every look',
  repaired: 'mended',
};

const described = (counts: Counts): string =>
  classes
    .filter((name) => counts[name] > 0)
    .map((name) => `${number(counts[name])} ${words[name]}`)
    .join(', ');

const exampleLine = ({ class: kind, table, key, columns, reason, values }: Example): string =>
  `  ${kind} ${table} ${JSON.stringify(key)}${columns.length > 0 ? `: ${columns.join(', ')}` : ''}${reason ? ` ${reason}` : ''}${values ? ` expected ${JSON.stringify(values.expected)}, is ${JSON.stringify(values.actual)}` : ''}`;

export function sayTable({ table, rowsDone, result = emptyResult() }: TableState, output: Output): void {
  const how = result.method === 'checksum' ? `by sums, ${number(result.readRows)} read` : 'row by row';
  output.say(
    `${table}: ${number(rowsDone)} rows ${how}${result.error ? `, NOT VERIFIED: ${result.error}` : ''}${described(result) ? `, ${described(result)}` : ', no difference'}`,
  );
  for (const example of result.examples) output.say(exampleLine(example));
}

export const tableJson = ({ table, source, rowsDone, result = emptyResult() }: TableState) => ({
  table,
  owner: source,
  rows: rowsDone,
  ...result,
  error: result.error ?? null,
});

/** What became of the evidence. */
export type Recorded = 'recorded' | 'withdrawn' | 'unchanged';

export function conclusion(
  name: string,
  of: {
    isClean: boolean;
    isWhole: boolean;
    rows: number;
    counts: Counts;
    evidence: Recorded;
    wouldRepair: boolean;
  },
): string {
  const { isClean, isWhole, rows, counts, evidence, wouldRepair } = of;
  if (isClean)
    return isWhole
      ? `${number(rows)} rows, no difference: recorded. Next: banyan shift ${name} --reads 1`
      : `${number(rows)} rows, no difference. Evidence is a verification of all tables: banyan verify ${name}`;
  const mendable = counts.missing + counts.extra + counts.different;
  const todo = wouldRepair
    ? `--execute would write ${number(counts.missing + counts.different)} rows anew from the owner and delete ${number(counts.extra)}`
    : mendable > 0
      ? `banyan verify ${name} --repair says what would be mended`
      : 'docs/verification.md says what to do about each';
  return `the two sides are not the same${evidence === 'withdrawn' ? ', and reads go back to legacy: the evidence is withdrawn' : ''}. ${todo}`;
}
