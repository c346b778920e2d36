// One server for both sides, with a fence: what is refused and noted does not depend on where the other side is. Legacy's
// table is in the schema `shop`, the service's in `things`; legacy owns.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mysql2/promise';
import { fenceCommand } from '../../scripts/fence.ts';
import { installCommand } from '../../scripts/install.ts';
import { writersCommand } from '../../scripts/writers.ts';
import { connectTo, ownServer } from '../../sync/binlog/test-servers.ts';

const root = join(import.meta.dirname, '..', '..');

const configText = (tables: readonly string[]) => `
import { identity } from ${JSON.stringify(join(root, 'acl', 'identity.ts'))};
export default {
  upstreams: { legacy: 'http://127.0.0.1:1', things: 'http://127.0.0.1:1' },
  legacy: { database: 'shop', manner: { contentType: 'application/json' } },
  capabilities: [{
    name: 'things', team: 'test', service: { upstream: 'things', database: 'things' },
    tables: ${JSON.stringify(tables)}.map(identity), references: [], writers: { legacy: ['shop_app'], service: ['things_app'] },
    routes: [{ method: 'GET', path: '/things', kind: 'read', safe: true }],
  }],
};
`;

const tableDdl = `CREATE TABLE item (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) NOT NULL);
  CREATE TABLE seen (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) NOT NULL);
  CREATE TRIGGER own_insert BEFORE INSERT ON item FOR EACH ROW INSERT INTO seen (v) VALUES (NEW.v);`;

const commands = { install: installCommand, fence: fenceCommand, writers: writersCommand };

export type Fenced = {
  readonly url: string;
  readonly root: Connection;
  /** As an application's account, in a schema. */
  as(user: string, schema: 'shop' | 'things'): Promise<Connection>;
  /** As one of Banyan's own. */
  own(account: 'banyan_apply' | 'banyan_cli', password: string): Promise<Connection>;
  readonly folder: string;
  /** A command in this process, with what it said on the way. */
  run(name: keyof typeof commands, ...words: string[]): Promise<{ result: unknown; said: string }>;
  restart(): Promise<void>;
  /** As root, after a restart. */
  rootAgain(): Promise<Connection>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** @param more tables on both sides, by their names: what follows CREATE TABLE name */
export async function startFenced(
  dialect: 'mariadb' | 'mysql',
  more: Readonly<Record<string, string>> = {},
): Promise<Fenced> {
  // MySQL tells who waits for whom in its performance schema alone.
  const server = await ownServer(dialect, dialect === 'mysql' ? ['--performance-schema=ON'] : []);
  const folder = mkdtempSync(join(tmpdir(), 'fence-'));
  const config = join(folder, 'banyan.config.ts');
  writeFileSync(config, configText(['item', ...Object.keys(more)]));
  const ddl = Object.entries(more).map(([name, text]) => `CREATE TABLE ${name} ${text};`);
  const open: Connection[] = [];
  const keep = (sql: Connection) => {
    sql.on('error', () => undefined); // its next use fails, too
    open.push(sql);
    return sql;
  };
  const admin = keep(await connectTo(server.url));
  for (const schema of ['shop', 'things'])
    await admin.query(`CREATE DATABASE ${schema}; USE ${schema}; ${tableDdl} ${ddl.join(' ')}`);
  for (const user of ['shop_app', 'things_app', 'shop_batch'])
    await admin.query(
      `CREATE USER ${user}@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO ${user}@'%';
       GRANT SELECT, INSERT, UPDATE, DELETE ON things.* TO ${user}@'%'`,
    );
  const connectAs = async (user: string, password: string, database?: string) => {
    const uri = new URL(server.url);
    uri.username = user;
    uri.password = encodeURIComponent(password);
    uri.pathname = `/${database ?? ''}`;
    return keep(
      await createConnection({
        uri: uri.href,
        dateStrings: true,
        bigNumberStrings: true,
        supportBigNumbers: true,
      }),
    );
  };
  const run: Fenced['run'] = async (name, ...words) => {
    const said: string[] = [];
    const all = [...words, '--folder', folder, '--config', config, '--actor', 'test'];
    const urls = ['--legacy-url', server.url, '--services-url', server.url];
    const say = (line: string) => void said.push(line);
    const { result } = await commands[name].start([...all, ...urls], {}, { json: false, say, progress: say });
    return { result, said: said.join('\n') };
  };
  await run('install');
  return {
    url: server.url,
    root: admin,
    folder,
    run,
    as: (user, schema) => connectAs(user, 'secret', schema),
    own: (account, password) => connectAs(account, password),
    rootAgain: async () => keep(await connectTo(server.url)),
    restart: async () => {
      await server.crash();
      await server.start();
    },
    [Symbol.asyncDispose]: async () => {
      for (const sql of open) sql.destroy();
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
