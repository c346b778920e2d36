// `banyan verify`, the worker's side: takes the tables that were asked for and compares each with what came of it,
// while applications go on writing. How far it is, and what it has found, is kept as it goes: another worker goes on
// from the last place where no row was in doubt.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { RowTranslator } from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';
import { type FrameKey, isDisconnected } from './frame.ts';
import type { WriteRules } from './statements.ts';
import type { ThrottleOptions } from './throttle.ts';
import { pause } from './unless-aborted.ts';
import { planParts, type SideSchema } from './verify-plan.ts';
import type { Sizes } from './verify-rows.ts';
import { TableRun } from './verify-run.ts';
import { beginJob, emptyResult, type Job, nextJob, saveJob } from './verify-store.ts';
import type { Looking } from './verify-suspects.ts';

export type VerifierOptions = {
  readonly key: FrameKey;
  readonly translators: readonly RowTranslator[];
  /** Tables that move unchanged. */
  readonly identities: ReadonlySet<string>;
  readonly schemas: Readonly<Record<Side, string>>;
  readonly looking: Looking;
  /** To the services' server, where the asking is. */
  readonly books: Connection;
  readonly rules: WriteRules;
  readonly chunkRows: number;
  readonly throttle: ThrottleOptions;
  readonly isApplying: () => boolean;
  readonly position: () => string;
  /** A table is about to be verified; what is returned is called once it is, without a difference. */
  readonly onBegin: (sourceTables: readonly string[]) => () => void;
};

const pollMs = 500;
/** What rows that are read at once are to take in memory, about. */
const readBytesMax = 4 * 1024 * 1024;
/** What the server is to read for one sum, about. */
const sumBytesMax = 32 * 1024 * 1024;
const sumRowsMax = 10_000;

export class Verifier {
  readonly #options: VerifierOptions;

  constructor(options: VerifierOptions) {
    this.#options = options;
  }

  /** Until the signal. @throws when a connection is lost */
  async run(signal: AbortSignal): Promise<void> {
    const { books, key, isApplying } = this.#options;
    while (!signal.aborted) {
      const job = isApplying() ? await nextJob(books, key) : undefined;
      if (!job) await pause(pollMs, signal);
      else await this.#do(job, signal);
    }
  }

  async #do(job: Job, signal: AbortSignal): Promise<void> {
    const { books, key } = this.#options;
    try {
      await this.#verify(job, signal);
    } catch (error) {
      if (isDisconnected(error) || !(error instanceof Error) || !('sqlState' in error)) throw error;
      // What the schema does not let one read is this table's trouble, not the stream's.
      const result = { ...job.result, error: error.message };
      await saveJob(books, key, job, 'complete', job.progress, job.rowsDone, result);
    }
  }

  async #verify(job: Job, signal: AbortSignal): Promise<void> {
    const { translators, identities, schemas, looking, key, books, onBegin } = this.#options;
    const { connections } = looking;
    const translator = translators.find(({ source }) => source.table === job.table);
    if (!translator)
      return saveJob(books, key, job, 'complete', job.progress, 0, {
        ...emptyResult(),
        error: `${job.table} is no table of ${key.capability} in the worker's configuration`,
      });
    const sqlOf = (side: Side) => (side === key.source ? connections.source : connections.target);
    const sides: Record<Side, SideSchema> = {
      legacy: { sql: sqlOf('legacy'), schema: schemas.legacy },
      service: { sql: sqlOf('service'), schema: schemas.service },
    };
    const parts = await planParts(translator, identities.has(job.table), key.source, sides);
    const proven = onBegin(parts.map(({ source }) => source.table));
    const sizes: Sizes[] = [];
    let rows = 0;
    for (const { source } of parts) {
      const size = await sizeOf(connections.source, schemas[key.source], source.table);
      rows += size.rows;
      sizes.push({
        rowsMax: Math.max(1, Math.min(this.#options.chunkRows, Math.floor(readBytesMax / size.rowBytes))),
        sumRowsMax: Math.max(1, Math.min(sumRowsMax, Math.floor(sumBytesMax / size.rowBytes))),
      });
    }
    await beginJob(books, key, job, rows);
    if (await new TableRun(this.#options, job, parts, sizes, signal).run()) proven();
  }
}

/** The server's own estimate. */
async function sizeOf(
  sql: Connection,
  schema: string,
  table: string,
): Promise<{ rows: number; rowBytes: number }> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT TABLE_ROWS AS n, AVG_ROW_LENGTH AS bytes FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [schema, table],
  );
  return { rows: Number(rows[0]?.n ?? 0), rowBytes: Math.max(1, Number(rows[0]?.bytes ?? 1)) };
}
