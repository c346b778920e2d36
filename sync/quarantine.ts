// Rows that no translator accepts: kept with their reason, out of the stream's way and in the next gate's.
import { createHash } from 'node:crypto';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import type { FrameKey } from './frame.ts';
import { literal } from './literal.ts';
import type { Statement } from './statements.ts';

const keyBytesMax = 512;

/** The source row's key as one text. */
export function rowKey(key: readonly string[], row: Row): string {
  const text = JSON.stringify(key.map((column) => jsonValue(row[column])));
  return Buffer.byteLength(text) <= keyBytesMax ? text : createHash('sha256').update(text).digest('hex');
}

const jsonValue = (value: unknown): unknown =>
  value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value;

/** A row as JSON, bytes as {"hex"}; and back. */
export const imageText = (row: Row): string =>
  JSON.stringify(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonValue(value)])));

const isHex = (value: unknown): value is { hex: string } =>
  typeof value === 'object' && value !== null && 'hex' in value && typeof value.hex === 'string';

export function imageRow(text: string): Row {
  const parsed: Record<string, string | number | null | { hex: string }> = JSON.parse(text);
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]) => [
      name,
      isHex(value) ? Buffer.from(value.hex, 'hex') : value,
    ]),
  );
}

/** The quarantined rows of one stream, known by their keys, so that a later image of one takes it out. */
export class Quarantine {
  readonly #stream: FrameKey;
  readonly #keys: Set<string>;

  private constructor(stream: FrameKey, keys: Set<string>) {
    this.#stream = stream;
    this.#keys = keys;
  }

  static async load(sql: Connection, stream: FrameKey): Promise<Quarantine> {
    const [rows] = await sql.query<RowDataPacket[]>(
      'SELECT table_name, CAST(row_key AS CHAR CHARACTER SET utf8mb4) AS row_key FROM banyan.banyan_quarantine WHERE capability = ? AND source = ?',
      [stream.capability, stream.source],
    );
    return new Quarantine(
      stream,
      new Set(rows.map(({ table_name, row_key }) => `${table_name}\0${row_key}`)),
    );
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The images of rows that somebody asked to have translated again. */
  async toRetry(sql: Connection): Promise<{ table: string; row: Row }[]> {
    const [rows] = await sql.query<RowDataPacket[]>(
      'SELECT table_name, image FROM banyan.banyan_quarantine WHERE capability = ? AND source = ? AND retry AND image IS NOT NULL LIMIT 1000',
      [this.#stream.capability, this.#stream.source],
    );
    return rows.map(({ table_name, image }) => ({ table: String(table_name), row: imageRow(String(image)) }));
  }

  /** Puts a row in, or its newer image. */
  put(table: string, key: string, row: Row, { fault }: TranslationError): Statement {
    this.#keys.add(`${table}\0${key}`);
    const values = [
      this.#stream.capability,
      this.#stream.source,
      table,
      key,
      fault.field,
      fault.reason.slice(0, 500),
      imageText(row),
    ];
    return {
      table: 'banyan_quarantine',
      sql: `INSERT INTO banyan.banyan_quarantine (capability, source, table_name, row_key, field, reason, image) VALUES (${values.map(literal).join(',')})
        ON DUPLICATE KEY UPDATE field=VALUES(field), reason=VALUES(reason), image=VALUES(image), retry=FALSE`,
    };
  }

  /** Takes a row out, when it is in. */
  release(table: string, key: string): Statement | undefined {
    if (!this.#keys.delete(`${table}\0${key}`)) return undefined;
    const { capability, source } = this.#stream;
    return {
      table: 'banyan_quarantine',
      sql: `DELETE FROM banyan.banyan_quarantine WHERE capability=${literal(capability)} AND source=${literal(source)} AND table_name=${literal(table)} AND row_key=${literal(key)}`,
    };
  }
}

/**
 * Forgets the images that have been held for so long: they may be personal. The entries stay, with key and reason.
 * An image that is gone is not retried; the row leaves when it is mended on its side.
 */
export async function expireImages(
  sql: Connection,
  { capability, source }: FrameKey,
  days: number,
): Promise<void> {
  await sql.query(
    `UPDATE banyan.banyan_quarantine SET image = NULL
     WHERE capability = ? AND source = ? AND image IS NOT NULL AND since < CURRENT_TIMESTAMP(6) - INTERVAL ? DAY`,
    [capability, source, days],
  );
}
