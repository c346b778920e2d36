import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import {
  controlSchema,
  migrateOwnSchema,
  type OwnSchema,
  ownMigrations,
  record,
  registerCapabilities,
  versionTable,
} from '../capability/control-store.ts';
import { openBinlog } from '../sync/binlog/reader.ts';
import type { Position } from '../sync/position.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import {
  accountGrants,
  accountSql,
  fenceAccountSql,
  type Grant,
  type Grantee,
  grantSql,
  secretIn,
} from './accounts.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  command,
  commonOptions,
  configOf,
  connectTo,
  type ServerName,
  type ServerValues,
  serverOptions,
  serverUrl,
} from './command.ts';
import { readStack } from './stack.ts';

type AdminWork = { readonly doing: string; readonly may: string; readonly byHand: string };

const installing: AdminWork = {
  doing: 'installing',
  may: 'create schemas, users and grants',
  byHand: '"banyan install --print" for a DBA',
};

/**
 * The URLs as given, or the running stack's with its own account.
 * @throws CommandError when neither has a user
 */
export function adminUrl(
  server: ServerName,
  values: ServerValues,
  { doing, may, byHand }: AdminWork = installing,
): URL {
  const stack = readStack(values.folder);
  const url = serverUrl(server, values, stack);
  if (url.username === '' && stack && url.host === new URL(stack.databases[server]).host)
    return new URL(stack.databases[server]);
  if (url.username === '')
    throw new CommandError(
      `${doing} on ${url.host} needs an account that may ${may}: mysql://USER:PASSWORD@${url.host}, or ${byHand}`,
    );
  return url;
}

/** The accounts of some grants, made anew: those who log in with their passwords, then the one that nobody logs in with. */
function accountsSql(
  grants: readonly Grant[],
  passwordOf: (account: Exclude<Grantee, 'banyan_fence'>) => string,
  host: string,
): string[] {
  const accounts = new Set(grants.map(({ account }) => account));
  return [...accounts].flatMap((account) =>
    account === 'banyan_fence' ? fenceAccountSql() : accountSql(account, passwordOf(account), host),
  );
}

const printedSchema = (schema: OwnSchema) => [
  `CREATE DATABASE IF NOT EXISTS ${controlSchema};`,
  `USE ${controlSchema};`,
  `CREATE TABLE IF NOT EXISTS ${versionTable[schema]} (version INT PRIMARY KEY, file VARCHAR(100) NOT NULL, applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB;`,
  ...ownMigrations(schema).flatMap(({ version, file, sql }) => [
    sql.trim(),
    `INSERT INTO ${versionTable[schema]} (version, file) VALUES (${version}, '${file}');`,
  ]),
];

/** The control store is on the legacy server unless it has a URL of its own; each account is made once on a server. */
function printed(grants: readonly Grant[], values: ServerValues, host: string): string {
  const isAlone = values.controlUrl !== undefined && values.controlUrl !== values.legacyUrl;
  const places: readonly (readonly ServerName[])[] = isAlone
    ? [['control'], ['legacy'], ['services']]
    : [['control', 'legacy'], ['services']];
  const lines = [
    '-- Banyan: for a DBA. Replace each PASSWORD_OF_…, and put the same word into the file of that name in the secrets',
    '-- folder. Afterwards "banyan install" starts the streams.',
  ];
  for (const names of places) {
    const here = grants.filter((grant) => names.includes(grant.server));
    lines.push(
      '',
      `-- On the ${names.at(-1)} server${names.length > 1 ? ', which has the control store' : ''}`,
      ...new Set(names.flatMap((name) => printedSchema(name === 'control' ? 'control' : 'side'))),
      ...accountsSql(here, (account) => `PASSWORD_OF_${account}`, host).map((statement) => `${statement};`),
    );
    for (const grant of here)
      lines.push(
        `-- ${grant.account}: ${grant.why}`,
        ...grantSql(grant, host).map((statement) => `${statement};`),
      );
  }
  return lines.join('\n');
}

const missingTable = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ER_NO_SUCH_TABLE';

/** Accounts of one server: the control store may be on the legacy server, and then one account has the rights of both. */
async function installAccounts(
  url: URL,
  server: ServerName,
  grants: readonly Grant[],
  values: ServerValues,
  host: string,
): Promise<void> {
  const sql = await connectTo(server, url);
  try {
    for (const statement of accountsSql(grants, (account) => secretIn(values.folder, account), host))
      await sql.query(statement);
    for (const grant of grants) for (const statement of grantSql(grant, host)) await sql.query(statement);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const advice = missingTable(error)
      ? '. Start the application that owns the table once, so that it makes its schema, then run this again'
      : '';
    throw new CommandError(`accounts on the ${server} server: ${message}${advice}`, { cause: error });
  } finally {
    sql.destroy();
  }
}

/** What is behind an address: the control store's may be another address of the legacy server, whose accounts are the same. */
async function itself(server: ServerName, url: URL): Promise<string> {
  const sql = await connectTo(server, url);
  try {
    const [[row]] = await sql.query<RowDataPacket[]>(
      "SELECT CONCAT_WS('|', @@hostname, @@port, @@datadir) AS itself",
    );
    return String(row?.itself);
  } finally {
    sql.destroy();
  }
}

async function installSchema(server: ServerName, url: URL, schema: OwnSchema): Promise<string[]> {
  const sql = await connectTo(server, url, { multipleStatements: true });
  try {
    await sql.query(`CREATE DATABASE IF NOT EXISTS ${controlSchema}`);
    await sql.query(`USE ${controlSchema}`);
    return await migrateOwnSchema(sql, schema);
  } finally {
    sql.destroy();
  }
}

/** Where a server's binlog ends now. */
async function positionOf(url: URL): Promise<Position> {
  const reader = await openBinlog({ connection: { uri: url.href }, serverId: 2 ** 31 - 7, from: 'now' });
  await reader.stop();
  return reader.from;
}

const streamsOf = ({ name, references }: Capability): { key: string; source: Side }[] => [
  { key: name, source: 'legacy' },
  { key: name, source: 'service' },
  ...(references.length > 0 ? [{ key: referencesOf(name), source: 'legacy' } as const] : []),
];

/** Both positions first, then the fence rows: so that each reader meets the one that says who owns. */
async function startStreams(config: BanyanConfig, urls: Readonly<Record<Side, URL>>): Promise<string[]> {
  const servers: Record<Side, Connection> = {
    legacy: await connectTo('legacy', urls.legacy),
    service: await connectTo('services', urls.service),
  };
  const begun: string[] = [];
  try {
    const positions = { legacy: await positionOf(urls.legacy), service: await positionOf(urls.service) };
    for (const capability of config.capabilities)
      for (const { key, source } of streamsOf(capability)) {
        const target = servers[source === 'legacy' ? 'service' : 'legacy'];
        const { gtid, at } = positions[source];
        const [made] = await target.query(
          'INSERT IGNORE INTO banyan.banyan_stream (capability, source, gtid, file, pos) VALUES (?, ?, ?, ?, ?)',
          [key, source, gtid ?? null, at?.file ?? null, at?.offset ?? null],
        );
        if ('affectedRows' in made && made.affectedRows === 1) begun.push(`${key} from ${source}`);
        await servers[source].query(
          "INSERT IGNORE INTO banyan.banyan_watermark (capability, mark) VALUES (?, '')",
          [key],
        );
        await servers[source].query(
          'INSERT IGNORE INTO banyan.banyan_heartbeat (capability, at) VALUES (?, 0)',
          [capability.name],
        );
      }
    for (const { name } of config.capabilities)
      for (const server of [servers.legacy, servers.service])
        await server.query(
          "INSERT IGNORE INTO banyan.banyan_fence (capability, owner, epoch) VALUES (?, 'legacy', 1)",
          [name],
        );
    return begun;
  } finally {
    servers.legacy.destroy();
    servers.service.destroy();
  }
}

export const installCommand = command({
  name: 'install',
  words: '',
  summary: 'Makes the control store, the accounts, and the positions from which the streams begin.',
  help: `
Needs accounts that may create schemas, users and grants in the three URLs; everything later runs with the
accounts made here, whose passwords it puts into files in the secrets folder. It can be run again at any time:
it brings schema, accounts and rights to what this version and the configuration need.
With --print it connects to nothing and prints the SQL for a DBA.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    ...actorOption,
    accountHost: {
      type: 'text',
      default: '%',
      help: "The host part of the accounts: where Banyan's processes connect from.",
    },
    print: { type: 'flag', help: 'Print the SQL and do nothing.' },
  },
  async run({ values, output }) {
    const config = await configOf(values);
    const grants = accountGrants(config);
    if (values.print) {
      const sql = printed(grants, values, values.accountHost);
      output.say(sql);
      return { result: { sql } };
    }
    const urls = {
      control: adminUrl('control', values),
      legacy: adminUrl('legacy', values),
      services: adminUrl('services', values),
    };
    const applied = [
      ...(await installSchema('control', urls.control, 'control')),
      ...(await installSchema('legacy', urls.legacy, 'side')),
      ...(await installSchema('services', urls.services, 'side')),
    ];
    output.say(
      applied.length > 0
        ? `schema banyan: applied ${applied.join(', ')}`
        : 'schema banyan: up to date on every server',
    );
    const servers = await Promise.all(
      (['control', 'legacy', 'services'] as const).map(async (server) => ({
        server,
        itself: await itself(server, urls[server]),
      })),
    );
    for (const [at, { server, itself }] of servers.entries()) {
      if (servers.findIndex((each) => each.itself === itself) !== at) continue;
      const names = servers.filter((each) => each.itself === itself).map((each) => each.server);
      const here = grants.filter((grant) => names.includes(grant.server));
      await installAccounts(urls[server], server, here, values, values.accountHost);
      for (const { account, why } of here) output.say(`${account} on ${urls[server].host}: ${why}`);
    }
    const begun = await startStreams(config, { legacy: urls.legacy, service: urls.services });
    output.say(begun.length > 0 ? `streams begin here: ${begun.join(', ')}` : 'streams: all have a position');
    const control = await connectTo('control', urls.control);
    try {
      await control.query(`USE ${controlSchema}`);
      await registerCapabilities(
        control,
        config.capabilities.map(({ name }) => name),
      );
      await record(control, null, {
        actor: actorOf(values.actor),
        action: 'install',
        detail: { applied, begun },
      });
    } finally {
      control.destroy();
    }
    output.say(
      `passwords are in ${values.folder}/secrets. Next: run "banyan worker", then "banyan backfill ${config.capabilities[0]?.name ?? 'CAPABILITY'}"`,
    );
    return {
      result: {
        applied,
        begun,
        accounts: grants.map(({ server, account }) => ({ server, account })),
        secrets: `${values.folder}/secrets`,
      },
    };
  },
});
