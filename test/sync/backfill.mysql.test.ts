// A backfill while applications write and the worker dies again and again: nothing older ever overwrites what is
// newer, whatever makes two keys equal.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair } from './pair.ts';
import { type Chance, suiteSeed } from './seed.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

const random = suiteSeed('backfill');
const kills = Number(process.env.BANYAN_TEST_ROUNDS ?? 2);
const tables = ['folded', 'padded', 'ranked', 'priced', 'tokens', 'big'];
const ddl = `
CREATE TABLE folded (k VARCHAR(12) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT NOT NULL);
CREATE TABLE padded (a VARCHAR(8) CHARACTER SET euckr NOT NULL, b CHAR(4) CHARACTER SET latin1 NOT NULL, n INT NOT NULL, PRIMARY KEY (a, b));
CREATE TABLE ranked (r ENUM('low','high','above','mid') NOT NULL, i SMALLINT NOT NULL, n INT NOT NULL, PRIMARY KEY (r, i));
CREATE TABLE priced (p DECIMAL(30,10) NOT NULL, i BIGINT UNSIGNED NOT NULL, n INT NOT NULL, PRIMARY KEY (p, i));
CREATE TABLE tokens (t BINARY(6) NOT NULL PRIMARY KEY, n INT NOT NULL, f FLOAT NOT NULL);
CREATE TABLE big (id INT PRIMARY KEY, n INT NOT NULL, doc MEDIUMTEXT NOT NULL);
`;

let pair: Pair;
beforeAll(async () => {
  pair = await startPair({ tables, ddl, workerWords: ['--chunk-rows', '100'] });
});
afterAll(() => pair?.[Symbol.asyncDispose]());

/** For each table a row of a small number of keys, so that writers and chunks meet. */
const keys: Readonly<Record<string, (i: number) => string>> = {
  folded: (i) => `'${i % 3 === 0 ? 'K' : 'k'}${(i * 37) % 900}${i % 2 === 0 ? ' ' : ''}'`,
  padded: (i) => `'${['가', 'a', 'A', '힣'][i % 4]}${(i * 41) % 300}', '${i % 2 === 0 ? 'é' : 'e '}'`,
  ranked: (i) => `'${['low', 'high', 'above', 'mid'][i % 4]}', ${(i * 43) % 250}`,
  priced: (i) =>
    `1234567890123456789${i % 7}.${(i * 47) % 100}, ${9_007_199_254_740_992n + BigInt((i * 53) % 200)}`,
  tokens: (i) => `UNHEX(LPAD(HEX(${(i * 59) % 1_000}), 6, '00'))`,
};

/** Rows that the binlog never had. */
async function fill(): Promise<void> {
  const sql = await pair.connect('legacy');
  await sql.query('SET sql_log_bin = 0');
  for (const [table, key] of Object.entries(keys))
    for (let from = 0; from < 1_000; from += 200)
      await sql.query(
        `INSERT IGNORE INTO ${table} VALUES ${Array.from({ length: 200 }, (_, i) => `(${key(from + i)}, ${from + i}${table === 'tokens' ? ', 0.1' : ''})`).join(', ')}`,
      );
  await sql.query("INSERT INTO big SELECT seq, seq, REPEAT('x', 300000) FROM seq_1_to_80");
  sql.destroy();
}

function change({ below, pick }: Chance): string {
  const [table, key] = pick(Object.entries(keys));
  const columns = { folded: 'k', padded: 'a, b', ranked: 'r, i', priced: 'p, i', tokens: 't' }[table] ?? '';
  const at = key(below(2_000));
  const more = table === 'tokens' ? ', 0.3' : '';
  const other = table === 'tokens' ? ', f' : '';
  return pick([
    `UPDATE ${table} SET n = n + 1000000 WHERE (${columns}) = (${at})`,
    `UPDATE ${table} SET n = n + 1000000 WHERE n % 50 = ${below(50)}`,
    `DELETE FROM ${table} WHERE (${columns}) = (${at})`,
    `REPLACE INTO ${table} (${columns}, n${other}) VALUES (${at}, 7${more})`,
    `INSERT INTO ${table} (${columns}, n${other}) VALUES (${at}, 8${more}) ON DUPLICATE KEY UPDATE n = n + 1`,
    'UPDATE folded SET k = IF(BINARY k = UPPER(k), LOWER(k), UPPER(k)) WHERE n % 200 = 3',
    `UPDATE big SET n = n + 1 WHERE id = ${below(200)}`,
  ]);
}

test('equal at the end, however often the worker was killed', { timeout: 120_000 }, async () => {
  await fill();
  let worker: WorkerProcess = await pair.startWorker();
  let isWriting = true;
  let written = 0;
  const write = async (writer: number) => {
    const own = random.fork(`writer ${writer}`);
    const sql = await pair.connect('legacy');
    while (isWriting) {
      await sql.query(change(own)).catch(async (error: { code?: string }) => {
        if (!/DUP_ENTRY|DEADLOCK|LOCK_WAIT/.test(error.code ?? '')) throw error;
      });
      // An application thinks, too: a load that no stream could follow would only hold the backfill back.
      await sql.query('DO SLEEP(0.004)');
      written++;
    }
    sql.destroy();
  };
  const writers = [0, 1].map(write);
  const backfilled = pair.banyan('backfill', 'things', '--json');
  const progress = async () => {
    const [row] = await pair.service.query(
      "SELECT SUM(rows_done) AS done, SUM(state = 'complete') AS complete FROM banyan.banyan_backfill",
    );
    return { done: Number(row?.done ?? 0), isComplete: Number(row?.complete ?? 0) === tables.length };
  };
  const when = random.fork('kills');
  let killed = 0;
  for (let at = 0; killed < kills; killed++) {
    at += 100 + when.below(700);
    await until(`${at} rows`, async () => (await progress()).done >= at || (await progress()).isComplete, {
      explain: async () =>
        `${JSON.stringify(await pair.service.query('SELECT * FROM banyan.banyan_backfill'))}\n${pair.logs()}`,
    });
    if ((await progress()).isComplete) break;
    await worker.kill();
    worker = await pair.startWorker();
  }
  const result = await backfilled;
  isWriting = false;
  await Promise.all(writers);
  expect(result.stdout + result.stderr, pair.logs()).toContain('"ok":true');
  await pair.aligned('legacy');
  console.log(`backfill: the worker was killed ${killed} times, ${written} writes meanwhile`);
  expect(killed).toBeGreaterThan(0);
  expect(await pair.compare()).toEqual([]);
  expect(await pair.faults()).toEqual([]);
  await worker.kill();
});
