import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { upstream as startServer, until } from './test-servers.ts';
import { type Entry, Lease, Upstream, type UpstreamDeps, type UpstreamLimits } from './upstream.ts';

const usual: UpstreamLimits = {
  breakerFailuresMax: 3,
  breakerPercentMax: 0,
  breakerVolumeMin: 10,
  breakerWindowMs: 1_000,
  breakerOpenMs: 60_000,
  breakerOpenMsMax: 60_000,
  breakerProbes: 1,
  ejectFailuresMax: 2,
  ejectMs: 60_000,
  ejectMsMax: 60_000,
  ejectPercentMax: 50,
  upstreamConnectionsMax: 100,
  connectMsMax: 1_000,
  upstreamInFlightMax: 100,
  upstreamQueueMax: 3,
  upstreamQueueMsMax: 60_000,
};

const running: Upstream[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

const origins = (...names: string[]) => names.map((name) => ({ origin: `http://${name}.invalid` }));

function upstreamOf(names: string[], limits: Partial<UpstreamLimits> = {}, deps: Partial<UpstreamDeps> = {}) {
  const told: string[] = [];
  const upstream = new Upstream({
    name: 'reviews',
    errorsCount: true,
    limits: { ...usual, ...limits },
    health: undefined,
    events: {
      turnedAway: (_name, why) => void told.push(why),
      ejected: () => void told.push('ejected'),
      breakerTurned: (_name, to) => void told.push(to),
    },
    log: pino({ level: 'silent' }),
    ...deps,
  });
  upstream.update(origins(...names));
  running.push(upstream);
  return { upstream, told };
}

const nameOf = (lease: Lease) => new URL(lease.instance.origin).hostname.split('.')[0] ?? '';

function entered(entry: Entry | Promise<Entry>): Lease {
  if (!(entry instanceof Lease)) throw new Error('it was not let in at once');
  return entry;
}

test('the one with the least to do is asked next; they take turns when they have as much', () => {
  const { upstream } = upstreamOf(['a', 'b', 'c']);
  const first = [1, 2, 3].map(() => entered(upstream.enter()));
  expect(first.map(nameOf).sort()).toEqual(['a', 'b', 'c']);
  const slow = first[0];
  for (const lease of first.slice(1)) lease.end('answered');
  const next = [1, 2].map(() => entered(upstream.enter()));
  expect(next.map(nameOf)).not.toContain(slow && nameOf(slow));
  for (const lease of [...first, ...next]) lease.end('answered');
  const even = Array.from({ length: 30 }, () => {
    const lease = entered(upstream.enter());
    lease.end('answered');
    return nameOf(lease);
  });
  for (const name of ['a', 'b', 'c']) expect(even.filter((each) => each === name).length).toBe(10);
});

test('who fails several times in a row is left out, but never more than the share, and answers of 5xx count', () => {
  const { upstream, told } = upstreamOf(['a', 'b'], { breakerFailuresMax: 0 });
  for (let i = 0; i < 40; i++) {
    const lease = entered(upstream.enter());
    lease.end(nameOf(lease) === 'a' ? (i % 3 === 0 ? 'late' : 'error') : 'said-error');
  }
  expect(told).toEqual(['ejected']);
  expect(nameOf(entered(upstream.enter()))).toBe('b');
  for (let i = 0; i < 40; i++) entered(upstream.enter()).end('late');
  expect(told).toEqual(['ejected']); // the last one stays
  expect(upstream.status().instances.map(({ up }) => up)).toEqual([false, true]);
});

test('beyond what may be under way one waits, in order; beyond that, and after too long, one is turned away', async () => {
  const { upstream, told } = upstreamOf(['a'], { upstreamInFlightMax: 2, upstreamQueueMsMax: 150 });
  const [one, two] = [entered(upstream.enter()), entered(upstream.enter())];
  const order: number[] = [];
  const waiting = [0, 1, 2].map(async (index) => {
    const entry = await upstream.enter();
    order.push(index);
    return entry;
  });
  expect(upstream.enter()).toEqual({ is: 'turned-away', why: 'busy' });
  expect(upstream.status()).toMatchObject({ inFlight: 2, waiting: 3 });
  one.end('answered');
  two.end('unknown');
  const [first, second] = await Promise.all([waiting[0], waiting[1]]);
  expect([first instanceof Lease, second instanceof Lease, order]).toEqual([true, true, [0, 1]]);
  expect(await waiting[2]).toEqual({ is: 'turned-away', why: 'busy' });
  expect(told).toEqual(['busy', 'busy']);
  if (first instanceof Lease) first.end('answered');
  entered(upstream.enter());
});

test('a client that leaves frees its place in the queue', async () => {
  const { upstream } = upstreamOf(['a'], { upstreamInFlightMax: 1 });
  const only = entered(upstream.enter());
  const client = new EventEmitter();
  const left = upstream.enter(client);
  const next = upstream.enter();
  client.emit('close');
  expect(await left).toMatchObject({ why: 'gone' });
  only.end('answered');
  expect(await next).toBeInstanceOf(Lease);
  expect(client.listenerCount('close')).toBe(0);
});

test('one full instance does not stop another; all full, one waits', async () => {
  const { upstream } = upstreamOf(['a', 'b'], { upstreamConnectionsMax: 1 });
  const leases = [entered(upstream.enter()), entered(upstream.enter())];
  expect(leases.map(nameOf).sort()).toEqual(['a', 'b']);
  const waits = upstream.enter();
  upstream.update(origins('a', 'b', 'c'));
  const lease = await waits;
  expect(lease instanceof Lease && nameOf(lease)).toBe('c');
});

test('when the breaker opens nobody waits any longer, and it says when and why', async () => {
  const { upstream, told } = upstreamOf(['a'], { upstreamInFlightMax: 3 });
  const leases = [1, 2, 3].map(() => entered(upstream.enter()));
  const waits = upstream.enter();
  leases[0]?.end('error');
  const late = await waits; // the place that was freed
  if (late instanceof Lease) late.end('said-error');
  leases[1]?.end('late');
  expect(upstream.enter()).toMatchObject({ why: 'breaker' });
  expect(told).toEqual(['open', 'breaker']);
  expect(upstream.status().breaker).toMatchObject({
    state: 'open',
    why: '3 failures in a row',
    turns: [{ to: 'open' }],
  });
  leases[2]?.end('answered');
});

test('those who wait when it opens are told at once', async () => {
  const { upstream } = upstreamOf(['a'], { upstreamInFlightMax: 3, upstreamConnectionsMax: 3 });
  const leases = [1, 2, 3].map(() => entered(upstream.enter()));
  const waiting = [1, 2, 3].map(() => upstream.enter());
  for (const lease of leases) lease.end('late');
  const entries = await Promise.all(waiting);
  // Two places were free before the third failure.
  expect(entries.map((entry) => (entry instanceof Lease ? 'in' : entry.why))).toEqual([
    'in',
    'in',
    'breaker',
  ]);
});

test('what is lost together when a process dies is one failure, and does not open the breaker of the others', async () => {
  const { upstream, told } = upstreamOf(['a', 'b']);
  const leases = Array.from({ length: 40 }, () => entered(upstream.enter()));
  for (const lease of leases) if (nameOf(lease) === 'a') lease.end('lost');
  expect([told, upstream.status().breaker.state]).toEqual([[], 'closed']);
  // Those that come after it say something new.
  await new Promise((resolve) => setTimeout(resolve, 5));
  const onA = Array.from({ length: 30 }, () => entered(upstream.enter())).find(
    (lease) => nameOf(lease) === 'a',
  );
  onA?.end('lost');
  expect(told).toEqual(['ejected']);
});

test('of legacy only silence opens the breaker', () => {
  const { upstream, told } = upstreamOf(['a'], {}, { errorsCount: false });
  for (let i = 0; i < 50; i++) entered(upstream.enter()).end('error');
  expect(told).toEqual([]);
  for (let i = 0; i < 3; i++) entered(upstream.enter()).end('late');
  expect(told).toEqual(['open']);
});

test('who is no longer named gets nothing new, ends what it has, and may come back', () => {
  const { upstream } = upstreamOf(['a', 'b']);
  const leases = [entered(upstream.enter()), entered(upstream.enter())];
  const onA = leases.find((lease) => nameOf(lease) === 'a');
  upstream.update(origins('b'));
  for (let i = 0; i < 10; i++) expect(nameOf(entered(upstream.enter()))).toBe('b');
  expect(
    upstream.status().instances.map(({ origin, leaving }) => [new URL(origin).hostname, leaving]),
  ).toEqual([
    ['b.invalid', false],
    ['a.invalid', true],
  ]);
  upstream.update(origins('a', 'b', 'c'));
  expect(upstream.status().instances.map(({ instance, leaving }) => [instance, leaving])).toEqual([
    [0, false],
    [1, false],
    [2, false],
  ]);
  upstream.update(origins('b'));
  onA?.end('answered');
  expect(upstream.status().instances.map(({ instance }) => instance)).toEqual([1, 2].slice(0, 1));
});

test('another instance is tried only when there is one', () => {
  const { upstream } = upstreamOf(['a', 'b']);
  const lease = entered(upstream.enter());
  lease.end('late');
  const other = upstream.enterElsewhere(lease);
  expect(other && nameOf(other)).toBe(nameOf(lease) === 'a' ? 'b' : 'a');
  const alone = upstreamOf(['a']).upstream;
  const only = entered(alone.enter());
  only.end('late');
  expect(alone.enterElsewhere(only)).toBeUndefined();
});

test('without any instance one is told at once', () => {
  expect(upstreamOf([]).upstream.enter()).toMatchObject({ why: 'nowhere' });
});

test('whatever happens, what is under way is never more than the bounds, and all of it comes to an end', async () => {
  const step = fc.record({
    does: fc.constantFrom('enter', 'enter', 'end', 'update'),
    which: fc.nat(30),
    outcome: fc.constantFrom('answered', 'answered', 'error', 'said-error', 'late', 'lost', 'unknown'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 150, size: 'max' }), async (steps) => {
      const limits = {
        upstreamInFlightMax: 5,
        upstreamConnectionsMax: 2,
        breakerOpenMs: 0,
        breakerOpenMsMax: 0,
      };
      const { upstream } = upstreamOf(['a', 'b', 'c'], limits);
      const leases: Lease[] = [];
      const waiting: Promise<unknown>[] = [];
      const take = (entry: Entry) => void (entry instanceof Lease && leases.push(entry));
      for (const { does, which, outcome } of steps) {
        if (does === 'enter') {
          const entry = upstream.enter();
          if (entry instanceof Promise) waiting.push(entry.then(take));
          else take(entry);
        } else if (does === 'update') {
          upstream.update(origins(...['a', 'b', 'c', 'd'].filter((_, bit) => which & (1 << bit))));
        } else {
          leases.splice(which % Math.max(leases.length, 1), 1)[0]?.end(outcome as 'answered');
        }
        await Promise.resolve();
        const status = upstream.status();
        expect(status.inFlight).toBeLessThanOrEqual(5);
        expect(status.waiting).toBeLessThanOrEqual(3);
        for (const { inFlight } of status.instances) expect(inFlight).toBeLessThanOrEqual(2);
        expect(status.instances.reduce((sum, { inFlight }) => sum + inFlight, 0)).toBe(status.inFlight);
      }
      upstream.update(origins('a'));
      for (let turn = 0; turn < 50 && (leases.length > 0 || upstream.status().waiting > 0); turn++) {
        leases.pop()?.end('answered');
        await Promise.resolve();
        await Promise.resolve();
      }
      await Promise.all(waiting);
      for (const lease of leases) lease.end('answered');
      expect(upstream.status()).toMatchObject({ inFlight: 0, waiting: 0 });
      expect(upstream.status().instances.length).toBe(1);
      await upstream.stop();
    }),
    { numRuns: 60 },
  );
});

test('who does not answer its health checks well is left out, and comes back; when none is well, all are asked', async () => {
  const well = { a: true, b: true };
  await using a = await startServer(
    (_request, response) => void response.writeHead(well.a ? 204 : 503).end(),
  );
  await using b = await startServer(
    (_request, response) => void response.writeHead(well.b ? 200 : 500).end(),
  );
  const health = { path: '/healthz', everyMs: 20, msMax: 500, healthyAfter: 2, unhealthyAfter: 2 };
  const { upstream } = upstreamOf([], {}, { health });
  upstream.update([{ origin: a.url }, { origin: b.url }]);
  const up = () => upstream.status().instances.map((each) => each.up);
  well.a = false;
  await until(() => up().join() === 'false,true', 'the sick one to be left out');
  for (let i = 0; i < 5; i++) expect(entered(upstream.enter()).instance.origin).toBe(b.url);
  well.b = false;
  await until(() => up().join() === 'false,false', 'both to be sick');
  const origins = [1, 2, 3, 4, 5, 6, 7].map(() => entered(upstream.enter()).instance.origin);
  expect(new Set(origins)).toEqual(new Set([a.url, b.url]));
  well.a = true;
  await until(() => up().join() === 'true,false', 'it to come back');
});
