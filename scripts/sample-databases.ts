// The sample's two database servers, and the accounts of its applications on them.
import { resolve } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { secretIn } from './accounts.ts';
import { CommandError } from './command.ts';
import { keepRunning } from './keep-running.ts';
import { startPrivateServer } from './private-server.ts';
import type { SampleInput } from './sample-input.ts';

/** @returns its URL, with the account that may do everything */
export async function databaseServer(
  { values, runFolder, started, say, warn, giveUp }: SampleInput,
  name: 'legacy' | 'services',
): Promise<string> {
  const given = name === 'legacy' ? values.legacyUrl : values.servicesUrl;
  if (given) return given;
  const folder = resolve(values.folder, 'databases', name);
  let port = name === 'legacy' ? values.legacyDatabasePort : values.servicesDatabasePort;
  const start = async () => {
    const server = await startPrivateServer({ folder, runFolder, serverId: name === 'legacy' ? 1 : 2, port });
    port = server.port;
    return server;
  };
  const server = await keepRunning(`the ${name} database server`, start, warn, giveUp);
  started.push(server);
  say(`${name} database server on port ${port}`);
  return server.first.url;
}

/** The address alone: a process of Banyan's uses the account that was made for it. */
export const withoutUser = (url: string) =>
  Object.assign(new URL(url), { username: '', password: '', pathname: '/' }).href;

export const withPath = (url: string, path: string) =>
  Object.assign(new URL(url), { pathname: `/${path}` }).href;

async function onServer<T>(
  url: string,
  use: (query: (statement: string) => Promise<RowDataPacket[]>) => Promise<T>,
): Promise<T> {
  const sql = await createConnection({ uri: withPath(url, ''), connectTimeout: 5_000 }).catch(
    (error: Error) => {
      throw new CommandError(`the database server ${new URL(url).host} does not answer: ${error.message}`, {
        cause: error,
      });
    },
  );
  try {
    return await use(async (statement) => (await sql.query<RowDataPacket[]>(statement))[0]);
  } finally {
    sql.destroy();
  }
}

/** An account of the application's: its own, which owns its schema and nothing else, or another one's with fewer rights. */
export async function applicationDatabase(
  folder: string,
  server: string,
  schema: string,
  account: string,
  rights = 'ALL',
): Promise<string> {
  const password = secretIn(folder, account);
  await onServer(server, async (query) => {
    await query(`CREATE DATABASE IF NOT EXISTS \`${schema}\``);
    await query(`CREATE USER IF NOT EXISTS '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`ALTER USER '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`GRANT ${rights} ON \`${schema}\`.* TO '${account}'@'%'`);
  });
  const url = new URL(withPath(server, schema));
  url.username = account;
  url.password = password;
  return url.href;
}

/** Products that people look at: some with many reviews. */
export const popularProducts = (legacyUrl: string): Promise<number[]> =>
  onServer(legacyUrl, async (query) =>
    (
      await query(
        `SELECT PRD_NO FROM \`${new URL(legacyUrl).pathname.slice(1)}\`.TB_RVW_MST GROUP BY PRD_NO ORDER BY COUNT(*) DESC, PRD_NO LIMIT 50`,
      )
    ).map(({ PRD_NO }) => Number(PRD_NO)),
  );
