// The rating summary is a materialised view: right at once after any write, the service's or the change stream's.
import type { Connection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { type TestDatabase, testService } from './test-database.ts';

/** mulberry32: the same numbers for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

async function expectRight(database: TestDatabase, what: string): Promise<void> {
  const kept = await database.rows(
    'SELECT product_id, rating, review_count AS n FROM rating_histogram WHERE review_count <> 0 ORDER BY 1, 2',
  );
  const counted = await database.rows(
    `SELECT product_id, rating, COUNT(*) AS n FROM review
     WHERE visibility = 'visible' AND NOT deleted GROUP BY product_id, rating ORDER BY 1, 2`,
  );
  const plain = (rows: Record<string, unknown>[]) =>
    rows.map((row) => `${row.product_id}/${row.rating}: ${row.n}`);
  expect(plain(kept), what).toEqual(plain(counted));
}

/** One write as the change stream makes them: any column, several rows, upserts by primary key. */
async function writeAsStream(sql: Connection, below: (n: number) => number, idMax: number): Promise<string> {
  const id = 1 + below(idMax);
  const rating = 1 + below(10);
  const product = 1 + below(3);
  const visibility = below(3) === 0 ? 'hidden' : 'visible';
  const deleted = below(4) === 0 ? 1 : 0;
  const columns = '(id, product_id, author_id, rating, body, channel, visibility, deleted, created_at)';
  const row = `(${id}, ${product}, 'kim', ${rating}, '', 'app', '${visibility}', ${deleted}, '2024-01-01 00:00:00')`;
  const statements = [
    `INSERT INTO review ${columns} VALUES ${row} ON DUPLICATE KEY UPDATE product_id = VALUES(product_id),
     rating = VALUES(rating), visibility = VALUES(visibility), deleted = VALUES(deleted)`,
    `REPLACE INTO review ${columns} VALUES ${row}`,
    `UPDATE review SET rating = ${rating} WHERE id = ${id}`,
    `UPDATE review SET rating = 11 - rating, product_id = ${product} WHERE id BETWEEN ${id} AND ${id + 5}`,
    `UPDATE review SET visibility = '${visibility}', deleted = ${deleted} WHERE id = ${id}`,
    `UPDATE review SET view_count = view_count + 1, body = 'x' WHERE id = ${id}`,
    `DELETE FROM review WHERE id = ${id}`,
    `START TRANSACTION; UPDATE review SET rating = ${rating}; DELETE FROM review WHERE id = ${id}; ROLLBACK`,
  ];
  const statement = statements[below(statements.length)] ?? '';
  await sql.query(statement);
  return statement;
}

test('after each of 400 writes, by the service and by plain SQL', async () => {
  await using service = await testService();
  const { call, database } = service;
  await database.sql.query("INSERT INTO product VALUES (1, 'a'), (2, 'b'), (3, 'c')");
  const below = seeded(20_261_120);
  for (let i = 0; i < 400; i++) {
    const id = 1 + below(40);
    const rating = 1 + below(10);
    let what = '';
    if (below(2) === 0) what = await writeAsStream(database.sql, below, 40);
    else {
      const requests = [
        ['POST', '/reviews', { productId: 1 + below(3), rating, body: '', channel: 'app' }],
        ['PATCH', `/reviews/${id}`, { rating }],
        ['PUT', `/reviews/${id}/visibility`, { visibility: below(2) === 0 ? 'hidden' : 'visible' }],
        ['DELETE', `/reviews/${id}`, undefined],
        ['POST', `/reviews/${id}/views`, undefined],
        ['POST', `/reviews/${id}/recommendations`, undefined, `m${below(3)}`],
      ] as const;
      const [method, url, body, member] = requests[below(requests.length)] ?? requests[0];
      const { status } = await call(method, url, body, member);
      what = `${method} ${url}: ${status}`;
      expect([200, 201, 204, 404, 409], what).toContain(status);
    }
    await expectRight(database, `write ${i}: ${what}`);
  }
  // And what clients are told is that same view.
  for (const productId of [1, 2, 3]) {
    const { body } = await call('GET', `/products/${productId}/rating-summary`);
    const [counted] = await database.rows(
      `SELECT COUNT(*) AS count, AVG(rating) AS average FROM review
       WHERE product_id = ? AND visibility = 'visible' AND NOT deleted`,
      [productId],
    );
    expect({ count: String(body.count), average: body.average }).toEqual(counted);
  }
});

test('under concurrent writers, none of whom sees a deadlock', async () => {
  await using service = await testService();
  const { call, database } = service;
  await database.sql.query("INSERT INTO product VALUES (1, 'a'), (2, 'b'), (3, 'c')");
  const review = { productId: 1, rating: 5, body: '', channel: 'app' };
  for (let i = 0; i < 12; i++) await call('POST', '/reviews', review);

  const statuses: number[] = [];
  const client = async (seed: number) => {
    const below = seeded(seed);
    for (let i = 0; i < 40; i++) {
      const id = 1 + below(12);
      const rating = 1 + below(10);
      const requests = [
        ['POST', '/reviews', { ...review, productId: 1 + below(2), rating, photos: ['a.jpg'] }],
        ['PATCH', `/reviews/${id}`, { rating, photos: ['a.jpg', 'b.jpg'].slice(below(3)) }],
        ['PUT', `/reviews/${id}/visibility`, { visibility: below(2) === 0 ? 'hidden' : 'visible' }],
        ['POST', `/reviews/${id}/views`, undefined],
        ['POST', `/reviews/${id}/recommendations`, undefined, `m${seed}-${i}`],
      ] as const;
      const [method, url, body, member] = requests[below(requests.length)] ?? requests[0];
      statuses.push((await call(method, url, body, member)).status);
    }
  };
  // Transactions over several reviews in changing order, which do deadlock with the service's.
  let lost = 0;
  const stream = async (seed: number) => {
    const sql = await database.connect();
    const below = seeded(seed);
    for (let i = 0; i < 30; i++) {
      try {
        await sql.query('START TRANSACTION');
        for (let j = 0; j < 4; j++)
          await sql.query('UPDATE review SET rating = ? WHERE id = ?', [1 + below(10), 1 + below(12)]);
        await sql.query('COMMIT');
      } catch (error) {
        await sql.query('ROLLBACK');
        if (!(error instanceof Error && /Deadlock/.test(error.message))) throw error;
        lost++;
      }
    }
  };
  await Promise.all([client(1), client(2), client(3), client(4), client(5), client(6), stream(7), stream(8)]);
  // 404: somebody has hidden it, and what nobody sees is neither viewed nor recommended.
  expect([...new Set(statuses)].sort()).toEqual([200, 201, 404]);
  await expectRight(database, `after ${statuses.length} requests and ${lost} lost transactions of others`);
  const [counters] = await database.rows(
    'SELECT SUM(recommend_count) AS counted, (SELECT COUNT(*) FROM review_recommendation) AS given FROM review',
  );
  expect(String(counters?.counted)).toBe(String(counters?.given));
});
