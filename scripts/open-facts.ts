// What is known of a side that closed and is lost: what answers at its address, what its stream has met, what the journal has.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { readChange } from '../capability/change-store.ts';
import { readFence } from '../capability/fence.ts';
import { CommandError, connectAs, type ServerValues, serverUrl } from './command.ts';
import { type Closed, closedBy, type OpenFacts } from './open-proofs.ts';

const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');

const answerMsMax = 2_000;
/** A server that is only being started again is not there for some seconds; the worker saves where it is each second. */
const watchMs = 3_000;
const looks = 3;

const sides = ['legacy', 'service'] as const;
const databaseServer = 'a database server';

/** @returns what answered; undefined: nothing did. @throws CommandError for a name that nobody knows */
async function answerAt({ hostname, port }: URL): Promise<string | undefined> {
  const socket = connect({ host: hostname, port: Number(port || 3306) });
  const tooLong = AbortSignal.timeout(answerMsMax);
  try {
    await once(socket, 'connect', { signal: tooLong });
    const [greeting] = await once(socket, 'data', { signal: tooLong }).catch(() => []);
    return greeting
      ? 'a database server'
      : 'something listens there, which may be a proxy or a paused server';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      throw new CommandError(
        `the name ${hostname} is not known here, which says nothing of the server: give its address as the worker has it`,
        { cause: error },
      );
    return undefined;
  } finally {
    socket.destroy();
  }
}

type Met = OpenFacts['met'] & { readonly progress: string };

/** What the stream from X has met, by Y's word. */
export async function readMet(sql: Connection, name: string, source: Side): Promise<Met> {
  const [[row]] = await sql.query<RowDataPacket[]>(
    `SELECT source_owner, CAST(source_epoch AS CHAR) AS epoch, CAST(source_turn AS CHAR) AS turn,
       CONCAT_WS(' ', seq, gtid, source_time) AS progress
     FROM banyan.banyan_stream WHERE capability = ? AND source = ?`,
    [name, source],
  );
  if (!row) throw new CommandError(`there is no stream of ${name} from ${source}: run "banyan install"`);
  return {
    owner: row.source_owner === 'legacy' || row.source_owner === 'service' ? row.source_owner : null,
    epoch: row.epoch === null ? null : BigInt(row.epoch),
    turn: row.turn === null ? null : BigInt(row.turn),
    progress: String(row.progress),
  };
}

export type Proven = { readonly closed: Closed | undefined; readonly notClosed: string };

/** What the control store's journal has of the close. */
export async function readJournal(
  control: Connection,
  name: string,
  from: Side,
  epoch: bigint,
): Promise<Proven> {
  const newest = await readChange(control, name);
  if (!newest || newest.from !== from || newest.epoch !== epoch)
    return {
      closed: undefined,
      notClosed: `the newest change of ${name} in the control store is ${newest ? `${newest.id}, to ${newest.to} from epoch ${newest.epoch}` : 'none'}`,
    };
  const [steps] = await control.query<RowDataPacket[]>(
    'SELECT step, detail FROM banyan.change_step WHERE change_id = ? ORDER BY id',
    [newest.id.toString()],
  );
  return {
    closed: closedBy(
      newest,
      steps.map(({ step, detail }) => ({ step: String(step), detail: String(detail) })),
    ),
    notClosed: `the journal of change ${newest.id} has no close that answered 1 row`,
  };
}

/** The side that is said to be lost, and what answers there all the same. */
export async function lostSide(
  values: ServerValues,
  name: string,
): Promise<{ from: Side; answer: string | undefined }> {
  const at = async (side: Side) => answerAt(serverUrl(serverOf(side), values));
  const answers = { legacy: await at('legacy'), service: await at('service') };
  const silent = sides.filter((side) => answers[side] !== databaseServer);
  const [from] = silent;
  if (silent.length > 1) throw new CommandError('neither server answers: nothing can be opened');
  if (from) return { from, answer: answers[from] };
  // Both live, so nothing will be opened; which of them is meant decides only what is said.
  const sql = await connectAs('services', 'banyan_cli', values);
  try {
    const fence = await readFence(sql, name, 'none');
    return { from: fence?.owner === 'service' ? 'service' : 'legacy', answer: databaseServer };
  } finally {
    sql.destroy();
  }
}

/** Looks several times, as long as nothing answers; once where there is no proof anyway. */
export async function watch(
  sql: Connection,
  name: string,
  from: Side,
  closed: Closed | undefined,
  values: ServerValues,
): Promise<Pick<OpenFacts, 'answer' | 'hasMoved' | 'met' | 'watchedMs'>> {
  const start = performance.now();
  const before = await readMet(sql, name, from);
  for (let look = 1; ; look++) {
    await delay(watchMs / looks);
    const answer = await answerAt(serverUrl(serverOf(from), values));
    const met = await readMet(sql, name, from);
    const hasMoved = met.progress !== before.progress;
    const isProven = closed !== undefined && closed.turn === met.turn;
    if (answer !== undefined || hasMoved || !isProven || look === looks)
      return { answer, hasMoved, met, watchedMs: Math.round(performance.now() - start) };
  }
}
