// Replicas on several machines, of which one has the flag file: the others follow its admin listener as if it were an Unleash.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { writeFlagFile } from '../../capability/flag-file.ts';
import { until } from '../sync/until.ts';
import { type Flagged, type FlaggedFacade, idsOf, startFlagged } from './flagged.ts';

const token = 'a-token-for-flags-only';
const ids = idsOf(60);

let flagged: Flagged;
let file: string;
beforeAll(async () => {
  flagged = await startFlagged();
  file = join(flagged.folder, 'flags.json');
}, 120_000);
afterAll(() => flagged?.[Symbol.asyncDispose]());
beforeEach(async () => {
  await flagged.reset();
  writeFlagFile(file, { version: 2, features: [] });
});

const withFile = () => flagged.start({ BANYAN_FLAGS: file, BANYAN_FLAGS_TOKEN: token });
const following = ({ admin }: FlaggedFacade, more: Readonly<Record<string, string>> = {}) =>
  flagged.start({ UNLEASH_URL: `${admin}/api`, UNLEASH_TOKEN: token, ...more });

test('what "banyan shift" puts into the file moves both, and the same clients; the second keeps it when the first dies', async () => {
  const first = await withFile();
  const second = await following(first);
  expect(await second.flags()).toMatchObject({ source: 'unleash', fault: null });
  let before: string[] = [];
  for (const percent of [10, 50]) {
    const shift = await flagged.banyan(second, ['shift', 'reviews', '--reads', String(percent)], {
      BANYAN_FLAGS: file,
    });
    // The second one was asked: it has followed within its polls.
    expect(shift).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/the facade follows, \d+ ms later/),
    });
    expect(await first.effectivePercent()).toBe(percent);
    const moved = await first.moved(ids);
    expect(await second.moved(ids)).toEqual(moved);
    expect(moved).toEqual(expect.arrayContaining(before));
    expect(moved.length).toBeGreaterThan(before.length);
    before = moved;
  }

  process.kill(first.pid, 'SIGKILL');
  await until(
    'the second to say so',
    async () => (await second.flags()).fault?.includes('cannot be reached'),
    {
      msMax: 15_000,
    },
  );
  expect(await second.moved(ids)).toEqual(before);
  expect(await second.metrics()).toContain('banyan_facade_flags_valid 0');
}, 90_000);

const ask = (admin: string, headers: Readonly<Record<string, string>>, path = 'features', method = 'GET') =>
  fetch(`${admin}/api/client/${path}`, {
    method,
    headers,
    ...(method === 'POST' && { body: JSON.stringify({ appName: 'x', bucket: {} }) }),
  });

test('flags are for their own token, which can do nothing else, and never on the public port', async () => {
  const facade = await withFile();
  const status = async (headers: Readonly<Record<string, string>>) =>
    (await ask(facade.admin, headers)).status;
  expect(await status({})).toBe(401);
  expect(await status({ authorization: 'wrong' })).toBe(401);
  expect(await status({ authorization: token })).toBe(200);
  expect(await status({ authorization: `Bearer ${token}` })).toBe(200);
  expect(await status({ authorization: token, origin: 'http://evil.example' })).toBe(403);
  for (const path of ['/api/status', '/metrics', '/api/parity', '/api/writes/reviews/look'])
    expect(
      (
        await fetch(facade.admin + path, {
          method: path.endsWith('look') ? 'POST' : 'GET',
          headers: { authorization: `Bearer ${token}` },
        })
      ).status,
    ).toBe(401);
  // Legacy's, whatever it says.
  const outside = await fetch(`${facade.url}/api/client/features`, { headers: { authorization: token } });
  expect(await outside.json()).toEqual({ by: 'legacy' });

  const first = await ask(facade.admin, { authorization: token });
  const etag = first.headers.get('etag') ?? '';
  expect(await first.json()).toEqual({ version: 2, features: [], segments: [], query: {} });
  const again = await ask(facade.admin, { authorization: token, 'if-none-match': etag });
  expect([again.status, await again.text()]).toEqual([304, '']);
  const weak = await ask(facade.admin, { authorization: token, 'if-none-match': `W/${etag}` });
  expect(weak.status).toBe(304);
  writeFileSync(
    file,
    JSON.stringify({ version: 2, features: [{ name: 'a', enabled: true, strategies: [] }] }),
  );
  await until('the change', async () => {
    const answer = await ask(facade.admin, { authorization: token, 'if-none-match': etag });
    return answer.status === 200;
  });
  for (const path of ['register', 'metrics']) {
    const said = { authorization: token, 'content-type': 'application/json' };
    expect((await ask(facade.admin, said, path, 'POST')).status).toBe(202);
    expect((await ask(facade.admin, {}, path, 'POST')).status).toBe(401);
  }
});

test('a facade without a token for them shares no flags, nor does one that follows others', async () => {
  const silent = await flagged.start({ BANYAN_FLAGS: file });
  const asked = await ask(silent.admin, { authorization: token });
  expect([asked.status, await asked.json()]).toEqual([
    404,
    { error: { code: 'not_shared', message: expect.stringMatching(/BANYAN_FLAGS_TOKEN/) } },
  ]);
  const second = await following(silent, { BANYAN_FLAGS_TOKEN: token });
  expect((await ask(second.admin, { authorization: token })).status).toBe(404);
  // Not found is asked again: once the first shares them, they are followed.
  expect((await second.flags()).fault).toMatch(/answered 404/);
});
