// Whether Banyan's accounts may do what the worker does, proven by doing it: statements that change no row, and one
// real write on each account, rolled back. A right that is in a list may still be taken by a role, a host or a mode.
import { randomInt } from 'node:crypto';
import type { ConnectionOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Side } from '../../capability/capability.ts';
import { applierTables, type Verb } from '../applier-tables.ts';
import { BinlogError } from '../binlog/errors.ts';
import { openBinlog } from '../binlog/reader.ts';
import type { Dialect } from '../binlog/session.ts';
import { prepareApplySession } from '../frame.ts';
import { quoteName } from '../literal.ts';
import { type Attempt, attempt, messageOf, missing, realWrite } from './attempts.ts';
import { isRead, isWritten, type TableUse } from './captured.ts';
import type { Finding } from './finding.ts';
import type { SchemaFacts, TableFacts } from './schema-facts.ts';
import { codeOf } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

const heartbeatMs = 100;
const giveUpMs = 3_000;

/** A session as the worker has it, which waits for nobody long. */
async function prepare(sql: Connection): Promise<void> {
  await prepareApplySession(sql);
  await sql.query('SET SESSION innodb_lock_wait_timeout = 1');
}

/** A dump until its first event or heartbeat: what REPLICATION SLAVE and BINLOG MONITOR are for. */
async function dumpFindings(side: Side, connection: ConnectionOptions): Promise<Finding[]> {
  try {
    await using reader = await openBinlog({
      connection,
      serverId: randomInt(2 ** 31, 2 ** 32 - 1),
      from: 'now',
      tables: () => false,
      heartbeatMs,
      giveUpMs,
    });
    for await (const _ of reader.events) break;
    return [];
  } catch (error) {
    if (!(error instanceof BinlogError)) throw error;
    const { code, message, hint } = error;
    // The settings have a finding of their own.
    if (code === 'not-logged') return [];
    if (code === 'access-denied')
      return [missing(side, 'banyan_read', 'REPLICATION SLAVE, REPLICATION CLIENT', message)];
    return [
      {
        code: 'dump-refused',
        severity: 'refuse',
        server: serverOf(side),
        object: 'banyan_read',
        what: message,
        remedy: hint,
      },
    ];
  }
}

const list = (names: readonly string[]) => names.map(quoteName).join(', ');

const present = (names: TableUse['reads'], { columns }: TableFacts): string[] =>
  columns
    .filter(({ name, isGenerated }) => (names === 'all' ? !isGenerated : names.includes(name)))
    .map(({ name }) => name);

/** `SELECT`, on the columns that are needed. */
function readAttempts(use: TableUse, table: TableFacts): Attempt[] {
  const columns = present(use.reads, table);
  const name = `${quoteName(use.schema)}.${quoteName(use.table)}`;
  const right = `SELECT ON ${use.schema}.${use.table}`;
  return columns.length === 0
    ? []
    : [{ right, sql: `SELECT ${list(columns)} FROM ${name} WHERE FALSE`, capability: use.capability }];
}

/** Every kind of write, without a row. Only InnoDB takes back what it should not have done. */
function writeAttempts(use: TableUse, table: TableFacts): Attempt[] {
  const { capability, schema } = use;
  if (table.engine !== 'InnoDB') return [];
  const name = `${quoteName(schema)}.${quoteName(use.table)}`;
  const written = (names: TableUse['writes']) => present(names, table).filter((each) => !generated.has(each));
  const generated = new Set(table.columns.filter(({ isGenerated }) => isGenerated).map((each) => each.name));
  const attemptOf = (verb: string, sql: string): Attempt => ({
    right: `${verb} ON ${schema}.${use.table}`,
    sql,
    capability,
  });
  const set = written(use.writes).map((each) => `${quoteName(each)} = ${quoteName(each)}`);
  return [
    ...use.inserts
      .map((names) => list(written(names)))
      .filter((columns) => columns !== '')
      .map((columns) =>
        attemptOf('INSERT', `INSERT INTO ${name} (${columns}) SELECT ${columns} FROM ${name} WHERE FALSE`),
      ),
    ...(set.length > 0 ? [attemptOf('UPDATE', `UPDATE ${name} SET ${set.join(', ')} WHERE FALSE`)] : []),
    attemptOf('DELETE', `DELETE FROM ${name} WHERE FALSE`),
  ];
}

const provenBy: Readonly<Record<Verb, (table: string) => string>> = {
  SELECT: (table) => `SELECT * FROM ${table} WHERE FALSE`,
  INSERT: (table) => `INSERT INTO ${table} SELECT * FROM ${table} WHERE FALSE`,
  UPDATE: (table) => `UPDATE ${table} SET capability = capability WHERE FALSE`,
  DELETE: (table) => `DELETE FROM ${table} WHERE FALSE`,
};

const ownAttempts: readonly Attempt[] = [...applierTables].flatMap(([name, verbs]) =>
  verbs.map((verb) => ({ right: `${verb} ON banyan.${name}`, sql: provenBy[verb](`banyan.${name}`) })),
);

const beat: Attempt = {
  right: 'UPDATE ON banyan.banyan_heartbeat',
  sql: 'UPDATE banyan.banyan_heartbeat SET at = at + 1 WHERE capability = ?',
};
const move: Attempt = {
  right: 'UPDATE ON banyan.banyan_stream',
  sql: 'UPDATE banyan.banyan_stream SET seq = seq + 1 WHERE capability = ?',
};

/** A right that is missing, or a table, is met by several statements. */
const once = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((each) => [[each.code, each.capability, each.object].join('\0'), each])).values(),
];

const ofSide = (uses: readonly TableUse[], side: Side, facts: ReadonlyMap<string, SchemaFacts>) =>
  uses
    .filter((use) => use.side === side)
    .flatMap((use) => {
      const table = facts.get(use.schema)?.get(use.table);
      return table ? [{ use, table }] : [];
    });

/** The account that reads: a dump, the columns, its marks. */
export async function readingFindings(
  sql: Connection,
  connection: ConnectionOptions,
  side: Side,
  uses: readonly TableUse[],
  facts: ReadonlyMap<string, SchemaFacts>,
): Promise<Finding[]> {
  await prepare(sql);
  const findings = await dumpFindings(side, connection);
  for (const { use, table } of ofSide(uses, side, facts).filter(({ use }) => isRead(use)))
    for (const each of readAttempts(use, table))
      findings.push(...(await attempt(sql, side, 'banyan_read', each)));
  findings.push(
    ...(await attempt(sql, side, 'banyan_read', {
      right: 'UPDATE ON banyan.banyan_watermark',
      sql: 'UPDATE banyan.banyan_watermark SET mark = mark WHERE FALSE',
    })),
  );
  for (const capability of new Set(uses.map((use) => use.capability)))
    findings.push(...(await realWrite(sql, side, 'banyan_read', beat, capability)));
  return once(findings);
}

/** A session in the way of an opening is found, and ended: one of another account, which is ours. */
async function endingFindings(
  sql: Connection,
  side: Side,
  dialect: Dialect,
  victim: () => Promise<Connection>,
): Promise<Finding[]> {
  const seeing: Attempt[] = [
    { right: 'PROCESS ON *.*', sql: 'SELECT COUNT(*) FROM information_schema.INNODB_TRX' },
    ...(dialect === 'mysql'
      ? [
          {
            right: 'SELECT ON performance_schema.*',
            sql: 'SELECT COUNT(*) FROM performance_schema.data_lock_waits',
          },
        ]
      : []),
  ];
  const findings: Finding[] = [];
  for (const each of seeing) findings.push(...(await attempt(sql, side, 'banyan_apply', each)));
  const session = await victim();
  try {
    await sql.query('KILL ?', [session.threadId]);
  } catch (error) {
    if (codeOf(error) !== 'ER_KILL_DENIED_ERROR') throw error;
    const right = dialect === 'mysql' ? 'CONNECTION_ADMIN ON *.*' : 'CONNECTION ADMIN ON *.*';
    findings.push(missing(side, 'banyan_apply', right, messageOf(error)));
  } finally {
    session.destroy();
  }
  return findings;
}

/**
 * The account that writes: every target table, and where the streams are.
 * @param ending undefined where there is no other account whose session could be ended
 */
export async function applyingFindings(
  sql: Connection,
  side: Side,
  uses: readonly TableUse[],
  facts: ReadonlyMap<string, SchemaFacts>,
  ending: { readonly dialect: Dialect; readonly victim: () => Promise<Connection> } | undefined,
): Promise<Finding[]> {
  await prepare(sql);
  const findings: Finding[] = ending ? await endingFindings(sql, side, ending.dialect, ending.victim) : [];
  await sql.query('START TRANSACTION');
  try {
    for (const { use, table } of ofSide(uses, side, facts).filter(({ use }) => isWritten(use)))
      for (const each of writeAttempts(use, table))
        findings.push(...(await attempt(sql, side, 'banyan_apply', each)));
    for (const each of ownAttempts) findings.push(...(await attempt(sql, side, 'banyan_apply', each)));
  } finally {
    await sql.query('ROLLBACK');
  }
  for (const capability of new Set(uses.map((use) => use.capability)))
    findings.push(...(await realWrite(sql, side, 'banyan_apply', move, capability)));
  return once(findings);
}
