import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, configFaults, loadConfig } from './load-config.ts';

const sample = join(import.meta.dirname, '..', 'banyan.config.ts');

test('the sample is a configuration', async () => {
  expect((await loadConfig(sample)).capabilities.map(({ name }) => name)).toEqual(['reviews', 'wishlist']);
});

test('everything that is wrong is said at once, each with its place', async () => {
  const config = await loadConfig(sample);
  const [reviews] = config.capabilities;
  const faults = configFaults({
    upstreams: { reviews: 'ftp://x', other: 'http://x/path' },
    legacy: {
      manner: {},
      routes: [{ method: 'GET', path: '/a', kind: 'read', safe: true, alsoReads: ['nobody'] }],
    },
    flags: { unleash: { project: 'default' } },
    capabilities: [
      reviews,
      {
        ...reviews,
        team: '',
        service: { upstream: 'nowhere', database: '' },
        tables: [{ table: 'x' }],
        routes: [
          { method: 'HEAD', path: 'list.do', kind: 'read' },
          { method: 'POST', path: '/x', kind: 'view', safe: true },
          {
            method: 'GET',
            path: '/api/review/list.do',
            kind: 'read',
            safe: true,
            alsoReads: ['orders'],
            translate: {},
          },
        ],
      },
    ],
  }).join('\n');
  for (const expected of [
    /upstreams\.legacy, the monolith, is missing/,
    /upstreams\.reviews is neither http: nor https:/,
    /upstreams\.other has more than/,
    /legacy\.database/,
    /legacy\.manner/,
    /legacy\.routes \(GET \/a\).*"nobody"/,
    /two capabilities "reviews"/,
    /flags\.unleash names no project and environment/,
    /names no team/,
    /"nowhere" is not one of upstreams/,
    /service\.database/,
    /tables 1 is not a translator/,
    /method "HEAD"/,
    /path "list\.do"/,
    /must say whether it is safe/,
    /kind must be read or write/,
    /GET \/api\/review\/list\.do is declared twice/,
    /drop translate or alsoReads/,
    /"orders", which is not another capability/,
  ])
    expect(faults).toMatch(expected);
});

test('what writes need is looked at too', async () => {
  const config = await loadConfig(sample);
  const [reviews] = config.capabilities;
  const identity = {
    cookie: '',
    path: 'me.do',
    userOf: 'mbrId',
    dropAt: [{ method: 'LOGOUT', path: '/x' }, { method: 'POST' }, 3],
  };
  const leave = { method: 'POST', path: '/leave', kind: 'write' };
  const faults = configFaults({
    ...config,
    legacy: {
      ...config.legacy,
      identity,
      routes: [
        { ...leave, alsoWrites: ['reviews'], remedy: '' },
        { ...leave, remedy: 'there is nothing to remedy' },
      ],
    },
    capabilities: [
      {
        ...reviews,
        writers: { legacy: 'shop_app', service: [] },
        service: { ...reviews?.service, isRefusal: 503 },
        routes: [{ method: 'POST', path: '/write', kind: 'write', translate: { request: () => {} } }],
      },
    ],
  });
  expect(faults).toEqual([
    'legacy.identity names no cookie',
    'legacy.identity has no path that tells who is logged in',
    'legacy.identity has no userOf, which reads the answer',
    'legacy.identity dropAt has {"method":"LOGOUT","path":"/x"}, which is no method with a path',
    'legacy.identity dropAt has {"method":"POST"}, which is no method with a path',
    'legacy.identity dropAt has 3, which is no method with a path',
    'reviews: service.isRefusal is not a function',
    'reviews: writers lists the names of database users, one list for legacy and one for service',
    'reviews: route 1 (POST /write): translate is no translator: it needs request and response',
    'legacy.routes (POST /leave): remedy is a text, and says what becomes of what alsoWrites names',
    'legacy.routes (POST /leave): remedy is a text, and says what becomes of what alsoWrites names',
  ]);
  expect(configFaults({ ...config, legacy: { ...config.legacy, identity: 'me.do' } })).toEqual([
    'legacy.identity is not an object',
  ]);
});

test('what a route says of its comparison is looked at', async () => {
  const config = await loadConfig(sample);
  const [reviews] = config.capabilities;
  const read = { method: 'GET', path: '/list', kind: 'read', safe: true };
  const routes = [
    {
      ...read,
      shadow: { ignore: ['$.a[*].b', "$['x y'].*", 'a', '$..b'], show: ['?page', '?'], headers: ['a b'] },
    },
    { ...read, path: '/two', shadow: { hide: ['$'], redact: '$.name' } },
    { method: 'POST', path: '/three', kind: 'write', shadow: {} },
  ];
  const gates = { parityMinutes: 0 };
  expect(configFaults({ ...config, capabilities: [{ ...reviews, gates, routes }] })).toEqual([
    'reviews: gates.parityMinutes is not 1 to 1440',
    'reviews: route 1 (GET /list): shadow.ignore has "a", which is no place like $.list[*].name',
    'reviews: route 1 (GET /list): shadow.ignore has "$..b", which is no place like $.list[*].name',
    'reviews: route 1 (GET /list): shadow.show has "?", which is no place like $.list[*].name',
    'reviews: route 1 (GET /list): shadow.headers has "a b", which is no name of a header',
    'reviews: route 2 (GET /two): shadow.hide is not one of ignore, headers, redact, show',
    'reviews: route 2 (GET /two): shadow.redact is not a list',
    'reviews: route 3 (POST /three): shadow says how the answers of a read are compared',
  ]);
});

describe('a file that cannot be used', () => {
  test.each([
    ['is not there', undefined, /no such file/],
    ['does not parse', 'export default {', /could not be read/],
    ['exports something else', 'export default 3', /not a configuration object/],
    ['throws while it is read', 'throw new Error("no luck")', /no luck/],
  ])('%s', async (name, text, reason) => {
    const folder = mkdtempSync(join(tmpdir(), 'config-'));
    const path = join(folder, `${name.replaceAll(' ', '-')}.ts`);
    if (text !== undefined) writeFileSync(path, text);
    await expect(loadConfig(path)).rejects.toThrow(ConfigError);
    await expect(loadConfig(path)).rejects.toThrow(reason);
    rmSync(folder, { recursive: true });
  });
});
