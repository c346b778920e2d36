// A source transaction larger than any memory that a worker should take: applied whole, in little memory.
// BANYAN_TEST_LARGE_ROWS makes it larger.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair } from './pair.ts';
import type { WorkerProcess } from './worker-process.ts';

const rows = Number(process.env.BANYAN_TEST_LARGE_ROWS ?? 200_000);
const mib = 1024 * 1024;

let pair: Pair;
let worker: WorkerProcess;
beforeAll(async () => {
  pair = await startPair({
    tables: ['large', 'keyed'],
    ddl: `CREATE TABLE large (id INT PRIMARY KEY, a BIGINT NOT NULL, b VARCHAR(40) NOT NULL, c VARCHAR(40) CHARACTER SET euckr NOT NULL,
      d CHAR(14) NOT NULL, e DECIMAL(12,2) NOT NULL, f DATETIME NOT NULL, g TINYINT NOT NULL, h ENUM('x','y') NOT NULL, i TEXT NULL);
      CREATE TABLE keyed (k VARCHAR(20) CHARACTER SET euckr NOT NULL, i INT NOT NULL, u INT NOT NULL UNIQUE, PRIMARY KEY (k, i));`,
  });
  worker = await pair.startWorker();
});
afterAll(() => pair?.[Symbol.asyncDispose]());

/** Counts on the target, as fast as it answers, until everything is there. @returns each count that was seen */
async function counts(sql: string, aligned: Promise<void>): Promise<Set<number>> {
  const seen = new Set<number>();
  let isOver = false;
  const over = aligned.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const [row] = await pair.service.query(sql);
    seen.add(Number(row?.n));
  }
  await over;
  return seen;
}

test(`${rows} rows in one transaction: a reader sees none or all, the worker stays below 256 MiB`, {
  timeout: 120_000 + rows / 5,
}, async () => {
  const insert = `USE shop; INSERT INTO large SELECT seq, seq * 90071992547 % 1000000007, CONCAT('이름 ', seq), REPEAT('가', seq % 20), '20240229123456', seq / 100, '2024-02-29 12:34:56', seq % 100, IF(seq % 2, 'x', 'y'), IF(seq % 3, REPEAT('t', 50), NULL) FROM seq_1_to_${rows}`;
  const took: string[] = [];
  for (const [what, statement, reader, expected] of [
    ['insert', insert, 'SELECT COUNT(*) AS n FROM things.large', [0, rows]],
    [
      'update',
      'UPDATE shop.large SET g = 101, e = e + 1',
      'SELECT COUNT(*) AS n FROM things.large WHERE g = 101',
      [0, rows],
    ],
    ['delete', 'DELETE FROM shop.large', 'SELECT COUNT(*) AS n FROM things.large', [rows, 0]],
  ] as const) {
    const startedAt = performance.now();
    await pair.legacy.query(statement);
    const seen = await counts(reader, pair.aligned('legacy', 60_000 + rows / 5));
    took.push(
      `${what} ${Math.round(performance.now() - startedAt)} ms, at most ${Math.round(worker.peakRssBytes() / mib)} MiB`,
    );
    expect([...seen].every((count) => expected.some((each) => each === count))).toBe(true);
    expect(await pair.compare(what === 'delete' || rows > 300_000 ? [] : ['large'])).toEqual([]);
    expect(Number((await pair.service.query(reader))[0]?.n)).toBe(expected[1]);
  }
  console.log(
    `large: ${rows} rows, ${took.join(', ')}, at most ${Math.round(worker.peakRssBytes() / mib)} MiB`,
  );
  expect(worker.peakRssBytes()).toBeLessThan(256 * mib);
  expect(await pair.faults()).toEqual([]);
});

test('rows that must be written one by one: a secondary unique key, keys that change, deletes by text', {
  timeout: 90_000,
}, async () => {
  await pair.legacy.query(
    "USE shop; INSERT INTO keyed SELECT CONCAT('키', seq % 50), seq, seq FROM seq_1_to_6000",
  );
  await pair.legacy.query('UPDATE shop.keyed SET u = u + 1 ORDER BY u DESC');
  await pair.legacy.query("UPDATE shop.keyed SET k = CONCAT(k, 'x')");
  await pair.legacy.query('DELETE FROM shop.keyed WHERE i % 3 = 0');
  await pair.aligned('legacy', 60_000);
  expect(await pair.compare(['keyed'])).toEqual([]);
  expect(await pair.faults()).toEqual([]);
});
