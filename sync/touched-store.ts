// What is known of the keys that the stream has applied lately, on the services' server: for status and gates.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Row } from '../acl/translator.ts';
import type { FrameKey } from './frame.ts';
import { imageRow, imageText } from './quarantine.ts';
import type { Difference } from './verify-suspects.ts';

export type Mismatch = {
  /** The source's. */
  readonly table: string;
  readonly target: string;
  readonly key: Row;
  /** The key as one short text. */
  readonly rowKey: string;
};

/** Changes that were not proven when a worker before this one wrote it down. */
export async function readTouched(
  sql: Connection,
  { capability, source }: FrameKey,
): Promise<{ table: string; waiting: number; skipped: number }[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT table_name, waiting, skipped FROM banyan.banyan_touched WHERE capability = ? AND source = ?',
    [capability, source],
  );
  return rows.map(({ table_name, waiting, skipped }) => ({
    table: String(table_name),
    waiting: Number(waiting),
    skipped: Number(skipped),
  }));
}

export async function saveTouched(
  sql: Connection,
  { capability, source }: FrameKey,
  table: string,
  waiting: number,
  skipped: number,
): Promise<void> {
  await sql.query(
    `INSERT INTO banyan.banyan_touched (capability, source, table_name, waiting, skipped) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE waiting = VALUES(waiting), skipped = VALUES(skipped), at = CURRENT_TIMESTAMP(6)`,
    [capability, source, table, waiting, skipped],
  );
}

/** Everything that had passed before this turn has been looked at. */
export async function saveProven(
  sql: Connection,
  { capability, source }: FrameKey,
  turn: bigint,
): Promise<void> {
  await sql.query(
    `INSERT INTO banyan.banyan_proven (capability, source, turn) VALUES (?, ?, ?)
     ON DUPLICATE KEY UPDATE turn = VALUES(turn)`,
    [capability, source, turn.toString()],
  );
}

/** A place in the source's binlog: what the stream had applied before it is proven, or counted as skipped. */
export type ProvenUpTo = { readonly position: string; readonly server: string | null };

export async function readProvenUpTo(
  sql: Connection,
  { capability, source }: FrameKey,
): Promise<ProvenUpTo | undefined> {
  const [[row]] = await sql.query<RowDataPacket[]>(
    'SELECT position, source_server FROM banyan.banyan_proven_up_to WHERE capability = ? AND source = ?',
    [capability, source],
  );
  return row && { position: String(row.position), server: row.source_server };
}

export async function saveProvenUpTo(
  sql: Connection,
  { capability, source }: FrameKey,
  { position, server }: ProvenUpTo,
): Promise<void> {
  await sql.query(
    `INSERT INTO banyan.banyan_proven_up_to (capability, source, position, source_server) VALUES (?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE position = VALUES(position), source_server = VALUES(source_server)`,
    [capability, source, position, server],
  );
}

export async function readMismatches(
  sql: Connection,
  { capability, source }: FrameKey,
  mismatchesMax: number,
): Promise<Mismatch[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT table_name, target, CAST(row_key AS CHAR CHARACTER SET utf8mb4) AS row_key, source_key FROM banyan.banyan_mismatch WHERE capability = ? AND source = ? LIMIT ?',
    [capability, source, mismatchesMax],
  );
  return rows.map((row) => ({
    table: String(row.table_name),
    target: String(row.target),
    key: imageRow(String(row.source_key)),
    rowKey: String(row.row_key),
  }));
}

export async function writeMismatch(
  sql: Connection,
  { capability, source }: FrameKey,
  { table, target, key, rowKey }: Mismatch,
  { class: kind, columns }: Pick<Difference, 'class' | 'columns'>,
): Promise<void> {
  await sql.query(
    `INSERT INTO banyan.banyan_mismatch (capability, source, table_name, target, row_key, source_key, class, columns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE class = VALUES(class), columns = VALUES(columns)`,
    [capability, source, table, target, rowKey, imageText(key), kind, columns.join(',').slice(0, 2000)],
  );
}

export async function deleteMismatch(
  sql: Connection,
  { capability, source }: FrameKey,
  { table, target, rowKey }: Mismatch,
): Promise<void> {
  await sql.query(
    'DELETE FROM banyan.banyan_mismatch WHERE capability = ? AND source = ? AND table_name = ? AND target = ? AND row_key = ?',
    [capability, source, table, target, rowKey],
  );
}
