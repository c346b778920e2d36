// Reading a stream up to what a test has just written.
import { randomInt } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { comparePositions, type Position } from '../position.ts';
import type { Change, RowsChange } from './change.ts';
import { type BinlogOptions, type BinlogReader, openBinlog } from './reader.ts';

export const anyServerId = () => randomInt(1_000, 2 ** 31);

export type Follower = {
  readonly reader: BinlogReader;
  readonly changes: AsyncIterator<Change>;
  next(): Promise<Change>;
  /** All changes until the position of the server's present end was reached. */
  untilNow(sql: Connection): Promise<Change[]>;
  /** All changes until so many transactions ended. */
  transactions(count: number): Promise<Change[]>;
  [Symbol.asyncDispose](): Promise<void>;
};

async function first(sql: Connection, statement: string): Promise<RowDataPacket> {
  const [[row]] = await sql.query<RowDataPacket[]>(statement);
  if (!row) throw new Error(`no row from ${statement}`);
  return row;
}

/**
 * The GTIDs of all that was written. File and offset would not do: MariaDB writes a checkpoint after the last
 * transaction, when it pleases.
 */
export async function endOf(sql: Connection): Promise<Position> {
  const { v } = await first(sql, 'SELECT VERSION() AS v');
  const name = /mariadb/i.test(String(v)) ? '@@gtid_binlog_pos' : '@@gtid_executed';
  const { gtid } = await first(sql, `SELECT ${name} AS gtid`);
  return { gtid: String(gtid).replaceAll(/\s/g, ''), at: undefined };
}

export async function follow(url: string, options: Partial<BinlogOptions> = {}): Promise<Follower> {
  const reader = await openBinlog({
    connection: { uri: url },
    serverId: anyServerId(),
    from: 'now',
    heartbeatMs: 200,
    ...options,
  });
  const changes = reader.events[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await changes.next();
    if (done) throw new Error('the stream has ended');
    return value;
  };
  return {
    reader,
    changes,
    next,
    async untilNow(sql) {
      const end = await endOf(sql);
      const seen: Change[] = [];
      for (;;) {
        const change = await next();
        seen.push(change);
        if (change.kind !== 'commit' && change.kind !== 'rollback') continue;
        const order = comparePositions({ gtid: change.position.gtid, at: undefined }, end);
        if (order === 'equal' || order === 'after') return seen;
      }
    },
    async transactions(count) {
      const seen: Change[] = [];
      for (let ended = 0; ended < count; ) {
        const change = await next();
        seen.push(change);
        if (change.kind === 'commit' || change.kind === 'rollback') ended++;
      }
      return seen;
    },
    [Symbol.asyncDispose]: () => reader.stop(),
  };
}

export const rowsOf = (changes: readonly Change[]): RowsChange[] =>
  changes.filter((change) => change.kind === 'rows');
