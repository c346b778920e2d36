import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import { averageOf, listReviews, type Place, type Sort } from './reviews.ts';
import { type TestService, testService } from './test-database.ts';

const sorts = ['recent', 'rating', 'recommended'] as const;
const keys = { recent: 'created_at', rating: 'rating', recommended: 'recommend_count' };
const large = 1;
const small = 2;

let service: TestService;
beforeAll(async () => {
  service = await testService();
  const { sql } = service.database;
  const insert = async (productId: number, count: number) => {
    // Many ties in every order; every tenth hidden, every seventh deleted; the ids in no order of theirs.
    const rows = Array.from({ length: count }, (_, i) => [
      productId,
      `m${i % 50}`,
      (i % 10) + 1,
      `text ${i}`,
      'app',
      i % 10 === 3 ? 'hidden' : 'visible',
      i % 7 === 5,
      (i * 31) % 17,
      `2024-01-${String(((i * 13) % 28) + 1).padStart(2, '0')} 00:00:${String(i % 3).padStart(2, '0')}`,
    ]);
    await sql.query(
      'INSERT INTO review (product_id, author_id, rating, body, channel, visibility, deleted, recommend_count, created_at) VALUES ?',
      [rows],
    );
  };
  await sql.query('INSERT INTO product VALUES (?, ?)', [small, 'small']);
  await insert(large, 12_000);
  await insert(small, 60);
  await sql.query(`INSERT INTO member (id, display_name) SELECT DISTINCT author_id, CONCAT('name of ', author_id) FROM review;
    INSERT INTO review_photo SELECT id, 1, 'a.jpg' FROM review WHERE id % 4 = 0;
    INSERT INTO review_photo SELECT id, 2, 'b.jpg' FROM review WHERE id % 8 = 0;
    ANALYZE TABLE review, member, review_photo`);
});
afterAll(() => service[Symbol.asyncDispose]());

const idsInOrder = async (productId: number, sort: Sort) =>
  (
    await service.database.rows(
      `SELECT id FROM review WHERE product_id = ? AND visibility = 'visible' AND NOT deleted
       ORDER BY ${keys[sort]} DESC, id DESC`,
      [productId],
    )
  ).map((row) => row.id);

const ids = (items: { id: number }[]) => items.map((item) => item.id);

describe.each(sorts)('in the order %s', (sort) => {
  test('the pages make up the list, with authors, photos and the summary', async () => {
    const expected = await idsInOrder(small, sort);
    const seen: number[] = [];
    for (let page = 1; page <= Math.ceil(expected.length / 7) + 1; page++) {
      const { body } = await service.call(
        'GET',
        `/products/${small}/reviews?sort=${sort}&page=${page}&pageSize=7`,
      );
      expect(body).toMatchObject({
        page,
        pageSize: 7,
        total: expected.length,
        summary: { count: expected.length },
      });
      expect(body.nextCursor === null).toBe(page * 7 >= expected.length);
      for (const { id, author, photos } of body.items) {
        expect(author.displayName).toBe(`name of ${author.id}`);
        expect(photos).toEqual(id % 8 === 0 ? ['a.jpg', 'b.jpg'] : id % 4 === 0 ? ['a.jpg'] : []);
      }
      seen.push(...ids(body.items));
    }
    expect(seen).toEqual(expected);
  });

  test('a walk by cursor meets each review once, while others are written', async () => {
    const expected = await idsInOrder(small, sort);
    const seen: number[] = [];
    const written: number[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await service.call('GET', `/products/${small}/reviews?sort=${sort}&limit=9${cursor}`);
      expect(body.limit).toBe(9);
      seen.push(...ids(body.items));
      if (body.nextCursor === null) break;
      cursor = `&cursor=${body.nextCursor}`;
      const review = { productId: small, rating: 10, body: '', channel: 'app' };
      written.push((await service.call('POST', '/reviews', review)).body.id);
    }
    expect(written.length).toBeGreaterThan(3);
    expect(seen.filter((id) => !written.includes(id))).toEqual(expected);
    expect(new Set(seen).size).toBe(seen.length);
    for (const id of written) await service.call('DELETE', `/reviews/${id}`);
  });

  test('a cursor of another order is refused', async () => {
    const { body } = await service.call('GET', `/products/${small}/reviews?sort=${sort}&limit=1`);
    const other = sorts.find((one) => one !== sort);
    const answer = await service.call(
      'GET',
      `/products/${small}/reviews?sort=${other}&cursor=${body.nextCursor}`,
    );
    expect(answer).toMatchObject({ status: 400, body: { field: 'cursor' } });
  });

  test('a page costs three indexed statements and reads little, however deep', async () => {
    const first = await statementsOf(large, sort, { by: 'offset', offset: 0, limit: 10 });
    const deepOffset = 9000;
    const deep = await statementsOf(large, sort, { by: 'offset', offset: deepOffset, limit: 10 });
    const middle = (await idsInOrder(large, sort))[4000];
    const [row] = await service.database.rows(`SELECT ${keys[sort]} AS sortKey FROM review WHERE id = ?`, [
      middle,
    ]);
    const key = sort === 'recent' ? String(row?.sortKey) : Number(row?.sortKey);
    const after: Place = { sort, key, id: Number(middle) };
    const byCursor = await statementsOf(large, sort, { by: 'place', after, limit: 10 });

    for (const statements of [first, deep, byCursor]) {
      expect(statements).toHaveLength(3);
      for (const statement of statements) expect(await faultsOf(statement)).toEqual([]);
    }
    expect(await entriesReadBy(first)).toBeLessThan(150);
    expect(await entriesReadBy(byCursor)).toBeLessThan(150);
    // Entries of the index up to the page, and no row of the skipped reviews.
    expect(await entriesReadBy(deep)).toBeLessThan(deepOffset + 150);
    expect(await statementsOf(large, sort, { by: 'offset', offset: 99_999_800, limit: 100 })).toHaveLength(1);
  });
});

type Statement = { sql: string; parameters: unknown[] };

/** What TypeORM sends for one page. */
async function statementsOf(
  productId: number,
  sort: Sort,
  slice: Parameters<typeof listReviews>[3],
): Promise<Statement[]> {
  const database = await openDatabase(service.database.url);
  const statements: Statement[] = [];
  database.source.logger.logQuery = (sql, parameters = []) =>
    void statements.push({ sql, parameters: Object.values(parameters) });
  await listReviews(database.source, productId, sort, slice);
  await database.close();
  return statements;
}

/** A scan of a table (the page itself, a derived table of at most 101 ids, may be scanned) or a sort. */
async function faultsOf({ sql, parameters }: Statement): Promise<string[]> {
  const steps = await service.database.rows(`EXPLAIN ${sql}`, parameters);
  return steps
    .filter(({ type, table, Extra }) => {
      const isScan = (type === 'ALL' || type === 'index') && !String(table).startsWith('<derived');
      const isSlow = /filesort|temporary|join buffer/.test(String(Extra));
      // Without "Using index" the ids' step would read the rows of all that it skips.
      const readsRows = table === 'listed' && !/Using index/.test(String(Extra));
      return isScan || isSlow || readsRows;
    })
    .map((step) => JSON.stringify(step));
}

async function entriesReadBy(statements: Statement[]): Promise<number> {
  const { sql, rows } = service.database;
  await sql.query('FLUSH STATUS');
  for (const { sql: text, parameters } of statements) await sql.query(text, parameters);
  const status = await rows("SHOW SESSION STATUS LIKE 'Handler_read%'");
  return status.reduce((sum, row) => sum + Number(row.Value), 0);
}

test.each([
  [0, 0, null],
  [7, 1, '7.0000'],
  [13, 3, '4.3333'],
  [20, 3, '6.6667'],
  [1, 16, '0.0625'],
  [100_001, 20_000, '5.0001'],
])('%d half stars over %d reviews are %s on average', (sum, count, average) => {
  expect(averageOf(sum, count)).toBe(average);
});
