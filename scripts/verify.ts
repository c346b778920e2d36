import { randomUUID } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { change, evidenceInForce, readCapability } from '../capability/control-store.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import {
  type AskedTable,
  askFor,
  type Counts,
  forgetValues,
  readTableStates,
  type TableState,
} from '../sync/verify-store.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  type ServerValues,
  standingOf,
  withControl,
} from './command.ts';
import { follow, number, type Progress, tablesOf } from './following.ts';
import { conclusion, countsOf, type Recorded, sayTable, sum, tableJson } from './verify-report.ts';

const isOver = ({ state }: TableState) => state === 'complete';

type Asked = { readonly run: string; readonly tables: readonly AskedTable[] };

async function progressOf(
  sql: Connection,
  name: string,
  { run, tables }: Asked,
): Promise<Progress<TableState>> {
  const states = await readTableStates(sql, tables);
  if (states.some((each) => each.run !== run))
    throw new CommandError(
      `somebody else has asked for another verification of ${name} meanwhile: run this again to follow it`,
    );
  return {
    tables: states,
    current: states.find(({ state }) => state === 'running')?.table,
    done: sum(states, ({ rowsDone }) => rowsDone),
    total: sum(states, (each) => Math.max(each.rowsDone, isOver(each) ? 0 : (each.rowsTotal ?? 0))),
    isTotalAbout: true,
    isComplete: states.every(isOver),
  };
}

type Wanted = { readonly repair: boolean; readonly withValues: boolean };

/** Joins what is under way, or asks anew. @returns the run to follow, and its tables */
async function askOrJoin(sql: Connection, tables: readonly AskedTable[], wanted: Wanted): Promise<Asked> {
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

/** Evidence comes with a verification of everything, and goes with any difference. @returns what became of it */
async function recordOutcome(
  values: ServerValues,
  name: string,
  actor: string,
  outcome: { isClean: boolean; isWhole: boolean; counts: Counts; facts: object },
): Promise<Recorded> {
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
    ...actingOptions,
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
    const capability = capabilityNamed(await configOf(values), given);
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
      const { phase } = await withControl(values, (control) => standingOf(control, name));
      if (phase === 'retired' && asked.some(({ stream }) => stream === name))
        throw new CommandError(
          `${name} is retired: legacy follows it no longer, and there is nothing to compare; --table verifies one reference table`,
        );
      const once = async (repair: boolean) => {
        const joined = await askOrJoin(sql, asked, { repair, withValues: values.values });
        return follow(sql, capability, output, () => progressOf(sql, name, joined));
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
