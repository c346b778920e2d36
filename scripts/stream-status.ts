// What both servers say of the streams: where they are, what they stand still for, and what of their work is proven.
import type { RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { connectAs, type ServerValues } from './command.ts';

export type StreamStatus = {
  readonly capability: string;
  readonly source: Side;
  readonly mode: 'apply' | 'watch' | 'unknown';
  readonly position: string;
  /** Between the newest heartbeat on the source and the newest that the target has passed. */
  readonly lagSeconds: number | null;
  readonly quarantined: number;
  readonly tripwires: number;
  readonly stop: string | null;
};

/** What a target says of the streams that it receives, and how far its source is ahead. */
export async function streamsFrom(source: Side, values: ServerValues): Promise<StreamStatus[]> {
  const sourceSql = await connectAs(source === 'legacy' ? 'legacy' : 'services', 'banyan_cli', values);
  const targetSql = await connectAs(source === 'legacy' ? 'services' : 'legacy', 'banyan_cli', values);
  try {
    const [streams] = await targetSql.query<RowDataPacket[]>(
      `SELECT s.capability, s.gtid, s.file, s.pos, s.source_owner, s.source_time,
         (SELECT COUNT(*) FROM banyan.banyan_quarantine q WHERE q.capability = s.capability AND q.source = s.source) AS quarantined,
         (SELECT COALESCE(SUM(seen), 0) FROM banyan.banyan_tripwire t WHERE t.capability = s.capability AND t.source = s.source) AS tripwires,
         (SELECT message FROM banyan.banyan_stop p WHERE p.capability = s.capability AND p.source = s.source AND p.acknowledged_by IS NULL) AS stop
       FROM banyan.banyan_stream s WHERE s.source = ? ORDER BY s.capability`,
      [source],
    );
    const [beats] = await sourceSql.query<RowDataPacket[]>(
      'SELECT capability, at FROM banyan.banyan_heartbeat',
    );
    return streams.map((row) => {
      const base = String(row.capability).split('+')[0];
      const newest = beats.find(({ capability }) => capability === base)?.at;
      const isReferences = row.capability !== base;
      return {
        capability: row.capability,
        source,
        mode:
          isReferences || row.source_owner === source
            ? 'apply'
            : row.source_owner === null
              ? 'unknown'
              : 'watch',
        position: `${row.gtid ?? '?'}@${row.file ?? '?'}:${row.pos ?? '?'}`,
        lagSeconds:
          row.source_time === null || newest === undefined
            ? null
            : Math.max(0, Math.round((Number(newest) - Number(row.source_time)) * 1000) / 1000),
        quarantined: Number(row.quarantined),
        tripwires: Number(row.tripwires),
        stop: row.stop === null ? null : String(row.stop),
      };
    });
  } finally {
    sourceSql.destroy();
    targetSql.destroy();
  }
}

/** Keys that the worker has looked at after applying them, by capability. */
export type Proof = {
  readonly capability: string;
  /** Changes that nothing has proven yet; waiting ones are looked at within a second or so. */
  readonly unproven: number;
  /** The part of them that only a verification will prove. */
  readonly skipped: number;
  readonly mismatched: number;
  readonly mismatches: readonly { table: string; key: string; class: string; columns: string }[];
};

const mismatchesShown = 5;

/** What the services' server says of the keys that were applied lately. */
export async function readProofs(values: ServerValues): Promise<Proof[]> {
  const sql = await connectAs('services', 'banyan_cli', values);
  try {
    const [touched] = await sql.query<RowDataPacket[]>(
      'SELECT capability, SUM(waiting + skipped) AS unproven, SUM(skipped) AS skipped FROM banyan.banyan_touched GROUP BY capability',
    );
    const [found] = await sql.query<RowDataPacket[]>(
      'SELECT capability, target, source_key, class, columns FROM banyan.banyan_mismatch ORDER BY since',
    );
    const names = new Set([...touched, ...found].map(({ capability }) => String(capability)));
    return [...names].map((capability) => {
      const counted = touched.find((row) => row.capability === capability);
      const own = found.filter((row) => row.capability === capability);
      return {
        capability,
        unproven: Number(counted?.unproven ?? 0),
        skipped: Number(counted?.skipped ?? 0),
        mismatched: own.length,
        mismatches: own.slice(0, mismatchesShown).map((row) => ({
          table: String(row.target),
          key: String(row.source_key),
          class: String(row.class),
          columns: String(row.columns),
        })),
      };
    });
  } finally {
    sql.destroy();
  }
}
