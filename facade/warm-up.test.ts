// The facade serves itself before it serves others: through its whole path, to nobody, and not for long.
import { BlockList } from 'node:net';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createMetrics } from './metrics.ts';
import { parseFacadeOptions } from './options.ts';
import { createParity } from './parity.ts';
import { Tallies } from './tallies.ts';
import { capability, manner, upstream } from './test-servers.ts';
import { warmUp } from './warm-up.ts';

function depsOf(legacy: string) {
  const lines: string[] = [];
  const metrics = createMetrics();
  const capabilities = [
    capability([
      { method: 'GET', path: '/review/:id', kind: 'read', safe: true },
      { method: 'POST', path: '/review/write/*', kind: 'write', rateLimit: { max: 5, perMs: 60_000 } },
    ]),
  ];
  const deps = {
    config: { upstreams: { legacy, reviews: legacy }, legacy: { database: 'shop', manner }, capabilities },
    upstreams: { legacy: { origins: [legacy], health: { path: '/healthz', everyMs: 10 } }, reviews: legacy },
    limits: parseFacadeOptions([], {}),
    trustedProxies: new BlockList(),
    flags: { isOn: () => true, asksFor: () => true, proposedPercent: () => 100 },
    control: { standing: () => ({ phase: 'reads', ready: true }) as const },
    owners: undefined,
    identityKey: undefined,
    metrics,
    parity: createParity(0),
    tallies: new Tallies(capabilities),
    log: pino({ level: 'trace' }, { write: (line) => void lines.push(line) }),
  };
  return { deps, lines, metrics };
}

test('every declared route is served, and no real upstream, metric or log hears of it', async () => {
  const asked: string[] = [];
  await using legacy = await upstream((request, response) => {
    asked.push(request.url ?? '');
    response.end();
  });
  const { deps, lines, metrics } = depsOf(legacy.url);
  const before = await metrics.registry.metrics();
  const served = vi.spyOn(deps.control, 'standing');
  await warmUp(deps, 2_000);
  expect(served.mock.calls.length).toBeGreaterThan(20);
  expect([asked, lines]).toEqual([[], []]);
  expect(await metrics.registry.metrics()).toBe(before);
});

test('it ends in time, and leaves nothing open', async () => {
  const { deps } = depsOf('http://127.0.0.1:1');
  const since = performance.now();
  const open = process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length;
  await warmUp(deps, 200);
  expect(performance.now() - since).toBeLessThan(5_000);
  await new Promise(setImmediate);
  expect(
    process.getActiveResourcesInfo().filter((kind) => kind === 'TCPServerWrap').length,
  ).toBeLessThanOrEqual(open);
});
