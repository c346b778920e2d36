// One statement that proves a right, and what the server's no to it means.
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import type { Side } from '../../capability/capability.ts';
import type { Finding } from './finding.ts';
import { codeOf, isDenied } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

export type Account = 'banyan_read' | 'banyan_apply';

const grantRemedy =
  'run "banyan install" again, or have a DBA run what "banyan doctor --grants" prints for this account';

export const missing = (
  side: Side,
  account: Account,
  right: string,
  said: string,
  capability?: string,
): Finding => ({
  code: 'privilege-missing',
  severity: 'refuse',
  server: serverOf(side),
  ...(capability === undefined ? {} : { capability }),
  object: `${account}: ${right}`,
  what: `the server refuses it: ${said}`,
  remedy: grantRemedy,
});

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** What other findings say already: a table or column that is not there or not given, a server that takes no writes. */
const known =
  /^ER_(NO_SUCH_TABLE|BAD_FIELD_ERROR|BAD_DB_ERROR|OPTION_PREVENTS_STATEMENT|VIEW_INVALID|NO_DEFAULT_FOR_FIELD)$/;
const absent = /^ER_(NO_SUCH_TABLE|BAD_DB_ERROR)$/;

/** Locks that somebody else has, also a running worker: no want of rights. */
const busy = /^ER_(LOCK_WAIT_TIMEOUT|LOCK_DEADLOCK|CHECKREAD)$/;

export type Attempt = {
  readonly right: string;
  readonly sql: string;
  /** Whose table it is; Banyan's own have none. */
  readonly capability?: string;
};

const notInstalled = (side: Side, object: string, what: string): Finding => ({
  code: 'not-installed',
  severity: 'refuse',
  server: serverOf(side),
  object,
  what,
  remedy: 'run "banyan install"',
});

/** What the server's no to a statement means. */
function refusalFindings(
  error: unknown,
  side: Side,
  account: Account,
  { right, capability }: Attempt,
): Finding[] {
  if (isDenied(error)) return [missing(side, account, right, messageOf(error), capability)];
  if (capability === undefined && absent.test(codeOf(error)))
    return [notInstalled(side, right.replace(/^.* ON /, ''), messageOf(error))];
  if (known.test(codeOf(error)) || busy.test(codeOf(error))) return [];
  return [
    {
      ...missing(side, account, right, messageOf(error), capability),
      code: 'write-refused',
      remedy: 'let the server take this statement from this account: the worker writes so',
    },
  ];
}

/** @returns the finding, if the server says no */
export async function attempt(
  sql: Connection,
  side: Side,
  account: Account,
  what: Attempt,
): Promise<Finding[]> {
  try {
    await sql.query(what.sql);
    return [];
  } catch (error) {
    return refusalFindings(error, side, account, what);
  }
}

/** One real write, of a capability's row, in a transaction that is rolled back. */
export async function realWrite(
  sql: Connection,
  side: Side,
  account: Account,
  what: Attempt,
  capability: string,
): Promise<Finding[]> {
  await sql.query('START TRANSACTION');
  try {
    const [done] = await sql.query<ResultSetHeader>(what.sql, [capability]);
    if (done.affectedRows > 0) return [];
    const table = what.right.replace(/^.* ON /, '');
    const none = `${table} has no row of ${capability}: its streams have no beginning`;
    return [{ ...notInstalled(side, table, none), capability }];
  } catch (error) {
    return refusalFindings(error, side, account, what);
  } finally {
    await sql.query('ROLLBACK');
  }
}
