// Two private servers, a configuration, the accounts that `banyan install` makes, and workers as processes: what
// the suites of the change stream run on.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { comparePositions } from '../../sync/position.ts';
import { claimFolder } from '../claimed-folder.ts';
import { type Cli, run } from '../story/stack.ts';
import { differences } from './compare.ts';
import { type SideServer, startSide } from './servers.ts';
import { Stopped, until, usualMsMax } from './until.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export type Side = 'legacy' | 'service';
export const otherSide = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

/** The identity tables' capability, and its schema on either side. */
export const things = 'things';
const schemas = { legacy: 'shop', service: 'things' } as const;

export type PairOptions = {
  /** DDL of the identity tables, run on both sides; may be many statements. */
  readonly ddl?: string;
  /** The identity tables' names. */
  readonly tables: readonly string[];
  /** Run on the service's side only, after `ddl`. */
  readonly serviceDdl?: string;
  /** The sample's reviews, through their translators. */
  readonly reviews?: boolean;
  /** Another capability: a module with `translators`, `legacyDdl` and `serviceDdl`. */
  readonly written?: {
    readonly name: string;
    readonly module: string;
    readonly ddl: Readonly<Record<Side, string>>;
  };
  /** What a server does not do by itself: SET GLOBAL … */
  readonly settings?: Readonly<Record<Side, readonly string[]>>;
  /** More words for each worker. */
  readonly workerWords?: readonly string[];
};

export type Fault = { readonly kind: string; readonly text: string };

export type Pair = {
  readonly folder: string;
  readonly legacy: SideServer;
  readonly service: SideServer;
  readonly schema: (side: Side) => string;
  server(side: Side): SideServer;
  /** As root, in the schema of the identity tables. */
  connect(side: Side): Promise<Connection>;
  startWorker(...words: string[]): Promise<WorkerProcess>;
  /** With more in its environment: test/scenarios/mutant.ts. */
  startMutant(env: NodeJS.ProcessEnv): Promise<WorkerProcess>;
  banyan(...words: string[]): Promise<Cli>;
  /** Everything that was written to `source` before the call is on the other side. */
  aligned(source?: Side, msMax?: number): Promise<void>;
  owner(side: Side): Promise<{ owner: Side; epoch: number }>;
  /** Closes the owner by hand, as the close statement does, of every capability; resolves when the streams have
   * opened the other. */
  turn(to: Side, msMax?: number): Promise<void>;
  /** What differs between the identity tables of both sides. */
  compare(tables?: readonly string[]): Promise<string[]>;
  /** The last of what the workers have logged. */
  logs(): string;
  /** Stops, quarantined rows, tripwires, of every stream. */
  faults(): Promise<string[]>;
  seq(source: Side, capability?: string): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

const root = join(import.meta.dirname, '..', '..');

const configText = ({ tables, reviews, written }: PairOptions) => `
import { identity } from ${JSON.stringify(join(root, 'acl', 'identity.ts'))};
import * as rows from ${JSON.stringify(join(root, 'acl', 'reviews', 'rows.ts'))};
${written ? `import { translators } from ${JSON.stringify(written.module)};` : ''}
const capability = (name, tables, references) => ({
  name, team: 'test', service: { upstream: name, database: name }, tables, references,
  routes: [{ method: 'GET', path: '/' + name, kind: 'read', safe: true }],
});
export default {
  upstreams: { legacy: 'http://127.0.0.1:1', ${things}: 'http://127.0.0.1:1', reviews: 'http://127.0.0.1:1', ${written?.name ?? 'none'}: 'http://127.0.0.1:1' },
  legacy: { database: 'shop', manner: { contentType: 'application/json' } },
  capabilities: [
    ${tables.length > 0 ? `capability('${things}', ${JSON.stringify(tables)}.map(identity), []),` : ''}
    ${reviews ? "capability('reviews', [rows.review, rows.photo, rows.recommendation], [rows.member, rows.product])," : ''}
    ${written ? `capability('${written.name}', translators, []),` : ''}
  ],
};
`;

async function makeSchemas(legacy: SideServer, service: SideServer, options: PairOptions): Promise<void> {
  const migration = (folder: string) => {
    const files = readdirSync(join(root, 'migrations', folder)).sort();
    return files.map((file) => readFileSync(join(root, 'migrations', folder, file), 'utf8')).join('\n');
  };
  await legacy.query(
    `CREATE DATABASE ${schemas.legacy}; USE ${schemas.legacy}; ${options.reviews ? migration('legacy') : ''} ${options.ddl ?? ''} ${options.written?.ddl.legacy ?? ''}`,
  );
  await service.query(
    `CREATE DATABASE ${schemas.service}; USE ${schemas.service}; ${options.ddl ?? ''} ${options.serviceDdl ?? ''}`,
  );
  if (options.reviews) await service.query(`CREATE DATABASE reviews; USE reviews; ${migration('reviews')}`);
  if (options.written)
    await service.query(
      `CREATE DATABASE ${options.written.name}; USE ${options.written.name}; ${options.written.ddl.service}`,
    );
  for (const statement of options.settings?.legacy ?? []) await legacy.query(statement);
  for (const statement of options.settings?.service ?? []) await service.query(statement);
}

export async function startPair(options: PairOptions): Promise<Pair> {
  const runFolder = await claimFolder('pair');
  const folder = runFolder.path;
  const [legacy, service] = await Promise.all([
    startSide(folder, 11, runFolder),
    startSide(folder, 12, runFolder),
  ]);
  const config = join(folder, 'banyan.config.ts');
  writeFileSync(config, configText(options));
  await makeSchemas(legacy, service, options);
  const common = ['--folder', folder, '--config', config];
  const direct = ['--legacy-url', legacy.url, '--services-url', service.url];
  const relayed = [
    '--legacy-url',
    `mysql://127.0.0.1:${legacy.relay.port}`,
    '--services-url',
    `mysql://127.0.0.1:${service.relay.port}`,
  ];
  const installed = await run('banyan.ts', ['install', ...common, ...direct]);
  if (installed.code !== 0) throw new Error(`install failed: ${installed.stderr}`);
  const workers: WorkerProcess[] = [];
  const server = (side: Side) => (side === 'legacy' ? legacy : service);
  const fence = async (side: Side) => {
    const [row] = await server(side).query(
      'SELECT owner, epoch FROM banyan.banyan_fence WHERE capability = ?',
      [options.tables.length > 0 ? things : 'reviews'],
    );
    return {
      owner: row?.owner === 'legacy' ? ('legacy' as const) : ('service' as const),
      epoch: Number(row?.epoch),
    };
  };
  const streams = (target: Side) =>
    server(target).query(
      'SELECT capability, source, CAST(seq AS CHAR) AS seq, session_id, gtid, source_owner, source_epoch FROM banyan.banyan_stream WHERE source = ? ORDER BY capability',
      [otherSide(target)],
    );
  const faults = async () => {
    const found: string[] = [];
    for (const side of ['legacy', 'service'] as const) {
      const ask = async (kind: string, sql: string) => {
        for (const row of await server(side).query(sql))
          found.push(`${kind} on ${side}: ${JSON.stringify(row)}`);
      };
      await ask('stop', 'SELECT capability, code, message, acknowledged_by FROM banyan.banyan_stop');
      await ask(
        'quarantine',
        'SELECT capability, table_name, row_key, field, reason FROM banyan.banyan_quarantine',
      );
      await ask('tripwire', 'SELECT capability, what, seen FROM banyan.banyan_tripwire');
    }
    return found;
  };
  const logs = () => workers.map((each) => each.log().slice(-4_000)).join('\n---\n');
  const explain = async () => {
    const said = await Promise.all(
      (['legacy', 'service'] as const).map(async (side) =>
        JSON.stringify([
          side,
          await streams(side),
          await server(side).query('SELECT @@gtid_binlog_pos AS end'),
          await server(side).query(
            "SELECT ID, USER, COMMAND, TIME, STATE, LEFT(INFO, 100) AS info FROM information_schema.PROCESSLIST WHERE USER LIKE 'banyan%'",
          ),
        ]),
      ),
    ).catch(String);
    return `${String(said)}\n${(await faults().catch(String)).toString()}\n${logs()}`;
  };
  const startWorker = async (env: NodeJS.ProcessEnv, ...words: string[]) => {
    const worker = await startWorkerProcess(
      [...common, ...relayed, '--heartbeat-ms', '50', ...(options.workerWords ?? []), ...words],
      runFolder,
      env,
    );
    workers.push(worker);
    return worker;
  };
  const pair: Pair = {
    folder,
    legacy,
    service,
    server,
    schema: (side) => schemas[side],
    connect: (side) => server(side).connect(schemas[side]),
    startWorker: (...words) => startWorker({}, ...words),
    startMutant: (env) => startWorker(env),
    banyan: (...words) => {
      const takesServers = !words.includes('--legacy-url');
      const plain = [
        '--legacy-url',
        `mysql://${new URL(legacy.url).host}`,
        '--services-url',
        `mysql://${new URL(service.url).host}`,
      ];
      return run('banyan.ts', [...words, ...common, ...(takesServers ? plain : [])]);
    },
    aligned: async (source, msMax = usualMsMax) => {
      for (const side of source ? [source] : (['legacy', 'service'] as const)) {
        const [end] = await until('the end of the binlog', () =>
          server(side).query('SELECT @@gtid_binlog_pos AS gtid'),
        );
        const gtid = String(end?.gtid);
        await until(
          `the stream from ${side} at ${gtid}`,
          async () => {
            const rows = await streams(otherSide(side));
            const stops = await server(otherSide(side)).query(
              'SELECT message FROM banyan.banyan_stop WHERE acknowledged_by IS NULL',
            );
            if (stops.length > 0)
              throw new Stopped(`the stream from ${side} has stopped: ${String(stops[0]?.message)}`);
            return rows.every((row: RowDataPacket) => {
              const order = comparePositions(
                { gtid: String(row.gtid), at: undefined },
                { gtid, at: undefined },
              );
              return order === 'equal' || order === 'after';
            });
          },
          { msMax, explain },
        );
      }
    },
    owner: fence,
    turn: async (to, msMax = usualMsMax) => {
      const from = otherSide(to);
      const { owner, epoch } = await fence(from);
      if (owner !== from) throw new Error(`${from} does not own`);
      await server(from).query(
        'UPDATE banyan.banyan_fence SET turn_id = ?, turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) + 5 WHERE owner = ? AND epoch = ?',
        [epoch * 100, from, epoch],
      );
      await server(from).query(
        'UPDATE banyan.banyan_fence SET owner = ?, epoch = epoch + 1, turn_id = NULL, turn_deadline = NULL WHERE owner = ? AND epoch = ? AND turn_id = ?',
        [to, from, epoch, epoch * 100],
      );
      await until(
        `${to} opened at epoch ${epoch + 1}`,
        async () => {
          // Each capability's stream opens its own; a write before that is a bypass.
          const opened = await server(to).query('SELECT owner, epoch FROM banyan.banyan_fence');
          return opened.every((row) => row.owner === to && Number(row.epoch) === epoch + 1);
        },
        { msMax, explain },
      );
    },
    compare: (tables = options.tables) =>
      differences(
        { server: legacy, schema: schemas.legacy },
        { server: service, schema: schemas.service },
        tables,
      ),
    logs,
    faults,
    seq: async (source, capability = things) => {
      const rows = await streams(otherSide(source));
      return Number(rows.find((row) => row.capability === capability)?.seq);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        workers
          .filter((worker) => worker.isAlive())
          .map(async (worker) => {
            worker.signal('SIGCONT');
            await worker.kill();
          }),
      );
      await Promise.all([legacy[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return pair;
}
