// What the facade must carry unchanged: bytes, validators, encodings, methods, streams and sockets.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { multipart, type TestShop, testShop } from './test-shop.ts';

let shop: TestShop;
beforeAll(async () => {
  shop = await testShop(800);
});
afterAll(async () => shop?.[Symbol.asyncDispose]());

const weakTag = (body: string | Buffer) => `W/"${createHash('sha1').update(body).digest('base64')}"`;

test('the list, to the byte', async () => {
  const { sql } = shop.database;
  await sql.query(
    "INSERT INTO TB_PRD (PRD_NO, PRD_NM, PRC, RGST_DTM) VALUES (900001, '시험', 1, '20230101000000')",
  );
  await sql.query(`INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, DSP_YN, DEL_YN, RGST_DTM) VALUES
    (900001, 900001, 'nobody', '05', '펲시 &#128512; "<&>"', 'Y', 'N', '20231101093000'),
    (900002, 900001, 'member1', '10', '', 'Y', 'N', '20231101093000'),
    (900003, 900001, 'member1', '01', '숨김', 'N', 'N', '20231101093000'),
    (900004, 900001, 'member1', '01', '삭제', 'Y', 'Y', '20231101093000')`);
  await sql.query("INSERT INTO TB_RVW_IMG VALUES (900001, 2, 'b.jpg'), (900001, 1, 'a.jpg')");
  const [{ MBR_NM } = { MBR_NM: '' }] = await shop.database.rows(
    "SELECT MBR_NM FROM TB_MBR WHERE MBR_ID = 'member1'",
  );
  const { text } = await shop.call('/api/review/list.do?prdNo=900001');
  expect(text).toBe(
    '{"resultCode":"0000","totCnt":2,"avgStar":"3.8","rvwList":[' +
      `{"rvwSeq":900002,"mbrId":"member1","mbrNm":"${MBR_NM}","starPnt":"10","rvwCtnt":"","dspYn":"Y","rgstDtm":"20231101093000","imgUrls":""},` +
      '{"rvwSeq":900001,"mbrId":"nobody","mbrNm":"","starPnt":"05","rvwCtnt":"펲시 &#128512; \\"<&>\\"","dspYn":"Y","rgstDtm":"20231101093000","imgUrls":"a.jpg,b.jpg"}]}',
  );
  const summary = await shop.call('/api/review/summary.do?prdNo=900001');
  expect(summary.text).toContain(
    '"starCnt":{"01":0,"02":0,"03":0,"04":0,"05":1,"06":0,"07":0,"08":0,"09":0,"10":1}',
  );
  // On a page, the reference is the character, and markup is text.
  expect((await shop.call('/products/900001')).text).toContain('펲시 &#128512; &quot;&lt;&amp;&gt;&quot;');
});

test.each([
  ['RCNT', 'RGST_DTM'],
  ['STAR', 'STAR_PNT'],
  ['RCMD', 'RCMD_CNT'],
  ['whatever', 'RGST_DTM'],
])('sorted by %s, page by page', async (sort, column) => {
  const rows = await shop.database.rows(
    `SELECT RVW_SEQ FROM TB_RVW_MST WHERE PRD_NO = 1 AND DSP_YN = 'Y' AND DEL_YN = 'N' ORDER BY ${column} DESC, RVW_SEQ DESC`,
  );
  expect(rows.length).toBeGreaterThan(20);
  const listed: number[] = [];
  for (let page = 1; page <= Math.ceil(rows.length / 10); page++) {
    const { text } = await shop.call(`/api/review/list.do?prdNo=1&sort=${sort}&page=${page}`);
    listed.push(...JSON.parse(text).rvwList.map((review: { rvwSeq: number }) => review.rvwSeq));
  }
  expect(listed).toEqual(rows.map((row) => row.RVW_SEQ));
  const first = await shop.call(`/api/review/list.do?prdNo=1&sort=${sort}`);
  for (const page of ['0', '-1', '1.5', '1000000', 'x', ''])
    expect((await shop.call(`/api/review/list.do?prdNo=1&sort=${sort}&page=${page}`)).text).toBe(first.text);
});

test('validators: the tag is of the unpacked body, packed or not; 304; HEAD has the headers of GET', async () => {
  for (const path of ['/api/review/list.do?prdNo=1', '/products/1', '/static/shop.css']) {
    const plain = await shop.call(path);
    expect(plain.headers.etag).toBe(weakTag(plain.body));
    expect(plain.headers.vary).toBeUndefined();
    const headers = { 'accept-encoding': 'gzip, br' };
    const packed = await shop.call(path, { headers });
    expect(packed.headers).toMatchObject({
      'content-encoding': 'gzip',
      vary: 'accept-encoding',
      etag: plain.headers.etag,
    });
    expect(gunzipSync(packed.body).equals(plain.body)).toBe(true);
    for (const [given, got] of [
      [{}, plain],
      [headers, packed],
    ] as const) {
      const head = await shop.call(path, { method: 'HEAD', headers: given });
      const { date: _, ...expected } = got.headers;
      expect(head.headers).toMatchObject(expected);
      expect(head.body.length).toBe(0);
    }
    const again = await shop.call(path, { headers: { 'if-none-match': String(plain.headers.etag) } });
    expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, plain.headers.etag]);
  }
  const small = await shop.call('/health.do', { headers: { 'accept-encoding': 'gzip' } });
  expect(small.headers['content-encoding']).toBeUndefined();
  expect(small.headers['cache-control']).toBe('no-cache');
});

test('methods, unknown paths, malformed requests', async () => {
  const options = await shop.call('/api/review/list.do', { method: 'OPTIONS' });
  expect([options.status, options.headers.allow]).toEqual([200, 'GET, HEAD, OPTIONS']);
  const wrong = await shop.call('/api/review/write.do');
  expect([wrong.status, wrong.headers.allow]).toEqual([405, 'OPTIONS, POST']);
  for (const path of ['/nothing', '/api/nothing.do', '/photos/..%2fshop.ts']) {
    const missing = await shop.call(path);
    expect([path, missing.status, missing.headers['content-type']]).toEqual([
      path,
      404,
      'text/html;charset=UTF-8',
    ]);
  }
  const malformed = await shop.call('/products/%ff');
  expect([malformed.status, malformed.headers['content-type']]).toEqual([400, 'text/html;charset=UTF-8']);
  const json = { body: Buffer.from('{}'), headers: { 'content-type': 'application/json' } };
  expect((await shop.call('/api/member/login.do', json)).text).toContain('"resultCode":"1001"');
  const huge = { form: { mbrId: 'x'.repeat(70_000), mbrPw: 'y' } };
  expect((await shop.call('/api/member/login.do', huge)).text).toContain('"resultCode":"1001"');
});

test('a redirect names the host that was asked; the session cookie', async () => {
  const front = await shop.call('/', { headers: { host: 'shop.example:8080' } });
  expect([front.status, front.headers.location]).toEqual([302, 'http://shop.example:8080/products']);
  const form = { mbrId: 'MEMBER1', mbrPw: 'shop1234' };
  const page = await shop.call('/login', { form });
  expect([page.status, page.headers.location]).toEqual([302, `${shop.url}/products`]);
  expect(page.headers['set-cookie']?.[0]).toMatch(
    /^SHOPSESSION=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Lax$/,
  );
  const cookie = String(page.headers['set-cookie']?.[0]?.split(';')[0]);
  expect((await shop.call('/api/member/me.do', { headers: { cookie } })).text).toContain('"mbrId":"member1"');
  const swapped =
    cookie.slice(0, 12) +
    cookie
      .slice(12)
      .replace(/[a-zA-Z]/, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()));
  expect((await shop.call('/api/member/me.do', { headers: { cookie: swapped } })).text).toContain('9001');
  await shop.call('/api/member/logout.do', { method: 'POST', headers: { cookie } });
  expect((await shop.call('/api/member/me.do', { headers: { cookie } })).text).toContain('9001');
});

test('a photo: stored, no row, ranges, validators', async () => {
  const bytes = Buffer.concat([Buffer.of(0xff, 0xd8, 0xff, 0xe0), Buffer.alloc(300_000, 'photo')]);
  const member = await shop.logIn('member3');
  const { headers, body } = multipart(bytes);
  const images = async () => (await shop.database.rows('SELECT COUNT(*) AS n FROM TB_RVW_IMG'))[0]?.n;
  const before = await images();
  const sent = await shop.call('/api/review/photo.do', { body, headers: { ...headers, ...member } });
  expect(await images()).toBe(before);
  const { fileNm } = JSON.parse(sent.text);
  const path = `/photos/${fileNm}`;
  const whole = await shop.call(path, { headers: { 'accept-encoding': 'gzip' } });
  expect(whole.body.equals(bytes)).toBe(true);
  expect(whole.headers).toMatchObject({
    'content-type': 'image/jpeg',
    'cache-control': 'public, max-age=86400',
    'accept-ranges': 'bytes',
    'content-length': '300004',
  });
  expect(whole.headers.etag).toMatch(/^"[^"]+"$/);
  const head = await shop.call(path, { method: 'HEAD' });
  expect([head.headers['content-length'], head.headers.etag, head.body.length]).toEqual([
    '300004',
    whole.headers.etag,
    0,
  ]);
  const part = async (range: string, more: Record<string, string> = {}) => {
    const { status, headers, body } = await shop.call(path, { headers: { range, ...more } });
    return [status, headers['content-range'], body.length];
  };
  expect(await part('bytes=0-3')).toEqual([206, 'bytes 0-3/300004', 4]);
  expect(await part('bytes=300000-')).toEqual([206, 'bytes 300000-300003/300004', 4]);
  expect(await part('bytes=-10')).toEqual([206, 'bytes 299994-300003/300004', 10]);
  expect(await part('bytes=0-999999')).toEqual([206, 'bytes 0-300003/300004', 300004]);
  expect(await part('bytes=300004-')).toEqual([416, 'bytes */300004', 0]);
  expect(await part('bytes=-0')).toEqual([416, 'bytes */300004', 0]);
  expect(await part('bytes=3-1')).toEqual([200, undefined, 300004]);
  expect(await part('bytes=0-1,3-4')).toEqual([200, undefined, 300004]);
  expect(await part('bytes=0-3', { 'if-range': String(whole.headers.etag) })).toEqual([
    206,
    'bytes 0-3/300004',
    4,
  ]);
  expect(await part('bytes=0-3', { 'if-range': '"other"' })).toEqual([200, undefined, 300004]);
  for (const header of [
    { 'if-none-match': String(whole.headers.etag) },
    { 'if-modified-since': String(whole.headers['last-modified']) },
  ])
    expect((await shop.call(path, { headers: header })).status).toBe(304);
  const review = await shop.call('/api/review/write.do', {
    headers: member,
    form: { prdNo: '4', starPnt: '08', rvwCtnt: '사진', imgUrls: fileNm },
  });
  expect(review.text).toContain('"resultCode":"0000"');
  expect((await shop.call('/api/review/list.do?prdNo=4')).text).toContain(`"imgUrls":"${fileNm}"`);
  const large = multipart(Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(8 * 1024 * 1024)]));
  const refused = await shop.call('/api/review/photo.do', {
    body: large.body,
    headers: { ...large.headers, ...member },
  });
  expect(refused.text).toContain('"resultCode":"5002"');
});

/** The stream's text as it arrives; `until` waits for some of it. */
async function follow(path: string, headers: Record<string, string>) {
  const sent = request(shop.url + path, { headers });
  sent.on('error', () => undefined).end(); // it is cut below, or by the shop
  const [response] = await once(sent, 'response');
  let text = '';
  response.setEncoding('utf8');
  const ended = new Promise<void>((resolve) => response.once('close', resolve).on('error', () => undefined));
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  const until = async (wanted: string) => {
    await expect.poll(() => text, { timeout: 5_000, interval: 5 }).toContain(wanted);
    return text;
  };
  return { headers: response.headers, until, ended, cut: () => sent.destroy() };
}

test('an order as a stream of events: from the API, from the database, resumed', async () => {
  const member = await shop.logIn('member4');
  await shop.database.sql.query("UPDATE TB_PRD SET STK_QTY = 9, SALE_YN = 'Y' WHERE PRD_NO = 5");
  const place = { headers: member, form: { prdNo: '5', qty: '1', payMthdCd: '02' } };
  const { ordNo } = JSON.parse((await shop.call('/api/order/place.do', place)).text);
  const path = `/api/order/status-stream.do?ordNo=${ordNo}`;
  const stream = await follow(path, member);
  expect(stream.headers).toMatchObject({
    'content-type': 'text/event-stream;charset=UTF-8',
    'cache-control': 'no-cache',
  });
  const first = await stream.until('\n\nid:');
  expect(first.startsWith('retry: 3000\n\n')).toBe(true);
  await stream.until(
    `id: ${ordNo}-10\nevent: status\ndata: {"ordNo":"${ordNo}","ordStsCd":"10","ordStsNm":"주문접수"}\n\n`,
  );
  await shop.database.sql.query("UPDATE TB_ORD_MST SET ORD_STS_CD = '20' WHERE ORD_NO = ?", [ordNo]);
  await stream.until(`id: ${ordNo}-20`); // seen by a heartbeat
  await stream.until(': heartbeat\n\n');
  await shop.call('/api/order/cancel.do', { headers: member, form: { ordNo } });
  await stream.until(`id: ${ordNo}-90`);
  stream.cut();
  const resumed = await follow(path, { ...member, 'last-event-id': `${ordNo}-90` });
  expect(await resumed.until(': heartbeat')).not.toContain('id:');
  resumed.cut();
  expect((await shop.call(path, { method: 'HEAD', headers: member })).headers['content-type']).toBe(
    'text/event-stream;charset=UTF-8',
  );
  expect((await shop.call(path, { headers: await shop.logIn('member5') })).text).toContain(
    '"resultCode":"2003"',
  );
});

test('the stock on a websocket', async () => {
  await shop.database.sql.query("UPDATE TB_PRD SET STK_QTY = 9, SALE_YN = 'Y' WHERE PRD_NO = 6");
  const url = `${shop.url.replace('http', 'ws')}/ws/stock?prdNo=`;
  const socket = new WebSocket(`${url}6`, ['stock.v2', 'stock.v1']);
  const messages: string[] = [];
  socket.on('message', (data) => messages.push(String(data)));
  await once(socket, 'open');
  expect(socket.protocol).toBe('stock.v1');
  const received = (count: number) =>
    expect.poll(() => messages.length, { timeout: 5_000, interval: 5 }).toBe(count);
  await received(1);
  socket.send('no JSON');
  socket.send('{"type":"ping"}');
  await received(2);
  const member = await shop.logIn('member6');
  await shop.call('/api/order/place.do', {
    headers: member,
    form: { prdNo: '6', qty: '4', payMthdCd: '01' },
  });
  await received(3);
  expect(messages).toEqual([
    '{"type":"stock","prdNo":6,"stkQty":9}',
    '{"type":"pong"}',
    '{"type":"stock","prdNo":6,"stkQty":5}',
  ]);
  socket.close();
  const refused = new WebSocket(`${url}4294967295`);
  const [, response] = await once(refused, 'unexpected-response');
  expect(response.statusCode).toBe(404);
  refused.on('error', () => undefined).terminate();
});

test('a stop ends streams and sockets', async () => {
  const member = await shop.logIn('member7');
  const [order] = await shop.database.rows('SELECT ORD_NO, MBR_ID FROM TB_ORD_MST LIMIT 1');
  await shop.database.sql.query("UPDATE TB_ORD_MST SET MBR_ID = 'member7' WHERE ORD_NO = ?", [order?.ORD_NO]);
  const stream = await follow(`/api/order/status-stream.do?ordNo=${order?.ORD_NO}`, member);
  await stream.until('id:');
  const socket = new WebSocket(`${shop.url.replace('http', 'ws')}/ws/stock?prdNo=1`);
  await once(socket, 'message');
  await Promise.all([shop.stop(), stream.ended, once(socket, 'close')]);
});
