// The control store: phases, evidence and the audit, in a schema of its own (`banyan`). Every change is a
// compare-and-set, in one transaction with its audit row.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection, Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { isPhase, legalMove, type Phase, type Standing } from './phase.ts';

/** The schema's name on the server that holds the control store. */
export const controlSchema = 'banyan';

export type Sql = Pick<Connection, 'query' | 'execute'> | Pick<Pool, 'query' | 'execute'>;

export class ControlStoreError extends Error {
  override name = 'ControlStoreError';
}

const rows = async (sql: Sql, statement: string, values: unknown[] = []): Promise<RowDataPacket[]> =>
  (await sql.query<RowDataPacket[]>(statement, values))[0];

/** Banyan's own schemas, both in the database `banyan`: the control store's, and the one on each side's server. */
export type OwnSchema = 'control' | 'side';

/** Which of a schema's migrations have run, and where that is remembered. */
export const versionTable: Readonly<Record<OwnSchema, string>> = {
  control: 'schema_version',
  side: 'side_schema_version',
};

/** A schema's migrations, in order: version and SQL (several statements, each of which may be run again). */
export function ownMigrations(schema: OwnSchema): { version: number; file: string; sql: string }[] {
  const folder = join(import.meta.dirname, '..', 'migrations', schema);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({
      version: Number(file.slice(0, 4)),
      file,
      sql: readFileSync(join(folder, file), 'utf8'),
    }));
}

/**
 * Brings the schema to this version of Banyan. Two at once: one works, the other finds it done.
 * @param sql a connection of its own to the schema, with `multipleStatements`
 * @returns the files applied
 * @throws ControlStoreError when the schema is newer than this version of Banyan
 */
export async function migrateOwnSchema(sql: Connection, schema: OwnSchema): Promise<string[]> {
  const migrations = ownMigrations(schema);
  const table = versionTable[schema];
  const [lock] = await rows(sql, "SELECT GET_LOCK('banyan schemas', 30) AS taken");
  if (Number(lock?.taken) !== 1)
    throw new ControlStoreError("another process has been changing Banyan's schemas for 30 s: wait for it");
  try {
    await sql.query(
      `CREATE TABLE IF NOT EXISTS ${table} (version INT PRIMARY KEY, file VARCHAR(100) NOT NULL, applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB`,
    );
    const [newest] = await rows(sql, `SELECT COALESCE(MAX(version), 0) AS version FROM ${table}`);
    const version = Number(newest?.version ?? 0);
    const known = migrations.at(-1)?.version ?? 0;
    if (version > known)
      throw new ControlStoreError(
        `the ${schema} schema is at version ${version}, this Banyan knows ${known}: use a Banyan at least as new as the one that installed it`,
      );
    const due = migrations.filter((migration) => migration.version > version);
    for (const migration of due) {
      await sql.query(migration.sql);
      await sql.execute(`INSERT INTO ${table} (version, file) VALUES (?, ?)`, [
        migration.version,
        migration.file,
      ]);
    }
    return due.map(({ file }) => file);
  } finally {
    await sql.query("SELECT RELEASE_LOCK('banyan schemas')");
  }
}

/** Adds a row for each declared capability that has none yet; it begins in `legacy`. */
export async function registerCapabilities(sql: Sql, names: readonly string[]): Promise<void> {
  for (const name of names) await sql.execute('INSERT IGNORE INTO capability (name) VALUES (?)', [name]);
}

export type CapabilityRow = {
  readonly name: string;
  readonly phase: Phase;
  readonly version: string;
  readonly changedAt: string;
};

/** @returns undefined when the capability has never been installed */
export async function readCapability(sql: Sql, name: string): Promise<CapabilityRow | undefined> {
  const [row] = await rows(
    sql,
    "SELECT phase, CAST(version AS CHAR) AS version, DATE_FORMAT(changed_at, '%Y-%m-%dT%T.%f') AS changedAt FROM capability WHERE name = ?",
    [name],
  );
  if (!row) return undefined;
  if (!isPhase(row.phase))
    throw new ControlStoreError(`${name}: "${String(row.phase)}" is no phase of this version of Banyan`);
  return { name, phase: row.phase, version: String(row.version), changedAt: String(row.changedAt) };
}

/** What the server says of a table, a column or a right that another version of Banyan has. */
const otherVersion = new Set([
  'ER_NO_SUCH_TABLE',
  'ER_BAD_FIELD_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
]);

/**
 * What routing needs to know of every capability, in one statement.
 * @throws ControlStoreError when the control store is not of this version of Banyan
 */
export async function readStandings(sql: Sql): Promise<ReadonlyMap<string, Standing>> {
  const found = await rows(
    sql,
    `SELECT c.name, c.phase, EXISTS (SELECT 1 FROM evidence e
       WHERE e.capability = c.name AND e.kind = 'verified' AND e.withdrawn_at IS NULL) AS ready,
       CAST(s.round AS CHAR) AS round, s.guarded, r.reason, DATE_FORMAT(r.returned_at, '%Y-%m-%dT%TZ') AS returnedAt
     FROM capability c LEFT JOIN read_shift s ON s.capability = c.name
       LEFT JOIN read_return r ON r.capability = s.capability AND r.round = s.round`,
  ).catch((error) => {
    if (!otherVersion.has(error.code)) throw error;
    throw new ControlStoreError(
      `the control store is not of this version of Banyan (${error.message}): run "banyan install"`,
      { cause: error },
    );
  });
  return new Map(
    found.map(({ name, phase, ready, round, guarded, reason, returnedAt }) => {
      if (!isPhase(phase))
        throw new ControlStoreError(
          `${String(name)}: "${String(phase)}" is no phase of this version of Banyan`,
        );
      const returned = reason === null ? null : { at: String(returnedAt), why: String(reason) };
      const reads = { round: BigInt(round ?? 0), isGuarded: Number(guarded) === 1, returned };
      return [String(name), { phase, ready: Number(ready) === 1, ...(round !== null && { reads }) }];
    }),
  );
}

export type Evidence = { readonly kind: string; readonly facts: unknown; readonly recordedAt: string };

/** The newest evidence of a kind that is in force, or undefined. */
export async function evidenceInForce(
  sql: Sql,
  capability: string,
  kind: string,
): Promise<Evidence | undefined> {
  const [row] = await rows(
    sql,
    `SELECT facts, DATE_FORMAT(recorded_at, '%Y-%m-%dT%T.%f') AS recordedAt FROM evidence
     WHERE capability = ? AND kind = ? AND withdrawn_at IS NULL ORDER BY id DESC LIMIT 1`,
    [capability, kind],
  );
  return row ? { kind, facts: JSON.parse(String(row.facts)), recordedAt: String(row.recordedAt) } : undefined;
}

export type Deed = {
  readonly actor: string;
  readonly action: string;
  readonly reason?: string | undefined;
  readonly detail?: unknown;
};

/** Appends to the audit: who did what to which capability, and why. */
export async function record(
  sql: Sql,
  capability: string | null,
  { actor, action, reason, detail }: Deed,
): Promise<void> {
  await sql.execute('INSERT INTO audit (actor, capability, action, reason, detail) VALUES (?, ?, ?, ?, ?)', [
    actor,
    capability,
    action,
    reason ?? null,
    JSON.stringify(detail ?? {}),
  ]);
}

export type Change = {
  readonly capability: string;
  /** The row as the caller read it: another one's move in between makes this one fail. */
  readonly from: CapabilityRow;
  readonly to: Phase;
  /** Recorded with the move. */
  readonly evidence?: { readonly kind: string; readonly facts: unknown };
  /** Kinds of evidence that are no longer in force with the move. */
  readonly withdraw?: readonly string[];
  /** Only while no newer change of owner than this one has been begun; 0: none at all. */
  readonly during?: bigint;
  readonly deed: Deed;
};

/**
 * Moves a capability to another phase (or only its evidence, when `to` is the phase it is in), with evidence
 * and audit, in one transaction.
 * @throws ControlStoreError when the move is not legal, or when somebody else moved it meanwhile
 */
export async function change(
  sql: Connection,
  { capability, from, to, evidence, withdraw = [], during, deed }: Change,
): Promise<void> {
  if (from.phase !== to) {
    const move = legalMove(from.phase, to);
    if (!move.legal)
      throw new ControlStoreError(`${capability} cannot go from ${from.phase} to ${to}: ${move.why}`);
  }
  const newest = during?.toString() ?? null;
  await sql.beginTransaction();
  try {
    const [moved] = await sql.execute<ResultSetHeader>(
      // How long it has been in a phase is what a gate asks: evidence alone does not begin it anew.
      'UPDATE capability SET changed_at = IF(phase = ?, changed_at, CURRENT_TIMESTAMP(6)), phase = ?, version = version + 1 WHERE name = ? AND phase = ? AND version = ? AND (? IS NULL OR ? = (SELECT id FROM change_of_owner WHERE capability = ?))',
      [to, to, capability, from.phase, from.version, newest, newest, capability],
    );
    if (moved.affectedRows !== 1)
      throw new ControlStoreError(
        `${capability} was moved by somebody else since it was read in ${from.phase}: look at "banyan audit ${capability}", then run this again`,
      );
    for (const kind of withdraw)
      await sql.execute(
        'UPDATE evidence SET withdrawn_at = CURRENT_TIMESTAMP(6) WHERE capability = ? AND kind = ? AND withdrawn_at IS NULL',
        [capability, kind],
      );
    if (evidence)
      await sql.execute('INSERT INTO evidence (capability, kind, facts) VALUES (?, ?, ?)', [
        capability,
        evidence.kind,
        JSON.stringify(evidence.facts),
      ]);
    const detail = typeof deed.detail === 'object' && deed.detail !== null ? deed.detail : {};
    await record(sql, capability, { ...deed, detail: { from: from.phase, to, ...detail } });
    await sql.commit();
  } catch (error) {
    await sql.rollback();
    throw error;
  }
}

export type AuditRow = {
  readonly id: number;
  readonly at: string;
  readonly actor: string;
  readonly capability: string | null;
  readonly action: string;
  readonly reason: string | null;
  readonly detail: unknown;
};

/** The newest rows of the audit, newest first. */
export async function readAudit(
  sql: Sql,
  options: { capability?: string | undefined; rowsMax: number },
): Promise<AuditRow[]> {
  const found = await rows(
    sql,
    `SELECT id, DATE_FORMAT(at, '%Y-%m-%dT%T.%f') AS at, actor, capability, action, reason, detail FROM audit
     ${options.capability === undefined ? '' : 'WHERE capability = ?'} ORDER BY id DESC LIMIT ?`,
    [...(options.capability === undefined ? [] : [options.capability]), options.rowsMax],
  );
  return found.map((row) => ({
    id: Number(row.id),
    at: String(row.at),
    actor: String(row.actor),
    capability: row.capability === null ? null : String(row.capability),
    action: String(row.action),
    reason: row.reason === null ? null : String(row.reason),
    detail: JSON.parse(String(row.detail)),
  }));
}
