// What goes round the fence on the side that does not own: TRUNCATE, a cascade, somebody with every right who has dropped the
// triggers. It is reported, and not applied to the owner, and the stream goes on.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair } from '../sync/pair.ts';
import { until } from '../sync/until.ts';
import type { WorkerProcess } from '../sync/worker-process.ts';
import { mutantEnv } from './mutant.ts';

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  const tables = ['written', 'truncated', 'child'];
  pair = await startPair({
    tables,
    ddl: `CREATE TABLE parent (id INT PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
      CREATE TABLE written (id INT PRIMARY KEY, v VARCHAR(20)); CREATE TABLE truncated (id INT PRIMARY KEY, v VARCHAR(20));
      CREATE TABLE child (id INT PRIMARY KEY, of_parent INT NOT NULL,
        FOREIGN KEY (of_parent) REFERENCES parent (id) ON DELETE CASCADE)`,
  });
  worker = await pair.startWorker();
  const urls = ['--legacy-url', pair.legacy.url, '--services-url', pair.service.url];
  const fenced = await pair.banyan('fence', 'things', '--enforce', '--execute', ...urls);
  expect(fenced.code, fenced.stderr).toBe(0);
  await legacy("INSERT INTO written VALUES (1, 'one'), (2, 'two'); INSERT INTO truncated VALUES (1, 'one')");
  await legacy('INSERT INTO child VALUES (1, 1), (2, 2)');
  await pair.aligned();
  await pair.turn('service');
}, 120_000);
afterAll(() => pair?.[Symbol.asyncDispose]());

const legacy = (sql: string) => pair.legacy.query(`USE shop; ${sql}`);
const service = (sql: string) => pair.service.query(`USE things; ${sql}`);
const textOf = async (table: string, id: number) => {
  const [row] = await pair.service.query(`SELECT v FROM things.${table} WHERE id = ?`, [id]);
  return row?.v;
};

/** Whoever has the right to. */
async function dropTriggers(): Promise<void> {
  const triggers = await pair.legacy.query(
    "SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = 'shop' AND EVENT_OBJECT_TABLE = 'written'",
  );
  for (const { name } of triggers) await legacy(`DROP TRIGGER \`${name}\``);
}

/** What the owner writes still arrives. */
async function goesOn(id: number): Promise<void> {
  await service(`INSERT INTO written VALUES (${id}, 'rightly')`);
  await pair.aligned();
  expect(await pair.legacy.query('SELECT v FROM shop.written WHERE id = ?', [id])).toEqual([
    { v: 'rightly' },
  ]);
}

test('somebody with every right, who has dropped the triggers', { timeout: 120_000 }, async () => {
  await expect(legacy("UPDATE written SET v = 'smuggled' WHERE id = 1")).rejects.toThrow('banyan: refused');
  await dropTriggers();
  await legacy("UPDATE written SET v = 'smuggled' WHERE id = 1; INSERT INTO written VALUES (3, 'smuggled')");
  await until('the tripwire', async () => (await pair.faults()).length > 0);
  expect(await pair.faults()).toEqual([
    'tripwire on service: {"capability":"things","what":"rows of written","seen":"2"}',
  ]);
  expect([await textOf('written', 1), await textOf('written', 3)]).toEqual(['one', undefined]);
  await goesOn(10);
});

test('TRUNCATE, and other DDL', { timeout: 120_000 }, async () => {
  await legacy("TRUNCATE truncated; ALTER TABLE child COMMENT = 'changed'");
  await until('the tripwires', async () => (await pair.faults()).length === 3);
  expect((await pair.faults()).toSorted()).toEqual([
    'tripwire on service: {"capability":"things","what":"ddl of child","seen":"1"}',
    'tripwire on service: {"capability":"things","what":"ddl of truncated","seen":"1"}',
    'tripwire on service: {"capability":"things","what":"rows of written","seen":"2"}',
  ]);
  expect(await textOf('truncated', 1)).toBe('one');
  await goesOn(11);
});

// A server logs no rows that a cascade takes: no reader can see them. Doctor refuses such a key, and verification finds the rows.
test('a cascade from a table outside', { timeout: 120_000 }, async () => {
  await legacy('DELETE FROM parent WHERE id = 1');
  await pair.aligned();
  expect(await pair.service.query('SELECT id FROM things.child')).toEqual([{ id: 1 }, { id: 2 }]);
  const urls = ['--legacy-url', pair.legacy.url, '--services-url', pair.service.url];
  const [doctor, verify] = await Promise.all([
    pair.banyan('doctor', '--json', ...urls),
    pair.banyan('verify', 'things', '--table', 'child', '--json'),
  ]);
  expect(JSON.parse(doctor.stdout).findings).toContainEqual(
    expect.objectContaining({ code: 'cascade-into', severity: 'refuse' }),
  );
  expect(JSON.parse(verify.stdout)).toMatchObject({ ok: false, missing: 1, extra: 0, different: 0 });
  await goesOn(12);
});

test('with what is watched applied: the owner has what was smuggled in, and the stream stops at DDL', {
  timeout: 120_000,
}, async () => {
  await worker.kill();
  await pair.service.query('DELETE FROM banyan.banyan_worker');
  await pair.startMutant(
    mutantEnv({
      file: 'sync/mode.ts',
      replace: "return mode === 'apply' ? 'apply' : 'trip'",
      by: "return 'apply'",
    }),
  );
  await pair.aligned();
  await legacy("UPDATE written SET v = 'smuggled' WHERE id = 2");
  await until('the harm', async () => (await textOf('written', 2)) === 'smuggled');
  await legacy('TRUNCATE truncated');
  await until('the stop', async () => (await pair.faults()).some((fault) => fault.startsWith('stop')));
});
