// One stream of a worker with all that runs beside it: backfill, verification, quarantine's end. Where it stops for somebody to look,
// it waits for the acknowledgement.
import { randomInt } from 'node:crypto';
import type { ConnectionOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Logger } from 'pino';
import type { Blocker } from '../capability/blockers.ts';
import type { BanyanConfig, Side } from '../capability/capability.ts';
import type { SpanSink } from '../capability/span.ts';
import { applySpan } from './apply-span.ts';
import { Backfill } from './backfill.ts';
import { BinlogError } from './binlog/errors.ts';
import { openBinlog } from './binlog/reader.ts';
import { together } from './companions.ts';
import { type Connect, Connections } from './connections.ts';
import { SyncError } from './errors.ts';
import type { FrameKey, StreamState } from './frame.ts';
import type { Heartbeats } from './heartbeat.ts';
import { ownTables } from './own-rows.ts';
import { type Position, parsePosition, printPosition } from './position.ts';
import { expireImages } from './quarantine.ts';
import { readAgain } from './read-again.ts';
import { readStop, recordStop, type Stop } from './stops.ts';
import { Stream } from './stream.ts';
import { identitiesOf, otherSide, planAgain, type StreamPlan, writeRules } from './stream-plan.ts';
import { pause } from './unless-aborted.ts';
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
  /** Where spans of traces go; without it the source is not asked for any. */
  readonly spans?: SpanSink | undefined;
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
  /** Writes seen on the side that is not owner, since this worker reads the stream. */
  tripwires: number;
  stop: string | undefined;
};

type Running = { readonly stream: Stream; readonly proving: Proving };

const stopPollMs = 500;
const expireEveryMs = 3_600_000;

/** Runs one stream; where it stops for somebody to look, it waits for the acknowledgement. */
export async function keepStreaming(
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
    tripwires: 0,
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
    await pause(stopPollMs, signal);
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
    const begun = Promise.withResolvers<StreamState>();
    let committed: StreamState | undefined;
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
      begun: begun.promise,
      committed: () => committed,
      readAgain: async (from, to, passed) => {
        const again = await openSource(options, plan, parsePosition(from.position), 'all', from.server);
        const stop = () => void again.stop();
        both.addEventListener('abort', stop, { once: true });
        try {
          await readAgain(again, { sourceSchema, mappings, to }, passed);
        } finally {
          both.removeEventListener('abort', stop);
          await again.stop();
        }
      },
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
        committed = state;
        begun.resolve(state);
        report.position = printPosition(state.position);
        report.rows += rows;
      },
      onHeartbeat: kind === 'tables' ? (at) => beats.passed(at) : () => undefined,
      onTripwire: (count) => {
        report.tripwires += count;
      },
      onTraced: (write) => options.spans?.add(applySpan(key, write, beats.lagMs())),
      onInTheWay: (blocker, failure) => tellInTheWay(options, key, blocker, failure),
    });
    running = stream;
    const streaming = stream.run(both).finally(() => ended.abort());
    // Before that it does not know its quarantine.
    begun.promise.then(() => onRunning({ stream, proving }));
    const expiring = async () => {
      while (!both.aborted) {
        await expireImages(target, key, options.quarantineDays);
        await pause(expireEveryMs, both);
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
function tellInTheWay(
  { log, audit }: WorkerOptions,
  { capability, source }: FrameKey,
  blocker: Blocker | undefined,
  failure: unknown,
): void {
  const detail = { side: otherSide(source), ...blocker };
  if (failure !== undefined) {
    const what = blocker
      ? 'a session is in the way of the opening and cannot be ended'
      : 'the opening waits, and it cannot be asked for whom: has the account that applies the privilege PROCESS there ("banyan doctor")?';
    log.error({ err: failure, capability, ...detail }, what);
    return;
  }
  log.warn({ capability, ...detail }, 'ended a session that was in the way of the opening');
  audit(capability, 'end-session', detail).catch((error: unknown) => {
    log.warn({ err: error, capability, ...detail }, 'the audit could not be written');
  });
}

function openSource(
  { connection, log, spans }: WorkerOptions,
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
    traces: spans !== undefined && rows === 'all',
    onReconnect: ({ cause }) =>
      log.warn(
        { err: cause, capability: key.capability, source: key.source },
        'the source was lost; connecting again',
      ),
  });
}
