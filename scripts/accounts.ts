// The accounts that Banyan's processes use, each with the least rights, as SQL that a DBA can read.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isIdentity } from '../acl/identity.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { controlSchema } from '../capability/control-store.ts';
import { fencedTables } from '../capability/fence-triggers.ts';
import { fenceAccount, ownProcedures, ownProceduresSql } from '../capability/own-procedures.ts';
import { applierTables } from '../sync/applier-tables.ts';
import { type Account, type ServerName, secretFile } from './command.ts';

/** `banyan_fence` is who the fence's triggers run as: nobody logs in with it. */
export type Grantee = Account | 'banyan_fence';

export type Grant = {
  readonly server: ServerName;
  readonly account: Grantee;
  readonly why: string;
  readonly rights: readonly string[];
};

const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``;

/** SELECT on exactly these columns: not, say, on a member's password. */
const columnRights = (database: string, table: string, columns: readonly string[]) =>
  `SELECT (${[...new Set(columns)].map(quote).join(', ')}) ON ${quote(database)}.${quote(table)}`;

const writeRights = 'SELECT, INSERT, UPDATE, DELETE';
const own = (rights: string, ...tables: string[]) =>
  tables.map((table) => `${rights} ON ${quote(controlSchema)}.${quote(table)}`);

/** What every server has, and what each kind has besides, in words that the other kind takes for a comment. */
const serverRights = (both: string, { mariadb, mysql }: { mariadb?: string; mysql?: string }) =>
  `${both}${mariadb ? ` /*M!100502 , ${mariadb} */` : ''}${mysql ? ` /*!80000 , ${mysql} */` : ''} ON *.*`;

const mayAsk = ownProcedures.map((name) => `EXECUTE ON PROCEDURE ${quote(controlSchema)}.${quote(name)}`);

/** Where MySQL shows who waits for whom; MariaDB shows it in information_schema. */
const lockWaits = 'SELECT ON `performance_schema`.*';

type Tables = { readonly name: string; readonly rights: (database: string) => string }[];

/** The tables of one side that are read, with the columns that translators need there. */
function readTables({ tables, references }: Capability, side: Side): Tables {
  const whole = (name: string) => ({
    name,
    rights: (database: string) => `SELECT ON ${quote(database)}.${quote(name)}`,
  });
  const part = (name: string, columns: readonly string[]) => ({
    name,
    rights: (database: string) => columnRights(database, name, columns),
  });
  const captured = side === 'legacy' ? [...tables, ...references] : tables;
  return captured.flatMap((each) => {
    if (isIdentity(each)) return [whole(each.identity)];
    if (side === 'legacy') return [part(each.source.table, [...each.source.key, ...each.sourceColumns])];
    return each.targets.map((target) =>
      part(target.table, [...Object.keys(target.columns), ...Object.keys(target.constants ?? {})]),
    );
  });
}

/** The tables of one side that are written. */
function writtenTables({ tables, references }: Capability, side: Side): string[] {
  const captured = side === 'service' ? [...tables, ...references] : tables;
  return captured.flatMap((each) =>
    isIdentity(each)
      ? [each.identity]
      : side === 'legacy'
        ? [each.source.table]
        : each.targets.map(({ table }) => table),
  );
}

/** What the reading and the applying account may on one side. */
function sideGrants(config: BanyanConfig, side: Side): Grant[] {
  const server = side === 'legacy' ? 'legacy' : 'services';
  const databaseOf = ({ service }: Capability) =>
    side === 'legacy' ? config.legacy.database : service.database;
  const reads = config.capabilities.flatMap((each) =>
    readTables(each, side).map(({ rights }) => rights(databaseOf(each))),
  );
  const writes = config.capabilities.flatMap((each) =>
    writtenTables(each, side).map((table) => `${writeRights} ON ${quote(databaseOf(each))}.${quote(table)}`),
  );
  const fenced = config.capabilities.flatMap((each) =>
    fencedTables(each, side).map(
      (table) => `TRIGGER, REFERENCES ON ${quote(databaseOf(each))}.${quote(table)}`,
    ),
  );
  return [
    {
      server,
      account: 'banyan_read',
      why: 'the worker reads the binlog and the columns that translators need, and leaves its marks',
      rights: [
        'REPLICATION SLAVE, REPLICATION CLIENT ON *.*',
        ...new Set(reads),
        ...own('SELECT, UPDATE', 'banyan_heartbeat', 'banyan_watermark'),
      ],
    },
    {
      server,
      account: 'banyan_apply',
      why: 'the worker writes the tables that follow the other side, and where it is',
      rights: [
        ...new Set(writes),
        ...[...applierTables].flatMap(([table, verbs]) => own(verbs.join(', '), table)),
        // At the opening it looks who is in the way of the fence row, and ends those sessions.
        serverRights('PROCESS', { mariadb: 'CONNECTION ADMIN', mysql: 'CONNECTION_ADMIN' }),
        lockWaits,
        ...mayAsk,
      ],
    },
    {
      server,
      account: 'banyan_fence',
      // Without REFERENCES it would not be shown the columns.
      why: "the fence's triggers run as it, and what tells of triggers and counters; nobody can log in with it",
      rights: [
        ...own('SELECT, UPDATE', 'banyan_fence'),
        ...own('INSERT', 'banyan_written'),
        ...mayAsk,
        ...fenced,
      ],
    },
    {
      server,
      account: 'banyan_facade',
      why: 'a facade that holds writes reads which side may have them, and how far the streams are',
      rights: own('SELECT', 'banyan_fence', 'banyan_hold', 'banyan_stream'),
    },
    {
      server,
      account: 'banyan_cli',
      why: 'the CLI looks at streams, asks for backfills and verifications, acknowledges stops, changes the owner',
      rights: [
        ...own(
          'SELECT',
          'banyan_stream',
          'banyan_tripwire',
          'banyan_worker',
          'banyan_proven',
          'banyan_heartbeat',
          'banyan_mismatch',
          'banyan_touched',
        ),
        ...own('SELECT, INSERT, UPDATE', 'banyan_backfill', 'banyan_verify'),
        ...own('SELECT, UPDATE', 'banyan_stop', 'banyan_quarantine', 'banyan_fence'),
        ...own(writeRights, 'banyan_hold', 'banyan_writer'),
        ...own('SELECT, DELETE', 'banyan_written'),
        ...own('SELECT, INSERT', 'banyan_retired'),
        // Where a stream goes on from, and on which server, when its source is another one.
        ...own('UPDATE (seq, file, pos, restart, source_server)', 'banyan_stream'),
        ...mayAsk,
        // Who is in the way of a turn, and whether an XA transaction is undecided.
        serverRights('PROCESS', { mysql: 'XA_RECOVER_ADMIN' }),
        lockWaits,
      ],
    },
  ];
}

/** Every account with its rights, from the configuration. */
export function accountGrants(config: BanyanConfig): Grant[] {
  return [
    {
      server: 'control',
      account: 'banyan_facade',
      why: 'the facade reads phases and evidence, says that it is there, and that reads have returned to legacy',
      rights: [
        ...own('SELECT', 'capability', 'evidence', 'read_shift'),
        ...own('SELECT, INSERT', 'read_return'),
        ...own('INSERT', 'audit'),
        ...own(writeRights, 'replica'),
      ],
    },
    {
      server: 'control',
      account: 'banyan_apply',
      why: 'the worker writes down which sessions it has ended',
      rights: own('INSERT', 'audit'),
    },
    {
      server: 'control',
      account: 'banyan_cli',
      why: 'the CLI moves phases, records evidence, appends to the audit',
      rights: [
        ...own('SELECT, INSERT, UPDATE', 'capability', 'evidence', 'change_of_owner', 'read_shift'),
        ...own('SELECT, INSERT', 'audit', 'change_step'),
        ...own('SELECT, DELETE', 'replica'),
        ...own('SELECT', 'schema_version', 'read_return'),
      ],
    },
    ...sideGrants(config, 'legacy'),
    ...sideGrants(config, 'service'),
  ];
}

/** The SQL that makes an account when it is not there, gives it this password, and takes all of its rights. */
export function accountSql(account: Account, password: string, host: string): string[] {
  const secret = password.replaceAll('\\', '\\\\').replaceAll("'", "''");
  const user = userName(account, host);
  return [
    `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${secret}'`,
    `ALTER USER ${user} IDENTIFIED BY '${secret}'`,
    `REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${user}`,
  ];
}

/**
 * The account that the fence's triggers run as, and what looks at triggers as that account. Its rights are added to, never
 * taken: between the two every write of a fenced table would fail.
 */
export function fenceAccountSql(): string[] {
  // Nobody keeps the password, and servers that can lock an account do.
  const secret = randomBytes(24).toString('base64url');
  return [
    `CREATE USER IF NOT EXISTS ${fenceAccount} IDENTIFIED BY '${secret}' /*M!100402 ACCOUNT LOCK */ /*!50706 ACCOUNT LOCK */`,
    ...ownProceduresSql,
  ];
}

export const grantSql = ({ account, rights }: Grant, host: string): string[] =>
  rights.map((right) => `GRANT ${right} TO ${userName(account, host)}`);

const userName = (account: Grantee, host: string) =>
  account === 'banyan_fence' ? fenceAccount : `'${account}'@'${host.replaceAll("'", "''")}'`;

/** A secret from its file; made at random when there is none, the same ever after. */
export function secretIn(folder: string, name: string): string {
  const file = secretFile(folder, name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}
