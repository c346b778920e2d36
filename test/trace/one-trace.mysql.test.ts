// One trace shows a client's write on all of its way: through facade, monolith, binlog and worker, and once the service owns through
// facade, service, binlog and worker. The whole sample runs; the collector is the test's own.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logIn } from '../story/log-in.ts';
import { type OwnerStack, startOwnerStack } from '../story/owner-stack.ts';
import { suiteSeed } from '../sync/seed.ts';
import { until } from '../sync/until.ts';
import { type Collected, type Collector, startCollector } from './collector.ts';

const seed = suiteSeed('one-trace');
let collector: Collector;
let owner: OwnerStack;
beforeAll(async () => {
  collector = await startCollector();
  owner = await startOwnerStack(seed.below(1_000_000), [], {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url,
    // The shoppers say nothing of traces: none of theirs is sampled.
    BANYAN_TRACE_RATIO: '0',
    BANYAN_TRACE_TRUST_CLIENTS: 'true',
  });
}, 120_000);
afterAll(async () => {
  await owner?.[Symbol.asyncDispose]();
  await collector?.[Symbol.asyncDispose]();
});

const text = '추적할 리뷰입니다';

/** Logs in and writes a review, with a context of its own. */
async function write(flags = '01'): Promise<{ traceId: string; parentId: string }> {
  const { facade } = owner.stack;
  const cookie = await logIn(facade, 'member1');
  const [traceId, parentId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  const written = await fetch(new URL('/api/review/write.do', facade), {
    method: 'POST',
    headers: { cookie, traceparent: `00-${traceId}-${parentId}-${flags}` },
    body: new URLSearchParams({ prdNo: '1', starPnt: '05', rvwCtnt: text }),
  });
  expect(await written.json()).toMatchObject({ resultCode: '0000' });
  return { traceId, parentId };
}

const spansOf = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);

/** The span of a trace that is called so, of one process; there is one. */
async function spanOf(traceId: string, service: string, name: string): Promise<Collected> {
  const all = () => spansOf(traceId).filter((span) => span.service === service && span.name === name);
  const first = await until(`a span "${name}" of ${service}`, () => all()[0], {
    explain: async () => JSON.stringify(spansOf(traceId)),
  });
  expect(all(), name).toHaveLength(1);
  return first;
}

test('legacy owns: facade, monolith, binlog, worker', async () => {
  const { traceId, parentId } = await write();
  const server = await spanOf(traceId, 'banyan-facade', 'POST /api/review/write.do');
  expect(server).toMatchObject({
    service: 'banyan-facade',
    kind: 2,
    parentSpanId: parentId,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/api/review/write.do',
      'http.response.status_code': 200,
      'banyan.capability': 'reviews',
      'banyan.side': 'legacy',
    },
  });
  const client = await spanOf(traceId, 'banyan-facade', 'POST legacy');
  expect(client).toMatchObject({ kind: 3, parentSpanId: server.spanId });
  const applied = await spanOf(traceId, 'banyan-worker', 'apply reviews from legacy');
  expect(applied).toMatchObject({
    service: 'banyan-worker',
    kind: 5,
    parentSpanId: client.spanId,
    attributes: { 'banyan.capability': 'reviews', 'banyan.source': 'legacy', 'banyan.rows': 1 },
  });
  expect(applied.endMs).toBeGreaterThanOrEqual(applied.startMs);
  expect(applied.endMs).toBeGreaterThanOrEqual(client.startMs);
}, 120_000);

test('the service owns: facade, service, binlog, worker, back to legacy', async () => {
  await owner.run('cutover', 'reviews', '--execute', '--wait', '20');
  const { traceId } = await write();
  const server = await spanOf(traceId, 'banyan-facade', 'POST /api/review/write.do');
  expect(server.attributes).toMatchObject({ 'banyan.side': 'service' });
  const asked = await spanOf(traceId, 'banyan-facade', 'POST reviews');
  expect(asked).toMatchObject({ service: 'banyan-facade', kind: 3, parentSpanId: server.spanId });
  const service = await spanOf(traceId, 'reviews', 'POST /reviews');
  expect(service).toMatchObject({
    kind: 2,
    parentSpanId: asked.spanId,
    attributes: { 'http.route': '/reviews', 'http.response.status_code': 201 },
  });
  const applied = await spanOf(traceId, 'banyan-worker', 'apply reviews from service');
  expect(applied.parentSpanId).toBe(service.spanId);
}, 90_000);

test('what is not sampled leaves no span anywhere, and no span says anything of anybody', async () => {
  const { traceId: unsampled } = await write('00');
  const { traceId } = await write();
  await spanOf(traceId, 'banyan-worker', 'apply reviews from service');
  expect(spansOf(unsampled)).toEqual([]);
  const traces = new Set(collector.spans.map((each) => each.traceId));
  expect(traces.size).toBe(3);
  const said = collector.bodies.join('\n');
  for (const secret of [text, 'member1', 'shop1234', 'SHOPSESSION', 'rvwCtnt', 'INSERT', '127.0.0.1'])
    expect(said).not.toContain(secret);
}, 120_000);

test('nobody has noticed any of it', () => owner.expectUnnoticed(), 120_000);
