// What scenarios of the worker alone are played on: two servers with one table on either side, no fence, no facade, and workers that
// are stopped at a statement, succeeded, and let go on.
import type { Held, Relay } from '../relay.ts';
import { otherSide, type Pair, type Side, startPair, things } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import type { Mutation } from './mutant.ts';

/** A worker whose session nobody ends, neither its successor nor the server: what then still keeps it from harm is elsewhere. */
export const sessionsLiveOn: readonly Mutation[] = [
  {
    file: 'sync/frame.ts',
    replace: "for (const { session_id } of rows) await sql.query('KILL ?', [Number(session_id)])",
    by: "for (const { session_id } of rows) await sql.query('DO ?', [Number(session_id)])",
  },
  { file: 'sync/frame.ts', replace: 'wait_timeout = 5, innodb', by: 'wait_timeout = 600, innodb' },
];

/** A worker that goes on when another one holds its lease. */
export const withoutLease: Mutation = {
  file: 'sync/worker.ts',
  replace: 'if (!(await takeLease(sql, capability.name, holder)))',
  by: 'if (!(await takeLease(sql, capability.name, holder)) && renewMs < 0)',
};

export const withoutCompareAndSet: Mutation = {
  file: 'sync/frame.ts',
  replace: ' AND seq = ?; ',
  by: ' AND ? IS NOT NULL; ',
};

export const withoutLook: Mutation = {
  file: 'sync/frame.ts',
  replace: 'if (sideOf(row?.owner) !== source || bigintOf(row?.epoch) !== epoch)',
  by: 'if (epoch === -1n && row && source)',
};

export type WorkerStage = {
  readonly pair: Pair;
  nextId(): number;
  write(side: Side, sql: string): Promise<void>;
  /** What a row reads on a side; undefined: it is not there. */
  value(side: Side, id: number): Promise<string | undefined>;
  reads(side: Side, id: number, value: string, msMax?: number): Promise<void>;
  /** Nobody has to wait until the lease of a dead worker is over. */
  endLease(): Promise<void>;
  /** What was applied is proven: nothing is sent to the target unasked. */
  quiet(worker: WorkerProcess): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Each write of a row on the service's side is counted there, in `written`, and what it wrote stands in `wrote`. */
export async function startWorkerStage(): Promise<WorkerStage> {
  const counting = (event: 'INSERT' | 'UPDATE') =>
    `CREATE TRIGGER count_${event} AFTER ${event} ON thing FOR EACH ROW
       BEGIN
         INSERT INTO written VALUES (NEW.id, 1) ON DUPLICATE KEY UPDATE n = n + 1;
         INSERT INTO wrote (id, v) VALUES (NEW.id, NEW.v);
       END;`;
  const pair = await startPair({
    tables: ['thing'],
    ddl: 'CREATE TABLE thing (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL);',
    serviceDdl: `CREATE TABLE written (id INT PRIMARY KEY, n INT NOT NULL);
      CREATE TABLE wrote (at INT AUTO_INCREMENT PRIMARY KEY, id INT NOT NULL, v VARCHAR(40) NOT NULL);
      ${counting('INSERT')} ${counting('UPDATE')}`,
  });
  let ids = 0;
  const stage: WorkerStage = {
    pair,
    nextId: () => ++ids,
    async write(side, sql) {
      await pair.server(side).query(`USE ${pair.schema(side)}; ${sql}`);
    },
    async value(side, id) {
      const [row] = await pair
        .server(side)
        .query(`SELECT v FROM ${pair.schema(side)}.thing WHERE id = ?`, [id]);
      return row && String(row.v);
    },
    async reads(side, id, value, msMax = 20_000) {
      await until(
        `row ${id} to read "${value}" on ${side}`,
        async () => (await stage.value(side, id)) === value,
        {
          msMax,
          explain: async () => `${await stage.value(side, id)}; ${pair.logs()}`,
        },
      );
    },
    async endLease() {
      await pair.service.query('DELETE FROM banyan.banyan_worker WHERE capability = ?', [things]);
    },
    async quiet(worker) {
      await pair.aligned();
      await until(
        'what was applied to be proven',
        async () => {
          const streams = await worker.status();
          return streams.length === 2 && streams.every(({ unproven }) => unproven === 0);
        },
        { explain: async () => `${JSON.stringify(await worker.status())}; ${pair.logs()}` },
      );
    },
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
  return stage;
}

/** The owner is `to` afterwards, whoever it was. */
export async function ownedBy(pair: Pair, to: Side): Promise<void> {
  if ((await pair.owner(to)).owner === otherSide(to)) await pair.turn(to);
}

/** A mark is met as one that was applied, whoever owns. */
export const withoutMode: Mutation = {
  file: 'sync/stream.ts',
  replace: "if (this.#mode !== 'apply') return companion?.missed?.(row.mark);",
  by: '',
};

/** The nth mark that is written to the source from now on stays on its way. */
export function holdMark(relay: Relay, nth: number): Held {
  const sprung = Promise.withResolvers<void>();
  let release = () => {};
  const next = (left: number) => {
    const held = relay.holdAtPart('banyan_watermark SET mark', () => {
      if (left > 1) {
        next(left - 1);
        held.release();
        return;
      }
      release = held.release;
      sprung.resolve();
    });
  };
  next(nth);
  return { sprung: sprung.promise, release: () => release() };
}
