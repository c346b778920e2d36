// The binlog of the side that is being closed goes on in a new file between the turn and the drain (that a file ends is nothing that
// a guard is for: the reader reads on). And its old files are gone before the worker has read the close: it stops with a remedy, and
// nobody writes anywhere until somebody has seen to it. About 60 s.
import { afterEach, expect, test } from 'vitest';
import { until } from '../sync/until.ts';
import { mutantEnv } from './mutant.ts';
import { type Stage, startStage } from './stage.ts';

let stage: Stage | undefined;
afterEach(() => stage?.[Symbol.asyncDispose]());

test('binlog-rotated-between-turn-and-drain', { timeout: 90_000 }, async () => {
  stage = await startStage();
  const clients = stage.startClients(2);
  for (const move of ['cutover', 'rollback'] as const) {
    await clients.more(5);
    const on = stage;
    const from = move === 'cutover' ? 'legacy' : 'service';
    const source = stage.pair.server(from);
    const command = await stage.stoppedAt('turn', { move, words: ['--wait', '60'] });
    // The reader has not got the turn when the file ends.
    source.relay.stall();
    command.release();
    await until('the turn', async () => (await on.fences())[from].turn !== null);
    await source.query('FLUSH BINARY LOGS');
    await source.query('FLUSH BINARY LOGS');
    source.relay.resume();
    command.go();
    expect((await command.ended).code).toBe(0);
  }
  await clients.more(5);
  await clients.stop();
  await stage.expectWhole();
});

/** Closed while no worker runs, and the file with the close purged. */
async function purged(on: Stage): Promise<void> {
  const cutover = await on.stoppedAt('close');
  await on.worker.kill();
  cutover.release();
  await until('the close', async () => (await on.fences()).legacy.owner === 'service');
  cutover.kill();
  await on.pair.legacy.query('FLUSH BINARY LOGS');
  const files = await on.pair.legacy.query('SHOW BINARY LOGS');
  // A file that a session reads is not purged: the killed worker's end.
  await until('the old files to be gone', async () => {
    await on.pair.legacy.query(`PURGE BINARY LOGS TO '${files.at(-1)?.Log_name}'`);
    return (await on.pair.legacy.query('SHOW BINARY LOGS')).length === 1;
  });
  await on.pair.service.query('DELETE FROM banyan.banyan_worker');
}

const stops = async (on: Stage) => (await on.pair.faults()).filter((fault) => fault.startsWith('stop'));

test('purged-before-open', { timeout: 90_000 }, async () => {
  stage = await startStage();
  const on = stage;
  expect(await on.write()).toBe(200);
  await on.pair.aligned();
  await purged(on);
  await on.pair.startWorker();
  await until('the stop', async () => (await stops(on)).length > 0);
  expect(await stops(on)).toEqual([
    expect.stringMatching(
      /"source".*no longer has the binlog after .* What to do: .*make a new copy of the tables/,
    ),
  ]);
  // Closed, and not open: whoever comes waits, and nothing is lost.
  expect(await on.admitting()).toEqual([]);
  const status = await on.pair.banyan('status', '--json');
  expect(status.stdout).toMatch(/no longer has the binlog/);
});

test('with a lost binlog taken for a lost connection nobody is told', { timeout: 90_000 }, async () => {
  stage = await startStage();
  const on = stage;
  await purged(on);
  const worker = await on.pair.startMutant(
    mutantEnv({
      file: 'sync/run-stream.ts',
      replace: "return error.code === 'unreachable'",
      by: "return error.code !== 'unreachable-at-all'",
    }),
  );
  await until('it to try again', () => worker.log().split('trying again').length > 3);
  expect(await stops(on)).toEqual([]);
  expect(await on.admitting()).toEqual([]);
});
