// There and back, again and again, with clients at two facades and a job that goes past them on legacy: what both suites of it do. Its
// guards are taken out elsewhere: the marker in rollback-at-once, the shared lock in fence-without-shared-lock.
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import type { Chance } from '../sync/seed.ts';
import { isolationLevels, type Stage, startStage } from './stage.ts';

/** Writes until it is told to stop; refused, as it is meant to be while the service owns, it tries again with another row. */
function startCron(stage: Stage, sql: Connection) {
  const done = { written: 0, refused: 0 };
  let isStopped = false;
  const work = (async () => {
    while (!isStopped) {
      const id = stage.nextId();
      try {
        await sql.query("INSERT INTO item VALUES (?, 'by cron')", [id]);
        stage.acknowledged.add(id);
        done.written++;
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith('banyan: refused')) throw error;
        done.refused++;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    done,
    async stop() {
      isStopped = true;
      await work;
    },
  };
}

export async function thereAndBack(rounds: number, random: Chance): Promise<void> {
  await using stage = await startStage(2);
  const clients = stage.startClients(3);
  const cron = startCron(stage, await stage.as('legacy', 'cron', random.pick(isolationLevels)));
  for (let round = 0; round < rounds; round++)
    for (const move of ['cutover', 'rollback'] as const) {
      await clients.more(1 + random.below(15));
      await stage.done(move, ['--wait', '60']);
    }
  await clients.more(5);
  await clients.stop();
  await cron.stop();
  await stage.expectWhole();
  expect((await stage.fences()).legacy).toMatchObject({ owner: 'legacy', epoch: 1 + 2 * rounds });
  expect(cron.done.written).toBeGreaterThan(0);
  expect(cron.done.refused).toBeGreaterThan(0);
  // Each row has gone one way, once.
  const [row] = await stage.pair.legacy.query('SELECT COUNT(*) AS n FROM shop.item');
  const streams = await stage.worker.status();
  expect(streams.reduce((sum, { rowsApplied }) => sum + rowsApplied, 0)).toBe(Number(row?.n));
}
