// Applications that write to the legacy server, each on a connection of its own, and tell the ledger what they were told.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { type Crew, startCrew, type Writer } from '../test/sync/crew.ts';
import type { Chance } from '../test/sync/seed.ts';
import { Stopped, until } from '../test/sync/until.ts';
import type { Ledger } from './ledger.ts';
import { type Operation, operations, writers } from './operations.ts';
import type { Outages } from './outages.ts';
import type { Sides } from './sides.ts';

export type Writers = Crew & {
  /** Errors that no fault explains. */
  readonly errors: readonly string[];
  /** Resolves after so many more acknowledged writes. @throws when they do not come, or a writer has met an error */
  more(count: number): Promise<void>;
};

type Attempt =
  | { readonly outcome: 'acknowledged' }
  | { readonly outcome: 'undecided' | 'undone'; readonly error: unknown };

// An application thinks, too: the load is a mix, not a race with the stream.
const thinkMs = 12;
const moreMsMax = 60_000;
const serverMsMax = 60_000;

/** What a client sees when its server goes away, or is not back yet. */
const lostConnection: ReadonlySet<string> = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ER_SERVER_SHUTDOWN',
]);

/** The driver's word for a connection whose end it has heard: the statement was not sent. */
const isClosed = (error: unknown) => error instanceof Error && /closed state/.test(error.message);
export const isLost = (error: unknown) =>
  isClosed(error) || (error instanceof Error && 'code' in error && lostConnection.has(String(error.code)));

async function attempt(sql: Connection, { statements }: Operation): Promise<Attempt> {
  let left = statements.length;
  try {
    for (const statement of statements) {
      left--;
      await sql.query(statement);
    }
    return { outcome: 'acknowledged' };
  } catch (error) {
    // Before its last statement was sent a transaction cannot have been committed.
    return { outcome: left === 0 && isLost(error) && !isClosed(error) ? 'undecided' : 'undone', error };
  }
}

async function connect(sides: Sides): Promise<Connection> {
  const sql = await sides.legacy.connect('shop');
  // As most applications on busy tables: no gaps are locked, so nobody's row is in anybody's way.
  await sql.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
  return sql;
}

export function startWriters(sides: Sides, chance: Chance, ledger: Ledger, outages: Outages): Writers {
  const errors: string[] = [];
  const mayGoOn = () => {
    if (errors.length > 0) throw new Stopped(`a writer has met an error: ${errors[0]}`);
  };
  const hire = (writer: number, isOff: () => boolean): Writer => {
    const hand = operations(chance.fork(`writer ${writer}`), writer);
    let sql: Connection | undefined;
    const write = async () => {
      if (!sql) {
        const reached = await until<Connection | 'off'>(
          'the legacy server',
          () => (isOff() ? 'off' : connect(sides)),
          { msMax: serverMsMax },
        );
        if (reached === 'off') return;
        sql = reached;
      }
      const operation = hand.next();
      const since = performance.now();
      const attempted = await attempt(sql, operation);
      hand.settle(operation, attempted.outcome);
      if (attempted.outcome === 'acknowledged') ledger.acknowledge(operation.effects);
      else {
        if (attempted.outcome === 'undecided') ledger.leaveOpen(operation.effects);
        if (!isLost(attempted.error) || !outages.explains('legacy', since))
          errors.push(`${String(attempted.error)}: ${operation.statements.join('; ').slice(0, 300)}`);
        sql.destroy();
        sql = undefined;
      }
      await delay(thinkMs);
    };
    return {
      async turn() {
        try {
          await write();
          return true;
        } catch (error) {
          errors.push(`writer ${writer} has ended: ${String(error)}`);
          return false;
        }
      },
      close: () => sql?.destroy(),
    };
  };
  const { pause, resume, stop } = startCrew(writers, hire, mayGoOn, moreMsMax);
  return {
    errors,
    more: async (count) => {
      const goal = ledger.acknowledged + count;
      const isDone = () => {
        mayGoOn();
        return ledger.acknowledged >= goal;
      };
      await until(`${count} acknowledged writes more`, isDone, { msMax: moreMsMax });
    },
    pause,
    resume,
    stop,
  };
}
