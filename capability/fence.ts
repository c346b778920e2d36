// The fence's and the hold's statements, to the letter of the contract (docs/change-of-owner.md has them in its table).
// Each is ONE statement in autocommit, by its own server's clock, and its answer is an outcome, which is data. What the
// stream does to a fence row (its look, the opening) is in sync/frame.ts, in the transaction that it belongs to.
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Side } from './capability.ts';

export type FenceRow = {
  readonly owner: Side;
  readonly epoch: bigint;
  /** `isOver`: its server's clock is past the deadline. */
  readonly turn: { readonly id: bigint; readonly isOver: boolean } | null;
};

export type HoldRow = { readonly id: bigint; readonly isOver: boolean };

/** Who holds the lock that a statement waited for. */
export type Blocker = { readonly thread: number; readonly user: string; readonly seconds: number };

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

/** A server that does not answer at all: what it was asked is then lost, and so is the session. */
const answerMsMax = 5_000;

async function changed(sql: Connection, statement: string, values: unknown[]): Promise<number> {
  const [result] = await sql.query<ResultSetHeader>({ sql: statement, values, timeout: answerMsMax });
  return result.affectedRows;
}

async function select(sql: Connection, statement: string, values: unknown[]): Promise<RowDataPacket[]> {
  const [rows] = await sql.query<RowDataPacket[]>({ sql: statement, values, timeout: answerMsMax });
  return rows;
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
  const watch = watchBlocker(observer, sql.threadId);
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
  } finally {
    watch.stop();
  }
}

/** A wait shorter than this is nobody's fault. */
const watchAfterMs = 300;

function watchBlocker(observer: Connection, thread: number) {
  let blocker: Promise<Blocker | undefined> = Promise.resolve(undefined);
  const timer = setTimeout(() => {
    blocker = blockerOf(observer, thread).catch(() => undefined); // without it the message names nobody
  }, watchAfterMs);
  return { found: () => blocker, stop: () => clearTimeout(timer) };
}

/**
 * Who waits for what, and who has it; the oldest first. `of_table`: the table whose row it is.
 *
 * MariaDB shows every transaction that has written nothing under the number 0. Which of them is in the way is not shown: those
 * are taken that have row locks, do not wait for this very row, and began before the wait, be it that they did so in an
 * earlier second, or that they have been idle, or in one statement, for longer.
 */
const blockerSql = {
  mariadb: `SELECT b.trx_mysql_thread_id AS thread, CONCAT(p.USER, '@', p.HOST) AS user,
      TIMESTAMPDIFF(SECOND, b.trx_started, SYSDATE()) AS seconds, l.lock_table AS of_table
    FROM information_schema.INNODB_TRX r
    JOIN information_schema.INNODB_LOCK_WAITS w ON w.requesting_trx_id = r.trx_id
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
    LEFT JOIN information_schema.INNODB_LOCKS l ON l.lock_id = w.requested_lock_id
    LEFT JOIN information_schema.PROCESSLIST p ON p.ID = b.trx_mysql_thread_id
    LEFT JOIN information_schema.PROCESSLIST q ON q.ID = r.trx_mysql_thread_id
    WHERE r.trx_mysql_thread_id = ? AND (b.trx_id <> '0' OR (b.trx_rows_locked > 0
      AND NOT (SUBSTRING_INDEX(b.trx_requested_lock_id, ':', -3) <=> SUBSTRING_INDEX(w.requested_lock_id, ':', -3))
      AND (b.trx_started < r.trx_wait_started OR p.TIME_MS >= q.TIME_MS)))
    ORDER BY b.trx_started`,
  mysql: `SELECT b.trx_mysql_thread_id AS thread, CONCAT(p.USER, '@', p.HOST) AS user,
      TIMESTAMPDIFF(SECOND, b.trx_started, SYSDATE()) AS seconds, CONCAT(l.OBJECT_SCHEMA, '.', l.OBJECT_NAME) AS of_table
    FROM information_schema.INNODB_TRX r
    JOIN performance_schema.data_lock_waits w ON w.REQUESTING_ENGINE_TRANSACTION_ID = r.trx_id
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.BLOCKING_ENGINE_TRANSACTION_ID
    JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID
    LEFT JOIN information_schema.PROCESSLIST p ON p.ID = b.trx_mysql_thread_id
    WHERE r.trx_mysql_thread_id = ? ORDER BY b.trx_started`,
};

type Wait = Blocker & { readonly table: string };

async function waitsOf(observer: Connection, thread: number): Promise<Wait[]> {
  const [server] = await select(observer, 'SELECT VERSION() AS version', []);
  const kind = /mariadb/i.test(String(server?.version)) ? 'mariadb' : 'mysql';
  const rows = await select(observer, blockerSql[kind], [thread]);
  return rows.map((row) => ({
    thread: Number(row.thread),
    user: String(row.user),
    seconds: Number(row.seconds),
    table: String(row.of_table).replaceAll('`', ''),
  }));
}

/**
 * To be asked a few times a second at most: InnoDB shows locks as they were until nobody has looked for 0.1 s.
 * @returns undefined when the thread waits for no row lock
 */
export async function blockerOf(observer: Connection, thread: number): Promise<Blocker | undefined> {
  const [first] = await waitsOf(observer, thread);
  return first && { thread: first.thread, user: first.user, seconds: first.seconds };
}

/** Every session that has the fence row for which this thread waits; none when it waits for another row. */
export async function fenceBlockers(observer: Connection, thread: number): Promise<Blocker[]> {
  const waits = await waitsOf(observer, thread);
  const fence = waits.filter(({ table }) => table === 'banyan.banyan_fence');
  return [...new Map(fence.map((each) => [each.thread, each])).values()];
}
