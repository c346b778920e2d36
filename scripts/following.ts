// What commands share that ask the worker for something and follow it: the tables, and what may stand in the way.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { Capability } from '../capability/capability.ts';
import { referencesOf } from '../sync/worker.ts';

/** The legacy tables of a capability, by the stream that carries them. */
export function tablesOf({
  name,
  tables,
  references,
}: Capability): { readonly stream: string; readonly table: string }[] {
  return [
    ...references.map(({ source }) => ({ stream: referencesOf(name), table: source.table })),
    ...tables.map((each) => ({ stream: name, table: isIdentity(each) ? each.identity : each.source.table })),
  ];
}

/** Why nothing moves, if nothing can: no worker, a stopped stream. @param sql to the services' server */
export async function obstacle(sql: Connection, { name }: Capability): Promise<string | undefined> {
  const [stops] = await sql.query<RowDataPacket[]>(
    "SELECT message FROM banyan.banyan_stop WHERE capability IN (?) AND source = 'legacy' AND acknowledged_by IS NULL",
    [[name, referencesOf(name)]],
  );
  if (stops[0])
    return `the stream has stopped: ${String(stops[0].message)} (then: banyan worker --acknowledge ${name})`;
  const [workers] = await sql.query<RowDataPacket[]>(
    'SELECT 1 FROM banyan.banyan_worker WHERE capability = ? AND lease_until >= UNIX_TIMESTAMP(SYSDATE(6))',
    [name],
  );
  return workers.length === 0 ? 'no worker is running: start one with "banyan worker"' : undefined;
}
