// The flags on the admin listener, as SDKs of Unleash ask for them.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { afterAll, expect, test } from 'vitest';
import { rolloutFlag, setReadPercent } from '../capability/flag-file.ts';
import { createAdmin } from './admin.ts';
import { fileFlags } from './flags.ts';
import { until } from './test-servers.ts';

const log = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'banyan-feed-'));
const file = join(folder, 'flags.json');
const token = 'a-token-for-flags-only';
const adminToken = 'the-token-of-the-listener';
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const admin = (feed: Parameters<typeof createAdmin>[0]['feed']) =>
  createAdmin({
    token: adminToken,
    feed,
    registry: new Registry(),
    log,
    refresh: () => {},
    readiness: () => ({ ready: true, checks: {} }),
    status: () => ({}),
    parity: () => ({ minutes: 1, capabilities: [] }),
    analysis: () => ({ replica: 'x', capabilities: [] }),
    look: async () => undefined,
  });

test('an SDK registers, follows the file, sends its metrics, and evaluates as the facade does', async () => {
  writeFileSync(file, JSON.stringify({ version: 2, features: [rolloutFlag('reviews.read', 0)] }));
  const flags = await fileFlags(file, [{ name: 'reviews.read', properties: [] }], log);
  const listener = admin({ token, read: () => flags.shared() });
  const url = await listener.start('127.0.0.1', 0);
  const sdk = new Unleash({
    appName: 'another',
    url: `${url}/api`,
    customHeaders: { Authorization: token },
    refreshInterval: 30,
    metricsInterval: 50,
    storageProvider: new InMemStorageProvider(),
    disableAutoStart: true,
  });
  const heard = { registered: 0, sent: 0, unchanged: 0, faults: [] as string[] };
  sdk.on('registered', () => heard.registered++);
  sdk.on('sent', () => heard.sent++);
  sdk.on('unchanged', () => heard.unchanged++);
  sdk.on('warn', (warning) => heard.faults.push(String(warning)));
  sdk.on('error', (error) => heard.faults.push(String(error)));
  await Promise.all([once(sdk, 'synchronized'), sdk.start()]);
  const ids = Array.from({ length: 500 }, (_, index) => `client-${index}`);
  const moved = () => ids.filter((userId) => sdk.isEnabled('reviews.read', { userId }));
  expect(moved()).toEqual([]);
  setReadPercent(file, 'reviews', 37);
  await until(() => moved().length > 0, 'the change');
  expect(moved()).toEqual(ids.filter((id) => flags.isOn('reviews.read', id)));
  await until(() => heard.registered > 0 && heard.sent > 0 && heard.unchanged > 0, 'its reports');
  expect(heard.faults).toEqual([]);
  sdk.destroy();
  await listener.stop();
  await flags.stop();
});

test('a token of the flags that is too short, or the admin’s own, is refused at the start', () => {
  const read = () => undefined;
  expect(() => admin({ token: 'short', read })).toThrow(/token of the flags has 5 characters, and 16/);
  expect(() => admin({ token: adminToken, read })).toThrow(/is the admin token/);
});
