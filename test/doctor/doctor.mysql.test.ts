// A folder for each fault, named after it: what is run on each server as root, and exactly what `banyan doctor` must
// then find, no more and no less. What a folder has is run after what `sound/` has, and undone before the next.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Startable } from '../../scripts/command.ts';
import { doctorCommand } from '../../scripts/doctor.ts';
import { installCommand } from '../../scripts/install.ts';
import { freePort } from '../../scripts/private-server.ts';
import { connectTo, dialects, type OwnServer, ownServer } from '../../sync/binlog/test-servers.ts';
import { type Finding, findingCodes } from '../../sync/preflight/finding.ts';
import { run } from '../story/stack.ts';

type ServerName = 'legacy' | 'services';
const serverNames = ['legacy', 'services'] as const;
const schemas = { legacy: 'shop', services: 'things' } as const;
const sqlFiles = { legacy: 'legacy', services: 'service' } as const;

type Expected = Pick<Finding, 'code' | 'severity' | 'server' | 'capability' | 'object'>;
type Expectation = {
  readonly findings: readonly Expected[];
  /** Where MySQL's are others. */
  readonly mysql?: readonly Expected[];
  readonly dialects?: readonly string[];
  /** A server that must be started with them. */
  readonly flags?: Partial<Record<ServerName, readonly string[]>>;
};

const here = import.meta.dirname;
const config = join(here, 'sound', 'banyan.config.ts');
const readIn = (folder: string, file: string): string | undefined => {
  const path = join(here, folder, file);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
};
const expectationOf = (folder: string): Expectation =>
  JSON.parse(readIn(folder, 'expect.json') ?? '{"findings":[]}');
const folders = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  // Each other set of flags is a restart.
  .sort((a, b) => Number('flags' in expectationOf(a)) - Number('flags' in expectationOf(b)));

class Server {
  readonly name: ServerName;
  readonly #server: OwnServer;
  /** The array that the server is started with. */
  readonly #flags: string[];
  readonly #soundFlags: readonly string[];
  settings: ReadonlyMap<string, string> = new Map();
  accounts: ReadonlySet<string> = new Set();

  constructor(name: ServerName, server: OwnServer, flags: string[]) {
    this.name = name;
    this.#server = server;
    this.#flags = flags;
    this.#soundFlags = [...flags];
  }

  get url(): string {
    return this.#server.url;
  }

  async query(sql: string): Promise<RowDataPacket[]> {
    const connection = await connectTo(this.url);
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return rows;
    } finally {
      await connection.end();
    }
  }

  /** A script in the server's own schema. */
  async execute(sql: string | undefined): Promise<void> {
    if (sql !== undefined) await this.query(`USE ${schemas[this.name]};\n${sql}`);
  }

  async restartWith(flags: readonly string[]): Promise<void> {
    const wanted = [...this.#soundFlags, ...flags];
    if (wanted.join('\0') === this.#flags.join('\0')) return;
    this.#flags.splice(0, this.#flags.length, ...wanted);
    await this.#server.crash();
    await this.#server.start();
    this.settings = await this.readSettings();
  }

  async makeSchema(): Promise<void> {
    const schema = schemas[this.name];
    await this.query(`DROP DATABASE IF EXISTS ${schema}; CREATE DATABASE ${schema}`);
    await this.execute(readIn('sound', `${sqlFiles[this.name]}.sql`));
  }

  async readSettings(): Promise<Map<string, string>> {
    const rows = await this.query('SHOW GLOBAL VARIABLES');
    return new Map(rows.map(({ Variable_name, Value }) => [String(Variable_name), String(Value)]));
  }

  async readAccounts(): Promise<Set<string>> {
    const rows = await this.query(
      "SELECT CONCAT('''', User, '''@''', Host, '''') AS account FROM mysql.user",
    );
    return new Set(rows.map(({ account }) => String(account)));
  }

  async restoreSettings(): Promise<void> {
    const changed = [...(await this.readSettings())].filter(
      ([name, value]) => this.settings.get(name) !== value && !/gtid|^timestamp$|^log_bin/.test(name),
    );
    for (const [name] of changed) {
      const value = this.settings.get(name) ?? '';
      await this.query(`SET GLOBAL ${name} = ${/^\d+(\.\d+)?$/.test(value) ? value : `'${value}'`}`);
    }
    for (const account of await this.readAccounts())
      if (!this.accounts.has(account)) await this.query(`DROP USER ${account}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

async function startServer(dialect: 'mariadb' | 'mysql', name: ServerName): Promise<Server> {
  const flags = [
    '--sync-binlog=1',
    '--innodb-flush-log-at-trx-commit=1',
    '--local-infile=ON',
    `--server-id=${name === 'legacy' ? 41 : 42}`,
    // MySQL tells who waits for whom in its performance schema alone.
    ...(dialect === 'mysql' ? ['--performance-schema=ON'] : []),
  ];
  return new Server(name, await ownServer(dialect, flags), flags);
}

/** A command in this process: what `banyan` does after it has found it. */
const runCommand = (command: Startable, words: readonly string[]) =>
  command.start(words, {}, { json: true, say: () => undefined, progress: () => undefined });

const isAboutBanyan = /\b(GRANT|REVOKE|USER)\b|banyan/i;

describe.each(dialects)('%s', (dialect) => {
  let folder: string;
  let servers: Readonly<Record<ServerName, Server>>;
  const both = () => serverNames.map((name) => servers[name]);
  const urls = () => ['--legacy-url', servers.legacy.url, '--services-url', servers.services.url];
  const common = () => ['--folder', folder, '--config', config];
  const install = () => runCommand(installCommand, [...common(), ...urls(), '--actor', 'test']);

  async function doctor(words: readonly string[] = urls()) {
    const { result, exitCode } = await runCommand(doctorCommand, [...common(), ...words]);
    const { findings } = result as { findings: Finding[] };
    return { findings, exitCode: exitCode ?? 0 };
  }

  /** What is to be compared, without the accounts that a fresh server has. */
  const found = (findings: readonly Finding[]) =>
    findings
      .filter(
        ({ code, server, object }) =>
          code !== 'can-bypass' || server === 'control' || !servers[server].accounts.has(object),
      )
      .map(({ code, severity, server, capability, object }) => ({
        code,
        severity,
        server,
        ...(capability === undefined ? {} : { capability }),
        object,
      }));
  const sorted = (expected: readonly Expected[]) =>
    expected.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'doctor-'));
    const [legacy, services] = await Promise.all(serverNames.map((name) => startServer(dialect, name)));
    if (!legacy || !services) throw new Error('two servers were started');
    servers = { legacy, services };
    for (const server of both()) await server.makeSchema();
    await install();
    for (const server of both()) {
      server.settings = await server.readSettings();
      server.accounts = await server.readAccounts();
    }
  });
  afterAll(async () => {
    await Promise.all(both().map((server) => server[Symbol.asyncDispose]()));
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(folders.filter((name) => expectationOf(name).dialects?.includes(dialect) ?? true))(
    '%s',
    async (name) => {
      const { findings: expected, mysql, flags } = expectationOf(name);
      const scripts = serverNames.map((each) => readIn(name, `${sqlFiles[each]}.sql`));
      for (const server of both()) await server.restartWith(flags?.[server.name] ?? []);
      try {
        if (name !== 'sound')
          for (const [index, server] of both().entries()) await server.execute(scripts[index]);
        const { findings, exitCode } = await doctor();
        expect(sorted(found(findings))).toEqual(sorted(dialect === 'mysql' ? (mysql ?? expected) : expected));
        expect(exitCode).toBe(findings.some(({ severity }) => severity === 'refuse') ? 1 : 0);
        for (const { what, remedy } of findings) {
          expect(what).toMatch(/\w{3}/);
          expect(remedy).toMatch(/\w{3}/);
        }
      } finally {
        for (const server of both()) {
          await server.execute(readIn(name, `${sqlFiles[server.name]}.undo.sql`));
          await server.restoreSettings();
          if (readIn(name, `${sqlFiles[server.name]}.sql`) !== undefined) await server.makeSchema();
        }
        if (scripts.some((script) => isAboutBanyan.test(script ?? ''))) await install();
      }
    },
  );

  test('it changes nothing: not a row, not a position', async () => {
    for (const server of both()) await server.restartWith([]);
    const state = () =>
      Promise.all(
        both().map((server) =>
          server.query(
            `${dialect === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS'}; CHECKSUM TABLE banyan.banyan_stream, banyan.banyan_heartbeat, banyan.banyan_fence`,
          ),
        ),
      );
    const before = await state();
    await doctor();
    expect(await state()).toEqual(before);
  });

  test('the accounts that a fresh server has are shown as well', async () => {
    const { findings, exitCode } = await doctor();
    expect(findings).toContainEqual(
      expect.objectContaining({
        code: 'can-bypass',
        severity: 'warn',
        object: "'root'@'localhost'",
        what: expect.stringMatching(/SUPER.*TRIGGER/),
      }),
    );
    expect(exitCode).toBe(0);
  });

  test('with the accounts of Banyan alone it says what it does not see', async () => {
    const plain = (server: Server) => `mysql://${new URL(server.url).host}`;
    const { findings } = await doctor([
      '--legacy-url',
      plain(servers.legacy),
      '--services-url',
      plain(servers.services),
    ]);
    expect(findings.map(({ code, server }) => [code, server])).toEqual([
      ['not-all-seen', 'legacy'],
      ['not-all-seen', 'services'],
    ]);
    expect(findings[0]?.object).toMatch(/^triggers of shop, the accounts of others/);
  });

  test('a wrong password in a URL is said, and the accounts of Banyan look instead', async () => {
    const wrong = new URL(servers.legacy.url);
    wrong.username = 'nobody';
    const { findings, exitCode } = await doctor(['--legacy-url', wrong.href, ...urls().slice(2)]);
    expect(found(findings).map(({ code, object }) => [code, object])).toEqual([
      ['not-all-seen', 'the account of the URL'],
      ['not-all-seen', expect.stringMatching(/^triggers of shop/)],
    ]);
    expect(exitCode).toBe(0);
  });

  test('a server that is down does not hide what is wrong with the other', async () => {
    await servers.legacy.query('SET GLOBAL binlog_checksum = NONE');
    try {
      const gone = `mysql://root@127.0.0.1:${await freePort()}`;
      const { findings } = await doctor(['--legacy-url', servers.legacy.url, '--services-url', gone]);
      expect(found(findings)).toEqual([
        { code: 'unreachable', severity: 'refuse', server: 'services', object: 'services' },
        { code: 'binlog-checksum', severity: 'warn', server: 'legacy', object: 'binlog_checksum' },
      ]);
    } finally {
      await servers.legacy.restoreSettings();
    }
  });

  test('both sides on one server', async () => {
    const { legacy } = servers;
    await legacy.query('CREATE DATABASE things');
    try {
      const { findings } = await doctor(['--legacy-url', legacy.url, '--services-url', legacy.url]);
      expect(found(findings)).toContainEqual(
        expect.objectContaining({ code: 'same-server', severity: 'refuse', server: 'services' }),
      );
    } finally {
      await legacy.query('DROP DATABASE things');
    }
  });

  test('before "banyan install" it can be asked already', async () => {
    const fresh = mkdtempSync(join(tmpdir(), 'doctor-'));
    try {
      const { findings } = await doctor([...urls(), '--folder', fresh]);
      expect(found(findings)).toEqual([
        { code: 'not-installed', severity: 'refuse', server: 'control', object: 'banyan_cli' },
        { code: 'not-installed', severity: 'refuse', server: 'legacy', object: 'banyan_read, banyan_apply' },
        {
          code: 'not-installed',
          severity: 'refuse',
          server: 'services',
          object: 'banyan_read, banyan_apply',
        },
      ]);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  });

  test('as people run it: one object with --json, exit code 1 when something refuses', async () => {
    const words = ['doctor', ...common(), ...urls()];
    const sound = await run('banyan.ts', [...words, '--json']);
    expect(sound.code).toBe(0);
    expect(JSON.parse(sound.stdout)).toMatchObject({ ok: true, refuse: 0, findings: expect.any(Array) });
    await servers.legacy.query('SET GLOBAL sync_binlog = 0');
    const refused = await run('banyan.ts', words);
    await servers.legacy.restoreSettings();
    expect(refused.code).toBe(1);
    expect(refused.stdout).toMatch(
      /^REFUSE {2}legacy {2}sync_binlog {2}\[not-durable\]\n.*\n {4}remedy: SET GLOBAL/,
    );
    expect(refused.stdout).toMatch(/\n1 refuse, \d+ warn\n$/);
  });
});

test('--grants prints the rights, and connects to nothing', async () => {
  const { code, stdout } = await run('banyan.ts', [
    'doctor',
    '--grants',
    '--config',
    config,
    '--account-host',
    '10.0.0.%',
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^GRANT SELECT \(`id`, `name`\) ON `shop`\.`member` TO 'banyan_read'@'10\.0\.0\.%';$/m,
  );
  expect(stdout).not.toMatch(/password|IDENTIFIED/i);
});

test('docs/doctor.md explains every code', () => {
  const docs = readFileSync(join(here, '..', '..', 'docs', 'doctor.md'), 'utf8');
  expect(findingCodes.filter((code) => !docs.includes(`\`${code}\``))).toEqual([]);
});
