// Who has the lock that a statement waits for; asked beside it, by an account with PROCESS.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { select } from './ask-server.ts';

/** Who holds the lock that a statement waited for. */
export type Blocker = { readonly thread: number; readonly user: string; readonly seconds: number };

/** A wait shorter than this is nobody's fault. */
const watchAfterMs = 300;
/** Rarely enough for InnoDB to show locks anew. */
const againMs = 200;

/** Looks who is in the way of this thread's statement, once that has lasted a while, until somebody is seen. */
export function watchBlocker(observer: Connection, thread: number) {
  const stopping = new AbortController();
  const seen = look(observer, thread, stopping.signal).catch(() => undefined); // the message then names nobody
  return {
    /** To be asked when the statement has ended. */
    found(): Promise<Blocker | undefined> {
      stopping.abort();
      return seen;
    },
    [Symbol.dispose]: () => stopping.abort(),
  };
}

async function look(observer: Connection, thread: number, signal: AbortSignal): Promise<Blocker | undefined> {
  for (let ms = watchAfterMs; ; ms = againMs) {
    await delay(ms, undefined, { signal });
    const blocker = await blockerOf(observer, thread);
    if (blocker) return blocker;
  }
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
