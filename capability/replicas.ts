// The facades that there are: rows of the control store, and what each says of itself on its admin listener.
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Sql } from './control-store.ts';

/** A facade says so often that it is there; older than `beatOverMs` it counts as stopped. */
export const beatEveryMs = 1_000;
export const beatOverMs = 10_000;

export type ReplicaRow = {
  readonly name: string;
  /** http://host:port */
  readonly adminUrl: string;
  /** Since it was last heard of, by the control store's clock. */
  readonly beatAgeMs: number;
};

/** Before a facade sends its first write, and again whenever its row has gone. */
export async function beat(sql: Sql, name: string, adminUrl: string): Promise<void> {
  await sql.query<ResultSetHeader>(
    `INSERT INTO banyan.replica (name, admin_url, beat_at) VALUES (?, ?, CURRENT_TIMESTAMP(6))
     ON DUPLICATE KEY UPDATE admin_url = VALUES(admin_url), beat_at = VALUES(beat_at)`,
    [name, adminUrl],
  );
}

/** It has stopped: nothing of its own is in flight, and nothing will be. */
export async function signOff(sql: Sql, name: string): Promise<void> {
  await sql.query<ResultSetHeader>('DELETE FROM banyan.replica WHERE name = ?', [name]);
}

/** A facade that was killed leaves its row; after a day nobody asks any more which one that was. */
export async function forgetKilled(sql: Sql): Promise<void> {
  await sql.query<ResultSetHeader>(
    'DELETE FROM banyan.replica WHERE beat_at < CURRENT_TIMESTAMP(6) - INTERVAL 1 DAY',
  );
}

export async function readReplicas(sql: Sql): Promise<ReplicaRow[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT name, admin_url, TIMESTAMPDIFF(MICROSECOND, beat_at, CURRENT_TIMESTAMP(6)) DIV 1000 AS ageMs FROM banyan.replica ORDER BY name',
  );
  return rows.map(({ name, admin_url, ageMs }) => ({
    name: String(name),
    adminUrl: String(admin_url),
    beatAgeMs: Number(ageMs),
  }));
}

/** How a facade stands to one capability's writes; its numbers of epochs and holds are texts of digits. */
export type ReplicaReport = {
  readonly writes: 'asking' | 'holding' | 'sending';
  readonly epoch: string;
  /** Holds for which nothing of its own is in flight. */
  readonly acknowledged: readonly string[];
  readonly held: number;
  readonly heldMax: number;
  readonly oldestHeldMs: number;
  readonly holdAgeMsMax: number;
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const digits = (value: unknown): value is string => typeof value === 'string' && /^\d{1,20}$/.test(value);
const count = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

/**
 * What `POST /api/writes/CAPABILITY/look` of a facade's admin listener answers: it looks at holds and fences first.
 * @returns undefined for what is no report
 */
export function parseReplicaReport(body: unknown): ReplicaReport | undefined {
  if (!isRecord(body)) return undefined;
  const { writes, epoch, acknowledged, held, heldMax, oldestHeldMs, holdAgeMsMax } = body;
  if (writes !== 'asking' && writes !== 'holding' && writes !== 'sending') return undefined;
  if (!digits(epoch) || !Array.isArray(acknowledged) || !acknowledged.every(digits)) return undefined;
  if (!count(held) || !count(heldMax) || !count(oldestHeldMs) || !count(holdAgeMsMax)) return undefined;
  return { writes, epoch, acknowledged, held, heldMax, oldestHeldMs, holdAgeMsMax };
}
