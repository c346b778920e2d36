// Accounts that could go round a fence: drop its triggers, empty a table, or write past the binlog.
import type { Connection } from 'mysql2/promise';
import type { Side } from '../../capability/capability.ts';
import type { TableUse } from './captured.ts';
import type { Finding } from './finding.ts';
import { isDenied, rowsOf } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

/** Rights on the whole server by which one writes without a trigger or without the binlog. */
const globalPowers: ReadonlySet<string> = new Set([
  'SUPER',
  'BINLOG ADMIN',
  'BINLOG_ADMIN',
  'SYSTEM_VARIABLES_ADMIN',
  'SESSION_VARIABLES_ADMIN',
]);

/** Rights on a table by which one takes triggers away, or rows past them. */
const tablePowers: ReadonlySet<string> = new Set(['TRIGGER', 'DROP', 'ALTER']);

const own = new Set(['banyan_read', 'banyan_apply', 'banyan_cli', 'banyan_facade', 'banyan_fence']);
/** The servers' own, which nobody can use. */
const servers = new Set(['mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema']);

type Power = { readonly account: string; readonly power: string };

const userOf = (account: string) => /^'(.*)'@'[^']*'$/.exec(account)?.[1] ?? account;

/** `shop\_%` of a grant on many schemas. */
function matches(pattern: string, schema: string): boolean {
  const expression = [...pattern.matchAll(/\\(.)|([%_])|([^\\%_]+)/gs)]
    .map(([, escaped, wild, text]) =>
      wild === '%' ? '.*' : wild === '_' ? '.' : RegExp.escape(escaped ?? text ?? ''),
    )
    .join('');
  return new RegExp(`^${expression}$`, 's').test(schema);
}

async function powers(sql: Connection, uses: readonly TableUse[]): Promise<Power[]> {
  const found: Power[] = [];
  const ask = (statement: string) => rowsOf(sql, statement);
  for (const { account, power } of await ask(
    'SELECT GRANTEE AS account, PRIVILEGE_TYPE AS power FROM information_schema.USER_PRIVILEGES',
  ))
    if (globalPowers.has(power) || tablePowers.has(power)) found.push({ account, power });
  const schemas = new Set(uses.map(({ schema }) => schema));
  for (const { account, power, pattern } of await ask(
    'SELECT GRANTEE AS account, PRIVILEGE_TYPE AS power, TABLE_SCHEMA AS pattern FROM information_schema.SCHEMA_PRIVILEGES',
  ))
    for (const schema of schemas)
      if (tablePowers.has(power) && matches(String(pattern), schema))
        found.push({ account, power: `${power} on ${schema}` });
  for (const row of await ask(
    'SELECT GRANTEE AS account, PRIVILEGE_TYPE AS power, TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLE_PRIVILEGES',
  ))
    if (tablePowers.has(row.power) && uses.some(({ schema, table }) => schema === row.s && table === row.t))
      found.push({ account: row.account, power: `${row.power} on ${row.s}.${row.t}` });
  return found;
}

/**
 * One finding an account.
 * @param uses the capabilities' tables on this side, reference tables apart
 * @returns undefined when the account that asks is not shown the accounts of others
 */
export async function accountFindings(
  sql: Connection,
  side: Side,
  uses: readonly TableUse[],
): Promise<Finding[] | undefined> {
  try {
    await rowsOf(sql, 'SELECT 1 FROM mysql.user WHERE FALSE');
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
  const others = (await powers(sql, uses)).filter(({ account }) => {
    const user = userOf(account);
    return !own.has(user) && !servers.has(user);
  });
  return [...Map.groupBy(others, ({ account }) => account)].map(
    ([account, held]): Finding => ({
      code: 'can-bypass',
      severity: 'warn',
      server: serverOf(side),
      object: account,
      what: `the account could go round a fence: it has ${[...new Set(held.map(({ power }) => power))].sort().join(', ')}`,
      remedy:
        'leave these rights to accounts of ops alone, and have nobody use those while an owner changes; REVOKE them from what applications and jobs use',
    }),
  );
}
