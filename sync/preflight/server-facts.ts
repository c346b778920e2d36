// What a server says of itself: settings, counters, filters. Read once; judged elsewhere.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Dialect } from '../binlog/session.ts';

export type ServerFacts = {
  readonly dialect: Dialect;
  readonly version: string;
  /** Global ones, by their names; what a dialect does not have is not there. */
  readonly variables: ReadonlyMap<string, string>;
  /** Schemas that alone are logged, and those that are not; undefined where nobody may say. */
  readonly filters: { readonly only: readonly string[]; readonly not: readonly string[] } | undefined;
  /** Whether it follows another server; undefined where nobody may say. */
  readonly isReplica: boolean | undefined;
  /** XA transactions prepared now; undefined where nobody may say. */
  readonly preparedXa: number | undefined;
  /** XA transactions begun since it was started. */
  readonly begunXa: number;
  /** Whether SYSDATE() moves on inside a statement: no variable says so. */
  readonly sysdateMoves: boolean;
};

export async function rowsOf(
  sql: Connection,
  statement: string,
  values: unknown[] = [],
): Promise<RowDataPacket[]> {
  return (await sql.query<RowDataPacket[]>(statement, values))[0];
}

export const codeOf = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

/** The account may not: whatever the right that it lacks. MySQL has words of its own for XA RECOVER. */
export const isDenied = (error: unknown) => /ACCESS_DENIED|XAER_RMERR/.test(codeOf(error));

/** @returns undefined when the account may not ask */
export async function ifAllowed(sql: Connection, statement: string): Promise<RowDataPacket[] | undefined> {
  try {
    return await rowsOf(sql, statement);
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}

/** `SHOW MASTER STATUS` has another name from MySQL 8.2 on, `SHOW SLAVE STATUS` from 8.0.22. */
function words(dialect: Dialect, version: string): { binlog: string; replica: string } {
  if (dialect === 'mariadb') return { binlog: 'SHOW MASTER STATUS', replica: 'SHOW ALL SLAVES STATUS' };
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const number = major * 10_000 + minor * 100 + patch;
  return {
    binlog: number >= 80_200 ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    replica: number >= 80_022 ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS',
  };
}

const names = (list: unknown) =>
  String(list ?? '')
    .split(',')
    .filter((name) => name !== '');

export async function readServerFacts(sql: Connection): Promise<ServerFacts> {
  const [first] = await rowsOf(sql, 'SELECT VERSION() AS version');
  const version = String(first?.version);
  const dialect: Dialect = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
  const variables = await rowsOf(sql, 'SHOW GLOBAL VARIABLES');
  const { binlog, replica } = words(dialect, version);
  const status = await ifAllowed(sql, binlog);
  const replicas = await ifAllowed(sql, replica);
  const prepared = await ifAllowed(sql, 'XA RECOVER');
  const [xa] = await rowsOf(sql, "SHOW GLOBAL STATUS LIKE 'Com_xa_start'");
  const [times] = await rowsOf(sql, 'SELECT SYSDATE(6) AS one, SLEEP(0.05) AS slept, SYSDATE(6) AS other');
  return {
    dialect,
    version,
    variables: new Map(variables.map(({ Variable_name, Value }) => [String(Variable_name), String(Value)])),
    filters: status && {
      only: names(status[0]?.Binlog_Do_DB),
      not: names(status[0]?.Binlog_Ignore_DB),
    },
    isReplica: replicas && replicas.length > 0,
    preparedXa: prepared?.length,
    begunXa: Number(xa?.Value ?? 0),
    sysdateMoves: String(times?.one) !== String(times?.other),
  };
}
