// The apply transaction, to the statement (CHANGE-OF-OWNER, section b): compare-and-set of the position first,
// which is lock, position and marker in one; then a look at the target's fence; then the rows; then COMMIT.
// Everything that writes business rows on a target goes through here: stream, backfill, repair.
import { Readable } from 'node:stream';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { publicMessage } from '../capability/public-error.ts';
import { SyncError } from './errors.ts';
import { type Position, parsePosition, printPosition } from './position.ts';
import type { Statement } from './statements.ts';

/** What banyan_stream says of a stream. */
export type StreamState = {
  readonly seq: bigint;
  readonly position: Position;
  readonly sourceServer: string | null;
  /** By the newest fence row met in the source's binlog; null before the first. */
  readonly owner: Side | null;
  readonly epoch: bigint | null;
  readonly turn: bigint | null;
  /** The newest heartbeat passed, by the source's clock. */
  readonly sourceTime: string | null;
};

export type FrameKey = { readonly capability: string; readonly source: Side };

export type Commit = {
  readonly state: StreamState;
  readonly statements: readonly Statement[];
  /**
   * An epoch: the target's fence must name the source, at this epoch.
   * `position`: nothing but the position is written, or the rows are of reference tables: no look at the fence.
   */
  readonly check: { readonly epoch: bigint | null } | 'position';
  /** The event was the close row that names this side: it opens in this very transaction. */
  readonly open?: { readonly owner: Side; readonly epoch: bigint };
};

const sideOf = (value: unknown): Side | null => (value === 'legacy' || value === 'service' ? value : null);
const bigintOf = (value: unknown) => (value === null || value === undefined ? null : BigInt(String(value)));

function positionOf(row: RowDataPacket): Position {
  const at = row.file === null ? undefined : { file: String(row.file), offset: Number(row.pos) };
  const point = { gtid: row.gtid === null ? undefined : String(row.gtid), at };
  return row.restart === null ? point : { ...point, restart: parsePosition(String(row.restart)) };
}

/** @throws SyncError not-installed */
export async function readStreamState(
  sql: Connection,
  { capability, source }: FrameKey,
): Promise<StreamState> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT CAST(seq AS CHAR) AS seq, gtid, file, pos, restart, source_server, source_owner, source_epoch, source_turn, source_time
     FROM banyan.banyan_stream WHERE capability = ? AND source = ?`,
    [capability, source],
  );
  const [row] = rows;
  if (!row)
    throw new SyncError(
      'not-installed',
      `there is no stream of ${capability} from ${source}`,
      'run "banyan install"',
    );
  return {
    seq: BigInt(row.seq),
    position: positionOf(row),
    sourceServer: row.source_server,
    owner: sideOf(row.source_owner),
    epoch: bigintOf(row.source_epoch),
    turn: bigintOf(row.source_turn),
    sourceTime: row.source_time,
  };
}

const lenientMode = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";
const strictMode = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

/** A session that values pass as they are, and whose locks end soon when the worker is paused. */
export async function prepareApplySession(sql: Connection): Promise<void> {
  await sql.query(strictMode);
  await sql.query(
    `SET SESSION time_zone = '+00:00',
       wait_timeout = 5, innodb_lock_wait_timeout = 5, lock_wait_timeout = 5`,
  );
  await sql.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
}

const superseded = ({ capability, source }: FrameKey) =>
  new SyncError(
    'superseded',
    `another worker has moved the stream of ${capability} from ${source}`,
    'nothing: that worker goes on',
  );

/**
 * Ends the session of a worker before us, then puts ours in its place. Safety does not rest on it: a worker that
 * lives on loses the next compare-and-set.
 * @returns our session's id
 */
export async function takeOver(sql: Connection, { capability, source }: FrameKey): Promise<number> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT session_id FROM banyan.banyan_stream s JOIN information_schema.PROCESSLIST p ON p.ID = s.session_id
     WHERE capability = ? AND source = ? AND p.ID <> CONNECTION_ID()`,
    [capability, source],
  );
  // One may end the sessions of one's own account, and sees no others in the list.
  for (const { session_id } of rows) await sql.query('KILL ?', [Number(session_id)]).catch(() => undefined);
  await sql.query(
    'UPDATE banyan.banyan_stream SET session_id = CONNECTION_ID() WHERE capability = ? AND source = ?',
    [capability, source],
  );
  return sql.threadId;
}

/**
 * Puts our new session in the place of our lost one. A worker that took over meanwhile counts on from the same
 * number: that the number is ours shows only where the session still is.
 * @throws SyncError superseded
 */
export async function takeBack(sql: Connection, key: FrameKey, lostSession: number): Promise<number> {
  // It may still be at its COMMIT; once it has ended the row says what came of it.
  await sql.query('KILL ?', [lostSession]).catch(() => undefined);
  const [taken] = await sql.query<ResultSetHeader>(
    'UPDATE banyan.banyan_stream SET session_id = CONNECTION_ID() WHERE capability = ? AND source = ? AND session_id = ?',
    [key.capability, key.source, lostSession],
  );
  if (taken.affectedRows !== 1) throw superseded(key);
  return sql.threadId;
}

const codeOf = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

/** Errors after which the same transaction may be tried again: a deadlock's victim, a lock held by somebody else. */
export const isBusy = (error: unknown) =>
  ['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD'].includes(codeOf(error));

/** The connection is gone, and with it the transaction, or its answer. */
export const isDisconnected = (error: unknown) =>
  [
    'PROTOCOL_CONNECTION_LOST',
    'ECONNRESET',
    'ECONNREFUSED',
    'EPIPE',
    'ETIMEDOUT',
    'ER_SERVER_SHUTDOWN',
    'ER_CONNECTION_KILLED',
    'ER_QUERY_INTERRUPTED',
  ].includes(codeOf(error)) ||
  (error instanceof Error && /closed state|connection is in closed|Connection lost/i.test(error.message));

/** What the target says no to, for good. */
function refusal(error: unknown, table: string): unknown {
  const code = codeOf(error);
  // It goes to log and status, which are public.
  const message = publicMessage(error);
  if (code === 'ER_DUP_ENTRY')
    return new SyncError(
      'duplicate-key',
      `${table}: ${message}`,
      "two rows of the source would be one on the target: mend the rows or the target's unique key, then acknowledge",
      error,
    );
  // Whatever has an SQLSTATE: not every such error is called ER_ (WARN_DATA_TRUNCATED).
  const isSqlError =
    error instanceof Error && 'sqlState' in error && !isBusy(error) && !isDisconnected(error);
  return isSqlError
    ? new SyncError(
        'target-refuses',
        `${table}: ${message}`,
        'mend the target or the row on the source, then acknowledge',
        error,
      )
    : error;
}

async function execute(sql: Connection, statement: Statement): Promise<void> {
  if (!statement.isLenient) return executeStrictly(sql, statement);
  await sql.query(lenientMode);
  try {
    await executeStrictly(sql, statement);
  } finally {
    await sql.query(strictMode);
  }
}

async function executeStrictly(sql: Connection, statement: Statement): Promise<void> {
  const { otherwise, load, more, table } = statement;
  try {
    if (load && (await loaded(sql, load))) return;
    const [result] = await sql.query<ResultSetHeader>(statement.sql);
    if (otherwise !== undefined && result.affectedRows === 0) await sql.query(otherwise);
    for (const text of more?.() ?? []) await sql.query(text);
  } catch (error) {
    throw refusal(error, table);
  }
}

const sliceBytes = 256 * 1024;

/** The driver copies what it is given. */
function* slicesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
}

/** Connections whose server does not take LOAD DATA LOCAL. */
const withoutLoad = new WeakSet<Connection>();

/**
 * Hands many rows to the server at once. LOCAL makes a warning of every error (a key that is there, a value that does
 * not fit): with a single warning it is taken back.
 * @returns whether the rows are in, each of them, as they are
 */
async function loaded(sql: Connection, load: NonNullable<Statement['load']>): Promise<boolean> {
  if (withoutLoad.has(sql)) return false;
  await sql.query('SAVEPOINT load_rows');
  try {
    const [result] = await sql.query<ResultSetHeader>({
      sql: load.sql,
      infileStreamFactory: () => Readable.from(slicesOf(load.bytes())),
    });
    if (result.warningStatus === 0 && result.affectedRows === load.rows) return true;
  } catch (error) {
    if (isBusy(error) || isDisconnected(error)) throw error;
    withoutLoad.add(sql);
  }
  await sql.query('ROLLBACK TO SAVEPOINT load_rows');
  return false;
}

/**
 * One transaction that moves the stream and applies rows.
 * @param before the state as it stands on the target
 * @throws SyncError superseded, fence-disagrees, duplicate-key, target-refuses; the driver's errors otherwise
 */
export class Frame {
  readonly #sql: Connection;
  readonly #key: FrameKey;

  constructor(sql: Connection, key: FrameKey) {
    this.#sql = sql;
    this.#key = key;
  }

  /** Begins, and makes sure that nobody else does. The position is set here, or by `finish` when not known yet. */
  async begin(before: StreamState, commit: Pick<Commit, 'check' | 'open' | 'state'>): Promise<void> {
    const { capability, source } = this.#key;
    const lock = commit.open ? 'FOR UPDATE' : 'LOCK IN SHARE MODE';
    const look =
      commit.check !== 'position'
        ? `SELECT owner, epoch FROM banyan.banyan_fence WHERE capability = ? ${lock}`
        : 'DO 0';
    const [results] = await this.#sql.query<RowDataPacket[][]>(
      `START TRANSACTION; ${setState} AND seq = ?; ${look}`,
      [
        ...this.#stateValues(commit.state),
        before.seq.toString(),
        ...(commit.check === 'position' ? [] : [capability]),
      ],
    );
    // Of three statements: nothing, a count, and rows where the fence was looked at.
    const [, moved, fence] = results as unknown as [
      unknown,
      ResultSetHeader,
      RowDataPacket[] | ResultSetHeader,
    ];
    if (moved.affectedRows !== 1) throw superseded(this.#key);
    if (commit.check === 'position') return;
    const [row] = Array.isArray(fence) ? fence : [];
    const { epoch } = commit.check;
    if (sideOf(row?.owner) !== source || bigintOf(row?.epoch) !== epoch)
      throw new SyncError(
        'fence-disagrees',
        `${capability}: the target's fence names ${String(row?.owner)} at epoch ${String(row?.epoch)}, the stream has read ${source} at epoch ${String(epoch)}`,
        'compare the fence rows of both servers (docs/change-of-owner.md)',
      );
  }

  async write(statements: readonly Statement[]): Promise<void> {
    for (const statement of statements) await execute(this.#sql, statement);
  }

  async open({ owner, epoch }: { owner: Side; epoch: bigint }): Promise<void> {
    const { capability } = this.#key;
    const [opened] = await this.#sql.query<ResultSetHeader>(
      'UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL WHERE capability = ? AND owner <> ? AND epoch = ?',
      [owner, epoch.toString(), capability, owner, (epoch - 1n).toString()],
    );
    if (opened.affectedRows !== 1)
      throw new SyncError(
        'fence-disagrees',
        `${capability}: the target could not be opened for ${owner} at epoch ${epoch}`,
        'compare the fence rows of both servers (docs/change-of-owner.md)',
      );
  }

  /** Sets the position that became known only with the source transaction's end. */
  async finish(state: StreamState): Promise<void> {
    await this.#sql.query(setState, this.#stateValues(state));
  }

  async commit(): Promise<void> {
    await this.#sql.query('COMMIT');
  }

  async rollback(): Promise<void> {
    await this.#sql.query('ROLLBACK').catch(() => undefined); // a lost connection rolls back by itself
  }

  #stateValues({ seq, position, sourceServer, owner, epoch, turn, sourceTime }: StreamState): unknown[] {
    return [
      seq.toString(),
      position.gtid ?? null,
      position.at?.file ?? null,
      position.at?.offset ?? null,
      position.restart ? printPosition(position.restart) : null,
      sourceServer,
      owner,
      epoch?.toString() ?? null,
      turn?.toString() ?? null,
      sourceTime,
      this.#key.capability,
      this.#key.source,
    ];
  }
}

const setState = `UPDATE banyan.banyan_stream SET seq = ?, gtid = ?, file = ?, pos = ?, restart = ?, source_server = ?,
  source_owner = ?, source_epoch = ?, source_turn = ?, source_time = ? WHERE capability = ? AND source = ?`;
