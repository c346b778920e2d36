// A peer that is gone without a word (a firewall that forgot the connection, a half that was closed) would be waited
// for without end. So while an answer is awaited, the server is asked by another connection what became of ours.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { socketOf, unlessClosed } from './driver-socket.ts';

const askAfterMs = 2_000;
/** Whoever asks may be given no answer, too. */
const toldMsMax = 3_000;

/** Ends it on our side at once: the driver's own way only says goodbye, and waits for the server to answer. */
function cutOff(sql: Connection, why: string): void {
  socketOf(sql)?.destroy(new Error(`Connection lost: ${why}`));
  sql.destroy();
}

/** @returns whether the server still works on what our session was asked */
async function isAtWork(session: number, connect: () => Promise<Connection>): Promise<boolean> {
  const other = await connect();
  try {
    const [rows] = await other.query<RowDataPacket[]>({
      sql: "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ? AND COMMAND <> 'Sleep'",
      values: [session],
      timeout: toldMsMax,
    });
    return rows.length > 0;
  } finally {
    cutOff(other, 'it is not needed any more');
  }
}

/** Asks again and again, until the answer is there or is known not to come. @returns what ends it */
function watch(sql: Connection, connect: () => Promise<Connection>): () => void {
  let idle = 0;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const ask = async () => {
    try {
      // Twice in a row: the answer may have been on its way.
      idle = (await isAtWork(sql.threadId, connect)) ? 0 : idle + 1;
    } catch {
      idle = 0; // the server cannot be reached at all: it may only be slow, and ours may still be answered
    }
    if (isOver) return;
    if (idle >= 2) cutOff(sql, 'the server has no such session, or has answered it');
    else timer = setTimeout(ask, askAfterMs);
  };
  timer = setTimeout(ask, askAfterMs);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/**
 * The same connection, whose queries fail when their answer can no longer come, and which is gone when it is
 * destroyed.
 * @param connect makes another connection to the same server, with the same account
 */
export function heard(sql: Connection, connect: () => Promise<Connection>): Connection {
  return new Proxy(sql, {
    get(target, name) {
      if (name === 'destroy') return () => cutOff(target, 'it was ended here');
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'query') return value.bind(target);
      return async (...values: unknown[]) => {
        const end = watch(target, connect);
        try {
          return await unlessClosed(target, value.apply(target, values));
        } finally {
          end();
        }
      };
    },
  });
}
