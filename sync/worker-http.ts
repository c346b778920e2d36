// The worker's small listener: health, metrics, status. No secrets, no rows.
import fastify from 'fastify';
import { Counter, Gauge, Registry } from 'prom-client';
import type { SpanSink } from '../capability/span.ts';
import { countSpans } from '../capability/span-metrics.ts';
import type { Worker } from './worker.ts';

export type WorkerHttp = { readonly url: string; stop(): Promise<void> };

/** @param spans where they go somewhere */
export async function serveWorker(
  worker: Worker,
  host: string,
  port: number,
  spans?: SpanSink,
): Promise<WorkerHttp> {
  const app = fastify({ logger: false, requestTimeout: 10_000, connectionTimeout: 30_000, bodyLimit: 1_024 });
  const registry = new Registry();
  const labels = ['capability', 'source'] as const;
  const registers = [registry];
  const lag = new Gauge({
    name: 'banyan_worker_lag_seconds',
    help: 'How far the target is behind its source.',
    labelNames: labels,
    registers,
  });
  const quarantined = new Gauge({
    name: 'banyan_worker_quarantined_rows',
    help: 'Rows that no translator accepts.',
    labelNames: labels,
    registers,
  });
  const stopped = new Gauge({
    name: 'banyan_worker_stopped',
    help: '1 while a stream waits for an acknowledgement.',
    labelNames: labels,
    registers,
  });
  const unproven = new Gauge({
    name: 'banyan_worker_unproven_keys',
    help: 'Changes that were applied and are not verified yet; those that were too many wait for a verification.',
    labelNames: labels,
    registers,
  });
  const mismatched = new Gauge({
    name: 'banyan_worker_mismatched_keys',
    help: 'Keys that were applied and are not the same on both sides.',
    labelNames: labels,
    registers,
  });
  const rows = new Counter({
    name: 'banyan_worker_rows_total',
    help: 'Rows of the source that were applied.',
    labelNames: labels,
    registers,
  });
  const tripwires = new Counter({
    name: 'banyan_worker_tripwires_total',
    help: 'Writes seen on the side that is not owner.',
    labelNames: labels,
    registers,
  });
  if (spans) countSpans(registry, 'banyan_worker_spans_total', spans);

  const status = () =>
    worker.reports.map(({ capability, source, state, position, rows: applied, stop, ...report }) => ({
      capability,
      source,
      state,
      position,
      rowsApplied: applied,
      lagMs: report.lagMs() === undefined ? null : Math.round(report.lagMs() ?? 0),
      quarantined: report.quarantined(),
      unproven: report.unproven(),
      mismatched: report.mismatched(),
      tripwires: report.tripwires,
      stop: stop ?? null,
    }));
  app.get('/healthz', async () => ({ ok: true }));
  app.get('/api/status', async () => ({ streams: status() }));
  app.get('/metrics', async (_request, reply) => {
    for (const metric of [lag, quarantined, stopped, unproven, mismatched]) metric.reset();
    rows.reset();
    tripwires.reset();
    for (const { capability, source, lagMs, state, rowsApplied, ...counted } of status()) {
      if (lagMs !== null) lag.set({ capability, source }, lagMs / 1000);
      quarantined.set({ capability, source }, counted.quarantined);
      unproven.set({ capability, source }, counted.unproven);
      mismatched.set({ capability, source }, counted.mismatched);
      stopped.set({ capability, source }, state === 'stopped' ? 1 : 0);
      rows.inc({ capability, source }, rowsApplied);
      tripwires.inc({ capability, source }, counted.tripwires);
    }
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  const url = await app.listen({ host, port });
  return { url, stop: () => app.close() };
}
