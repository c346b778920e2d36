// The accounts that Banyan's processes use, each with the least rights, as SQL that a DBA can read.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RowTranslator } from '../acl/translator.ts';
import type { BanyanConfig } from '../capability/capability.ts';
import { controlSchema } from '../capability/control-store.ts';
import { type Account, type ServerName, secretFile } from './command.ts';

export type Grant = {
  readonly server: ServerName;
  readonly account: Account;
  readonly why: string;
  readonly rights: readonly string[];
};

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** SELECT on the columns that a translation needs and no others: not, say, on a member's password. */
const readRights = (database: string, { source, sourceColumns }: RowTranslator) =>
  `SELECT (${[...new Set([...source.key, ...sourceColumns])].map(quote).join(', ')}) ON ${quote(database)}.${quote(source.table)}`;

/** Every account with its rights, from the configuration. */
export function accountGrants(config: BanyanConfig): Grant[] {
  const control = quote(controlSchema);
  const translators = config.capabilities.flatMap(({ tables, references }) => [...tables, ...references]);
  const targets = config.capabilities.flatMap(({ tables, references, service }) =>
    [...tables, ...references].flatMap((translator) =>
      translator.targets.map(({ table }) => `${quote(service.database)}.${quote(table)}`),
    ),
  );
  return [
    {
      server: 'control',
      account: 'banyan_facade',
      why: 'the facade reads phases and evidence',
      rights: ['capability', 'evidence'].map((table) => `SELECT ON ${control}.${table}`),
    },
    {
      server: 'control',
      account: 'banyan_cli',
      why: 'the CLI moves phases, records evidence, appends to the audit',
      rights: [
        `SELECT, INSERT, UPDATE ON ${control}.capability`,
        `SELECT, INSERT, UPDATE ON ${control}.evidence`,
        `SELECT, INSERT ON ${control}.audit`,
        `SELECT ON ${control}.schema_version`,
      ],
    },
    {
      server: 'legacy',
      account: 'banyan_read',
      why: 'copies read the columns that translators need',
      rights: [...new Set(translators.map((translator) => readRights(config.legacy.database, translator)))],
    },
    {
      server: 'services',
      account: 'banyan_apply',
      why: "copies write the services' tables",
      rights: [...new Set(targets)].map((table) => `SELECT, INSERT, UPDATE, DELETE ON ${table}`),
    },
  ];
}

/** The SQL of one account: made when it is not there, given this password, and exactly these rights. */
export function accountSql({ account, rights }: Grant, password: string, host: string): string[] {
  const user = `'${account}'@'${host.replaceAll("'", "''")}'`;
  const secret = password.replaceAll('\\', '\\\\').replaceAll("'", "''");
  return [
    `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${secret}'`,
    `ALTER USER ${user} IDENTIFIED BY '${secret}'`,
    `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${user}`,
    ...rights.map((right) => `GRANT ${right} TO ${user}`),
  ];
}

/** A secret from its file; made at random when there is none, the same ever after. */
export function secretIn(folder: string, name: string): string {
  const file = secretFile(folder, name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}
