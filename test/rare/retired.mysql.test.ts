// Retired: legacy follows no longer, there is no way back, and a write on legacy is still refused, or seen.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair, things } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({ tables: ['t'], ddl: 'CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL);' });
  worker = await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const admin = ['--admin-token', 'nobody-asks'];
const sources = async () => (await worker.status()).map(({ source }) => source).sort();
const rows = async () =>
  (await pair.legacy.query('SELECT id FROM shop.t ORDER BY id')).map(({ id }) => Number(id));

test('the stream back ends while the worker runs, and is not begun again; what legacy writes is refused by the fence, and seen without it', {
  timeout: 120_000,
}, async () => {
  const root = ['--legacy-url', pair.legacy.url, '--services-url', pair.service.url];
  await pair.turn('service');
  await pair.legacy.query("UPDATE banyan.capability SET phase = 'owned' WHERE name = ?", [things]);
  const fenced = await pair.banyan('fence', things, '--enforce', '--execute', ...root);
  expect(fenced).toMatchObject({ code: 0 });
  await pair.service.query('INSERT INTO things.t VALUES (1, 1)');
  await pair.aligned();
  expect(await rows()).toEqual([1]);
  expect(await sources()).toEqual(['legacy', 'service']);
  expect(await pair.banyan('verify', things)).toMatchObject({ code: 0 });

  const retired = await pair.banyan('retire', things, '--execute', '--json', ...admin);
  expect(JSON.parse(retired.stdout)).toMatchObject({ executed: true });
  await until('the stream back to end', async () => `${await sources()}` === 'legacy', {
    explain: async () => pair.logs(),
  });
  await pair.service.query('INSERT INTO things.t VALUES (2, 2)');

  // It is not late; it is over.
  const status = await pair.banyan('status');
  expect(status.stdout).toMatch(/from service: ended by "banyan retire", for good/);
  expect(status.stdout).toMatch(/from legacy: watching/);
  const plan = JSON.parse((await pair.banyan('plan', things, '--json', ...admin)).stdout);
  expect(plan.gates).toContainEqual(
    expect.objectContaining({ gate: 'streams', evidence: expect.stringMatching(/^1 run/) }),
  );
  const back = JSON.parse((await pair.banyan('rollback', things, '--execute', '--json', ...admin)).stdout);
  expect(back).toMatchObject({ executed: false, ok: false });
  expect(back.gates).toContainEqual(expect.objectContaining({ gate: 'phase', verdict: 'fail' }));
  expect(back.gates).toContainEqual(expect.objectContaining({ gate: 'streams', verdict: 'fail' }));
  const verify = await pair.banyan('verify', things);
  expect(verify).toMatchObject({ code: 1, stderr: expect.stringContaining('things is retired') });

  // Another worker knows it, too.
  await worker.stop();
  worker = await pair.startWorker();
  await until('the stream from legacy', async () => `${await sources()}` === 'legacy');
  await expect(pair.legacy.query('INSERT INTO shop.t VALUES (3, 3)')).rejects.toMatchObject({
    sqlState: '45000',
  });
  // Whoever takes the triggers away is seen.
  for (const { name } of await pair.legacy.query(
    "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'",
  ))
    await pair.legacy.query(`DROP TRIGGER shop.${name}`);
  await pair.legacy.query('INSERT INTO shop.t VALUES (4, 4)');
  await until('the tripwire', async () => (await pair.faults()).length === 1);
  expect(await pair.faults()).toEqual([
    `tripwire on service: {"capability":"things","what":"rows of t","seen":"1"}`,
  ]);
  expect(await rows()).toEqual([1, 4]);
});
