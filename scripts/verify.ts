import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Capability } from '../capability/capability.ts';
import { change, evidenceInForce, readCapability } from '../capability/control-store.ts';
import {
  type AskedTable,
  askFor,
  type Counts,
  type Example,
  emptyResult,
  forgetValues,
  readTableStates,
  type TableState,
} from '../sync/verify-store.ts';
import { referencesOf } from '../sync/worker.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  connectAs,
  type Output,
  type ServerValues,
  serverOptions,
  withControl,
} from './command.ts';
import { obstacle, tablesOf } from './following.ts';

/** `12,345` */
const number = (value: number) => value.toLocaleString('en-US');

const pollMs = 200;
const workerMsMax = 15_000;

const isOver = ({ state }: TableState) => state === 'complete';
const sum = (states: readonly TableState[], of: (state: TableState) => number) =>
  states.reduce((total, each) => total + of(each), 0);

function lineOf(states: readonly TableState[], seconds: number, rowsAtStart: number): string {
  const done = sum(states, ({ rowsDone }) => rowsDone);
  const total = sum(states, (each) => Math.max(each.rowsDone, isOver(each) ? 0 : (each.rowsTotal ?? 0)));
  const rate = (done - rowsAtStart) / Math.max(0.001, seconds);
  const current = states.find(({ state }) => state === 'running')?.table;
  const left = rate > 0 ? Math.ceil(Math.max(0, total - done) / rate) : '?';
  return `${current ?? (states.every(isOver) ? 'complete' : 'waiting')}: ${number(done)} of about ${number(total)} rows, ${number(Math.round(rate))} rows/s, ${left} s left`;
}

/** Follows the worker until every table is complete. @throws CommandError when nothing can move */
async function follow(
  sql: Connection,
  capability: Capability,
  tables: readonly AskedTable[],
  run: string,
  output: Output,
): Promise<TableState[]> {
  const start = performance.now();
  let rowsAtStart: number | undefined;
  let obstacleSince: number | undefined;
  for (;;) {
    const states = await readTableStates(sql, tables);
    if (states.some((each) => each.run !== run))
      throw new CommandError(
        `somebody else has asked for another verification of ${capability.name} meanwhile: run this again to follow it`,
      );
    rowsAtStart ??= sum(states, ({ rowsDone }) => rowsDone);
    const isComplete = states.every(isOver);
    if (!output.json)
      output.progress(lineOf(states, (performance.now() - start) / 1000, rowsAtStart), isComplete);
    if (isComplete) return states;
    const reason = await obstacle(sql, capability);
    obstacleSince = reason ? (obstacleSince ?? performance.now()) : undefined;
    if (reason && (reason.startsWith('the stream') || performance.now() - (obstacleSince ?? 0) > workerMsMax))
      throw new CommandError(reason);
    await delay(pollMs);
  }
}

type Wanted = { readonly repair: boolean; readonly withValues: boolean };

/** Joins what is under way, or asks anew. @returns the run to follow, and its tables */
async function askOrJoin(
  sql: Connection,
  tables: readonly AskedTable[],
  wanted: Wanted,
): Promise<{ run: string; tables: readonly AskedTable[] }> {
  const underway = (await readTableStates(sql, tables)).filter((each) => !isOver(each));
  const [first] = underway;
  if (first && first.repair === wanted.repair) {
    const states = await readTableStates(sql, tables);
    // A part of the tables may have been asked for: then those.
    return { run: first.run, tables: tables.filter((_, index) => states[index]?.run === first.run) };
  }
  const run = randomUUID();
  await askFor(sql, tables, run, wanted);
  return { run, tables };
}

const classes = [
  'missing',
  'extra',
  'different',
  'roundTrip',
  'quarantined',
  'unproven',
  'repaired',
] as const;

function countsOf(states: readonly TableState[]): Counts {
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

function sayTable({ table, rowsDone, result = emptyResult() }: TableState, output: Output): void {
  const how = result.method === 'checksum' ? `by sums, ${number(result.readRows)} read` : 'row by row';
  output.say(
    `${table}: ${number(rowsDone)} rows ${how}${result.error ? `, NOT VERIFIED: ${result.error}` : ''}${described(result) ? `, ${described(result)}` : ', no difference'}`,
  );
  for (const example of result.examples) output.say(exampleLine(example));
}

const tableJson = ({ table, source, rowsDone, result = emptyResult() }: TableState) => ({
  table,
  owner: source,
  rows: rowsDone,
  ...result,
  error: result.error ?? null,
});

/** Evidence comes with a verification of everything, and goes with any difference. @returns what became of it */
async function recordOutcome(
  values: ServerValues,
  name: string,
  actor: string,
  outcome: { isClean: boolean; isWhole: boolean; counts: Counts; facts: object },
): Promise<'recorded' | 'withdrawn' | 'unchanged'> {
  const { isClean, isWhole, counts, facts } = outcome;
  return withControl(values, async (control) => {
    const now = await readCapability(control, name);
    if (!now)
      throw new CommandError(`${name} has gone from the control store meanwhile: run "banyan install"`);
    const inForce = await evidenceInForce(control, name, 'verified');
    const isRecorded = isClean && isWhole;
    await change(control, {
      capability: name,
      from: now,
      to: now.phase,
      withdraw: isRecorded || !isClean ? ['verified'] : [],
      ...(isRecorded ? { evidence: { kind: 'verified', facts } } : {}),
      deed: { actor, action: 'verify', detail: { clean: isClean, whole: isWhole, ...counts } },
    });
    return isRecorded ? 'recorded' : !isClean && inForce ? 'withdrawn' : 'unchanged';
  });
}

async function quarantinedRows(values: ServerValues, name: string): Promise<number> {
  let held = 0;
  for (const server of ['legacy', 'services'] as const) {
    const sql = await connectAs(server, 'banyan_cli', values);
    const [rows] = await sql.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS n FROM banyan.banyan_quarantine WHERE capability IN (?)',
      [[name, referencesOf(name)]],
    );
    sql.destroy();
    held += Number(rows[0]?.n ?? 0);
  }
  return held;
}

export const verifyCommand = command({
  name: 'verify',
  words: 'CAPABILITY [--table T] [--repair [--execute]]',
  summary: 'Compares both sides row for row while applications write, and records that they agree.',
  help: `
Asks the worker to compare the owner's rows, translated, with the other side's: what is missing there, what is too
much, what differs, and whether each row comes back as it was. What looks different is looked at again after the stream
has passed it. Follows the worker; interrupt it as you like, and the same command follows again.
A verification of all tables without a difference, and with nobody in quarantine, is the evidence that "banyan shift"
needs; a difference withdraws it.
  banyan verify reviews --repair             what would be mended
  banyan verify reviews --repair --execute   the worker mends it from the owner, and it is verified again
Exit code 1 when something differs, is in quarantine, or is not proven. docs/verification.md says what it cannot see.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    ...actorOption,
    table: { type: 'text', help: 'One legacy table only; there is no evidence then.' },
    repair: { type: 'flag', help: 'Say what would be mended; with --execute, mend it.' },
    execute: {
      type: 'flag',
      help: 'With --repair: the worker writes the differing rows anew from the owner.',
    },
    values: {
      type: 'flag',
      help: 'Show the differing values in examples, which may be personal, and not only their keys and columns.',
    },
  },
  async run({ values, words: given, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, given);
    const { name } = capability;
    if (values.execute && !values.repair)
      throw new CommandError('--execute belongs to --repair', { exitCode: 2 });
    const all = tablesOf(capability);
    const asked = values.table === undefined ? all : all.filter(({ table }) => table === values.table);
    if (asked.length === 0)
      throw new CommandError(
        `${name} has no table "${values.table}"; it has ${all.map(({ table }) => table).join(', ')}`,
        { exitCode: 2 },
      );
    const sql = await connectAs('services', 'banyan_cli', values);
    const start = performance.now();
    try {
      await withControl(values, async (control) => {
        if (!(await readCapability(control, name)))
          throw new CommandError(`${name} is not in the control store: run "banyan install"`);
      });
      const once = async (repair: boolean) => {
        const joined = await askOrJoin(sql, asked, { repair, withValues: values.values });
        return follow(sql, capability, joined.tables, joined.run, output);
      };
      const isMending = values.repair && values.execute;
      let states = await once(isMending);
      const { repaired } = countsOf(states);
      if (isMending) {
        output.say(`${number(repaired)} rows mended; verifying again`);
        states = await once(false);
      }
      const counts = { ...countsOf(states), repaired };
      const held = await quarantinedRows(values, name);
      const errors = states.filter(({ result }) => result?.error !== undefined);
      const differences = counts.missing + counts.extra + counts.different + counts.roundTrip;
      const isClean = differences + counts.quarantined + counts.unproven + held === 0 && errors.length === 0;
      const isWhole = states.length === all.length;
      const seconds = Math.round((performance.now() - start) / 10) / 100;
      const rows = sum(states, ({ rowsDone }) => rowsDone);
      const facts = {
        rows,
        seconds,
        tables: states.map(({ table, source, rowsDone, result }) => ({
          table,
          owner: source,
          rows: rowsDone,
          method: result?.method,
          position: result?.position,
        })),
      };
      const evidence = await recordOutcome(values, name, actorOf(values.actor), {
        isClean,
        isWhole,
        counts,
        facts,
      });
      const tables = states.map(tableJson);
      if (values.values) await forgetValues(sql, states);
      for (const state of states) sayTable(state, output);
      if (held > counts.quarantined)
        output.say(`${number(held)} rows are in quarantine: "banyan quarantine list" names them`);
      output.say(
        conclusion(name, {
          isClean,
          isWhole,
          rows,
          counts,
          evidence,
          wouldRepair: values.repair && !values.execute,
        }),
      );
      return {
        result: { capability: name, ok: isClean, evidence, seconds, rows, held, ...counts, tables },
        exitCode: isClean ? 0 : 1,
      };
    } finally {
      sql.destroy();
    }
  },
});

function conclusion(
  name: string,
  of: {
    isClean: boolean;
    isWhole: boolean;
    rows: number;
    counts: Counts;
    evidence: 'recorded' | 'withdrawn' | 'unchanged';
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
