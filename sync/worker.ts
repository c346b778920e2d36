// The worker: both streams of every capability, the stream of its reference tables, heartbeats, backfills. One
// worker at a time runs a capability; another waits, and takes over when the lease ends.
import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectionOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Logger } from 'pino';
import { isIdentity } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import type { Blocker } from '../capability/fence.ts';
import { foldWritten } from '../capability/writers.ts';
import { Backfill } from './backfill.ts';
import { BinlogError } from './binlog/errors.ts';
import { openBinlog } from './binlog/reader.ts';
import { cameBack, closeBehind } from './came-back.ts';
import { together } from './companions.ts';
import { type Connect, Connections } from './connections.ts';
import { SyncError } from './errors.ts';
import type { FrameKey, StreamState } from './frame.ts';
import { Heartbeats } from './heartbeat.ts';
import { releaseLease, renewMs, takeLease } from './lease.ts';
import { mappingsFrom, type TableMapping } from './mapping.ts';
import { ownTables } from './own-rows.ts';
import { type Position, printPosition } from './position.ts';
import { expireImages } from './quarantine.ts';
import { isRetired } from './retired.ts';
import { membersIn } from './source-columns.ts';
import type { WriteRules } from './statements.ts';
import { readStop, recordStop, type Stop } from './stops.ts';
import { Stream } from './stream.ts';
import { isUtf8, readTableFacts, resolveTranslators, type TableFacts } from './target-tables.ts';
import { type Proving, startProving } from './verify-worker.ts';

export type WorkerOptions = {
  readonly config: BanyanConfig;
  /** How to reach each side's server, by the account that reads and by the one that applies. */
  readonly connection: (side: Side, account: 'read' | 'apply') => ConnectionOptions;
  readonly connect: Connect;
  readonly log: Logger;
  readonly heartbeatMs: number;
  readonly chunkRows: number;
  readonly niceRatio: number;
  /** How long a refused row's image is kept. */
  readonly quarantineDays: number;
  readonly lagMsMax: number;
  readonly threadsRunningMax: number;
  /** Into the control store. Rejects when it cannot be reached. */
  readonly audit: (capability: string, action: string, detail: object) => Promise<void>;
};

/** What a stream is doing, for status and metrics. */
export type StreamReport = {
  readonly capability: string;
  readonly source: Side;
  state: 'starting' | 'apply' | 'watch' | 'stopped' | 'standby';
  position: string;
  rows: number;
  lagMs: () => number | undefined;
  quarantined: () => number;
  /** Changes that were applied and are not verified yet. */
  unproven: () => number;
  /** Keys that were applied and are not the same on both sides. */
  mismatched: () => number;
  stop: string | undefined;
};

/** The stream of a capability's reference tables. */
export const referencesOf = (capability: string) => `${capability}+references`;

type Running = { readonly stream: Stream; readonly proving: Proving };

type StreamPlan = {
  readonly key: FrameKey;
  readonly kind: 'tables' | 'references';
  readonly capability: Capability;
  readonly translators: readonly RowTranslator[];
  readonly mappings: ReadonlyMap<string, readonly TableMapping[]>;
  readonly sourceSchema: string;
  readonly targetSchema: string;
};

const otherSide = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');
const standbyPollMs = 500;
const stopPollMs = 500;
const expireEveryMs = 3_600_000;
const foldEveryMs = 60_000;
const guardMs = 1_000;

export type Worker = {
  readonly reports: readonly StreamReport[];
  /** Rejects for what cannot be mended by going on. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
};

export function startWorker(options: WorkerOptions): Worker {
  const stopping = new AbortController();
  const reports: StreamReport[] = [];
  const holder = randomUUID();
  const running = options.config.capabilities.map((capability) =>
    runCapability(options, capability, holder, reports, stopping.signal),
  );
  const done = Promise.all(running).then(() => undefined);
  return {
    reports,
    done,
    stop: async () => {
      stopping.abort();
      await done.catch(() => undefined);
    },
  };
}

/** Waits for the lease, works while it is ours, again and again. */
async function runCapability(
  options: WorkerOptions,
  capability: Capability,
  holder: string,
  reports: StreamReport[],
  signal: AbortSignal,
): Promise<void> {
  const { log } = options;
  for (let failures = 0; !signal.aborted; ) {
    let sql: Connection | undefined;
    try {
      sql = await options.connect('service', 'apply');
      while (!signal.aborted && !(await takeLease(sql, capability.name, holder)))
        await delay(standbyPollMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      log.info({ capability: capability.name }, 'this worker runs the streams');
      failures = 0;
      await holdLease(options, capability, holder, sql, reports, signal);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      log.error({ err: error, capability: capability.name }, 'the streams were interrupted; trying again');
      await delay(Math.min(5_000, 100 * 2 ** failures), undefined, { signal }).catch(() => undefined);
    } finally {
      sql?.destroy();
    }
  }
}

/** Runs the streams until one fails, the lease is lost, one of them is to end for good, or the signal. */
async function holdLease(
  options: WorkerOptions,
  capability: Capability,
  holder: string,
  sql: Connection,
  reports: StreamReport[],
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const retired = await isRetired(sql, capability.name);
  using guards = new Connections(options.connect);
  const fences = {
    legacy: await guards.open('legacy', 'apply'),
    service: await guards.open('service', 'apply'),
  };
  // Before anything is read from a server that came back.
  await closePast(options, capability, fences);
  const guard = async () => {
    while (!both.aborted) {
      await delay(guardMs, undefined, { signal: both }).catch(() => undefined);
      if (await closePast(options, capability, fences)) ended.abort();
    }
  };
  const plans = (await plan(options, capability)).filter((each) => !retired || !isWayBack(each));
  const renew = async () => {
    while (!both.aborted) {
      if (!(await takeLease(sql, capability.name, holder)))
        throw new SyncError(
          'superseded',
          `another worker holds the lease of ${capability.name}`,
          'nothing: that worker goes on',
        );
      if ((await isRetired(sql, capability.name)) !== retired) {
        options.log.info({ capability: capability.name }, 'retired: legacy follows no longer');
        ended.abort();
        return;
      }
      await delay(renewMs, undefined, { signal: both }).catch(() => undefined);
    }
  };
  const beats = { legacy: new Heartbeats(capability.name), service: new Heartbeats(capability.name) };
  const beat = async (side: Side) => {
    const connection = await options.connect(side, 'read');
    try {
      await beats[side].run(connection, options.heartbeatMs, both);
    } finally {
      connection.destroy();
    }
  };
  const fold = async (side: Side) => {
    while (!both.aborted) {
      await foldOnce(options, capability, side);
      await delay(foldEveryMs, undefined, { signal: both }).catch(() => undefined);
    }
  };
  const parts = [
    renew(),
    guard(),
    fold('legacy'),
    fold('service'),
    ...new Set(plans.map(({ key }) => key.source)).values().map(beat),
    ...plans.map((each) => keepStreaming(options, each, beats[each.key.source], reports, both)),
  ];
  // The first to fail ends the others; all have ended before the lease is given up.
  const outcomes = await Promise.allSettled(
    parts.map((part) =>
      part.catch((error: unknown) => {
        ended.abort();
        throw error;
      }),
    ),
  );
  await releaseLease(sql, capability.name, holder).catch(() => undefined); // it ends by itself
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed?.status === 'rejected' && !signal.aborted) throw failed.reason;
}

/** @returns whether a server had come back from the past: it is closed, and the stream from it stands */
async function closePast(
  { log, audit }: WorkerOptions,
  { name }: Capability,
  on: Readonly<Record<Side, Connection>>,
): Promise<boolean> {
  const closed = await closeBehind(on, name);
  if (!closed) return false;
  const { side, owner, epoch, was } = closed;
  const stop = cameBack(name, closed);
  log.error({ capability: name, hint: stop.hint }, stop.message);
  await recordStop(on[owner], { capability: name, source: side }, stop, '');
  audit(name, 'close-behind', { side, was: was.toString(), epoch: epoch.toString() }).catch(
    (error: unknown) => {
      log.warn({ err: error, capability: name, side }, 'the audit could not be written');
    },
  );
  return true;
}

/** Adds up who has written; a server that cannot now is asked again in a minute. */
async function foldOnce({ connect, log }: WorkerOptions, { name }: Capability, side: Side): Promise<void> {
  try {
    const sql = await connect(side, 'apply');
    try {
      await foldWritten(sql, name);
    } finally {
      sql.destroy();
    }
  } catch (error) {
    log.warn(
      { err: error, capability: name, side },
      'who writes could not be added up; trying again in a minute',
    );
  }
}

const identitiesOf = ({ tables }: Capability): ReadonlySet<string> =>
  new Set(tables.filter(isIdentity).map(({ identity }) => identity));

/** The streams of a capability: one in each direction, and that of its reference tables. */
async function plan({ config, connect }: WorkerOptions, capability: Capability): Promise<StreamPlan[]> {
  using connections = new Connections(connect);
  const legacy = await connections.open('legacy', 'apply');
  const service = await connections.open('service', 'apply');
  const schemas = { legacy: config.legacy.database, service: capability.service.database };
  const resolve = (declared: Capability['tables']) =>
    resolveTranslators(
      capability.name,
      declared,
      { sql: legacy, schema: schemas.legacy },
      { sql: service, schema: schemas.service },
    );
  const tables = await resolve(capability.tables);
  const identities = identitiesOf(capability);
  const make = (
    source: Side,
    kind: StreamPlan['kind'],
    translators: readonly RowTranslator[],
  ): StreamPlan => ({
    key: { capability: kind === 'tables' ? capability.name : referencesOf(capability.name), source },
    kind,
    capability,
    translators,
    mappings: mappingsFrom(source, translators, identities),
    sourceSchema: schemas[source],
    targetSchema: schemas[otherSide(source)],
  });
  const streams = [make('legacy', 'tables', tables), make('service', 'tables', tables)];
  return capability.references.length > 0
    ? [...streams, make('legacy', 'references', capability.references)]
    : streams;
}

async function planAgain(options: WorkerOptions, known: StreamPlan): Promise<StreamPlan> {
  const plans = await plan(options, known.capability);
  const { capability, source } = known.key;
  return plans.find(({ key }) => key.capability === capability && key.source === source) ?? known;
}

async function writeRules(
  sql: Connection,
  { mappings, targetSchema, capability }: StreamPlan,
): Promise<WriteRules> {
  const targets = new Set(
    [...mappings.values()].flat().flatMap((mapping) => mapping.targets.map(({ table }) => table)),
  );
  const facts = await Promise.all([...targets].map((table) => readTableFacts(sql, targetSchema, table)));
  const plain = new Set(
    facts.filter(({ otherUniqueKeys }) => otherUniqueKeys.length === 0).map(({ table }) => table),
  );
  const utf8 = new Set(facts.filter(isUtf8).map(({ table }) => table));
  const numbers = new Map(
    facts.map((each) => [each.table, new Set(columnsOf(each, (type) => /^(bigint|decimal)/.test(type)))]),
  );
  // Only where both sides have the same type is every value of the source one of the target.
  const identities = identitiesOf(capability);
  const zeroEnums = new Map(
    facts
      .filter(({ table }) => identities.has(table))
      .map((each) => [
        each.table,
        columnsOf(each, (type) => type.startsWith('enum(') && !membersIn(type).includes('')),
      ]),
  );
  return {
    schema: targetSchema,
    isPlain: (table) => plain.has(table),
    isUtf8: (table) => utf8.has(table),
    keepOrder: facts.some(({ hasForeignKey }) => hasForeignKey),
    isNumber: (table, column) => numbers.get(table)?.has(column) ?? false,
    zeroEnums: (table) => zeroEnums.get(table) ?? [],
  };
}

/** Columns of a table whose type has this form. */
const columnsOf = ({ types }: TableFacts, is: (type: string) => boolean): string[] =>
  [...types].filter(([, type]) => is(type)).map(([name]) => name);

/** The stream that legacy follows the service by. */
const isWayBack = ({ key, kind }: StreamPlan) => kind === 'tables' && key.source === 'service';

/** Runs one stream; where it stops for somebody to look, it waits for the acknowledgement. */
async function keepStreaming(
  options: WorkerOptions,
  plan: StreamPlan,
  beats: Heartbeats,
  reports: StreamReport[],
  signal: AbortSignal,
): Promise<void> {
  const { key } = plan;
  let current = plan;
  let running: Running | undefined;
  const report: StreamReport = {
    capability: key.capability,
    source: key.source,
    state: 'starting',
    position: '',
    rows: 0,
    stop: undefined,
    lagMs: () => beats.lagMs(),
    quarantined: () => running?.stream.quarantine.size ?? 0,
    unproven: () => running?.proving.touched.unproven ?? 0,
    mismatched: () => running?.proving.touched.mismatched ?? 0,
  };
  reports.push(report);
  const target = await options.connect(otherSide(key.source), 'apply');
  try {
    while (!signal.aborted) {
      const acknowledged = await waitWhileStopped(target, key, report, signal);
      if (signal.aborted) return;
      try {
        // What was mended may be a table's columns.
        if (acknowledged) current = await planAgain(options, plan);
        await runStream(options, current, beats, report, acknowledged, signal, (begun) => {
          running = begun;
        });
      } catch (error) {
        const stop = stopFor(error, plan);
        if (!stop) throw error;
        options.log.error(
          { capability: key.capability, source: key.source, code: stop.code, hint: stop.hint },
          stop.message,
        );
        await recordStop(target, key, stop, report.position);
      }
    }
  } finally {
    target.destroy();
    reports.splice(reports.indexOf(report), 1);
  }
}

/** What somebody must mend; undefined for what may pass by itself. */
function stopFor(error: unknown, { key, capability }: StreamPlan): SyncError | undefined {
  if (error instanceof BinlogError && error.code === 'row-image-incomplete')
    return new SyncError(
      'incomplete-image',
      error.message,
      `${error.hint}; bring the target to what the source has, then acknowledge: that transaction is passed over`,
      error,
    );
  if (error instanceof BinlogError && error.code === 'source-changed')
    return new SyncError(
      'source-changed',
      error.message,
      `${error.hint}; then banyan resume ${capability.name} --source-changed ${key.source}`,
      error,
    );
  if (error instanceof BinlogError)
    return error.code === 'unreachable'
      ? undefined
      : new SyncError('source', error.message, error.hint, error);
  return error instanceof SyncError && !['superseded', 'target-busy'].includes(error.code)
    ? error
    : undefined;
}

/** @returns the stop that was acknowledged, if there was one */
async function waitWhileStopped(
  sql: Connection,
  key: FrameKey,
  report: StreamReport,
  signal: AbortSignal,
): Promise<Stop | undefined> {
  while (!signal.aborted) {
    const stop = await readStop(sql, key);
    report.stop = stop?.message;
    if (!stop) return undefined;
    if (stop.acknowledgedBy !== null) {
      report.stop = undefined;
      return stop;
    }
    report.state = 'stopped';
    await delay(stopPollMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}

async function runStream(
  options: WorkerOptions,
  plan: StreamPlan,
  beats: Heartbeats,
  report: StreamReport,
  acknowledged: Stop | undefined,
  signal: AbortSignal,
  onRunning: (running: Running) => void,
): Promise<void> {
  const { key, kind, capability, mappings, sourceSchema } = plan;
  using connections = new Connections(options.connect);
  const target = await connections.open(otherSide(key.source), 'apply');
  const source = await connections.open(key.source, 'read');
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  try {
    const rules = await writeRules(target, plan);
    const reading = {
      niceRatio: options.niceRatio,
      lagMsMax: options.lagMsMax,
      threadsRunningMax: options.threadsRunningMax,
      lagMs: () => beats.lagMs() ?? 0,
    };
    const proving = await startProving({
      key,
      translators: plan.translators,
      identities: identitiesOf(capability),
      schemas: {
        legacy: key.source === 'legacy' ? sourceSchema : plan.targetSchema,
        service: key.source === 'legacy' ? plan.targetSchema : sourceSchema,
      },
      rules,
      connect: (side, account) => connections.open(side, account),
      chunkRows: options.chunkRows,
      throttle: reading,
      isApplying: () => report.state === 'apply',
      position: () => report.position,
      log: options.log,
    });
    let running: Stream | undefined;
    const backfill =
      key.source === 'legacy'
        ? new Backfill({
            key,
            sourceSchema,
            mappings,
            rules,
            source,
            target,
            quarantine: () => {
              if (!running) throw new Error('a chunk lands in a running stream');
              return running.quarantine;
            },
            chunkRows: options.chunkRows,
            isApplying: () => report.state === 'apply',
            ...reading,
          })
        : undefined;
    const stream = new Stream({
      key,
      kind,
      capability: capability.name,
      sourceSchema,
      mappings,
      rules,
      connectTarget: () => options.connect(otherSide(key.source), 'apply'),
      openSource: (from, rows, server) => openSource(options, plan, from, rows, server),
      companion: together([...(backfill ? [backfill] : []), ...proving.companions]),
      ...(acknowledged ? { acknowledged } : {}),
      onCommitted: (state: StreamState, rows) => {
        report.state = kind === 'references' || state.owner === key.source ? 'apply' : 'watch';
        report.position = printPosition(state.position);
        report.rows += rows;
      },
      onHeartbeat: kind === 'tables' ? (at) => beats.passed(at) : () => undefined,
      onEnded: (blocker, failure) => tellEnded(options, key, blocker, failure),
    });
    running = stream;
    const streaming = stream.run(both).finally(() => ended.abort());
    onRunning({ stream, proving });
    const expiring = async () => {
      while (!both.aborted) {
        await expireImages(target, key, options.quarantineDays);
        await delay(expireEveryMs, undefined, { signal: both }).catch(() => undefined);
      }
    };
    const outcomes = await Promise.allSettled([
      streaming,
      (backfill?.run(both) ?? streaming).finally(() => ended.abort()),
      proving.run(both).finally(() => ended.abort()),
      expiring().finally(() => ended.abort()),
    ]);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected' && !signal.aborted) throw outcome.reason;
  } finally {
    ended.abort();
  }
}

/** Nobody waits for the audit: writers are being held. */
function tellEnded({ log, audit }: WorkerOptions, key: FrameKey, blocker: Blocker, failure: unknown): void {
  const { capability, source } = key;
  const side = otherSide(source);
  const detail = { side, ...blocker };
  if (failure !== undefined) {
    log.error(
      { err: failure, capability, ...detail },
      'a session is in the way of the opening and cannot be ended',
    );
    return;
  }
  log.warn({ capability, ...detail }, 'ended a session that was in the way of the opening');
  audit(capability, 'end-session', detail).catch((error: unknown) => {
    log.warn({ err: error, capability, ...detail }, 'the audit could not be written');
  });
}

function openSource(
  { connection, log }: WorkerOptions,
  { key, mappings, sourceSchema }: StreamPlan,
  from: Position,
  rows: 'all' | 'none',
  server: string | null,
) {
  return openBinlog({
    connection: connection(key.source, 'read'),
    // Any number that no other replica of the server has; the top half is free in most installations.
    serverId: randomInt(2 ** 31, 2 ** 32 - 1),
    from,
    server: server ?? undefined,
    tables: (schema, table) =>
      rows === 'none'
        ? false
        : schema === 'banyan'
          ? ownTables.has(table)
          : schema === sourceSchema && mappings.has(table),
    heartbeatMs: 1_000,
    onReconnect: ({ cause }) =>
      log.warn(
        { err: cause, capability: key.capability, source: key.source },
        'the source was lost; connecting again',
      ),
  });
}
