// Looks at everything that lives long, again and again: what Linux says of the processes, what the database servers say of their
// connections and of Banyan's tables, and what the worker says of its streams.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { controlSchema } from '../capability/control-store.ts';
import type { House } from './house.ts';
import { keptBy } from './kept-memory.ts';
import { type Usage, usageOf } from './process-usage.ts';
import type { Side } from './sides.ts';
import type { Kind, Series } from './soak-figures.ts';

export type Sampling = {
  readonly series: () => readonly Series[];
  /** At whom nobody got a look, of all looks: who is down for a moment is not seen. */
  readonly missed: () => ReadonlyMap<string, { readonly missed: number; readonly looks: number }>;
  /** How many processes there have been of each name. */
  readonly lives: () => ReadonlyMap<string, number>;
  /** One more, out of turn. */
  look(): Promise<void>;
  stop(): Promise<void>;
};

const everyMs = 10_000;
const answerMsMax = 5_000;
/** By the names under which the stack starts them. */
const parts = ['facade', 'facade-2', 'monolith', 'reviews', 'wishlist', 'worker'];
const servers = [
  { side: 'legacy', name: 'legacy database', folder: 'server-11' },
  { side: 'service', name: 'services database', folder: 'server-12' },
] as const;
/** What has happened is kept there. */
const keeping: readonly string[] = ['audit', 'change_step', 'evidence'];
/** The worker adds them up now and then. */
const gathering: readonly string[] = ['banyan_written'];
const kindOf = (table: string): Kind =>
  keeping.includes(table) ? 'rowsKept' : gathering.includes(table) ? 'rowsGathered' : 'rows';

type Seen = { readonly called: string; readonly usage: Usage | undefined };

function pidIn(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined;
  } catch {
    return undefined; // it is starting
  }
}

const rowsOf = async (sql: Connection, statement: string) => (await sql.query<RowDataPacket[]>(statement))[0];

/** The control store's, too. @returns rows by table */
async function countRows(sql: Connection): Promise<ReadonlyMap<string, number>> {
  const tables = await rowsOf(
    sql,
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = '${controlSchema}' AND table_type = 'BASE TABLE' ORDER BY 1`,
  );
  const counts = await rowsOf(
    sql,
    tables
      .map(({ name }) => `SELECT '${name}' AS name, COUNT(*) AS n FROM ${controlSchema}.\`${name}\``)
      .join(' UNION ALL '),
  );
  return new Map(counts.map(({ name, n }) => [String(name), Number(n)]));
}

async function pagesMiB(sql: Connection): Promise<number> {
  const [row] = await rowsOf(sql, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_bytes_data'");
  return Number(row?.Value) / 2 ** 20;
}

/** Ours is not counted. @returns connections by account */
async function countConnections(sql: Connection): Promise<ReadonlyMap<string, number>> {
  const rows = await rowsOf(
    sql,
    `SELECT user, COUNT(*) AS n FROM information_schema.processlist
     WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'unauthenticated user') GROUP BY user`,
  );
  return new Map(rows.map(({ user, n }) => [String(user), Number(n)]));
}

type StreamsSaid = {
  readonly streams: readonly { readonly lagMs: number | null; readonly unproven: number }[];
};

class Looks {
  readonly #house: House;
  readonly #runFolder: string;
  readonly #keptFolder: string;
  readonly #series = new Map<string, Series & { readonly values: number[] }>();
  /** The newest process of each name, and how many there have been. */
  readonly #lives = new Map<string, { readonly pid: number; readonly number: number }>();
  readonly missed = new Map<string, { missed: number; looks: number }>();

  constructor(house: House, runFolder: string, keptFolder: string) {
    this.#house = house;
    this.#runFolder = runFolder;
    this.#keptFolder = keptFolder;
  }

  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  get lives(): ReadonlyMap<string, number> {
    return new Map([...this.#lives].map(([name, { number }]) => [name, number]));
  }

  async look(): Promise<void> {
    for (const name of parts) {
      const pid = this.#house.stack.pidOf(name);
      const { called, usage } = this.#lookAt(name, pid);
      if (pid === undefined || !usage) continue;
      this.#note(called, 'RSS MiB', 'rssMiB', usage.rssMiB);
      const kept = keptBy(pid, this.#keptFolder);
      if (kept !== undefined) this.#note(called, 'MiB kept after a collection', 'keptMiB', kept);
    }
    for (const { side, name, folder } of servers) {
      const seen = this.#lookAt(name, pidIn(join(this.#runFolder, folder, 'server.pid')));
      await this.#attempt(`${name}'s word`, () => this.#ask(side, name, seen));
    }
    await this.#attempt("the worker's status", () => this.#askWorker());
  }

  #note(process: string, figure: string, kind: Kind, value: number): void {
    const key = `${process}: ${figure}`;
    const found = this.#series.get(key);
    if (found) found.values.push(value);
    else this.#series.set(key, { process, figure, kind, values: [value] });
  }

  /** @returns what this life of it is called, and what it uses if it lives */
  #lookAt(name: string, pid: number | undefined): Seen {
    const usage = pid === undefined ? undefined : usageOf(pid);
    const known = this.#lives.get(name);
    const isNew = pid !== undefined && usage !== undefined && known?.pid !== pid;
    const life = isNew ? { pid, number: (known?.number ?? 0) + 1 } : known;
    if (life) this.#lives.set(name, life);
    const called = life && life.number > 1 ? `${name} #${life.number}` : name;
    this.#count(name, usage !== undefined);
    if (usage) {
      this.#note(called, 'descriptors', 'descriptors', usage.descriptors);
      this.#note(called, 'TCP connections', 'sockets', usage.sockets);
      this.#note(called, 'threads', 'threads', usage.threads);
    }
    return { called, usage };
  }

  #count(what: string, isSeen: boolean): void {
    const { missed, looks } = this.missed.get(what) ?? { missed: 0, looks: 0 };
    this.missed.set(what, { missed: missed + (isSeen ? 0 : 1), looks: looks + 1 });
  }

  /** Whoever is down does not answer: that is counted, and looked at in the end. */
  async #attempt(what: string, ask: () => Promise<void>): Promise<void> {
    await ask().then(
      () => this.#count(what, true),
      () => this.#count(what, false),
    );
  }

  async #ask(side: Side, name: string, { called, usage }: Seen): Promise<void> {
    const sql = await this.#house.servers[side].connect();
    try {
      // The more rows there are, the more pages: up to what its settings allow.
      if (usage)
        this.#note(called, 'RSS MiB beside its pages', 'serverRssMiB', usage.rssMiB - (await pagesMiB(sql)));
      const connections = await countConnections(sql);
      for (const [user, count] of connections)
        this.#note(called, `connections of ${user}`, 'connections', count);
      for (const [table, count] of await countRows(sql))
        this.#note(name, `rows of ${table}`, kindOf(table), count);
    } finally {
      sql.destroy();
    }
  }

  async #askWorker(): Promise<void> {
    const answer = await fetch(`${this.#house.stack.worker}/api/status`, {
      signal: AbortSignal.timeout(answerMsMax),
    });
    const { streams }: StreamsSaid = JSON.parse(await answer.text());
    const lags = streams.flatMap(({ lagMs }) => (lagMs === null ? [] : [lagMs]));
    if (lags.length > 0) this.#note('streams', 'lag ms, of the slowest', 'lagMs', Math.max(...lags));
    this.#note(
      'streams',
      'changes not proven',
      'unproven',
      streams.reduce((sum, { unproven }) => sum + unproven, 0),
    );
  }
}

/**
 * @param runFolder where the servers' folders are
 * @param keptFolder where the processes say what they keep
 */
export function startSampling(house: House, runFolder: string, keptFolder: string): Sampling {
  const looks = new Looks(house, runFolder, keptFolder);
  const over = new AbortController();
  const run = async () => {
    for (let dueAt = performance.now(); !over.signal.aborted; ) {
      await looks.look();
      dueAt += everyMs;
      await delay(Math.max(0, dueAt - performance.now()), undefined, { signal: over.signal }).catch(
        () => undefined,
      );
    }
  };
  const running = run();
  running.catch(() => undefined); // `stop` says it
  return {
    series: () => looks.series,
    missed: () => looks.missed,
    lives: () => looks.lives,
    look: () => looks.look(),
    stop: async () => {
      over.abort();
      await running;
    },
  };
}
