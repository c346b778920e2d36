// The server that was closed is put back to what it was before the close: it names itself again, and so does the other. The worker
// closes it at once, says so, and nobody writes on both sides; what differs is found, and mended from the owner. About 40 s.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await startStage(0);
}, 120_000);
afterAll(() => stage?.[Symbol.asyncDispose]());

const data = (name = 'data') => join(stage.pair.folder, 'server-11', name);

async function putBack(): Promise<void> {
  await stage.pair.legacy.crash();
  rmSync(data(), { recursive: true });
  cpSync(data('copy'), data(), { recursive: true });
}

const cronWrites = async (id: number) => {
  const cron = await stage.as('legacy', 'cron');
  await cron.query("INSERT INTO item VALUES (?, 'by cron')", [id]);
};

const status = async () => (await stage.pair.faults()).filter((fault) => fault.startsWith('stop'));

test('lost-tail', { timeout: 120_000 }, async () => {
  const { pair } = stage;
  // No row of its own says what it answered last: weaker settings lose as much in a crash.
  await pair.legacy.query('SET GLOBAL sync_binlog = 0, innodb_flush_log_at_trx_commit = 0');
  await cronWrites(1);
  await pair.aligned();
  await pair.legacy.crash();
  cpSync(data(), data('copy'), { recursive: true });
  await pair.legacy.start();
  await cronWrites(2);
  await pair.aligned();
  await pair.turn('service');
  const app = await stage.as('service', 'app');
  await app.query("INSERT INTO item VALUES (3, 'by the owner')");
  await pair.aligned();

  await putBack();
  await pair.legacy.start();
  await until('the one behind to be closed', async () => (await stage.admitting()).join() === 'service');
  expect(await stage.fences()).toMatchObject({
    legacy: { owner: 'service', epoch: 2 },
    service: { owner: 'service', epoch: 2 },
  });
  await expect(cronWrites(4)).rejects.toThrow('banyan: refused');
  await until('the stop', async () => (await status()).length > 0);
  expect(await status()).toEqual([expect.stringMatching(/fence-disagrees.*legacy came back from the past/)]);
  await app.query("INSERT INTO item VALUES (5, 'by the owner')");
  await pair.aligned('service');
  // Its binlog is not the one that was read: begun anew, as docs/change-of-owner.md tells it.
  const acknowledged = async () => {
    const { code, stderr } = await pair.banyan('worker', '--acknowledge', 'things');
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  };
  await acknowledged();
  await until('the stream from legacy to stop', async () => (await status()).join().includes('of position'));
  expect(await status()).toEqual([expect.stringMatching(/is not the one of position .*To begin anew/)]);
  const [end] = await pair.legacy.query('SELECT @@gtid_binlog_pos AS gtid');
  await pair.service.query(
    `UPDATE banyan.banyan_stream SET seq = seq + 1, gtid = '${String(end?.gtid)}', file = NULL, pos = NULL, restart = NULL,
       source_server = NULL WHERE source = 'legacy'`,
  );
  await acknowledged();
  await until('the stream from legacy to go on', async () => (await status()).length === 0);
  const repaired = await pair.banyan('verify', 'things', '--repair', '--execute', '--json');
  expect(repaired.code, repaired.stderr).toBe(0);
  expect(await pair.compare()).toEqual([]);
  const ids = await pair.legacy.query('SELECT id FROM shop.item ORDER BY id');
  expect(ids.map(({ id }) => Number(id))).toEqual([1, 2, 3, 5]);
});

test('without a look at both fences both take writes for good', { timeout: 120_000 }, async () => {
  const { pair } = stage;
  await stage.worker.kill();
  await putBack();
  await pair.service.query('DELETE FROM banyan.banyan_worker; DELETE FROM banyan.banyan_stop');
  await pair.startMutant(
    mutantEnv({
      file: 'sync/came-back.ts',
      replace: 'if (!found) return undefined;',
      by: 'if (!found || found) return undefined;',
    }),
  );
  await pair.legacy.start();
  const app = await stage.as('service', 'app');
  await app.query("INSERT INTO item VALUES (6, 'by the owner')");
  // Neither stream goes on, which is all that is noticed.
  await until('a stop', async () => (await status()).length > 0);
  await cronWrites(6);
  expect(await stage.admitting()).toEqual(['legacy', 'service']);
});
