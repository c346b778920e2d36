// The fence's and the hold's statements, to the letter of the contract (docs/change-of-owner.md has them in its table).
// Each is ONE statement in autocommit, by its own server's clock, and its answer is an outcome, which is data. What the
// stream does to a fence row (its look, the opening) is in sync/frame.ts, in the transaction that it belongs to.
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { answerMsMax, select } from './ask-server.ts';
import { type Blocker, watchBlocker } from './blockers.ts';
import type { Side } from './capability.ts';

export type FenceRow = {
  readonly owner: Side;
  readonly epoch: bigint;
  /** `isOver`: its server's clock is past the deadline. */
  readonly turn: { readonly id: bigint; readonly isOver: boolean } | null;
};

export type HoldRow = { readonly id: bigint; readonly isOver: boolean };

export type Outcome =
  | { readonly is: 'rows'; readonly rows: 0 | 1 }
  /** Not executed: a lock was in the way (1205, or 1213). `isLate`: another try can match nothing. */
  | { readonly is: 'busy'; readonly blocker: Blocker | undefined; readonly isLate: boolean }
  /** The answer is not known; the statement may still be executed, too. */
  | { readonly is: 'lost'; readonly message: string }
  /** Not executed: the server said no. */
  | { readonly is: 'refused'; readonly message: string };

/** `observer` looks who is in the way while `sql` waits; both by an account with PROCESS. */
export type FenceSessions = { readonly sql: Connection; readonly observer: Connection };

/** The row of a fence that a statement is meant for. */
export type At = { readonly capability: string; readonly owner: Side; readonly epoch: bigint };

/** Shorter than any client's own patience: with the deadlock detection off the turn is the one that gives up. */
export async function prepareFenceSession(sql: Connection): Promise<void> {
  await sql.query('SET SESSION autocommit = 1, innodb_lock_wait_timeout = 1, lock_wait_timeout = 1');
}

const now = 'UNIX_TIMESTAMP(SYSDATE(6))';

/** @param seconds how long the hold lasts */
export const hold = (on: FenceSessions, capability: string, id: bigint, seconds: number) =>
  outcomeOf(on, neverLate, () =>
    changed(
      on.sql,
      `INSERT INTO banyan.banyan_hold (capability, hold_id, hold_until) VALUES (?, ?, ${now} + ?)
       ON DUPLICATE KEY UPDATE hold_id = VALUES(hold_id), hold_until = VALUES(hold_until)`,
      [capability, text(id), seconds],
    ),
  );

/** Waits for every transaction that is writing, and later writers wait for it. @param seconds of the turn at most */
export const turn = (
  on: FenceSessions,
  { capability, owner, epoch }: At,
  ids: { readonly hold: bigint; readonly turn: bigint },
  seconds: number,
) =>
  outcomeOf(
    on,
    async () => {
      const found = await readHold(on.sql, capability);
      return found?.id !== ids.hold || found.isOver;
    },
    () =>
      changed(
        on.sql,
        `UPDATE banyan.banyan_fence f SET turn_id = ?, turn_deadline = ${now} + ?
         WHERE f.capability = ? AND f.owner = ? AND f.epoch = ? AND ${now} <
           (SELECT h.hold_until FROM banyan.banyan_hold h WHERE h.capability = f.capability AND h.hold_id = ?)`,
        [text(ids.turn), seconds, capability, owner, text(epoch), text(ids.hold)],
      ),
  );

/** One row is the point of no return. */
export const close = (on: FenceSessions, { capability, owner, epoch }: At, id: bigint, to: Side) =>
  outcomeOf(
    on,
    async () => {
      const found = await readFence(on.sql, capability, 'none');
      return found?.turn?.id !== id || found.turn.isOver;
    },
    () =>
      changed(
        on.sql,
        `UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL
         WHERE capability = ? AND owner = ? AND epoch = ? AND turn_id = ? AND ${now} < turn_deadline`,
        [to, text(epoch + 1n), capability, owner, text(epoch), text(id)],
      ),
  );

/**
 * Where the source is lost after its close: `at` is the row that is left, on the side that shall own; the stream has met
 * this turn, and none after it.
 */
export const openAlone = (on: FenceSessions, { capability, owner, epoch }: At, turn: bigint) =>
  outcomeOf(on, neverLate, () =>
    changed(
      on.sql,
      `UPDATE banyan.banyan_fence f SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL
       WHERE f.capability = ? AND f.owner = ? AND f.epoch = ? AND EXISTS (SELECT 1 FROM banyan.banyan_stream s
         WHERE s.capability = f.capability AND s.source = ? AND s.source_turn = ?)`,
      [
        owner === 'legacy' ? 'service' : 'legacy',
        text(epoch + 1n),
        capability,
        owner,
        text(epoch),
        owner,
        text(turn),
      ],
    ),
  );

/** The turn would end by itself at its deadline. */
export const endTurn = (on: FenceSessions, { capability, owner, epoch }: At, id: bigint) =>
  outcomeOf(on, neverLate, () =>
    changed(
      on.sql,
      `UPDATE banyan.banyan_fence SET turn_id = NULL, turn_deadline = NULL
       WHERE capability = ? AND owner = ? AND epoch = ? AND turn_id = ?`,
      [capability, owner, text(epoch), text(id)],
    ),
  );

export const removeHold = (on: FenceSessions, capability: string, id: bigint) =>
  outcomeOf(on, neverLate, () =>
    changed(on.sql, 'DELETE FROM banyan.banyan_hold WHERE capability = ? AND hold_id = ?', [
      capability,
      text(id),
    ]),
  );

/** Whether the row that is to be opened can be locked now. Changes nothing, logs nothing. */
export const probe = (on: FenceSessions, { capability, owner, epoch }: At) =>
  outcomeOf(on, neverLate, async () => {
    const rows = await select(
      on.sql,
      'SELECT epoch FROM banyan.banyan_fence WHERE capability = ? AND owner = ? AND epoch = ? FOR UPDATE',
      [capability, owner, text(epoch)],
    );
    return rows.length;
  });

const sideOf = (value: unknown): Side => (value === 'legacy' ? 'legacy' : 'service');

/**
 * @param lock `share` waits for a statement that is changing the row, and sees what it left
 * @returns undefined where the capability is not installed
 */
export async function readFence(
  sql: Connection,
  capability: string,
  lock: 'none' | 'share',
): Promise<FenceRow | undefined> {
  const [row] = await select(
    sql,
    `SELECT owner, CAST(epoch AS CHAR) AS epoch, CAST(turn_id AS CHAR) AS turn,
       turn_deadline IS NULL OR ${now} > turn_deadline AS isOver
     FROM banyan.banyan_fence WHERE capability = ? ${lock === 'share' ? 'LOCK IN SHARE MODE' : ''}`,
    [capability],
  );
  if (!row) return undefined;
  const turn = row.turn === null ? null : { id: BigInt(String(row.turn)), isOver: Number(row.isOver) === 1 };
  return { owner: sideOf(row.owner), epoch: BigInt(String(row.epoch)), turn };
}

/**
 * Both rows as they stood at one moment. A row never comes back to what it was: when the first one read is still the same
 * after the second, it was so meanwhile.
 * @returns undefined where the capability is not installed
 */
export async function readFences(
  on: Readonly<Record<Side, Connection>>,
  capability: string,
): Promise<Readonly<Record<Side, FenceRow>> | undefined> {
  for (let legacy = await readFence(on.legacy, capability, 'none'); ; ) {
    const service = await readFence(on.service, capability, 'none');
    const again = await readFence(on.legacy, capability, 'none');
    if (!legacy || !service || !again) return undefined;
    if (legacy.owner === again.owner && legacy.epoch === again.epoch) return { legacy: again, service };
    legacy = again;
  }
}

export async function readHold(sql: Connection, capability: string): Promise<HoldRow | undefined> {
  const [row] = await select(
    sql,
    `SELECT CAST(hold_id AS CHAR) AS id, ${now} >= hold_until AS isOver FROM banyan.banyan_hold WHERE capability = ?`,
    [capability],
  );
  return row && { id: BigInt(String(row.id)), isOver: Number(row.isOver) === 1 };
}

/** The newest turn that the stream from `source` has met; asked on its target. */
export async function readTurnMet(sql: Connection, capability: string, source: Side): Promise<bigint | null> {
  const [row] = await select(
    sql,
    'SELECT CAST(source_turn AS CHAR) AS turn FROM banyan.banyan_stream WHERE capability = ? AND source = ?',
    [capability, source],
  );
  return row && row.turn !== null ? BigInt(String(row.turn)) : null;
}

/** XA transactions that are prepared and not decided: PREPARE lets go of the shared locks that a turn waits for. */
export async function preparedXa(sql: Connection): Promise<string[]> {
  const rows = await select(sql, 'XA RECOVER', []);
  return rows.map(({ data }) => String(data));
}

const text = (id: bigint) => id.toString();
const neverLate = async () => false;

async function changed(sql: Connection, statement: string, values: unknown[]): Promise<number> {
  const [result] = await sql.query<ResultSetHeader>({ sql: statement, values, timeout: answerMsMax });
  return result.affectedRows;
}

const busyCodes = ['ER_LOCK_WAIT_TIMEOUT', 'ER_LOCK_DEADLOCK', 'ER_STATEMENT_TIMEOUT'];
/** The server ended the statement or the session: what became of it must be read. */
const lostCodes = [
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_CONNECTION_KILLED',
  'ER_QUERY_INTERRUPTED',
];

/** Runs one statement, and meanwhile looks who is in its way. */
async function outcomeOf(
  { sql, observer }: FenceSessions,
  isLate: () => Promise<boolean>,
  statement: () => Promise<number>,
): Promise<Outcome> {
  using watch = watchBlocker(observer, sql.threadId);
  try {
    const rows = await statement();
    return { is: 'rows', rows: rows === 0 ? 0 : 1 };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Only what the server itself answers says that nothing was done.
    if (!(error instanceof Error && 'sqlState' in error && 'code' in error)) return { is: 'lost', message };
    const code = String(error.code);
    if (lostCodes.includes(code)) return { is: 'lost', message };
    if (!busyCodes.includes(code)) return { is: 'refused', message };
    const blocker = await watch.found();
    // Whether another try can match: unread, it is tried.
    return { is: 'busy', blocker, isLate: await isLate().catch(() => false) };
  }
}
