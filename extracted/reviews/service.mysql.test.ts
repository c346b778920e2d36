import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import document from './openapi.json' with { type: 'json' };
import { createReviewsService } from './service.ts';
import { migrations, serverUrl, type TestService, testService } from './test-database.ts';

let service: TestService;
beforeAll(async () => {
  service = await testService();
  await service.database.sql.query(
    "INSERT INTO member (id, display_name) VALUES ('kim', '김철수'); INSERT INTO product VALUES (1, '배'), (77, '사과')",
  );
});
afterAll(() => service[Symbol.asyncDispose]());

const review = {
  productId: 1,
  rating: 9,
  body: '좋아요 😀 é',
  channel: 'app',
  photos: ['a.jpg', 'b.jpg'],
};

test('a review is written, found, changed, viewed, recommended, hidden, shown and deleted', async () => {
  const { call } = service;
  const written = await call('POST', '/reviews', review);
  expect(written.status).toBe(201);
  const { id, createdAt } = written.body;
  expect(written.headers).toMatchObject({ location: `/reviews/${id}`, 'cache-control': 'no-store' });
  expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(Math.abs(Date.parse(createdAt) - Date.now())).toBeLessThan(60_000);
  const expected = {
    ...{
      id,
      productId: 1,
      productTitle: '배',
      author: { id: 'kim', displayName: '김철수' },
      rating: 9,
      body: '좋아요 😀 é',
    },
    ...{ visibility: 'visible', channel: 'app', viewCount: 0, recommendCount: 0, createdAt, updatedAt: null },
    photos: ['a.jpg', 'b.jpg'],
  };
  expect(written.body).toEqual(expected);
  expect((await call('GET', `/reviews/${id}`)).body).toEqual(expected);
  expect(await call('POST', `/reviews/${id}/views`)).toMatchObject({ status: 200, body: { viewCount: 1 } });

  const changed = await call('PATCH', `/reviews/${id}`, { rating: 3, photos: ['c.jpg'] });
  expect(changed.body).toMatchObject({ rating: 3, photos: ['c.jpg'], body: review.body, viewCount: 1 });
  expect(changed.body.updatedAt).toMatch(/Z$/);
  expect((await call('PATCH', `/reviews/${id}`, { photos: [] })).body.photos).toEqual([]);

  const recommended = await call('POST', `/reviews/${id}/recommendations`, undefined, 'Lee');
  expect(recommended).toMatchObject({ status: 201, body: { recommendCount: 1 } });
  // The same member for the monolith, whose euckr folds case.
  expect((await call('POST', `/reviews/${id}/recommendations`, undefined, 'lee')).status).toBe(409);
  expect((await call('GET', `/reviews/${id}`)).body.recommendCount).toBe(1);

  const list = async () => (await call('GET', '/products/1/reviews')).body;
  expect((await list()).total).toBe(1);
  expect((await call('PUT', `/reviews/${id}/visibility`, { visibility: 'hidden' })).body.visibility).toBe(
    'hidden',
  );
  expect(await list()).toMatchObject({ items: [], total: 0, summary: { count: 0, average: null } });
  // What nobody sees is neither viewed nor recommended.
  expect((await call('POST', `/reviews/${id}/views`)).status).toBe(404);
  expect((await call('POST', `/reviews/${id}/recommendations`, undefined, 'choi')).status).toBe(404);
  expect((await call('GET', `/reviews/${id}`)).body).toMatchObject({ viewCount: 1, recommendCount: 1 });
  await call('PUT', `/reviews/${id}/visibility`, { visibility: 'visible' });
  expect((await list()).total).toBe(1);

  expect((await call('DELETE', `/reviews/${id}`)).status).toBe(204);
  expect((await list()).total).toBe(0);
  for (const [method, path, body] of [
    ['GET', '', undefined],
    ['DELETE', '', undefined],
    ['PATCH', '', { rating: 1 }],
    ['POST', '/views', undefined],
    ['POST', '/recommendations', undefined],
    ['PUT', '/visibility', { visibility: 'hidden' }],
  ] as const)
    expect((await call(method, `/reviews/${id}${path}`, body)).status, `${method} ${path}`).toBe(404);
});

test("a member's name appears when it has arrived, whatever the case of the id", async () => {
  const { call, database } = service;
  const { body } = await call('POST', '/reviews', review, 'Hong길동');
  expect(body.author).toEqual({ id: 'Hong길동', displayName: null });
  await database.sql.query("INSERT INTO member (id, display_name) VALUES ('hong길동', '홍길동')");
  expect((await call('GET', `/reviews/${body.id}`)).body.author).toEqual({
    id: 'Hong길동',
    displayName: '홍길동',
  });
});

test("a product's title appears likewise; a member who has left is masked everywhere, as the monolith does it", async () => {
  const { call, database } = service;
  const { body } = await call('POST', '/reviews', { ...review, productId: 77 }, 'park');
  await database.sql.query('DELETE FROM product WHERE id = 77');
  expect((await call('GET', `/reviews/${body.id}`)).body.productTitle).toBeNull();
  await database.sql.query(
    "INSERT INTO product VALUES (77, '사과'); INSERT INTO member (id, display_name) VALUES ('park', '박')",
  );
  expect((await call('GET', `/reviews/${body.id}`)).body).toMatchObject({
    productTitle: '사과',
    body: review.body,
  });
  await database.sql.query("UPDATE member SET display_name = '탈퇴회원', has_left = 1 WHERE id = 'park'");
  const masked = {
    author: { id: 'park', displayName: '탈퇴회원' },
    body: '탈퇴한 회원이 남긴 리뷰입니다.',
    productTitle: '사과',
  };
  expect((await call('GET', `/reviews/${body.id}`)).body).toMatchObject(masked);
  expect((await call('GET', '/products/77/reviews')).body.items).toMatchObject([masked]);
});

test('who writes is what a valid identity says; a review is changed and deleted by its author alone', async () => {
  const { app, call, sign } = service;
  const { id } = (await call('POST', '/reviews', review, 'kim')).body;
  const writes = [
    ['POST', '/reviews', review],
    ['PATCH', `/reviews/${id}`, { rating: 1 }],
    ['DELETE', `/reviews/${id}`, undefined],
    ['POST', `/reviews/${id}/recommendations`, undefined],
  ] as const;
  const past = Date.now() / 1000 - 1;
  const forged = `${(await sign('kim')).split('.').slice(0, 2).join('.')}.${(await sign('lee')).split('.')[2]}`;
  const tokens = {
    'no identity': undefined,
    'plain text': 'kim',
    'another signature': forged,
    'for another service': await sign('kim', { aud: 'wishlist' }),
    'by another issuer': await sign('kim', { iss: 'somebody' }),
    'out of date': await sign('kim', { exp: past }),
    'without an end': await sign('kim', { exp: undefined }),
    'of nobody': await sign(''),
    unsigned: `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await sign('kim')).split('.')[1]}.`,
  };
  for (const [what, token] of Object.entries(tokens))
    for (const [method, url, body] of writes) {
      const headers = token === undefined ? {} : { 'banyan-identity': token };
      const answer = await app.inject({ method, url, headers, ...(body !== undefined && { body }) });
      expect(answer.json(), `${what}: ${method}`).toMatchObject({
        type: 'urn:reviews:problem:unauthenticated',
        status: 401,
      });
      expect(answer.headers['www-authenticate']).toBe('Banyan-Identity');
    }
  for (const [method, url, body] of writes.slice(1, 3))
    for (const other of ['lee', 'Kim'])
      expect((await call(method, url, body, other)).body, `${method} by ${other}`).toMatchObject({
        type: 'urn:reviews:problem:forbidden',
        status: 403,
      });
  expect((await call('GET', `/reviews/${id}`, undefined, '')).body).toMatchObject({
    rating: 9,
    recommendCount: 0,
  });
  expect((await call('POST', `/reviews/${id}/views`, undefined, '')).status).toBe(200);
});

test("a fence around the tables is a problem of its own, answered at once; another trigger's refusal is a failure", async () => {
  const { call, database } = service;
  const { id } = (await call('POST', '/reviews', review)).body;
  const refuse = (message: string) =>
    database.sql.query(
      `CREATE OR REPLACE TRIGGER fence BEFORE UPDATE ON review FOR EACH ROW
       SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '${message}'`,
    );
  await refuse('banyan: reviews belongs to legacy at epoch 3');
  for (const [method, path, body] of [
    ['POST', '/views', undefined],
    ['PATCH', '', { rating: 2 }],
    ['POST', '/recommendations', undefined],
    ['DELETE', '', undefined],
  ] as const) {
    const answer = await call(method, `/reviews/${id}${path}`, body);
    expect(answer, method).toMatchObject({ status: 503, body: { type: 'urn:reviews:problem:fenced' } });
    expect(JSON.stringify(answer.body)).not.toContain('epoch');
    expect(answer.headers['retry-after']).toBe('1');
  }
  await refuse('no banyan: here');
  expect((await call('POST', `/reviews/${id}/views`)).body.type).toBe('urn:reviews:problem:internal');
  await database.sql.query('DROP TRIGGER fence');
  expect((await call('POST', `/reviews/${id}/views`)).body.viewCount).toBe(1);
});

test('a full counter stays where it is', async () => {
  const { call, database } = service;
  const { id } = (await call('POST', '/reviews', review)).body;
  await database.sql.query(
    'UPDATE review SET view_count = 4294967295, recommend_count = 4294967294 WHERE id = ?',
    [id],
  );
  expect((await call('POST', `/reviews/${id}/views`)).body.viewCount).toBe(4_294_967_295);
  const recommend = (member: string) => call('POST', `/reviews/${id}/recommendations`, undefined, member);
  expect((await recommend('a')).body.recommendCount).toBe(4_294_967_295);
  expect((await recommend('b')).status).toBe(201);
});

test.each([
  ['a rating that is text', { ...review, rating: '9' }, 400, 'rating'],
  ['half a rating', { ...review, rating: 4.5 }, 400, 'rating'],
  ['a rating off the scale', { ...review, rating: 11 }, 422, 'rating'],
  ['an author, who is said by the identity', { ...review, authorId: 'kim' }, 400, 'authorId'],
  ['a field nobody knows', { ...review, stars: 5 }, 400, 'stars'],
  ['another channel', { ...review, channel: 'fax' }, 400, 'channel'],
  ['a body too long for the monolith', { ...review, body: '가'.repeat(2001) }, 422, 'body'],
  ['a body with a reference', { ...review, body: '&#233;' }, 422, 'body'],
  ['a photo with a comma', { ...review, photos: ['a.jpg', 'a,b.jpg'] }, 422, 'photos.1'],
  ['a product beyond the column', { ...review, productId: 2 ** 32 }, 422, 'productId'],
  ['a product that nobody knows', { ...review, productId: 2 }, 422, 'productId'],
])('%s is refused, with a problem that names the field', async (_name, body, status, field) => {
  const answer = await service.call('POST', '/reviews', body);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer).toMatchObject({ status, body: { status, field } });
  expect(Object.keys(answer.body).sort()).toEqual(['detail', 'field', 'status', 'title', 'type']);
});

test('what is no request of this service is a problem too', async () => {
  const { app, call } = service;
  expect((await call('GET', '/reviews/0')).status).toBe(400);
  expect((await call('GET', '/reviews/9999999999')).status).toBe(404);
  expect((await call('GET', '/nothing')).status).toBe(404);
  expect(await call('GET', '/reviews/%zz')).toMatchObject({ status: 400, body: { status: 400 } });
  for (const key of ['2024-13-01 00:00:00', 5]) {
    const forged = Buffer.from(JSON.stringify(['recent', key, 1])).toString('base64url');
    expect((await call('GET', `/products/1/reviews?cursor=${forged}`)).status).toBe(400);
  }
  expect((await call('PATCH', '/reviews/1', {})).status).toBe(400);
  for (const query of [
    'page=0',
    'page=1000000',
    'pageSize=101',
    'limit=0',
    'sort=best',
    'cursor=%7B',
    'limit=5&page=2',
    'x=1',
  ])
    expect((await call('GET', `/products/1/reviews?${query}`)).status, query).toBe(400);
  const post = (payload: string, type: string) =>
    app.inject({ method: 'POST', url: '/reviews', payload, headers: { 'content-type': type } });
  expect((await post('{"productId":', 'application/json')).statusCode).toBe(400);
  expect((await post('rating=5', 'application/x-www-form-urlencoded')).statusCode).toBe(415);
  const large = await post(JSON.stringify({ ...review, body: 'x'.repeat(65_536) }), 'application/json');
  expect([large.statusCode, large.headers['content-type']]).toEqual([413, 'application/problem+json']);
});

test('the routes are those of the contract', () => {
  const routes = service.app.printRoutes({ commonPrefix: false, includeHooks: false });
  const promised = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(
      (method) => [method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1')] as const,
    ),
  );
  for (const [method, url] of promised)
    expect(service.app.hasRoute({ method, url }), `${method} ${url}`).toBe(true);
  const served = [...routes.matchAll(/\(([A-Z, ]+)\)/g)].flatMap(([, methods]) => methods?.split(', ') ?? []);
  expect(served.filter((method) => method !== 'HEAD')).toHaveLength(promised.length);
});

test('requests are counted by the pattern of their route', async () => {
  await service.call('GET', '/reviews/123456');
  const { body } = await service.call('GET', '/metrics');
  expect(body).toMatch(/reviews_http_requests_total\{method="GET",route="\/reviews\/:id",status="4xx"\} \d/);
  expect(body).toMatch(
    /reviews_http_request_duration_seconds_count\{method="GET",route="\/reviews\/:id"\} \d/,
  );
  expect(body).toMatch(/reviews_db_connections\{state="max"\} 10/);
  expect(body).toMatch(/reviews_db_connections\{state="open"\} [1-9]/);
  expect(body).toMatch(/reviews_db_connections\{state="in_use"\} 0/);
  expect(body).not.toContain('123456');
});

test('while the database is away clients are told so, and all is well when it is back', async () => {
  const { hostname, port } = new URL(serverUrl());
  const sockets = new Set<Socket>();
  // The way to the database, which the test can cut.
  const way = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => {}));
    near.pipe(far).pipe(near);
  });
  const open = async (at: number) => {
    await once(way.listen(at, '127.0.0.1'), 'listening');
    const address = way.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };
  const at = await open(0);
  const url = new URL(service.database.url);
  url.host = `127.0.0.1:${at}`;
  const { app, stop } = await createReviewsService({
    databaseUrl: url.href,
    migrations,
    logLevel: 'silent',
    identity: 'off',
  });
  const get = (path: string) => app.inject({ method: 'GET', url: path });
  expect((await get('/readyz')).statusCode).toBe(200);

  const closed = once(way.close(), 'close');
  for (const socket of sockets) socket.destroy();
  await closed;
  expect((await get('/readyz')).statusCode).toBe(503);
  const refused = await get('/products/1/reviews');
  expect([refused.statusCode, refused.headers['retry-after'], refused.json().status]).toEqual([
    503,
    '1',
    503,
  ]);
  expect((await get('/healthz')).statusCode).toBe(200);

  await open(at);
  await expect.poll(async () => (await get('/readyz')).statusCode).toBe(200);
  expect((await get('/products/1/reviews')).statusCode).toBe(200);
  await stop();
  for (const socket of sockets) socket.destroy();
  way.close();
});
