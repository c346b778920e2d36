import { expect, test } from 'vitest';
import { upstreamFaults } from './upstream.ts';

test.each([
  'http://127.0.0.1:8083',
  ['http://a', 'https://b:8443/'],
  { origins: ['http://a'], inFlightMax: 10 },
  { file: 'instances.json', everyMs: 1_000 },
  { dns: 'reviews.internal', port: 8083, tls: true, health: { path: '/readyz' } },
  {
    srv: '_reviews._tcp.internal',
    health: { path: '/', everyMs: 500, msMax: 100, healthyAfter: 1, unhealthyAfter: 1 },
  },
])('%j is where an upstream may be', (declaration) => {
  expect(upstreamFaults(declaration)).toEqual([]);
});

test.each<[unknown, RegExp]>([
  ['127.0.0.1:8083', /is not a URL|neither http/],
  ['http://a/path', /more than scheme, host and port/],
  [[], /names no origin/],
  [['http://a', 'http://a/'], /names an origin twice/],
  [['http://a', 7], /has 7, which is not a URL/],
  [{}, /says one of origins, file, dns or srv/],
  [{ dns: 'a', port: 1, file: 'b' }, /says one of/],
  [{ dns: 'a' }, /\.port is not a port/],
  [{ dns: 'a', port: 70_000 }, /\.port is not a port/],
  [{ srv: '' }, /\.srv is not a text/],
  [{ srv: 'a', tls: 'yes' }, /\.tls is true or false/],
  [{ file: 'a', everyMs: 5 }, /\.everyMs is not a whole number of at least 100/],
  [{ file: 'a', inFlightMax: 0 }, /\.inFlightMax/],
  [{ file: 'a', health: {} }, /\.health has no path/],
  [{ file: 'a', health: { path: '/', healthyAfter: 0 } }, /\.health\.healthyAfter/],
])('%j is refused, with the reason', (declaration, why) => {
  expect(upstreamFaults(declaration).join()).toMatch(why);
});
