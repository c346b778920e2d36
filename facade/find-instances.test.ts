import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type AskedPlace, createFinder, type Finder } from './find-instances.ts';
import { startDns } from './test-dns.ts';
import { until } from './test-servers.ts';

const folders: string[] = [];
const finders: Finder[] = [];
afterEach(async () => {
  await Promise.all(finders.splice(0).map((finder) => finder.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

type Watched = { readonly finder: Finder; origins(): readonly string[]; readonly said: string[] };

async function find(place: AskedPlace, everyMs = 100, dnsServer?: string): Promise<Watched> {
  let origins: readonly string[] = [];
  const said: string[] = [];
  const finder = createFinder(place, {
    name: 'reviews',
    everyMs,
    dnsServers: dnsServer === undefined ? [] : [dnsServer],
    found: (instances) => {
      origins = instances.map(({ origin }) => origin).sort();
    },
    log: pino({ level: 'error' }, { write: (line) => void said.push(line) }),
  });
  finders.push(finder);
  await finder.start();
  return { finder, origins: () => origins, said };
}

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-instances-'));
  folders.push(folder);
  const path = join(folder, 'instances.json');
  writeFileSync(path, text);
  return path;
}

const list = (...ports: number[]) => JSON.stringify(ports.map((port) => `http://10.0.0.1:${port}`));

test('a file is read again at once when it changes, in place or replaced', async () => {
  const path = file(list(1, 2));
  const { origins } = await find({ file: path }, 60_000);
  expect(origins()).toEqual(['http://10.0.0.1:1', 'http://10.0.0.1:2']);
  writeFileSync(path, list(2, 3));
  await until(() => origins().includes('http://10.0.0.1:3'), 'the change in place');
  writeFileSync(`${path}.new`, list(4));
  renameSync(`${path}.new`, path);
  await until(() => origins().join() === 'http://10.0.0.1:4', 'the replaced file');
});

test.each([
  [list(1, 2).slice(0, -3), /not JSON \(half written/],
  ['', /not JSON/],
  ['[]', /names no origin/],
  ['{"instances":[]}', /names no origin/],
  ['["10.0.0.1:80"]', /which is not a URL/],
  ['["http://a/path"]', /more than scheme, host and port/],
  ['["http://a","http://a:80"]', /twice/],
])('a file with %s keeps the old list and says so, once', async (text, why) => {
  const path = file(list(1));
  const { finder, origins, said } = await find({ file: path }, 60_000);
  writeFileSync(path, text);
  await until(() => finder.fault() !== undefined, 'the fault');
  expect(finder.fault()).toMatch(why);
  expect(origins()).toEqual(['http://10.0.0.1:1']);
  rmSync(path);
  await until(() => /ENOENT/.test(finder.fault() ?? ''), 'the file to be missed');
  writeFileSync(path, list(5));
  await until(() => finder.fault() === undefined, 'the mended file');
  expect(origins()).toEqual(['http://10.0.0.1:5']);
  expect(said.length).toBe(2);
});

test('A records are asked for again and again; no answer, and none of the name, keep what is known', async () => {
  await using dns = await startDns();
  dns.a.set('reviews.internal', ['10.0.0.1', '10.0.0.2']);
  const place = { dns: 'reviews.internal', port: 8083 };
  const { finder, origins, said } = await find(place, 100, dns.server);
  expect(origins()).toEqual(['http://10.0.0.1:8083', 'http://10.0.0.2:8083']);
  dns.a.set('reviews.internal', ['10.0.0.3', '10.0.0.2']);
  await until(() => origins().includes('http://10.0.0.3:8083'), 'the new address');
  expect(origins()).not.toContain('http://10.0.0.1:8083');
  dns.a.delete('reviews.internal');
  await until(() => /ENOTFOUND/.test(finder.fault() ?? ''), 'the fault');
  dns.a.set('reviews.internal', []);
  await until(() => /ENODATA/.test(finder.fault() ?? ''), 'another one');
  dns.isSilent = true;
  await until(() => /ETIMEOUT/.test(finder.fault() ?? ''), 'silence to be noticed');
  expect(origins()).toEqual(['http://10.0.0.2:8083', 'http://10.0.0.3:8083']);
  expect(said.length).toBe(3);
  dns.isSilent = false;
  dns.a.set('reviews.internal', ['10.0.0.9']);
  await until(() => origins().join() === 'http://10.0.0.9:8083', 'it to answer again');
  expect(finder.fault()).toBeUndefined();
});

test('SRV records give targets and ports, those of the lowest priority, and follow', async () => {
  await using dns = await startDns();
  const name = '_reviews._tcp.internal';
  dns.a.set('a.internal', ['10.0.1.1']);
  dns.a.set('b.internal', ['10.0.1.2', '10.0.1.3']);
  dns.srv.set(name, [
    { priority: 1, target: 'a.internal', port: 7001 },
    { priority: 1, target: 'b.internal', port: 7002 },
    { priority: 2, target: 'spare.internal', port: 7003 },
  ]);
  const { finder, origins } = await find({ srv: name, tls: true }, 100, dns.server);
  expect(origins()).toEqual(['https://10.0.1.1:7001', 'https://10.0.1.2:7002', 'https://10.0.1.3:7002']);
  dns.srv.set(name, [{ priority: 2, target: 'a.internal', port: 7009 }]);
  await until(() => origins().join() === 'https://10.0.1.1:7009', 'the change');
  // A target without an address: half an answer is none.
  dns.srv.set(name, [
    { priority: 1, target: 'a.internal', port: 7001 },
    { priority: 1, target: 'gone.internal', port: 7002 },
  ]);
  await until(() => finder.fault() !== undefined, 'the fault');
  expect(origins()).toEqual(['https://10.0.1.1:7009']);
});

test('what cannot be had at first is no error, and comes later', async () => {
  const path = file('');
  const { finder, origins } = await find({ file: path });
  expect([origins(), finder.fault()]).toEqual([[], 'it is not JSON (half written?)']);
  writeFileSync(path, list(1));
  await until(() => origins().length === 1, 'the list');
});
