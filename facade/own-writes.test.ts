import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Side } from '../capability/capability.ts';
import { clientKeyOf, OwnWrites, type Pin } from './own-writes.ts';

const limits = { clientsMax: 100, pinMsMax: 60_000 };
const maxUnsigned = 2n ** 64n - 1n;
const pin = (over: Partial<Pin> = {}): Pin => ({
  capability: 'reviews',
  side: 'legacy',
  epoch: 3n,
  at: 1_790_000_000_000_000n,
  ...over,
});
/** What a browser sends back. */
const sent = (setCookie: string) => setCookie.split(';', 1)[0] ?? '';
const anyPin: fc.Arbitrary<Pin> = fc.record({
  capability: fc.stringMatching(/^[a-z][a-z0-9-]{0,63}$/),
  side: fc.constantFrom<Side>('legacy', 'service'),
  epoch: fc.bigInt({ min: 0n, max: maxUnsigned }),
  at: fc.bigInt({ min: 0n, max: maxUnsigned }),
});

test('another replica reads every pin from the cookie', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPin, { selector: (p) => p.capability, maxLength: 16 }), (pins) => {
      const here = new OwnWrites(limits);
      let cookie = '';
      for (const each of pins) cookie = sent(here.wrote('client', cookie, each, 'http'));
      const there = new OwnWrites(limits);
      for (const each of pins) expect(there.pinOf('other', `a=1; ${cookie}`, each.capability)).toEqual(each);
      expect(cookie.length).toBeLessThan(2_048);
    }),
  );
});

test('the cookie is as the facade sets cookies, and lasts as long as a pin', () => {
  const writes = new OwnWrites({ ...limits, pinMsMax: 1_001 });
  expect(writes.wrote('a', undefined, pin(), 'http')).toBe(
    'banyan_pin=reviews.l.3.1790000000000000; Path=/; Max-Age=2; HttpOnly; SameSite=Lax',
  );
  expect(writes.wrote('a', undefined, pin({ side: 'service' }), 'https')).toMatch(/SameSite=Lax; Secure$/);
});

test.each([
  '',
  'reviews',
  'reviews.l.3',
  'reviews.l.3.4.5',
  'reviews.x.3.4',
  'Reviews.l.3.4',
  'reviews.l.-3.4',
  'reviews.l.03.4',
  'reviews.l.3.4e3',
  'reviews.l.3.0x4',
  'reviews.l.3.',
  `reviews.l.3.${'9'.repeat(21)}`,
  `${'r'.repeat(65)}.l.3.4`,
  'reviews.l.3.4~',
  'reviews.l.3.4~junk',
  'reviews.l.3.4=5',
  '"reviews.l.3.4"',
  Array.from({ length: 17 }, (_, i) => `reviews${i}.l.3.4`)
    .join('~')
    .concat('~reviews.l.3.4'),
])('"%s" holds no pin', (value) => {
  expect(new OwnWrites(limits).pinOf('a', `banyan_pin=${value}`, 'reviews')).toBeUndefined();
});

test('no header makes it fail', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, value) => {
      new OwnWrites(limits).pinOf('a', `${before}; banyan_pin=${value}`, 'reviews');
    }),
  );
});

test('what a client says reaches nobody else with its key', () => {
  const writes = new OwnWrites(limits);
  writes.wrote('shared', 'banyan_pin=reviews.s.99999.5~other.s.1.1', pin(), 'http');
  expect(writes.pinOf('shared', undefined, 'reviews')).toEqual(pin());
  expect(writes.pinOf('shared', undefined, 'other')).toBeUndefined();
});

test('a cookie of at most 16 pins keeps the one that was just written', () => {
  const many = Array.from({ length: 16 }, (_, i) => `c${i}.l.1.1`).join('~');
  const cookie = sent(new OwnWrites(limits).wrote('a', `banyan_pin=${many}`, pin(), 'http'));
  expect(new OwnWrites(limits).pinOf('b', cookie, 'reviews')).toEqual(pin());
  expect(cookie.split('~')).toHaveLength(16);
});

test.each<[string, Partial<Pin>, Partial<Pin>, 'first' | 'second']>([
  ['a later write', { at: 1n }, { at: 2n }, 'second'],
  ['an answer that was overtaken', { at: 2n }, { at: 1n }, 'first'],
  ['a later owner, whose clock is behind', { at: 9n }, { side: 'service', epoch: 4n, at: 1n }, 'second'],
  [
    'a write, after one of the other side at this epoch, which nobody made',
    { side: 'service', at: 9n },
    { at: 1n },
    'second',
  ],
  ['an answer of the owner before', { side: 'service', epoch: 4n, at: 1n }, { at: 9n }, 'first'],
])('of two pins %s', (_name, first, second, stands) => {
  const expected = pin(stands === 'first' ? first : second);
  const one = new OwnWrites(limits);
  one.wrote('a', undefined, pin(first), 'http');
  one.wrote('a', undefined, pin(second), 'http');
  expect(one.pinOf('a', undefined, 'reviews')).toEqual(expected);

  // The same through two replicas, by the cookie alone.
  const cookie = sent(new OwnWrites(limits).wrote('a', undefined, pin(first), 'http'));
  const both = sent(new OwnWrites(limits).wrote('a', cookie, pin(second), 'http'));
  expect(new OwnWrites(limits).pinOf('a', both, 'reviews')).toEqual(expected);
});

test('the table forgets a pin when it is over, and the client that wrote longest ago when it is full', () => {
  let nowMs = 0;
  const writes = new OwnWrites({ clientsMax: 2, pinMsMax: 1_000 }, () => nowMs);
  const known = () => ['a', 'b', 'c'].filter((key) => writes.pinOf(key, undefined, 'reviews'));
  writes.wrote('a', undefined, pin(), 'http');
  writes.wrote('b', undefined, pin(), 'http');
  writes.wrote('a', undefined, pin(), 'http');
  writes.wrote('c', undefined, pin(), 'http');
  expect(known()).toEqual(['a', 'c']);
  nowMs = 999;
  writes.wrote('c', undefined, pin(), 'http');
  nowMs = 1_000;
  expect(known()).toEqual(['c']);
});

test('a client is known by what it sends each time, and our own cookies do not change it', () => {
  const key = (headers: Record<string, string>, address = '10.0.0.1') => clientKeyOf(headers, address);
  expect(key({ authorization: 'Bearer t', cookie: 'a=1' })).toBe(
    key({ authorization: 'Bearer t' }, '10.0.0.2'),
  );
  expect(key({ cookie: 's=1; banyan_pin=x' })).toBe(key({ cookie: 's=1' }, '10.0.0.2'));
  expect(key({ cookie: 'banyan_id=x', 'user-agent': 'u' })).toBe(key({ 'user-agent': 'u' }));
  const keys = [
    key({ authorization: 'Bearer t' }),
    key({ authorization: 'Bearer u' }),
    key({ cookie: 's=1' }),
    key({ cookie: 's=2' }),
    key({}),
    key({ 'user-agent': 'u' }),
    key({ 'user-agent': 'u' }, '10.0.0.2'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  for (const each of keys) expect(each).toMatch(/^[\w-]{43}$/);
});
