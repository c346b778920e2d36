// The connection of one dump: which server it is, what the session asks of it, and where to start.
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2';
import type { Position } from '../position.ts';
import { type Dump, type DumpStart, startDump } from './dump.ts';
import { BinlogError } from './errors.ts';
import type { CatalogColumn, CatalogColumns, Collations } from './table-map.ts';

export type Dialect = 'mariadb' | 'mysql';

export type SessionOptions = {
  readonly connection: ConnectionOptions;
  /** A number that no other replica, and no other reader, of this server has. */
  readonly serverId: number;
  /** What tells this reader from others to MySQL; a UUID. */
  readonly replicaUuid: string;
  readonly heartbeatMs: number;
  readonly queueBytesMax: number;
  readonly connectMsMax: number;
};

export type Session = {
  readonly dialect: Dialect;
  readonly serverVersion: string;
  readonly collations: Collations;
  query(sql: string, values?: readonly string[]): Promise<RowDataPacket[]>;
  /** The position after everything written so far. */
  now(): Promise<Position>;
  dump(from: Position): Promise<Dump>;
  close(): void;
};

/** How long the server may wait for a reader that has paused the socket. */
const pauseSecondsMax = 31_536_000;

function rowsOf(
  connection: Connection,
  sql: string,
  values: readonly string[] = [],
): Promise<RowDataPacket[]> {
  return new Promise((resolve, reject) =>
    connection.query<RowDataPacket[]>(sql, [...values], (error, rows) =>
      error ? reject(error) : resolve(rows),
    ),
  );
}

async function readCollations(connection: Connection, dialect: Dialect): Promise<Collations> {
  const rows = await rowsOf(
    connection,
    'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
  );
  // MariaDB's newer collations are for several character sets each: their numbers are in the other table.
  if (dialect === 'mariadb')
    try {
      rows.push(
        ...(await rowsOf(
          connection,
          'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY',
        )),
      );
    } catch {
      // Before 10.10 that table has no numbers, and there are no such collations.
    }
  return new Map(
    rows.filter(({ charset }) => charset !== null).map(({ id, charset }) => [Number(id), String(charset)]),
  );
}

async function prepare(connection: Connection, dialect: Dialect, options: SessionOptions): Promise<void> {
  const set = (sql: string, values?: readonly string[]) => rowsOf(connection, sql, values);
  // Asking for checksums means: as the file has them. Without it they would be taken off on the way.
  await set("SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32'");
  const nanoseconds = Math.round(options.heartbeatMs * 1e6);
  await set(`SET @master_heartbeat_period = ${nanoseconds}, @source_heartbeat_period = ${nanoseconds}`);
  await set(`SET SESSION net_write_timeout = ${pauseSecondsMax}`);
  if (dialect === 'mariadb') await set('SET @mariadb_slave_capability = 4');
  else await set('SET @slave_uuid = ?, @replica_uuid = ?', [options.replicaUuid, options.replicaUuid]);
}

async function start(connection: Connection, dialect: Dialect, from: Position): Promise<DumpStart> {
  const { gtid, at } = from.restart ?? from;
  if (dialect === 'mariadb' && gtid !== undefined) {
    await rowsOf(
      connection,
      'SET @slave_connect_state = ?, @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0',
      [gtid],
    );
    return { by: 'session' };
  }
  if (gtid !== undefined) {
    const [mode] = await rowsOf(connection, 'SELECT @@gtid_mode AS mode');
    if (mode?.mode === 'ON') return { by: 'gtid-set', set: gtid };
  }
  if (at) return { by: 'file', at };
  throw new BinlogError(
    'position-invalid',
    'the position has neither a GTID that this server uses nor a file',
    'SET gtid_mode = ON on the source, or give a position with a file and an offset',
  );
}

async function now(connection: Connection, dialect: Dialect, version: string): Promise<Position> {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNewWord = dialect === 'mysql' && (major > 8 || (major === 8 && minor >= 2));
  const [status] = await rowsOf(connection, isNewWord ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  if (!status)
    throw new BinlogError(
      'not-logged',
      'the server writes no binlog',
      'start it with --log-bin, --binlog-format=ROW, --binlog-row-image=FULL, --binlog-row-metadata=FULL',
    );
  const at = { file: String(status.File), offset: Number(status.Position) };
  if (dialect === 'mysql') {
    const set = String(status.Executed_Gtid_Set ?? '').replaceAll(/\s/g, '');
    return { gtid: set === '' ? undefined : set, at };
  }
  const [known] = await rowsOf(connection, `SELECT BINLOG_GTID_POS(?, ${at.offset}) AS gtid`, [at.file]);
  return { gtid: known?.gtid === null || known?.gtid === undefined ? undefined : String(known.gtid), at };
}

/**
 * Connects, and prepares the session for a dump.
 * @throws whatever mysql2 says; see failures.ts
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const connection = createConnection({
    ...options.connection,
    connectTimeout: options.connectMsMax,
    // Positions and names, not values: texts all of them.
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    multipleStatements: false,
  });
  try {
    await new Promise<void>((resolve, reject) =>
      connection.connect((error) => (error ? reject(error) : resolve())),
    );
    const [first] = await rowsOf(connection, 'SELECT VERSION() AS version');
    const serverVersion = String(first?.version);
    const dialect: Dialect = /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql';
    await prepare(connection, dialect, options);
    const collations = await readCollations(connection, dialect);
    return {
      dialect,
      serverVersion,
      collations,
      query: (sql, values) => rowsOf(connection, sql, values),
      now: () => now(connection, dialect, serverVersion),
      dump: async (from) =>
        startDump(
          connection,
          options.serverId,
          await start(connection, dialect, from),
          options.queueBytesMax,
        ),
      close: () => connection.destroy(),
    };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** MariaDB's own types have names only here. */
const ownTypes: ReadonlySet<string> = new Set(['uuid', 'inet4', 'inet6']);

/** The present columns of a table, on a connection of its own; undefined when there is no such table. */
export async function askCatalog(
  connection: ConnectionOptions,
  schema: string,
  table: string,
): Promise<CatalogColumns | undefined> {
  const opened = createConnection({ ...connection, supportBigNumbers: true, bigNumberStrings: true });
  try {
    const rows = await rowsOf(
      opened,
      `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, DATETIME_PRECISION AS fraction
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
      [schema, table],
    );
    if (rows.length === 0) return undefined;
    return new Map(
      rows.map(({ name, type, fraction }): [string, CatalogColumn] => [
        String(name),
        { type: ownTypes.has(String(type)) ? String(type) : 'binary', fraction: Number(fraction ?? 0) },
      ]),
    );
  } finally {
    opened.destroy();
  }
}
