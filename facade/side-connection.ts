// What one side's server says of every capability, in one round trip whatever their number: its clock, holds, how far the
// streams into it are, and LAST the fences, under a shared lock. A hold read after the fence would let a turn in between.
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import type { FenceRow, HoldRow } from '../capability/fence.ts';
import { codeOf } from './errors.ts';
import { within } from './within.ts';

export type SideLook = {
  /** Its clock, microseconds since 1970; asked first, so that no wait for a lock blurs it. */
  readonly serverMicros: bigint;
  readonly holds: ReadonlyMap<string, HoldRow>;
  /** Without an entry the capability is not installed there. */
  readonly fences: ReadonlyMap<string, FenceRow>;
  /** The newest heartbeat that the stream into this side has passed, by the source's clock, likewise. */
  readonly passed: ReadonlyMap<string, bigint>;
};

export type SideConnection = {
  look(): Promise<SideLook>;
  /** At once, also when the server hangs. */
  close(): void;
};

const now = 'UNIX_TIMESTAMP(SYSDATE(6))';
const micros = (seconds: string) => `CAST(CAST(${seconds} * 1000000 AS UNSIGNED) AS CHAR)`;

const lookSql = (side: Side) => `
SELECT ${micros(now)} AS micros;
SELECT capability, CAST(hold_id AS CHAR) AS id, ${now} >= hold_until AS isOver FROM banyan.banyan_hold;
SELECT capability, ${micros('source_time')} AS micros FROM banyan.banyan_stream
  WHERE source = '${side === 'legacy' ? 'service' : 'legacy'}' AND source_time IS NOT NULL;
SELECT capability, owner, CAST(epoch AS CHAR) AS epoch, CAST(turn_id AS CHAR) AS turn,
  turn_deadline IS NULL OR ${now} > turn_deadline AS isOver FROM banyan.banyan_fence LOCK IN SHARE MODE`;

const isTrue = (value: unknown) => Number(value) === 1;

function byCapability<T>(rows: RowDataPacket[] | undefined, read: (row: RowDataPacket) => T): Map<string, T> {
  return new Map((rows ?? []).map((row) => [String(row.capability), read(row)]));
}

const fenceOf = ({ owner, epoch, turn, isOver }: RowDataPacket): FenceRow => ({
  owner: owner === 'legacy' ? 'legacy' : 'service',
  epoch: BigInt(String(epoch)),
  turn: turn === null ? null : { id: BigInt(String(turn)), isOver: isTrue(isOver) },
});

/** Somebody is changing a fence row: nothing is wrong with the connection. */
export const isLockWait = (error: unknown) =>
  ['ER_LOCK_WAIT_TIMEOUT', 'ER_LOCK_DEADLOCK'].includes(codeOf(error));

/**
 * @param uri mysql://user:password@host:port
 * @throws what the server has against it
 */
export async function connectToSide(uri: string, side: Side, msMax: number): Promise<SideConnection> {
  const connecting = createConnection({
    uri,
    connectTimeout: msMax,
    multipleStatements: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  // A server that hangs may take the connection, and say nothing.
  const sql = await within(connecting, msMax).catch((error) => {
    connecting.then(
      (late) => late.destroy(),
      () => undefined,
    );
    throw error;
  });
  sql.on('error', () => undefined); // the next look says it
  const close = () => sql.destroy();
  try {
    const session = 'SET SESSION autocommit = 1, innodb_lock_wait_timeout = 1, lock_wait_timeout = 1';
    await within(sql.query(session), msMax);
  } catch (error) {
    close();
    throw error;
  }
  const text = lookSql(side);
  return {
    close,
    async look() {
      const [[clock, holds, streams, fences]] = await sql.query<RowDataPacket[][]>(text);
      return {
        serverMicros: BigInt(String(clock?.[0]?.micros)),
        holds: byCapability(holds, ({ id, isOver }) => ({ id: BigInt(String(id)), isOver: isTrue(isOver) })),
        passed: byCapability(streams, ({ micros: at }) => BigInt(String(at))),
        fences: byCapability(fences, fenceOf),
      };
    },
  };
}
