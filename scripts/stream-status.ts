// What both servers say of the streams: where they are, what they stand still for, and what of their work is proven.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { goesOnBy } from '../sync/stops.ts';
import { connectAs, type ServerValues } from './command.ts';

export type StreamStatus = {
  readonly capability: string;
  readonly source: Side;
  /** `retired`: it was ended for good, and is not run any more. */
  readonly mode: 'apply' | 'watch' | 'unknown' | 'retired';
  readonly position: string;
  /** Between the newest heartbeat on the source and the newest that the target has passed. */
  readonly lagSeconds: number | null;
  readonly quarantined: number;
  readonly tripwires: number;
  readonly stop: string | null;
  /** The command that lets it go on; null: it goes. */
  readonly goesOnBy: string | null;
};

/** The streams from a source that were ended for good. */
async function retiredFrom(source: Side, services: Connection): Promise<ReadonlySet<string>> {
  if (source === 'legacy') return new Set();
  const [rows] = await services.query<RowDataPacket[]>('SELECT capability FROM banyan.banyan_retired');
  return new Set(rows.map(({ capability }) => String(capability)));
}

function modeOf(row: RowDataPacket, source: Side, retired: ReadonlySet<string>): StreamStatus['mode'] {
  if (retired.has(row.capability)) return 'retired';
  if (String(row.capability).includes('+') || row.source_owner === source) return 'apply';
  return row.source_owner === null ? 'unknown' : 'watch';
}

/** What a target says of the streams that it receives, and how far its source is ahead. */
export async function streamsFrom(source: Side, values: ServerValues): Promise<StreamStatus[]> {
  const sourceSql = await connectAs(source === 'legacy' ? 'legacy' : 'services', 'banyan_cli', values);
  const targetSql = await connectAs(source === 'legacy' ? 'services' : 'legacy', 'banyan_cli', values);
  try {
    const [streams] = await targetSql.query<RowDataPacket[]>(
      `SELECT s.capability, s.gtid, s.file, s.pos, s.source_owner, s.source_time,
         (SELECT COUNT(*) FROM banyan.banyan_quarantine q WHERE q.capability = s.capability AND q.source = s.source) AS quarantined,
         (SELECT COALESCE(SUM(seen), 0) FROM banyan.banyan_tripwire t WHERE t.capability = s.capability AND t.source = s.source) AS tripwires,
         p.message AS stop, p.code AS stop_code
       FROM banyan.banyan_stream s LEFT JOIN banyan.banyan_stop p
         ON p.capability = s.capability AND p.source = s.source AND p.acknowledged_by IS NULL
       WHERE s.source = ? ORDER BY s.capability`,
      [source],
    );
    const [beats] = await sourceSql.query<RowDataPacket[]>(
      'SELECT capability, at FROM banyan.banyan_heartbeat',
    );
    const retired = await retiredFrom(source, sourceSql);
    return streams.map((row) => {
      const [base = ''] = String(row.capability).split('+');
      const newest = beats.find(({ capability }) => capability === base)?.at;
      const mode = modeOf(row, source, retired);
      // What was left of a stream that runs no more is nobody's trouble.
      const stop = row.stop === null || mode === 'retired' ? null : String(row.stop);
      return {
        capability: row.capability,
        source,
        mode,
        position: `${row.gtid ?? '?'}@${row.file ?? '?'}:${row.pos ?? '?'}`,
        lagSeconds:
          mode === 'retired' || row.source_time === null || newest === undefined
            ? null
            : Math.max(0, Math.round((Number(newest) - Number(row.source_time)) * 1000) / 1000),
        quarantined: Number(row.quarantined),
        tripwires: Number(row.tripwires),
        stop,
        goesOnBy: stop === null ? null : goesOnBy(String(row.stop_code), base, source),
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
