// The connection of one dump: which server it is, what the session asks of it, and where to start.
import { type Connection, type ConnectionOptions, createConnection, type RowDataPacket } from 'mysql2';
import { socketOf, unlessClosed } from '../driver-socket.ts';
import { type FileOffset, type Point, type Position, printPosition } from '../position.ts';
import { type DumpStart, offsetMax, startDump } from './dump.ts';
import { BinlogError } from './errors.ts';
import type { Dump } from './event-queue.ts';
import { MariadbGtidList, MysqlGtidSet } from './gtid-sets.ts';
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
  /** Statements are wanted with their rows, for the traces in them. */
  readonly traces?: boolean;
};

export type Session = {
  readonly dialect: Dialect;
  readonly serverVersion: string;
  /** Which server it is: the same text after a restart, another one for another server. At most 64 characters. */
  readonly server: string;
  readonly collations: Collations;
  /** The same position with the GTIDs that belong to its file and offset, where the server can tell them. */
  complete(from: Position): Promise<Position>;
  /** The position after everything written so far. */
  now(): Promise<Position>;
  dump(from: Position): Promise<Dump>;
  close(): void;
};

/**
 * The driver's destroy() only says goodbye: a server that is dumping its binlog does not listen, and would go on
 * sending heartbeats to a socket that keeps the process alive. And only for an error does the driver tell whoever
 * waits for an answer that there will be none.
 */
function hangUp(connection: Connection, why = 'the connection to the source was closed here'): void {
  const socket = socketOf(connection);
  connection.destroy();
  socket?.destroy(new Error(why));
}

/** How long the server may wait for a reader that has paused the socket. */
const pauseSecondsMax = 31_536_000;

/** A server that is gone without a word gives no answer, and no error. */
const answerMsMax = 30_000;

function rowsOf(
  connection: Connection,
  sql: string,
  values: readonly string[] = [],
): Promise<RowDataPacket[]> {
  return unlessClosed(
    connection,
    new Promise((resolve, reject) =>
      connection.query<RowDataPacket[]>({ sql, timeout: answerMsMax }, [...values], (error, rows) =>
        error ? reject(error) : resolve(rows),
      ),
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

/** MariaDB's word on which transactions came before a place in its files; undefined when no event begins there. */
async function gtidAt(connection: Connection, { file, offset }: FileOffset): Promise<string | undefined> {
  const [known] = await rowsOf(connection, `SELECT BINLOG_GTID_POS(?, ${offset}) AS gtid`, [file]);
  // The server lists domains in an order of its own.
  return typeof known?.gtid === 'string' ? MariadbGtidList.parse(known.gtid).toString() : undefined;
}

function ahead(from: Position, why: string): BinlogError {
  return new BinlogError(
    'position-ahead',
    `the source's binlog is not the one of position ${printPosition(from)}: ${why}`,
    'it is another server, or one that lost the end of its binlog: docs/change-of-owner.md, "To begin anew"',
  );
}

/**
 * What tells a server from the one that takes its place. MariaDB has no UUID; servers of one topology have numbers of
 * their own there, or they could not replicate. Its server_uid is of no use: it is made of the machine's network card
 * and the port, and so another one when the same server starts in another container.
 */
async function readServer(connection: Connection, dialect: Dialect): Promise<string> {
  const variable = dialect === 'mysql' ? 'server_uuid' : 'server_id';
  const [row] = await rowsOf(connection, `SELECT @@${variable} AS id`);
  return `${dialect}:${String(row?.id)}`;
}

/** What MariaDB's binlog has never had of these; its state has the last transaction of each domain by each server. */
async function neverLogged(connection: Connection, gtid: string): Promise<string | undefined> {
  const [row] = await rowsOf(connection, 'SELECT @@gtid_binlog_state AS state');
  const parts = (list: string) => list.split(',').filter((each) => each !== '');
  const partOf = (text: string) => {
    const [domain, server, sequence = '0'] = text.split('-');
    return { by: `${domain}-${server}`, sequence: BigInt(sequence) };
  };
  const logged = new Map(
    parts(String(row?.state ?? '')).map((each) => [partOf(each).by, partOf(each).sequence]),
  );
  return parts(gtid).find((each) => (logged.get(partOf(each).by) ?? -1n) < partOf(each).sequence);
}

/**
 * A server that lost its last transactions gives their GTIDs to others, and would then leave those out: nothing
 * in the stream itself would show it. So the position is held against the server's files and GTIDs first.
 */
async function checkIsKnown(connection: Connection, dialect: Dialect, from: Position): Promise<void> {
  const { gtid, at } = from;
  if (gtid === undefined) return;
  if (dialect === 'mysql') {
    const [known] = await rowsOf(connection, 'SELECT GTID_SUBSET(?, @@gtid_executed) AS isKnown', [gtid]);
    if (Number(known?.isKnown) !== 1) throw ahead(from, 'it has not all of these transactions');
  }
  // Asked before the files are listed: one that is purged meanwhile is not there then.
  const there = at && dialect === 'mariadb' ? await gtidAt(connection, at) : undefined;
  const files = at ? await rowsOf(connection, 'SHOW BINARY LOGS') : [];
  const size = files.find(({ Log_name }) => Log_name === at?.file)?.File_size;
  if (!at || size === undefined) {
    // Purged, or another server's file: it goes on by GTID, where that is one that this server has logged.
    const missing = dialect === 'mariadb' ? await neverLogged(connection, gtid) : undefined;
    if (missing !== undefined) throw ahead(from, `it has never had ${missing}`);
    return;
  }
  if (at.offset > Number(size)) throw ahead(from, `${at.file} has ${size} bytes`);
  // Beyond 4 GiB, which a file has after one large transaction, MariaDB does not answer.
  if (dialect === 'mysql' || at.offset > offsetMax) return;
  if (there === undefined) throw ahead(from, 'no event begins at that place');
  if (there !== MariadbGtidList.parse(gtid).toString())
    throw ahead(from, `at that place its transactions end with "${there}"`);
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
    return { gtid: set === '' ? undefined : MysqlGtidSet.parse(set).toString(), at };
  }
  return { gtid: await gtidAt(connection, at), at };
}

async function complete(connection: Connection, dialect: Dialect, from: Position): Promise<Position> {
  if (dialect !== 'mariadb') return from;
  const whole = async ({ gtid, at }: Point): Promise<Point> => ({
    gtid: gtid ?? (at && (await gtidAt(connection, at))),
    at,
  });
  const point = await whole(from);
  return from.restart ? { ...point, restart: await whole(from.restart) } : point;
}

/**
 * Connects, and prepares the session for a dump, both within connectMsMax: the server may be gone without a word.
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
  // A connection that is lost while nothing is asked of it says so here only; what is asked next fails then.
  connection.on('error', () => undefined);
  const tooLong = setTimeout(
    () => hangUp(connection, `no answer within ${options.connectMsMax} ms`),
    options.connectMsMax,
  );
  try {
    await unlessClosed(
      connection,
      new Promise<void>((resolve, reject) =>
        connection.connect((error) => (error ? reject(error) : resolve())),
      ),
    );
    const [first] = await rowsOf(connection, 'SELECT VERSION() AS version');
    const serverVersion = String(first?.version);
    const dialect: Dialect = /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql';
    await prepare(connection, dialect, options);
    const server = await readServer(connection, dialect);
    const collations = await readCollations(connection, dialect);
    return {
      dialect,
      serverVersion,
      server,
      collations,
      complete: (from) => complete(connection, dialect, from),
      now: () => now(connection, dialect, serverVersion),
      dump: async (from) => {
        await checkIsKnown(connection, dialect, from);
        const how = await start(connection, dialect, from);
        const annotations = options.traces === true && dialect === 'mariadb';
        return startDump(connection, options.serverId, how, options.queueBytesMax, annotations);
      },
      close: () => hangUp(connection),
    };
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(tooLong);
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
  opened.on('error', () => undefined);
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
