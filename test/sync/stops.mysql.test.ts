// Where a stream must not go on by itself: it stops exactly there and says what to do; acknowledged, it goes on.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Pair, startPair, things } from './pair.ts';
import { until } from './until.ts';

let pair: Pair;
const ddl = Array.from(
  { length: 12 },
  (_, index) => `CREATE TABLE t${index} (id INT PRIMARY KEY, u VARCHAR(20) NULL, n INT NOT NULL DEFAULT 0);`,
).join('\n');
beforeAll(async () => {
  pair = await startPair({
    tables: Array.from({ length: 12 }, (_, index) => `t${index}`),
    ddl,
    serviceDdl:
      'CREATE UNIQUE INDEX only_here ON t5 (u); ALTER TABLE t6 ADD CONSTRAINT positive CHECK (n >= 0); ALTER TABLE t7 ADD CONSTRAINT positive7 CHECK (n >= 0);',
  });
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const legacy = (sql: string) => pair.legacy.query(`USE shop; ${sql}`);
/** By hand on the side that does not own: unlogged, or it would be a tripwire. */
const service = (sql: string) =>
  pair.service.query(`USE things; SET sql_log_bin = 0; ${sql}; SET sql_log_bin = 1`);
const rowsOnService = async (table: string) =>
  (await pair.service.query(`SELECT id FROM things.${table} ORDER BY id`)).map(({ id }) => Number(id));

type Stopped = { code: string; message: string; position: string };
const stopped = (): Promise<Stopped> =>
  until(
    'the stop',
    async () => {
      const [row] = await pair.service.query(
        'SELECT code, message, position FROM banyan.banyan_stop WHERE acknowledged_by IS NULL',
      );
      return row && { code: String(row.code), message: String(row.message), position: String(row.position) };
    },
    { explain: async () => pair.logs() },
  );

async function acknowledge(): Promise<void> {
  const said = await pair.banyan('worker', '--acknowledge', things, '--json');
  expect(said.code, said.stderr).toBe(0);
  expect(JSON.parse(said.stdout).acknowledged).toHaveLength(1);
}

/** Runs what must stop the stream, with a row before it and one after it. */
async function stopAt(table: string, statements: string): Promise<Stopped> {
  await legacy(`INSERT INTO ${table} (id) VALUES (1)`);
  await legacy(statements);
  await legacy(`INSERT INTO ${table} (id) VALUES (9)`);
  const stop = await stopped();
  const [stream] = await pair.service.query("SELECT gtid FROM banyan.banyan_stream WHERE source = 'legacy'");
  expect(stop.position.split('@')[0]).toBe(String(stream?.gtid));
  return stop;
}

describe('while it applies', () => {
  beforeAll(async () => {
    await pair.startWorker();
  });
  beforeEach(async () => {
    await pair.aligned();
  });

  test('DDL stops it; the target is made alike, and what came after arrives, new column and all', async () => {
    const stop = await stopAt('t0', 'ALTER TABLE t0 ADD COLUMN extra INT NULL; UPDATE t0 SET extra = 5');
    expect(stop.code).toBe('ddl');
    expect(stop.message).toMatch(
      /shop\.t0 .*ALTER TABLE t0.*What to do: make the target what the statement made/s,
    );
    expect(await rowsOnService('t0')).toEqual([1]);
    await service('ALTER TABLE t0 ADD COLUMN extra INT NULL');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t0'])).toEqual([]);
  });

  test('TRUNCATE stops it', async () => {
    const stop = await stopAt('t1', 'TRUNCATE t1');
    expect(stop.code).toBe('ddl');
    expect(await rowsOnService('t1')).toEqual([1]);
    await service('DELETE FROM t1');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await rowsOnService('t1')).toEqual([9]);
  });

  test('a change that was logged as a statement stops it', async () => {
    const stop = await stopAt(
      't2',
      "SET SESSION binlog_format = 'STATEMENT'; INSERT INTO t2 (id) VALUES (5); SET SESSION binlog_format = 'ROW'",
    );
    expect(stop.code).toBe('statement-dml');
    expect(stop.message).toMatch(/binlog_format=ROW/);
    expect(await rowsOnService('t2')).toEqual([1]);
    await service('INSERT INTO t2 (id) VALUES (5)');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t2'])).toEqual([]);
  });

  test('a row event without all columns stops it', async () => {
    await legacy('INSERT INTO t3 (id, u) VALUES (2, "before")');
    const stop = await stopAt(
      't3',
      "SET SESSION binlog_row_image = 'MINIMAL'; UPDATE t3 SET n = 7 WHERE id = 2; SET SESSION binlog_row_image = 'FULL'",
    );
    expect(stop.code).toBe('incomplete-image');
    expect(stop.message).toMatch(/shop\.t3 leaves columns out.*binlog_row_image = FULL/s);
    expect(await rowsOnService('t3')).toEqual([1, 2]);
    await service('UPDATE t3 SET n = 7 WHERE id = 2');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t3'])).toEqual([]);
  });

  test('triggers, indexes and views change no rows and stop nothing', async () => {
    await legacy('CREATE TRIGGER t4_touched BEFORE UPDATE ON t4 FOR EACH ROW SET NEW.n = OLD.n + 1');
    await legacy('CREATE OR REPLACE VIEW t4_view AS SELECT id FROM t4');
    await legacy('CREATE INDEX by_n ON t4 (n)');
    await legacy('INSERT INTO t4 (id) VALUES (1)');
    await legacy("UPDATE t4 SET u = 'x'");
    await legacy('DROP INDEX by_n ON t4; DROP VIEW t4_view; DROP TRIGGER t4_touched; ANALYZE TABLE t4');
    await legacy('INSERT INTO t4 (id) VALUES (2)');
    await pair.aligned('legacy');
    expect(await pair.compare(['t4'])).toEqual([]);
  });

  test('two rows are never made one by a unique key that only the target has', async () => {
    await legacy("INSERT INTO t5 (id, u) VALUES (1, 'same')");
    await legacy("INSERT INTO t5 (id, u) VALUES (2, 'same')");
    await legacy("INSERT INTO t5 (id, u) VALUES (3, 'other')");
    const stop = await stopped();
    expect(stop.code).toBe('duplicate-key');
    expect(stop.message).toMatch(/t5: Duplicate entry .*only_here/);
    const rows = await pair.service.query('SELECT id, u FROM things.t5 ORDER BY id');
    expect(rows.every(({ id, u }) => id === 1 && u === 'same')).toBe(true);
    await service('DROP INDEX only_here ON t5');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t5'])).toEqual([]);
  });

  test('a row that the target refuses stops it until one of them is mended', async () => {
    await legacy('INSERT INTO t6 (id, n) VALUES (1, 1)');
    await pair.aligned('legacy');
    await legacy('INSERT INTO t6 (id, n) VALUES (2, -1)');
    const stop = await stopped();
    expect(stop.code).toBe('target-refuses');
    expect(stop.message).toMatch(/t6: .*positive/);
    // Acknowledged without having been mended it stops again, at the same place.
    await acknowledge();
    expect((await stopped()).code).toBe(stop.code);
    await service('ALTER TABLE t6 DROP CONSTRAINT positive');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t6'])).toEqual([]);
  });

  test('the last row of a transaction too large to hold is refused: nothing of it is there, and then all', async () => {
    const rows = 200_000;
    await legacy(`INSERT INTO t7 (id, n) SELECT seq, IF(seq = ${rows}, -1, 0) FROM seq_1_to_${rows}`);
    const stop = await stopped();
    expect(stop.code).toBe('target-refuses');
    expect(stop.message).toMatch(/t7: .*positive7/);
    expect(await rowsOnService('t7')).toEqual([]);
    await service('ALTER TABLE t7 DROP CONSTRAINT positive7');
    await acknowledge();
    await pair.aligned('legacy');
    expect(await pair.compare(['t7'])).toEqual([]);
  });

  test('a target that cannot be opened stops it before the close row; put right, it is opened', async () => {
    const { epoch } = await pair.owner('service');
    const setEpoch = (to: number) => service(`UPDATE banyan.banyan_fence SET epoch = ${to}`);
    await setEpoch(epoch - 1);
    const turned = pair.turn('service');
    const stop = await stopped();
    expect(stop.code).toBe('fence-disagrees');
    const [stream] = await pair.service.query(
      "SELECT source_owner FROM banyan.banyan_stream WHERE source = 'legacy'",
    );
    expect(stream?.source_owner).toBe('legacy');
    await setEpoch(epoch);
    await acknowledge();
    await turned;
  });

  test('no harm was done on the way', async () => {
    expect(await pair.faults()).toEqual([]);
  });
});
