// A private server that can be killed, behind a relay that can be cut: one side of a pair.
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type PrivateServer, startPrivateServer } from '../../scripts/private-server.ts';
import type { RunFolder } from '../../scripts/run-folder.ts';
import { type Relay, startRelay } from '../relay.ts';

export type SideServer = {
  /** As root, past the relay. */
  readonly url: string;
  readonly relay: Relay;
  /** A new connection as root, in UTC; values as texts. */
  connect(database?: string): Promise<Connection>;
  /** On a connection that is kept, and made anew after a crash. */
  query(sql: string, values?: readonly unknown[]): Promise<RowDataPacket[]>;
  /** kill -9, and waits for its end. */
  crash(): Promise<void>;
  /** The same data, the same port. @param env of its process, besides ours */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  pause(): void;
  resume(): void;
  [Symbol.asyncDispose](): Promise<void>;
};

/** As root, every value as text; in UTC, and without the server's corrections. */
async function connectTo(url: string, database?: string): Promise<Connection> {
  const sql = await createConnection({
    uri: database === undefined ? url : `${url}/${database}`,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: true,
    charset: 'utf8mb4',
  });
  sql.on('error', () => undefined); // its next use fails, too
  await sql.query("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'");
  return sql;
}

export async function startSide(folder: string, serverId: number, runFolder: RunFolder): Promise<SideServer> {
  const options = { folder: join(folder, `server-${serverId}`), runFolder, serverId };
  let server: PrivateServer = await startPrivateServer(options);
  const { url, port } = server;
  const relay = await startRelay(port);
  let kept: Connection | undefined;
  const drop = () => {
    kept?.destroy();
    kept = undefined;
  };
  return {
    url,
    relay,
    connect: (database) => connectTo(url, database),
    query: async (sql, values = []) => {
      kept ??= await connectTo(url);
      try {
        const [rows] = await kept.query<RowDataPacket[]>(sql, [...values]);
        return rows;
      } catch (error) {
        drop();
        throw error;
      }
    },
    crash: async () => {
      drop();
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
      await server.stop();
    },
    start: async (env = {}) => {
      server = await startPrivateServer({ ...options, port, env: { ...process.env, ...env } });
    },
    pause: () => void process.kill(server.pid, 'SIGSTOP'),
    resume: () => void process.kill(server.pid, 'SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      drop();
      await relay[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}
