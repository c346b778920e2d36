// What the control store keeps of a change of owner: its pins, who runs it, its steps. Comfort only: two who run one at the
// same time do not disturb each other, and a command that is run again knows what it was about. Who owns is the fences' word.
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Side } from './capability.ts';
import type { ChangeOfOwner, End } from './change-of-owner-place.ts';
import { ControlStoreError, type Sql } from './control-store.ts';

/** A holder that is not heard of for so long is dead. */
export const leaseSeconds = 10;
export const renewEveryMs = 3_000;

/** The newest change of a capability, under way or over. */
export type StoredChange = ChangeOfOwner & {
  /** Null: somebody is at it, or died at it. */
  readonly outcome: End['outcome'] | null;
  readonly holder: string;
  /** Until its lease is over, by the control store's clock; 0: nobody runs it. */
  readonly leaseMsLeft: number;
  readonly begunAt: string;
};

const sideOf = (value: unknown): Side => (value === 'legacy' ? 'legacy' : 'service');

function outcomeOf(value: unknown): End['outcome'] | null {
  return value === 'done' || value === 'undone' || value === 'superseded' || value === 'unfinished'
    ? value
    : null;
}

/** @returns undefined when no change of it was ever begun */
export async function readChange(sql: Sql, capability: string): Promise<StoredChange | undefined> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT CAST(id AS CHAR) AS id, from_side, to_side, CAST(epoch AS CHAR) AS epoch, outcome, holder,
       DATE_FORMAT(begun_at, '%Y-%m-%dT%T.%f') AS begunAt,
       GREATEST(0, TIMESTAMPDIFF(MICROSECOND, CURRENT_TIMESTAMP(6), lease_until) DIV 1000) AS leaseMsLeft
     FROM banyan.change_of_owner WHERE capability = ? AND id > 0`,
    [capability],
  );
  const [row] = rows;
  return (
    row && {
      id: BigInt(String(row.id)),
      capability,
      from: sideOf(row.from_side),
      to: sideOf(row.to_side),
      epoch: BigInt(String(row.epoch)),
      outcome: outcomeOf(row.outcome),
      holder: String(row.holder),
      leaseMsLeft: Number(row.leaseMsLeft),
      begunAt: String(row.begunAt),
    }
  );
}

/** Who holds the lease of a capability's changes, or held it last. @param msLeft 0: it is over */
export async function readLease(
  sql: Sql,
  capability: string,
): Promise<{ readonly holder: string; readonly msLeft: number } | undefined> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT holder, GREATEST(0, TIMESTAMPDIFF(MICROSECOND, CURRENT_TIMESTAMP(6), lease_until) DIV 1000) AS msLeft
     FROM banyan.change_of_owner WHERE capability = ?`,
    [capability],
  );
  const [row] = rows;
  return row && { holder: String(row.holder), msLeft: Number(row.msLeft) };
}

/**
 * Takes the lease of a capability's changes, or keeps it.
 * @param dead a holder that is known to have died: its lease is not waited for
 * @returns false while another holds it
 */
export async function takeChangeLease(
  sql: Sql,
  capability: string,
  holder: string,
  dead = holder,
): Promise<boolean> {
  await sql.query(
    `INSERT IGNORE INTO banyan.change_of_owner (capability, id, from_side, to_side, epoch, outcome, holder, lease_until)
     VALUES (?, 0, 'legacy', 'service', 0, 'undone', '', CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND)`,
    [capability],
  );
  const [taken] = await sql.query<ResultSetHeader>(
    `UPDATE banyan.change_of_owner SET holder = ?, lease_until = CURRENT_TIMESTAMP(6) + INTERVAL ${leaseSeconds} SECOND
     WHERE capability = ? AND (holder IN (?, ?) OR lease_until < CURRENT_TIMESTAMP(6))`,
    [holder, capability, holder, dead],
  );
  return taken.affectedRows === 1;
}

/** Writes down what a change pins, by who holds the lease. @throws ControlStoreError when that is somebody else by now */
export async function pinChange(
  sql: Sql,
  { id, capability, from, to, epoch }: ChangeOfOwner,
  holder: string,
): Promise<void> {
  const [pinned] = await sql.query<ResultSetHeader>(
    `UPDATE banyan.change_of_owner SET id = ?, from_side = ?, to_side = ?, epoch = ?, outcome = NULL,
       begun_at = CURRENT_TIMESTAMP(6) WHERE capability = ? AND holder = ?`,
    [id.toString(), from, to, epoch.toString(), capability, holder],
  );
  if (pinned.affectedRows !== 1)
    throw new ControlStoreError(
      `another command runs a change of ${capability} by now: "banyan status" names it`,
    );
}

/** How it ended; the lease ends, too. Whoever has taken it over meanwhile is not disturbed. */
export async function endChange(
  sql: Sql,
  { id, capability }: Pick<ChangeOfOwner, 'id' | 'capability'>,
  holder: string,
  outcome: End['outcome'],
): Promise<void> {
  await sql.query(
    `UPDATE banyan.change_of_owner SET outcome = ?, lease_until = CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND
     WHERE capability = ? AND holder = ? AND id = ?`,
    [outcome, capability, holder, id.toString()],
  );
}

/** Gives the lease up without a word on the change. */
export async function leaveLease(sql: Sql, capability: string, holder: string): Promise<void> {
  await sql.query(
    `UPDATE banyan.change_of_owner SET lease_until = CURRENT_TIMESTAMP(6) - INTERVAL 1 SECOND
     WHERE capability = ? AND holder = ?`,
    [capability, holder],
  );
}

/**
 * A number that was never used before and never will be: of a change, a hold or a turn.
 * @param of the change that it belongs to; null for a change's own
 */
export async function newNumber(
  sql: Sql,
  capability: string,
  of: bigint | null,
  step: 'begin' | 'hold-number' | 'turn-number',
): Promise<bigint> {
  const [made] = await sql.query<ResultSetHeader>(
    'INSERT INTO banyan.change_step (change_id, capability, step) VALUES (?, ?, ?)',
    [of?.toString() ?? null, capability, step],
  );
  return BigInt(made.insertId);
}

/** Appends to the journal of a change: for people, and after a crash. */
export async function journal(
  sql: Sql,
  { id, capability }: Pick<ChangeOfOwner, 'id' | 'capability'>,
  step: string,
  detail: string,
): Promise<void> {
  await sql.query(
    'INSERT INTO banyan.change_step (change_id, capability, step, detail) VALUES (?, ?, ?, ?)',
    [id.toString(), capability, step, detail.slice(0, 2_000)],
  );
}
