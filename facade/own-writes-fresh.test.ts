import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Side } from '../capability/capability.ts';
import { isFresh, type Pin, type ReadSide } from './own-writes.ts';

const pin = (side: Side, epoch: bigint, at: bigint): Pin => ({ capability: 'reviews', side, epoch, at });

test('a read goes where the write was accepted or has certainly arrived', () => {
  const written = pin('legacy', 3n, 100n);
  const at = (epoch: bigint, passed?: bigint): ReadSide => ({ epoch, passed });
  expect(isFresh(written, 'legacy', at(3n))).toBe('fresh');
  expect(isFresh(written, 'service', at(3n))).toBe('stale');
  expect(isFresh(written, 'service', at(3n, 100n))).toBe('stale');
  expect(isFresh(written, 'service', at(3n, 101n))).toBe('fresh');
  expect(isFresh(written, 'service', at(2n, 101n))).toBe('refresh-first');
  expect(isFresh(written, 'service', at(4n))).toBe('fresh');
});

/** Two servers, the streams between them, changes of owner: what isFresh calls fresh is there. */
function createPair(aheadMicros: Readonly<Record<Side, number>>) {
  type Event =
    | { readonly is: 'write'; readonly id: number }
    | { readonly is: 'heartbeat'; readonly at: bigint }
    | { readonly is: 'close'; readonly epoch: bigint };
  const createSide = () => ({
    owner: 'legacy' as Side,
    epoch: 1n,
    has: new Set<number>(),
    binlog: [] as Event[],
    /** Of the other's binlog. */
    applied: 0,
    passed: undefined as bigint | undefined,
  });
  const sides = { legacy: createSide(), service: createSide() };
  const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');
  const owner = () => (['legacy', 'service'] as const).find((side) => sides[side].owner === side);
  let now = 1_000_000;
  let ids = 0;
  const clock = (side: Side) => BigInt(now + aheadMicros[side]);
  return {
    sides,
    wait: (micros: number) => {
      now += micros;
    },
    write(late: number): { readonly pin: Pin; readonly id: number } | undefined {
      const side = owner();
      if (!side) return undefined;
      const id = ids++;
      sides[side].has.add(id);
      sides[side].binlog.push({ is: 'write', id });
      return { id, pin: pin(side, sides[side].epoch, clock(side) + BigInt(late)) };
    },
    heartbeat: (side: Side) => sides[side].binlog.push({ is: 'heartbeat', at: clock(side) }),
    close() {
      const side = owner();
      if (!side) return;
      sides[side].owner = other(side);
      sides[side].epoch += 1n;
      sides[side].binlog.push({ is: 'close', epoch: sides[side].epoch });
    },
    /** One event of the stream into this side. */
    stream(side: Side) {
      const here = sides[side];
      const event = sides[other(side)].binlog[here.applied];
      if (!event) return false;
      here.applied += 1;
      if (event.is === 'write') here.has.add(event.id);
      if (event.is === 'heartbeat') here.passed = event.at;
      if (event.is === 'close') {
        here.owner = side;
        here.epoch = event.epoch;
      }
      return true;
    },
  };
}

test('what is fresh is there, across changes of owner, by old knowledge too, with clocks far apart', () => {
  const side = fc.constantFrom<Side>('legacy', 'service');
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('write' as const), late: fc.integer({ min: 0, max: 20 }) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('heartbeat' as const), side }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('stream' as const), side }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('wait' as const), micros: fc.integer({ min: 1, max: 20 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
  );
  const ahead = fc.integer({ min: -1_000_000, max: 1_000_000 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), ahead, ahead, (steps, legacy, service) => {
      const pair = createPair({ legacy, service });
      const written: { readonly pin: Pin; readonly id: number }[] = [];
      let old: Record<Side, ReadSide> | undefined;
      const check = (to: Side, view: ReadSide) => {
        for (const { pin: each, id } of written)
          if (isFresh(each, to, view) === 'fresh') expect(pair.sides[to].has).toContain(id);
      };
      for (const each of steps) {
        if (each.do === 'write') {
          const one = pair.write(each.late);
          if (one) written.push(one);
        } else if (each.do === 'heartbeat') pair.heartbeat(each.side);
        else if (each.do === 'stream') pair.stream(each.side);
        else if (each.do === 'wait') pair.wait(each.micros);
        else pair.close();
        const { legacy: l, service: s } = pair.sides;
        const view = { legacy: { ...l }, service: { ...s } };
        for (const to of ['legacy', 'service'] as const) {
          check(to, view[to]);
          if (old) check(to, old[to]);
        }
        if (each.do === 'close' || !old) old = view;
      }
      // And when all has passed, every read is free again.
      pair.wait(30);
      for (const to of ['legacy', 'service'] as const) pair.heartbeat(to);
      while (pair.stream('legacy') || pair.stream('service'));
      for (const { pin: each } of written)
        for (const to of ['legacy', 'service'] as const)
          expect(isFresh(each, to, pair.sides[to])).toBe('fresh');
    }),
    { numRuns: 1_000 },
  );
});
