import type { RowDataPacket } from 'mysql2/promise';
import {
  controlMigrations,
  controlSchema,
  migrateControlStore,
  record,
  registerCapabilities,
} from '../capability/control-store.ts';
import { accountGrants, accountSql, type Grant, secretIn } from './accounts.ts';
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

/** The URLs as given, or the running stack's with its own account: installing needs every right. */
function adminUrl(server: ServerName, values: ServerValues): URL {
  const stack = readStack(values.folder);
  const url = serverUrl(server, values, stack);
  if (url.username === '' && stack && url.host === new URL(stack.databases[server]).host)
    return new URL(stack.databases[server]);
  if (url.username === '')
    throw new CommandError(
      `installing on ${url.host} needs an account that may create schemas, users and grants: mysql://USER:PASSWORD@${url.host}, or "banyan install --print" for a DBA`,
    );
  return url;
}

function printed(grants: readonly Grant[], host: string): string {
  const lines = [
    '-- Banyan: for a DBA. Replace each PASSWORD_OF_…, and put the same word into the file of that name in the secrets folder.',
    `-- On the server of the control store:`,
    `CREATE DATABASE IF NOT EXISTS ${controlSchema};`,
    `USE ${controlSchema};`,
    'CREATE TABLE IF NOT EXISTS schema_version (version INT PRIMARY KEY, file VARCHAR(100) NOT NULL, applied_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)) ENGINE=InnoDB;',
    ...controlMigrations().flatMap(({ version, file, sql }) => [
      sql.trim(),
      `INSERT INTO schema_version (version, file) VALUES (${version}, '${file}');`,
    ]),
  ];
  for (const grant of grants) {
    lines.push('', `-- On the ${grant.server} server: ${grant.why}`);
    lines.push(
      ...accountSql(grant, `PASSWORD_OF_${grant.account}`, host).map((statement) => `${statement};`),
    );
  }
  return lines.join('\n');
}

async function installGrant(grant: Grant, values: ServerValues, host: string): Promise<void> {
  const sql = await connectTo(grant.server, adminUrl(grant.server, values));
  try {
    for (const statement of accountSql(grant, secretIn(values.folder, grant.account), host))
      await sql.query(statement);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const isMissingTable =
      typeof error === 'object' && error !== null && 'code' in error && error.code === 'ER_NO_SUCH_TABLE';
    throw new CommandError(
      `${grant.account} on the ${grant.server} server: ${message}${isMissingTable ? '. Start the application that owns the table once, so that it makes its schema, then run this again' : ''}`,
      { cause: error },
    );
  } finally {
    sql.destroy();
  }
}

export const installCommand = command({
  name: 'install',
  words: '',
  summary: 'Makes the control store and the accounts, each with the least rights.',
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
      const sql = printed(grants, values.accountHost);
      output.say(sql);
      return { result: { sql } };
    }
    const control = await connectTo('control', adminUrl('control', values), { multipleStatements: true });
    let applied: string[];
    try {
      await control.query(`CREATE DATABASE IF NOT EXISTS ${controlSchema}`);
      await control.query(`USE ${controlSchema}`);
      applied = await migrateControlStore(control);
      output.say(
        applied.length > 0 ? `control store: applied ${applied.join(', ')}` : 'control store: up to date',
      );
      for (const grant of grants) {
        await installGrant(grant, values, values.accountHost);
        output.say(`account ${grant.account} on the ${grant.server} server: ${grant.why}`);
      }
      await registerCapabilities(
        control,
        config.capabilities.map(({ name }) => name),
      );
      const [found] = await control.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM capability');
      await record(control, null, {
        actor: actorOf(values.actor),
        action: 'install',
        detail: { applied, capabilities: Number(found[0]?.n) },
      });
    } finally {
      control.destroy();
    }
    output.say(
      `passwords are in ${values.folder}/secrets. Next: banyan copy ${config.capabilities[0]?.name ?? 'CAPABILITY'}`,
    );
    return {
      result: {
        applied,
        accounts: grants.map(({ server, account }) => ({ server, account })),
        secrets: `${values.folder}/secrets`,
      },
    };
  },
});
