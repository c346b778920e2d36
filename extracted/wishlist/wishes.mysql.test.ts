import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import { createWishlistService } from './service.ts';
import { migrations, type TestService, testService } from './test-database.ts';

let service: TestService;
beforeAll(async () => {
  service = await testService();
});
beforeEach(() => service.database.sql.query('DELETE FROM TB_WISH'));
afterAll(() => service[Symbol.asyncDispose]());

const path = (memberId: string, productId?: number | string) =>
  `/members/${encodeURIComponent(memberId)}/wishes${productId === undefined ? '' : `/${productId}`}`;

test('a wish is added, found there by the next who adds it, listed and removed', async () => {
  const { call, database } = service;
  const added = await call('PUT', path('hong길동', 7), { memo: "선물 🎁 \\ ' % é" });
  expect(added).toMatchObject({ status: 201, headers: { 'cache-control': 'no-store' } });
  expect(added.body).toEqual({
    memberId: 'hong길동',
    productId: 7,
    memo: "선물 🎁 \\ ' % é",
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  });
  expect(Math.abs(Date.parse(added.body.createdAt) - Date.now())).toBeLessThan(60_000);
  const [row] = await database.rows('SELECT RGST_DTM FROM TB_WISH');
  const seoul = new Date(Date.parse(added.body.createdAt) + 9 * 3_600_000);
  expect(row?.RGST_DTM).toBe(seoul.toISOString().slice(0, 19).replace(/\D/g, ''));

  // The same member for the table, whose euckr folds case; the monolith changes no memo either.
  const again = await call('PUT', path('HONG길동', 7), { memo: 'other' });
  expect(again).toMatchObject({ status: 200, body: added.body });
  expect((await call('GET', path('Hong길동'))).body).toEqual({
    items: [added.body],
    total: 1,
    page: 1,
    pageSize: 10,
  });
  expect((await call('GET', path('kim'))).body).toMatchObject({ items: [], total: 0 });
  expect(await call('DELETE', path('hong길동', 7))).toMatchObject({ status: 204, body: '' });
  expect((await call('DELETE', path('hong길동', 7))).status).toBe(404);
});

test('the memo may be left out', async () => {
  const { call } = service;
  expect(await call('PUT', path('kim', 1))).toMatchObject({ status: 201, body: { memo: '' } });
  expect(await call('PUT', path('kim', 2), {})).toMatchObject({ status: 201, body: { memo: '' } });
});

test('of many who add one wish at once, one has added it', async () => {
  const { call } = service;
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => call('PUT', path('kim', 3), { memo: String(index) })),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([...Array(19).fill(200), 201]);
  expect(new Set(answers.map(({ body }) => body.memo)).size).toBe(1);
});

test('pages: newest first, then by product; the total is of all', async () => {
  const { call, database } = service;
  await database.sql.query(
    `INSERT INTO TB_WISH VALUES ('kim', 1, '', '20260101000000'), ('kim', 2, '', '20250101000000'),
       ('kim', 3, '', '20260101000000'), ('kim', 4, 'a\nb', ''), ('kim', 4294967295, '', '20260230000000'),
       ('kim ko', 9, '', '20260101000000')`,
  );
  const first = await call('GET', `${path('kim')}?pageSize=2`);
  expect(first.body).toMatchObject({ total: 5, page: 1, pageSize: 2 });
  // No 30th of February: it stands where its digits put it, and has no time.
  expect(first.body.items).toMatchObject([
    { productId: 4_294_967_295, createdAt: null },
    { productId: 3, createdAt: '2025-12-31T15:00:00Z' },
  ]);
  const more = await call('GET', `${path('kim')}?page=2&pageSize=2`);
  expect(more.body.items.map((wish: { productId: number }) => wish.productId)).toEqual([1, 2]);
  // The monolith's rows come as they are.
  const last = await call('GET', `${path('kim')}?page=3&pageSize=2`);
  expect(last.body.items).toEqual([{ memberId: 'kim', productId: 4, memo: 'a\nb', createdAt: null }]);
  expect((await call('GET', `${path('kim')}?page=4&pageSize=2`)).body).toMatchObject({ items: [], total: 5 });
});

test.each([
  ['PUT', path('é', 1), {}, 422, 'memberId'],
  ['GET', path('é'), undefined, 422, 'memberId'],
  ['DELETE', path('é', 1), undefined, 422, 'memberId'],
  ['PUT', path('가'.repeat(21), 1), {}, 422, 'memberId'],
  ['PUT', `/members//wishes/1`, {}, 422, 'memberId'],
  ['PUT', path('kim ', 1), {}, 422, 'memberId'],
  ['PUT', path('ki\tm', 1), {}, 422, 'memberId'],
  ['PUT', path('kim', 4_294_967_296), {}, 422, 'productId'],
  ['PUT', path('kim', 1), { memo: '🎁'.repeat(101) }, 422, 'memo'],
  // The server would cut these off without a word.
  ['PUT', path('kim', 1), { memo: `${'a'.repeat(100)} ` }, 422, 'memo'],
  ['PUT', path('kim', 1), { memo: 'a\nb' }, 422, 'memo'],
  ['PUT', path('kim', 1), { memo: '\ud83d' }, 422, 'memo'],
  ['PUT', path('kim', 1), { memo: 5 }, 400, 'memo'],
  ['PUT', path('kim', 1), { note: '' }, 400, 'note'],
  ['PUT', path('kim', 1), [], 400, undefined],
  ['PUT', path('kim', 1), { memo: 'a'.repeat(10_000) }, 413, undefined],
  ['PUT', path('kim', 'x'), {}, 400, 'productId'],
  ['PUT', path('kim', '0'), {}, 400, 'productId'],
  ['GET', `${path('kim')}?page=0`, undefined, 400, 'page'],
  ['GET', `${path('kim')}?pageSize=101`, undefined, 400, 'pageSize'],
  ['GET', `${path('kim')}?size=1`, undefined, 400, 'size'],
  ['GET', '/members/%zz/wishes', undefined, 400, undefined],
  ['GET', path('k'.repeat(200)), undefined, 400, undefined],
  ['GET', '/wishes', undefined, 404, undefined],
] as const)('refused: %s %s', async (method, url, body, status, field) => {
  const { call, database } = service;
  // What is no euckr must not find the member that a lossy conversion makes of it.
  await database.sql.query("INSERT INTO TB_WISH VALUES ('?', 1, '', '20260101000000')");
  const answer = await call(method, url, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body.type).toMatch(/^urn:wishlist:problem:[a-z-]+$/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  expect(answer.body.field).toBe(field);
  expect(await database.rows('SELECT COUNT(*) AS n FROM TB_WISH')).toEqual([{ n: 1 }]);
});

test('the largest values fit, to the character', async () => {
  const { call } = service;
  const memberId = '힣'.repeat(20);
  const memo = '🎁'.repeat(100);
  const added = await call('PUT', path(memberId, 4_294_967_295), { memo });
  expect(added).toMatchObject({ status: 201, body: { memberId, productId: 4_294_967_295, memo } });
  expect((await call('GET', path(memberId))).body.items).toEqual([added.body]);
});

test("strict by its own word, whatever the server's default is", async () => {
  const pool = openDatabase(service.database.url);
  const [rows] = await pool.query('SELECT @@SESSION.sql_mode AS mode');
  expect(rows).toEqual([{ mode: 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' }]);
  await pool.end();
});

test("a fence around the table is a problem of its own; another trigger's refusal is a failure", async () => {
  await using guarded = await testService();
  const refuse = (message: string) =>
    guarded.database.sql.query(
      `CREATE OR REPLACE TRIGGER guard BEFORE INSERT ON TB_WISH FOR EACH ROW
       SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${message}'`,
    );
  await refuse('banyan: wishlist belongs to legacy');
  expect(await guarded.call('PUT', path('kim', 1), {})).toMatchObject({
    status: 503,
    headers: { 'retry-after': '1' },
    body: { type: 'urn:wishlist:problem:fenced' },
  });
  await refuse('no');
  expect((await guarded.call('PUT', path('kim', 1), {})).status).toBe(500);
  expect((await guarded.call('GET', path('kim'))).status).toBe(200);
});

test('while the database is away: 503 and not ready; and it comes back by itself', async () => {
  const url = new URL(service.database.url);
  const [hostname, port] = [url.hostname, Number(url.port)];
  const sockets = new Set<Socket>();
  const way = createServer((near) => {
    const far = connect(port, hostname);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.pipe(far).pipe(near);
  });
  const open = async (at: number) => {
    await once(way.listen(at, '127.0.0.1'), 'listening');
    const address = way.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };
  const at = await open(0);
  url.host = `127.0.0.1:${at}`;
  const { app, stop } = await createWishlistService({
    databaseUrl: url.href,
    migrations,
    logLevel: 'silent',
  });
  const get = async (of: string) => (await app.inject({ method: 'GET', url: of })).statusCode;
  expect(await get('/readyz')).toBe(200);

  const closed = once(way.close(), 'close');
  for (const socket of sockets) socket.destroy();
  await closed;
  for (const [of, status] of Object.entries({ '/readyz': 503, [path('kim')]: 503, '/healthz': 200 }))
    expect(await get(of), of).toBe(status);

  await open(at);
  await expect.poll(() => get('/readyz')).toBe(200);
  expect(await get(path('kim'))).toBe(200);
  await stop();
  for (const socket of sockets) socket.destroy();
  way.close();
});
