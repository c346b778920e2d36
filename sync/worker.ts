// The worker: both streams of every capability, the stream of its reference tables, heartbeats, backfills. One
// worker at a time runs a capability; another waits, and takes over when the lease ends.
import { randomUUID } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import type { Capability, Side } from '../capability/capability.ts';
import { foldWritten } from '../capability/writers.ts';
import { cameBack, closeBehind } from './came-back.ts';
import { Connections } from './connections.ts';
import { SyncError } from './errors.ts';
import { Heartbeats } from './heartbeat.ts';
import { releaseLease, renewMs, takeLease } from './lease.ts';
import { isRetired } from './retired.ts';
import { keepStreaming, type StreamReport, type WorkerOptions } from './run-stream.ts';
import { recordStop } from './stops.ts';
import { isWayBack, planStreams } from './stream-plan.ts';
import { pause } from './unless-aborted.ts';

const standbyPollMs = 500;
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
        await pause(standbyPollMs, signal);
      if (signal.aborted) return;
      log.info({ capability: capability.name }, 'this worker runs the streams');
      failures = 0;
      await holdLease(options, capability, holder, sql, reports, signal);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      log.error({ err: error, capability: capability.name }, 'the streams were interrupted; trying again');
      await pause(Math.min(5_000, 100 * 2 ** failures), signal);
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
      await pause(guardMs, both);
      if (await closePast(options, capability, fences)) ended.abort();
    }
  };
  const plans = (await planStreams(options, capability)).filter((each) => !retired || !isWayBack(each));
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
      await pause(renewMs, both);
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
      await pause(foldEveryMs, both);
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
