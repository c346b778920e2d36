// Which reads go to the service, as the control store numbers it: each word of an operator's is a round, and a facade that sees the
// service fail writes down, once a round, that the reads have returned to legacy.
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { ControlStoreError, record, type Sql } from './control-store.ts';

/** The round of the newest shift; 0n: there was none. */
export async function readRound(sql: Sql, capability: string): Promise<bigint> {
  const [[row]] = await sql.query<RowDataPacket[]>(
    'SELECT CAST(round AS CHAR) AS round FROM read_shift WHERE capability = ?',
    [capability],
  );
  return BigInt(String(row?.round ?? 0));
}

/**
 * Begins a round: what facades have written of earlier ones does not count any more.
 * @param guarded the facades judge at 100 %, too
 * @param after only if that is the newest one
 * @throws ControlStoreError when somebody has begun another one meanwhile
 */
export async function beginRound(
  sql: Sql,
  capability: string,
  { guarded, after }: { readonly guarded: boolean; readonly after?: bigint },
): Promise<bigint> {
  const known = after ?? (await readRound(sql, capability));
  const [begun] =
    known === 0n
      ? await sql.query<ResultSetHeader>(
          'INSERT IGNORE INTO read_shift (capability, round, guarded) VALUES (?, 1, ?)',
          [capability, guarded ? 1 : 0],
        )
      : await sql.query<ResultSetHeader>(
          `UPDATE read_shift SET round = round + 1, guarded = ?, shifted_at = CURRENT_TIMESTAMP(6)
           WHERE capability = ? AND round = ?`,
          [guarded ? 1 : 0, capability, known.toString()],
        );
  if (begun.affectedRows !== 1)
    throw new ControlStoreError(
      `somebody else moves the reads of ${capability} at this moment: look at "banyan audit ${capability}", then run this again`,
    );
  return known + 1n;
}

export type Return = {
  readonly capability: string;
  readonly round: bigint;
  /** The name of the replica. */
  readonly facade: string;
  readonly reason: string;
  /** For the audit. */
  readonly figures: unknown;
};

/** By a facade, in one transaction with the audit. @returns false when another one was first */
export async function writeReturn(sql: Connection, of: Return): Promise<boolean> {
  await sql.beginTransaction();
  try {
    const reason = of.reason.slice(0, 500);
    const [written] = await sql.query<ResultSetHeader>(
      'INSERT IGNORE INTO read_return (capability, round, facade, reason) VALUES (?, ?, ?, ?)',
      [of.capability, of.round.toString(), of.facade, reason],
    );
    const isFirst = written.affectedRows === 1;
    if (isFirst)
      await record(sql, of.capability, {
        actor: `facade ${of.facade}`,
        action: 'return',
        reason,
        detail: { reads: 0, figures: of.figures },
      });
    await sql.commit();
    return isFirst;
  } catch (error) {
    await sql.rollback();
    throw error;
  }
}
