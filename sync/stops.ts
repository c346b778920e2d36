// Why a stream stands still, kept on the target until somebody acknowledges it.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import type { SyncError, SyncErrorCode } from './errors.ts';
import type { FrameKey } from './frame.ts';
import { literal } from './literal.ts';
import { comparePositions, type Position, parsePosition } from './position.ts';
import type { Statement } from './statements.ts';

export type Stop = {
  readonly code: string;
  readonly message: string;
  /** The last position before what it stopped at. */
  readonly position: string;
  readonly since: string;
  readonly acknowledgedBy: string | null;
};

/** Stops whose event is passed over once acknowledged; at any other the same event is tried again. */
const isPassedOver = (code: string): boolean =>
  ['ddl', 'statement-dml', 'incomplete-image'].includes(code satisfies string as SyncErrorCode);

/** What lets it go on, when what it says is done. */
export const goesOnBy = (code: string, capability: string, source: Side): string =>
  code === ('source-changed' satisfies SyncErrorCode)
    ? `banyan resume ${capability} --source-changed ${source}`
    : `banyan worker --acknowledge ${capability}`;

export async function recordStop(
  sql: Connection,
  { capability, source }: FrameKey,
  error: SyncError,
  position: string,
): Promise<void> {
  await sql.query(
    `INSERT INTO banyan.banyan_stop (capability, source, position, code, message) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE position = VALUES(position), code = VALUES(code), message = VALUES(message), since = CURRENT_TIMESTAMP(6), acknowledged_by = NULL`,
    [
      capability,
      source,
      position.slice(0, 500),
      error.code,
      `${error.message}. What to do: ${error.hint}`.slice(0, 2000),
    ],
  );
}

export async function readStop(sql: Connection, { capability, source }: FrameKey): Promise<Stop | undefined> {
  const [rows] = await sql.query<RowDataPacket[]>(
    "SELECT code, message, position, DATE_FORMAT(since, '%Y-%m-%dT%T.%f') AS since, acknowledged_by FROM banyan.banyan_stop WHERE capability = ? AND source = ?",
    [capability, source],
  );
  const [row] = rows;
  return (
    row && {
      code: row.code,
      message: row.message,
      position: row.position,
      since: row.since,
      acknowledgedBy: row.acknowledged_by,
    }
  );
}

/** A stop that somebody has acknowledged, until the target is past it: whoever goes on may pass it, too. */
export class Acknowledged {
  readonly #key: FrameKey;
  #stop: Stop | undefined;

  constructor(key: FrameKey, stop: Stop | undefined) {
    this.#key = key;
    this.#stop = stop;
  }

  /** Whether somebody has seen to what is met here. */
  isFor(code: SyncErrorCode, position: Position): boolean {
    return this.#stop?.code === code && isPassedOver(code) && this.#isAt(position);
  }

  /** What is to be written with a position: past the stop it is taken away. */
  statementsAt(position: Position): Statement[] {
    return this.#stop && !this.#isAt(position) ? [clearStop(this.#key)] : [];
  }

  landed(position: Position): void {
    if (!this.#isAt(position)) this.#stop = undefined;
  }

  #isAt(position: Position): boolean {
    return (
      this.#stop !== undefined && comparePositions(parsePosition(this.#stop.position), position) === 'equal'
    );
  }
}

/** Takes away what has been acknowledged. */
const clearStop = ({ capability, source }: FrameKey): Statement => ({
  table: 'banyan_stop',
  sql: `DELETE FROM banyan.banyan_stop WHERE capability=${literal(capability)} AND source=${literal(source)} AND acknowledged_by IS NOT NULL`,
});

/** Lets stopped streams go on. @returns what they had stopped for */
export async function acknowledgeStop(
  sql: Connection,
  capabilities: readonly string[],
  actor: string,
): Promise<string[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT capability, source, message FROM banyan.banyan_stop WHERE capability IN (?) AND acknowledged_by IS NULL',
    [capabilities],
  );
  await sql.query(
    'UPDATE banyan.banyan_stop SET acknowledged_by = ? WHERE capability IN (?) AND acknowledged_by IS NULL',
    [actor.slice(0, 128), capabilities],
  );
  return rows.map(({ capability, source, message }) => `${capability} from ${source}: ${message}`);
}
