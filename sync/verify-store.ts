// What is remembered of a verification, in banyan_verify on the services' server: what was asked for, how far it is,
// what it has found.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Row } from '../acl/translator.ts';
import type { Side } from '../capability/capability.ts';
import type { FrameKey } from './frame.ts';
import { imageRow, imageText } from './quarantine.ts';
import type { DifferenceClass } from './verify-judge.ts';

export type Example = {
  readonly class: DifferenceClass | 'round-trip' | 'quarantined' | 'unproven';
  /** The target table. */
  readonly table: string;
  readonly key: unknown;
  readonly columns: readonly string[];
  readonly reason?: string;
  /** Only where they were asked for: they may be personal. */
  readonly values?: { readonly expected: unknown; readonly actual: unknown };
};

/** A key or a row as JSON has it. */
export const shown = (row: Row | undefined): unknown => (row ? JSON.parse(imageText(row)) : null);

export type Counts = Record<DifferenceClass | 'roundTrip' | 'quarantined' | 'unproven' | 'repaired', number>;

export type TableResult = Counts & {
  /** `checksum`: only rows whose sums differ, and rows that SQL cannot judge, were read. */
  method: 'checksum' | 'rows';
  /** Rows of the source that were read and translated. */
  readRows: number;
  position: string;
  examples: Example[];
  /** It could not be verified: what the server said. */
  error?: string;
};

export const emptyResult = (): TableResult => ({
  missing: 0,
  extra: 0,
  different: 0,
  roundTrip: 0,
  quarantined: 0,
  unproven: 0,
  repaired: 0,
  method: 'checksum',
  readRows: 0,
  position: '',
  examples: [],
});

/** `there`: each source row against its target's; `back`: target rows that have no source row. */
export type Pass = 'sums' | 'there' | 'back';

export type Progress = {
  readonly part: number;
  readonly pass: Pass | undefined;
  readonly after: Row | undefined;
};

export type Job = {
  readonly table: string;
  readonly run: string;
  readonly repair: boolean;
  readonly withValues: boolean;
  readonly progress: Progress;
  readonly rowsDone: number;
  readonly result: TableResult;
};

const beginning: Progress = { part: 0, pass: undefined, after: undefined };

const isPass = (value: unknown): value is Pass => value === 'sums' || value === 'there' || value === 'back';

function parseProgress(text: unknown): Progress {
  if (typeof text !== 'string') return beginning;
  const { part, pass, after }: { part: number; pass: unknown; after: string | null } = JSON.parse(text);
  return { part, pass: isPass(pass) ? pass : undefined, after: after === null ? undefined : imageRow(after) };
}

const progressText = ({ part, pass, after }: Progress) =>
  JSON.stringify({ part, pass, after: after ? imageText(after) : null });

/** The next table that somebody wants verified, from where it was left. */
export async function nextJob(sql: Connection, { capability, source }: FrameKey): Promise<Job | undefined> {
  const [rows] = await sql.query<RowDataPacket[]>(
    "SELECT table_name, run, state, repair, with_values, source, progress, rows_done, result FROM banyan.banyan_verify WHERE capability = ? AND state <> 'complete' ORDER BY state = 'asked', asked_at, table_name LIMIT 1",
    [capability],
  );
  const [row] = rows;
  if (!row) return undefined;
  // Against another owner, or from the beginning.
  const goesOn = row.state === 'running' && row.source === source && typeof row.result === 'string';
  return {
    table: String(row.table_name),
    run: String(row.run),
    repair: Number(row.repair) === 1,
    withValues: Number(row.with_values) === 1,
    progress: goesOn ? parseProgress(row.progress) : beginning,
    rowsDone: goesOn ? Number(row.rows_done) : 0,
    result: goesOn ? { ...emptyResult(), ...JSON.parse(row.result) } : emptyResult(),
  };
}

export async function beginJob(
  sql: Connection,
  { capability, source }: FrameKey,
  { table, run }: Job,
  rowsTotal: number,
): Promise<void> {
  await sql.query(
    "UPDATE banyan.banyan_verify SET state = 'running', source = ?, rows_total = ? WHERE capability = ? AND table_name = ? AND run = ?",
    [source, rowsTotal, capability, table, run],
  );
}

/** @param state `running`: up to `progress` no row is in doubt */
export async function saveJob(
  sql: Connection,
  { capability }: FrameKey,
  { table, run }: Job,
  state: 'running' | 'complete',
  progress: Progress,
  rowsDone: number,
  result: TableResult,
): Promise<void> {
  await sql.query(
    `UPDATE banyan.banyan_verify SET state = ?, progress = ?, rows_done = ?, result = ?, finished_at = ${state === 'complete' ? 'CURRENT_TIMESTAMP(6)' : 'NULL'}
     WHERE capability = ? AND table_name = ? AND run = ?`,
    [state, progressText(progress), rowsDone, JSON.stringify(result), capability, table, run],
  );
}

export type AskedTable = { readonly stream: string; readonly table: string };

export type TableState = AskedTable & {
  readonly run: string;
  readonly state: 'asked' | 'running' | 'complete';
  readonly repair: boolean;
  readonly source: Side | null;
  readonly rowsTotal: number | null;
  readonly rowsDone: number;
  readonly result: TableResult | undefined;
};

/** The newest verification of some tables. */
export async function readTableStates(sql: Connection, tables: readonly AskedTable[]): Promise<TableState[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT capability, table_name, run, state, repair, source, rows_total, rows_done, result FROM banyan.banyan_verify WHERE capability IN (?)',
    [[...new Set(tables.map(({ stream }) => stream))]],
  );
  return tables.flatMap(({ stream, table }): TableState[] => {
    const row = rows.find((each) => each.capability === stream && each.table_name === table);
    return row
      ? [
          {
            stream,
            table,
            run: String(row.run),
            state: row.state,
            repair: Number(row.repair) === 1,
            source: row.source,
            rowsTotal: row.rows_total === null ? null : Number(row.rows_total),
            rowsDone: Number(row.rows_done),
            result: row.result === null ? undefined : { ...emptyResult(), ...JSON.parse(row.result) },
          },
        ]
      : [];
  });
}

/** Asks for tables to be verified, from their beginning. */
export async function askFor(
  sql: Connection,
  tables: readonly AskedTable[],
  run: string,
  { repair, withValues }: { readonly repair: boolean; readonly withValues: boolean },
): Promise<void> {
  for (const { stream, table } of tables)
    await sql.query(
      `INSERT INTO banyan.banyan_verify (capability, table_name, run, repair, with_values) VALUES (?, ?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE run = VALUES(run), state = 'asked', repair = VALUES(repair), with_values = VALUES(with_values), source = NULL,
         progress = NULL, rows_total = NULL, rows_done = 0, result = NULL, asked_at = CURRENT_TIMESTAMP(6), finished_at = NULL`,
      [stream, table, run, repair, withValues],
    );
}

/** Takes the values out of what is remembered, once they have been shown. */
export async function forgetValues(sql: Connection, states: readonly TableState[]): Promise<void> {
  for (const { stream, table, run, result } of states)
    if (result)
      await sql.query(
        'UPDATE banyan.banyan_verify SET result = ?, with_values = FALSE WHERE capability = ? AND table_name = ? AND run = ?',
        [
          JSON.stringify({
            ...result,
            examples: result.examples.map(({ values, ...example }) => example),
          }),
          stream,
          table,
          run,
        ],
      );
}
