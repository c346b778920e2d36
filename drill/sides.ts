// The sample's databases on two private servers, each behind a relay; the accounts that `banyan install` makes, and the
// commands as users run them. Workers reach the servers through the relays, everybody else directly.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunFolder } from '../scripts/run-folder.ts';
import { comparePositions } from '../sync/position.ts';
import { type Cli, run } from '../test/story/stack.ts';
import { type SideServer, startSide } from '../test/sync/servers.ts';
import { Stopped, until } from '../test/sync/until.ts';
import { startWorkerProcess, type WorkerProcess } from '../test/sync/worker-process.ts';
import { installJournal } from './journal.ts';
import { baseReviews, baseWishes, wishMembers, writers } from './operations.ts';

export type Side = 'legacy' | 'service';
export const otherSide = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');
export const capabilities = ['reviews', 'wishlist'];

export type Sides = {
  readonly legacy: SideServer;
  readonly service: SideServer;
  server(side: Side): SideServer;
  startWorker(): Promise<WorkerProcess>;
  /** Runs a command to its end; it prints one JSON object. */
  banyan(...words: string[]): Promise<Cli>;
  aligned(): Promise<void>;
  trouble(): Promise<string[]>;
  /** What the workers have logged, each of them. */
  workerLogs(): readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
};

const root = join(import.meta.dirname, '..');
const alignedMsMax = 60_000;

const migrations = (folder: string) =>
  readdirSync(join(root, 'migrations', folder))
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => readFileSync(join(root, 'migrations', folder, file), 'utf8'))
    .join('\n');

/** What the monolith has before anybody thinks of moving it: what the streams never see, and backfills must bring. */
const baseRows = `
INSERT INTO TB_MBR (MBR_ID, MBR_PW, MBR_NM, RGST_DTM) VALUES ${wishMembers.map((name) => `('${name}', '', 'base', '20240101000000')`).join()};
INSERT INTO TB_PRD (PRD_NO, PRD_NM, PRC, RGST_DTM) SELECT seq, 'base', seq * 100.5, '20240101000000' FROM seq_1_to_30;
INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, DSP_YN, RGST_DTM)
  SELECT seq * 10, 1 + seq % 30, CONCAT('old', seq % 97), LPAD(1 + seq % 10, 2, '0'), CONCAT('base ', REPEAT('정말 좋은 상품입니다. ', seq % 5), '&#128512;'), IF(seq % 50, 'Y', 'N'),
    DATE_FORMAT('2020-01-01' + INTERVAL seq HOUR, '%Y%m%d%H%i%S') FROM seq_1_to_${baseReviews};
INSERT INTO TB_RVW_IMG SELECT seq * 30, 1, CONCAT('old-', seq, '.jpg') FROM seq_1_to_${Math.floor(baseReviews / 3)};
INSERT INTO TB_RVW_RCMD SELECT seq * 50, CONCAT('old', seq), '20240101000000' FROM seq_1_to_${Math.floor(baseReviews / 5)};
INSERT INTO TB_WISH SELECT ELT(1 + seq % ${writers}, ${wishMembers.map((name) => `'${name}'`).join()}), seq * 10, 'base', '20240101000000' FROM seq_1_to_${baseWishes};
`;

async function makeSchemas(legacy: SideServer, service: SideServer): Promise<void> {
  await legacy.query(`CREATE DATABASE shop; USE shop; ${migrations('legacy')} ${baseRows}`);
  for (const schema of capabilities)
    await service.query(`CREATE DATABASE ${schema}; USE ${schema}; ${migrations(schema)}`);
  await installJournal(service);
}

/** @returns the end of a side's binlog, as GTIDs */
async function endOf(server: SideServer): Promise<string> {
  const [end] = await server.query('SELECT @@gtid_binlog_pos AS gtid');
  return String(end?.gtid);
}

async function hasPassed(target: SideServer, source: Side, gtid: string): Promise<boolean> {
  const [stop] = await target.query('SELECT message FROM banyan.banyan_stop WHERE acknowledged_by IS NULL');
  if (stop) throw new Stopped(`a stream has stopped: ${String(stop.message)}`);
  const streams = await target.query('SELECT gtid FROM banyan.banyan_stream WHERE source = ?', [source]);
  return streams.every((row) => {
    const order = comparePositions({ gtid: String(row.gtid), at: undefined }, { gtid, at: undefined });
    return order === 'equal' || order === 'after';
  });
}

const troubles: readonly (readonly [string, string])[] = [
  ['stop', 'SELECT capability, code, message FROM banyan.banyan_stop'],
  ['quarantine', 'SELECT capability, table_name, row_key, field, reason FROM banyan.banyan_quarantine'],
  ['tripwire', 'SELECT capability, what, seen FROM banyan.banyan_tripwire'],
];

/** Every stream has passed what was written before the call. @throws when one has stopped, or does not come so far */
export async function streamsAligned(servers: Readonly<Record<Side, SideServer>>): Promise<void> {
  for (const source of ['legacy', 'service'] as const) {
    const gtid = await until('the end of the binlog', () => endOf(servers[source]));
    await until(
      `the streams from ${source} at ${gtid}`,
      () => hasPassed(servers[otherSide(source)], source, gtid),
      { msMax: alignedMsMax },
    );
  }
}

/** Stops, quarantined rows, tripwires: each is one too many. */
export async function streamTrouble(servers: Readonly<Record<Side, SideServer>>): Promise<string[]> {
  const found: string[] = [];
  for (const side of ['legacy', 'service'] as const)
    for (const [kind, sql] of troubles)
      for (const row of await servers[side].query(sql))
        found.push(`${kind} on ${side}: ${JSON.stringify(row)}`);
  return found;
}

/** @param folder of the run; what it holds is private to it */
export async function startSides(folder: string, runFolder: RunFolder): Promise<Sides> {
  const [legacy, service] = await Promise.all([
    startSide(folder, 11, runFolder),
    startSide(folder, 12, runFolder),
  ]);
  await makeSchemas(legacy, service);
  const common = ['--folder', folder, '--config', join(root, 'banyan.config.ts')];
  const serverWords = (legacyUrl: string, serviceUrl: string) => [
    '--legacy-url',
    legacyUrl,
    '--services-url',
    serviceUrl,
  ];
  const withoutAccount = (url: string) => `mysql://${new URL(url).host}`;
  const installed = await run('banyan.ts', ['install', ...common, ...serverWords(legacy.url, service.url)]);
  if (installed.code !== 0) throw new Error(`install failed: ${installed.stderr}`);
  const server = (side: Side) => (side === 'legacy' ? legacy : service);
  const workers: WorkerProcess[] = [];
  const workerLogs = () => workers.map((worker) => worker.log());
  return {
    legacy,
    service,
    server,
    startWorker: async () => {
      const relays = [legacy, service].map(({ relay }) => `mysql://127.0.0.1:${relay.port}`);
      const pace = ['--heartbeat-ms', '50', '--chunk-rows', '200', '--nice-ratio', '1'];
      const worker = await startWorkerProcess(
        [...common, ...serverWords(relays[0] ?? '', relays[1] ?? ''), ...pace],
        runFolder,
      );
      workers.push(worker);
      return worker;
    },
    banyan: (...words) =>
      run('banyan.ts', [
        ...words,
        '--json',
        ...common,
        ...serverWords(withoutAccount(legacy.url), withoutAccount(service.url)),
      ]),
    aligned: () => streamsAligned({ legacy, service }),
    trouble: () => streamTrouble({ legacy, service }),
    workerLogs,
    [Symbol.asyncDispose]: async () => {
      for (const worker of workers.filter((each) => each.isAlive())) {
        worker.signal('SIGCONT');
        await worker.kill();
      }
      await Promise.all([legacy[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
    },
  };
}
