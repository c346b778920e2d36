// AUTO_INCREMENT across a change of owner: no id that the old owner has given, even to a row that is gone, is given again by
// the new one. The stream brings rows, not counters: so the target's are raised, by an INSERT of an explicit id that is
// rolled back, which moves a counter and writes nothing to the binlog (ALTER TABLE would stop a stream).
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { countersProcedure } from '../capability/own-procedures.ts';
import { SyncError } from './errors.ts';
import { quoteName } from './literal.ts';
import { greatest } from './preflight/counters.ts';

/** A counter of the target, and that of the source which its values have come from. */
export type Counter = {
  /** The target's. */
  readonly table: string;
  readonly column: string;
  /** The next value, on either side. */
  readonly source: bigint;
  readonly target: bigint;
  /** What the target's shall at least be. */
  readonly wanted: bigint;
  /** Whether both columns can hold that, and the target then has values left to give. */
  readonly room: boolean;
};

/** To look, any account that may call Banyan's procedures; to raise, the target's must be the applying one. */
export type CounterEnd = { readonly side: Side; readonly sql: Connection; readonly schema: string };

export type CounterEnds = {
  readonly capability: Capability;
  readonly source: CounterEnd;
  readonly target: CounterEnd;
};

type CounterRow = {
  readonly table: string;
  readonly column: string;
  readonly next: bigint;
  readonly max: bigint;
};

/** Exactly as it stands: MySQL would else answer with what it was a day ago. */
async function readCounterRows({ sql, schema }: CounterEnd): Promise<CounterRow[]> {
  await sql.query('SET @banyan = NULL /*!80000 , SESSION information_schema_stats_expiry = 0 */');
  const [results] = await sql.query<RowDataPacket[][]>(`CALL banyan.${countersProcedure}(?)`, [schema]);
  return (results[0] ?? []).flatMap((row) => {
    const fullType = String(row.type);
    const max = greatest({ type: /^\w+/.exec(fullType)?.[0] ?? '', fullType });
    // One that counts in floating point is nobody's id.
    if (max === undefined) return [];
    return [{ table: String(row.of_table), column: String(row.name), next: BigInt(row.next ?? 1), max }];
  });
}

type Place = { readonly table: string; readonly column: string };

/** Which column of the source a column of the target comes from. */
function originOf({ tables }: Capability, to: Side, { table, column }: Place): Place | undefined {
  for (const each of tables) {
    if (isIdentity(each)) {
      if (same(each.identity, table)) return { table: each.identity, column };
      continue;
    }
    for (const { table: service, root, columns } of each.targets)
      for (const [name, { from }] of Object.entries(columns)) {
        const places = {
          legacy: { table: each.source.table, column: from },
          service: { table: service, column: name },
        };
        const [here, there] =
          to === 'legacy' ? [places.legacy, places.service] : [places.service, places.legacy];
        if (root && same(here.table, table) && same(here.column, column)) return there;
      }
  }
  return undefined;
}

const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();

const headroomMin = 1_000n;
const headroomPercent = 1n;

/** How far above the source's: for what it gives until it is closed, and never so far that little is left to give. */
function headroomOf(source: bigint, max: bigint): bigint {
  const share = (source * headroomPercent) / 100n;
  const usual = share > headroomMin ? share : headroomMin;
  const affordable = (max - source) / 10n;
  return affordable < usual ? affordable : usual;
}

/**
 * The target's counters whose values come from a counter of the source.
 * @throws the driver's error where "banyan install" has not made the procedure
 */
export async function countersOf(ends: CounterEnds): Promise<Counter[]> {
  const [sources, targets] = await Promise.all([readCounterRows(ends.source), readCounterRows(ends.target)]);
  return targets.flatMap((target) => {
    const origin = originOf(ends.capability, ends.target.side, target);
    const source =
      origin && sources.find((each) => same(each.table, origin.table) && same(each.column, origin.column));
    if (!source) return [];
    const headroom = headroomOf(source.next, source.max < target.max ? source.max : target.max);
    return [
      {
        table: target.table,
        column: target.column,
        source: source.next,
        target: target.next,
        wanted: source.next + headroom,
        room: headroom > 0n,
      },
    ];
  });
}

export type CounterSessions = {
  readonly config: BanyanConfig;
  readonly capability: Capability;
  readonly sessions: { sql(side: Side): Promise<Connection> };
};

/** The same for a gate, by the accounts at hand: those of the side that does not own, beside the owner's. */
export async function readCounters(
  { config, capability, sessions }: CounterSessions,
  owner: Side,
): Promise<Counter[]> {
  const end = async (side: Side): Promise<CounterEnd> => ({
    side,
    sql: await sessions.sql(side),
    schema: side === 'legacy' ? config.legacy.database : capability.service.database,
  });
  const other = owner === 'legacy' ? 'service' : 'legacy';
  return countersOf({ capability, source: await end(owner), target: await end(other) });
}

/**
 * Makes each counter of the target what it shall at least be. Can be repeated: what is high enough stays.
 * @returns those it raised, as they are now
 * @throws SyncError target-refuses, with every counter that could not be raised
 */
export async function raiseCounters(ends: CounterEnds): Promise<Counter[]> {
  const low = (await countersOf(ends)).filter(({ target, wanted, room }) => !room || target < wanted);
  for (const counter of low) if (counter.room) await raise(ends.target, counter);
  const now = low.length > 0 ? await countersOf(ends) : [];
  const raised = now.filter(({ table, column }) =>
    low.some((each) => each.table === table && each.column === column),
  );
  // The source has gone on meanwhile: what it was counts.
  const failed = raised.filter(({ table, target, source, room }) => {
    const before = low.find((each) => each.table === table);
    return !room || target < source || target < (before?.wanted ?? 0n);
  });
  if (failed.length > 0)
    throw new SyncError(
      'target-refuses',
      failed
        .map(
          ({ table, column, source, target }) =>
            `${table}.${column}: the next value is ${target}, the other side's ${source}`,
        )
        .join('; '),
      'where a column is nearly full make it larger on both sides (BIGINT); else raise the counter by hand: ALTER TABLE … AUTO_INCREMENT = …, and acknowledge the stop of the stream',
    );
  return raised;
}

type Column = { readonly name: string; readonly type: string };

/** Something that every kind of column takes; undefined where the column's own default must do. */
function anyValue(type: string): string | undefined {
  if (/^(date|timestamp)/.test(type)) return "'2000-01-01'";
  if (type === 'year') return '2000';
  return /^(geometry|point|linestring|polygon|multi|geomcollection)/.test(type) ? undefined : '1';
}

/** IGNORE … SELECT: the counter moves although another unique key refuses the row. */
function attempts(schema: string, { table, column, wanted }: Counter, others: readonly Column[]): string[] {
  const name = `${quoteName(schema)}.${quoteName(table)}`;
  const id = quoteName(column);
  // The counter stands one above the greatest id.
  const value = (wanted - 1n).toString();
  const insert = (values: readonly (readonly [string, string])[], from: string) =>
    `INSERT IGNORE INTO ${name} (${[id, ...values.map(([to]) => to)].join(', ')}) SELECT ${[value, ...values.map(([, what]) => what)].join(', ')} ${from}`;
  const made = others.flatMap(({ name: other, type }) => {
    const any = anyValue(type);
    return any === undefined ? [] : [[quoteName(other), any] as const];
  });
  const copied = others.map(({ name: other }) => [quoteName(other), quoteName(other)] as const);
  // A row that a CHECK or a trigger refuses may be unlike those that it takes.
  return [insert(made, ''), insert(copied, `FROM ${name} ORDER BY ${id} DESC LIMIT 1`)];
}

async function raise(end: CounterEnd, counter: Counter): Promise<void> {
  const { sql, schema } = end;
  const [columns] = await sql.query<RowDataPacket[]>(
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM information_schema.COLUMNS
     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COLUMN_NAME <> ? AND COALESCE(GENERATION_EXPRESSION, '') = ''`,
    [schema, counter.table, counter.column],
  );
  const others = columns.map(({ name, type }) => ({ name: String(name), type: String(type) }));
  await sql.query(
    `SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, lock_wait_timeout = 1,
       innodb_lock_wait_timeout = 1 /*M! , check_constraint_checks = 0 */`,
  );
  for (const statement of attempts(schema, counter, others)) {
    await sql.query('START TRANSACTION');
    // What it is refused for does not matter, only whether the counter has moved.
    await sql.query(statement).catch(() => undefined);
    await sql.query('ROLLBACK');
    const now = (await readCounterRows(end)).find(({ table }) => table === counter.table);
    if (now && now.next >= counter.wanted) return;
  }
}
