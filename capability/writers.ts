// Who writes a capability's tables, by what the fence's triggers have noted on each server. They only ever add rows, so that
// no two writers wait for each other; here those rows are added up.
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Capability, Side } from './capability.ts';

export type Writer = {
  readonly user: string;
  readonly host: string;
  /** At least: what a session has written in its last second may not be noted, nor what was refused. */
  readonly rows: number;
  /** UTC, `YYYY-MM-DDThh:mm:ss`, by that server's clock; so is lastSeen. */
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly declared: boolean;
};

export type Writers = {
  /** From when on every table's writers are noted; undefined while they are not. */
  readonly since: string | undefined;
  readonly writers: readonly Writer[];
};

// No session's time zone is in it, and no number of JavaScript's.
const utc = (seconds: string) =>
  `DATE_FORMAT(DATE_ADD('1970-01-01', INTERVAL ${seconds} SECOND), '%Y-%m-%dT%T')`;
const now = 'UNIX_TIMESTAMP(SYSDATE(6))';

/** The row that says since when writers are noted; no session is of no user and no host. */
const sinceRow = "db_user = '' AND db_host = ''";

/** What the worker writes is the other side's. */
const applier = 'banyan_apply';

/** The newest first. */
export async function readWriters(
  sql: Connection,
  { name, writers }: Pick<Capability, 'name' | 'writers'>,
  side: Side,
): Promise<Writers> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT db_user, db_host, SUM(row_count) AS row_count, ${utc('MIN(first_at)')} AS first_seen, ${utc('MAX(last_at)')} AS last_seen
     FROM (SELECT db_user, db_host, row_count, first_at, last_at FROM banyan.banyan_writer WHERE capability = ?
       UNION ALL SELECT db_user, db_host, row_count, at, at FROM banyan.banyan_written WHERE capability = ?) noted
     GROUP BY db_user, db_host ORDER BY last_seen DESC, db_user, db_host`,
    [name, name],
  );
  const declared = new Set([...(writers?.[side] ?? []), applier]);
  const isSince = (row: RowDataPacket) => row.db_user === '' && row.db_host === '';
  const since = rows.find(isSince);
  return {
    since: since && String(since.first_seen),
    writers: rows
      .filter((row) => !isSince(row))
      .map((row) => ({
        user: String(row.db_user),
        host: String(row.db_host),
        rows: Number(row.row_count),
        firstSeen: String(row.first_seen),
        lastSeen: String(row.last_seen),
        declared: declared.has(String(row.db_user)),
      })),
  };
}

/** From now on every table's writers are noted, or no longer: what is run where the triggers are, after them. */
export const sinceSql = (capability: string, isNoted: boolean): string[] => [
  `DELETE FROM banyan.banyan_writer WHERE capability = '${capability}' AND ${sinceRow}`,
  ...(isNoted
    ? [
        `INSERT INTO banyan.banyan_writer (capability, db_user, db_host, row_count, first_at, last_at) VALUES ('${capability}', '', '', 0, ${now}, ${now})`,
      ]
    : []),
];

/**
 * Forgets a user, of one host or of all: it has stopped, or has become declared under another name.
 * @returns how many rows of `banyan writers` that were
 */
export async function forgetWriter(
  sql: Connection,
  capability: string,
  user: string,
  host: string | undefined,
): Promise<number> {
  // What is noted and not yet added up would come back.
  await foldWritten(sql, capability);
  const [gone] = await sql.query<ResultSetHeader>(
    `DELETE FROM banyan.banyan_writer WHERE capability = ? AND db_user = ? ${host === undefined ? '' : 'AND db_host = ?'} AND NOT (${sinceRow})`,
    [capability, user, ...(host === undefined ? [] : [host])],
  );
  return gone.affectedRows;
}

const foldRows = 500;

/** Adds up what is noted and committed. Two at once: one gives way. */
export async function foldWritten(sql: Connection, capability: string): Promise<void> {
  for (let folded = foldRows; folded === foldRows; ) folded = await foldSome(sql, capability);
}

/** @returns how many notes */
async function foldSome(sql: Connection, capability: string): Promise<number> {
  // What a writer has not committed is not seen, and so never waited for.
  await sql.query('SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
  await sql.beginTransaction();
  try {
    const [notes] = await sql.query<RowDataPacket[]>(
      `SELECT CAST(session_id AS CHAR) AS session_id, at, db_user, db_host, CAST(row_count AS CHAR) AS row_count
       FROM banyan.banyan_written WHERE capability = ? LIMIT ${foldRows}`,
      [capability],
    );
    for (const { session_id, at, db_user, db_host, row_count } of notes) {
      const [taken] = await sql.query<ResultSetHeader>(
        'DELETE FROM banyan.banyan_written WHERE session_id = ? AND at = CAST(? AS DECIMAL(20,6)) AND capability = ?',
        [session_id, at, capability],
      );
      if (taken.affectedRows === 0) {
        await sql.rollback();
        return 0;
      }
      await sql.query(
        `INSERT INTO banyan.banyan_writer (capability, db_user, db_host, row_count, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE row_count = row_count + VALUES(row_count),
           first_at = LEAST(first_at, VALUES(first_at)), last_at = GREATEST(last_at, VALUES(last_at))`,
        [capability, db_user, db_host, row_count, at, at],
      );
    }
    await sql.commit();
    return notes.length;
  } catch (error) {
    await sql.rollback();
    throw error;
  }
}
