// What commands share that ask the worker for something and follow it: the tables, and what may stand in the way.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { Capability } from '../capability/capability.ts';
import { goesOnBy } from '../sync/stops.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import { CommandError, type Output } from './command.ts';

/** `12,345` */
export const number = (value: number) => value.toLocaleString('en-US');

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
    "SELECT code, message FROM banyan.banyan_stop WHERE capability IN (?) AND source = 'legacy' AND acknowledged_by IS NULL",
    [[name, referencesOf(name)]],
  );
  if (stops[0])
    return `the stream has stopped: ${String(stops[0].message)} (then: ${goesOnBy(String(stops[0].code), name, 'legacy')})`;
  const [workers] = await sql.query<RowDataPacket[]>(
    'SELECT 1 FROM banyan.banyan_worker WHERE capability = ? AND lease_until >= UNIX_TIMESTAMP(SYSDATE(6))',
    [name],
  );
  return workers.length === 0 ? 'no worker is running: start one with "banyan worker"' : undefined;
}

const pollMs = 200;
const workerMsMax = 15_000;

/** How far the worker is with what it was asked for. */
export type Progress<Table> = {
  readonly tables: readonly Table[];
  /** The table that it is at. */
  readonly current: string | undefined;
  readonly done: number;
  readonly total: number;
  readonly isTotalAbout: boolean;
  readonly isComplete: boolean;
};

function lineOf(progress: Progress<unknown>, seconds: number, doneAtStart: number): string {
  const { current, done, total, isTotalAbout, isComplete } = progress;
  const rate = (done - doneAtStart) / Math.max(0.001, seconds);
  const left = rate > 0 ? Math.ceil(Math.max(0, total - done) / rate) : '?';
  return `${current ?? (isComplete ? 'complete' : 'waiting')}: ${number(done)} of ${isTotalAbout ? 'about ' : ''}${number(total)} rows, ${number(Math.round(rate))} rows/s, ${left} s left`;
}

/**
 * Follows the worker until all is complete.
 * @param sql to the services' server
 * @throws CommandError when nothing can move
 */
export async function follow<Table>(
  sql: Connection,
  capability: Capability,
  output: Output,
  look: () => Promise<Progress<Table>>,
): Promise<readonly Table[]> {
  const start = performance.now();
  let doneAtStart: number | undefined;
  let obstacleSince: number | undefined;
  for (;;) {
    const progress = await look();
    doneAtStart ??= progress.done;
    const { tables, isComplete } = progress;
    if (!output.json)
      output.progress(lineOf(progress, (performance.now() - start) / 1000, doneAtStart), isComplete);
    if (isComplete) return tables;
    const reason = await obstacle(sql, capability);
    obstacleSince = reason ? (obstacleSince ?? performance.now()) : undefined;
    if (reason && (reason.startsWith('the stream') || performance.now() - (obstacleSince ?? 0) > workerMsMax))
      throw new CommandError(reason);
    await delay(pollMs);
  }
}
