// openapi.json is the contract: every path it names is called, and every answer must be as it says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, type Call, multipart, type TestShop, testShop } from './test-shop.ts';

type Operation = { responses: Record<string, { content?: Record<string, unknown> }> };
const contract: { paths: Record<string, Record<string, Operation>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'openapi.json'), 'utf8'),
);
const ajv = new Ajv2020({ strict: false });
ajv.addSchema(contract, 'contract');
const pointer = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

let shop: TestShop;
let member: { cookie: string };
const called = new Set<string>();
beforeAll(async () => {
  shop = await testShop(500);
  member = await shop.logIn('member1');
});
afterAll(async () => shop?.[Symbol.asyncDispose]());

/** Calls, and holds the answer against what the contract says of this path, method and status. */
async function check(template: string, path: string, given: Call = {}): Promise<Answer> {
  const answer = await shop.call(path, given);
  const method = (given.method ?? (given.form || given.body ? 'POST' : 'GET')).toLowerCase();
  called.add(`${method} ${template}`);
  const response = contract.paths[template]?.[method]?.responses[answer.status];
  expect(response, `${method} ${template} -> ${answer.status}`).toBeDefined();
  const type = String(answer.headers['content-type'] ?? '').split(';')[0] ?? '';
  if (type === '' || type.startsWith('image/')) return answer;
  expect(response?.content, `${method} ${template} -> ${type}`).toHaveProperty([type]);
  if (type === 'application/json') {
    expect(answer.headers['content-type']).toBe('application/json;charset=UTF-8');
    const at = ['paths', template, method, 'responses', String(answer.status), 'content', type, 'schema'];
    const validate = ajv.getSchema(`contract#/${at.map(pointer).join('/')}`);
    if (validate === undefined) throw new Error(`the contract has no schema at ${at.join(' ')}`);
    expect(validate(JSON.parse(answer.text)), `${answer.text}: ${ajv.errorsText(validate.errors)}`).toBe(
      true,
    );
  }
  return answer;
}

const codeOf = (answer: Answer): unknown => JSON.parse(answer.text).resultCode;

/** Calls and expects this resultCode. */
async function expectCode(code: string, path: string, given: Call = {}): Promise<Answer> {
  const answer = await check(path.split('?')[0] ?? path, path, given);
  expect(`${answer.status} ${codeOf(answer)}`, answer.text).toBe(`200 ${code}`);
  return answer;
}

const as = (who: { cookie: string }, form: Record<string, string> = {}): Call => ({ form, headers: who });

test('reviews are read', async () => {
  for (const query of [
    'prdNo=1',
    'prdNo=1&page=2&sort=STAR',
    'prdNo=1&sort=RCMD',
    'prdNo=4294967295',
    'prdNo=0',
    'prdNo=1&prdNo=x',
  ])
    await expectCode('0000', `/api/review/list.do?${query}`);
  for (const query of [
    '',
    'prdNo=',
    'prdNo=1x',
    'prdNo=4294967296',
    'prdNo=-1',
    'prdNo=x&prdNo=1',
    'prdNo=%00',
  ])
    await expectCode('1001', `/api/review/list.do?${query}`);
  await expectCode('0000', '/api/review/summary.do?prdNo=1');
  await expectCode('1001', '/api/review/summary.do');
  const [seen] = await shop.database.rows(
    "SELECT RVW_SEQ FROM TB_RVW_MST WHERE DSP_YN = 'Y' AND DEL_YN = 'N' LIMIT 1",
  );
  const [hidden] = await shop.database.rows("SELECT RVW_SEQ FROM TB_RVW_MST WHERE DSP_YN = 'N' LIMIT 1");
  await expectCode('0000', `/api/review/view.do?rvwSeq=${seen?.RVW_SEQ}`);
  await expectCode('2001', `/api/review/view.do?rvwSeq=${hidden?.RVW_SEQ}`);
  await expectCode('1001', '/api/review/view.do');
});

test('reviews are written', async () => {
  const review = { prdNo: '2', starPnt: '09', rvwCtnt: '좋아요' };
  await expectCode('9001', '/api/review/write.do', { form: review });
  const written = await expectCode('0000', '/api/review/write.do', as(member, review));
  const rvwSeq = String(JSON.parse(written.text).rvwSeq);
  await expectCode('1001', '/api/review/write.do', as(member, { prdNo: '2', starPnt: '09' }));
  await expectCode('1001', '/api/review/write.do', as(member, { ...review, chnlCd: '9' }));
  await expectCode('1002', '/api/review/write.do', as(member, { ...review, starPnt: '11' }));
  await expectCode('1003', '/api/review/write.do', as(member, { ...review, rvwCtnt: '😀'.repeat(223) }));
  await expectCode('1004', '/api/review/write.do', as(member, { ...review, imgUrls: '../../etc/passwd' }));
  await expectCode('2002', '/api/review/write.do', as(member, { ...review, prdNo: '4294967295' }));
  await expectCode('2003', '/api/review/write.do', as(member, { ...review, ordNo: '2026010100000000' }));
  const other = await shop.logIn('member2');
  const change = { rvwSeq, starPnt: '03', rvwCtnt: '' };
  await expectCode('9003', '/api/review/modify.do', as(other, change));
  await expectCode('0000', '/api/review/modify.do', as(member, change));
  await expectCode('2001', '/api/review/modify.do', as(member, { ...change, rvwSeq: '4294967295' }));
  await expectCode('0000', '/api/review/recommend.do', as(other, { rvwSeq }));
  await expectCode('3001', '/api/review/recommend.do', as(other, { rvwSeq }));
  await expectCode('9003', '/api/review/delete.do', as(other, { rvwSeq }));
  await expectCode('0000', '/api/review/delete.do', as(member, { rvwSeq }));
  await expectCode('2001', '/api/review/delete.do', as(member, { rvwSeq }));
  await expectCode('2001', '/api/review/recommend.do', as(other, { rvwSeq }));
});

test('photos', async () => {
  const jpeg = multipart(Buffer.of(0xff, 0xd8, 0xff, 0xe0, 1, 2, 3));
  await expectCode('9001', '/api/review/photo.do', { ...jpeg });
  const sent = await expectCode('0000', '/api/review/photo.do', {
    body: jpeg.body,
    headers: { ...jpeg.headers, ...member },
  });
  const path = `/photos/${JSON.parse(sent.text).fileNm}`;
  await check('/photos/{name}', path);
  await check('/photos/{name}', path, { headers: { range: 'bytes=1-2' } });
  await check('/photos/{name}', path, { headers: { range: 'bytes=7-' } });
  await check('/photos/{name}', path, { headers: { 'if-none-match': '*' } });
  expect((await check('/photos/{name}', '/photos/none.jpg')).status).toBe(404);
  await expectCode('1001', '/api/review/photo.do', as(member));
  const text = multipart(Buffer.from('GIF89a'));
  await expectCode('5001', '/api/review/photo.do', {
    body: text.body,
    headers: { ...text.headers, ...member },
  });
});

test('members', async () => {
  await expectCode('9001', '/api/member/me.do');
  await expectCode('0000', '/api/member/me.do', { headers: member });
  await expectCode('9002', '/api/member/login.do', { form: { mbrId: 'member1', mbrPw: 'wrong' } });
  await expectCode('9002', '/api/member/login.do', { form: { mbrId: '없는😀회원', mbrPw: 'wrong' } });
  await expectCode('1001', '/api/member/login.do', { form: {} });
  const newcomer = { mbrId: 'newcomer', mbrPw: 'shop1234', mbrNm: '새 회원', emlAddr: 'new@shop.example' };
  await expectCode('0000', '/api/member/join.do', { form: newcomer });
  await expectCode('3003', '/api/member/join.do', { form: newcomer });
  await expectCode('1001', '/api/member/join.do', { form: { ...newcomer, mbrId: '가나다라' } });
  const session = await shop.logIn('newcomer');
  await expectCode('0000', '/api/member/leave.do', { method: 'POST', headers: session });
  await expectCode('9001', '/api/member/leave.do', { method: 'POST', headers: session });
  await expectCode('9002', '/api/member/login.do', { form: newcomer });
  await expectCode('0000', '/api/member/logout.do', { method: 'POST' });
});

test('catalog, orders, wishes', async () => {
  await expectCode('0000', '/api/product/list.do?cateCd=001&page=1');
  await expectCode('0000', '/api/product/view.do?prdNo=1');
  await expectCode('2002', '/api/product/view.do?prdNo=4294967295');
  await expectCode('0000', '/api/product/stock.do?prdNo=1');
  await expectCode('1001', '/api/product/stock.do');
  await shop.database.sql.query(
    "UPDATE TB_PRD SET STK_QTY = 50, SALE_YN = 'Y', SALE_END_DT = '0000-00-00' WHERE PRD_NO = 3",
  );
  const wanted = { prdNo: '3', qty: '2', payMthdCd: '02' };
  const placed = await expectCode('0000', '/api/order/place.do', as(member, wanted));
  const { ordNo, ordStsCd } = JSON.parse(placed.text);
  expect(ordStsCd).toBe('10');
  await expectCode('4001', '/api/order/place.do', as(member, { ...wanted, qty: '999' }));
  await expectCode('1001', '/api/order/place.do', as(member, { ...wanted, qty: '0' }));
  await expectCode('0000', '/api/order/list.do', { headers: member });
  await expectCode('0000', `/api/order/view.do?ordNo=${ordNo}`, { headers: member });
  await expectCode('2003', `/api/order/view.do?ordNo=${ordNo}`, { headers: await shop.logIn('member2') });
  await expectCode('9001', `/api/order/status-stream.do?ordNo=${ordNo}`);
  await expectCode('0000', '/api/order/cancel.do', as(member, { ordNo }));
  await expectCode('4002', '/api/order/cancel.do', as(member, { ordNo }));
  await shop.database.sql.query("UPDATE TB_PRD SET SALE_END_DT = '2020-01-01' WHERE PRD_NO = 3");
  await expectCode('4003', '/api/order/place.do', as(member, wanted));
  await shop.database.sql.query('DELETE FROM TB_WISH');
  await expectCode('0000', '/api/wish/add.do', as(member, { prdNo: '3', memo: '선물 🎁' }));
  await expectCode('3002', '/api/wish/add.do', as(member, { prdNo: '3' }));
  const wishes = await expectCode('0000', '/api/wish/list.do', { headers: member });
  expect(JSON.parse(wishes.text).wishList).toMatchObject([{ prdNo: 3, memo: '선물 🎁' }]);
  await expectCode('0000', '/api/wish/remove.do', as(member, { prdNo: '3' }));
  await expectCode('2004', '/api/wish/remove.do', as(member, { prdNo: '3' }));
  const page = await check('/orders/{ordNo}', `/orders/${ordNo}`, { headers: member });
  expect(page.text).toContain('주문취소');
  const turnedAway = await check('/orders/{ordNo}', `/orders/${ordNo}`);
  expect(turnedAway.headers.location).toBe(`${shop.url}/login?returnUrl=/orders/${ordNo}`);
});

test('pages and what else there is', async () => {
  await check('/', '/');
  await check('/products', '/products?page=2');
  await check('/products/{prdNo}', '/products/1');
  expect((await check('/products/{prdNo}', '/products/x')).status).toBe(404);
  await check('/login', '/login?fail=1');
  await check('/static/shop.css', '/static/shop.css');
  await check('/ws/stock', '/ws/stock?prdNo=1');
  await expectCode('0000', '/health.do');
  const logIn = (returnUrl: string) =>
    check('/login', '/login', { form: { mbrId: 'member1', mbrPw: 'shop1234', returnUrl } });
  expect((await logIn('/orders/1')).headers.location).toBe(`${shop.url}/orders/1`);
  expect((await logIn('//evil.example/')).headers.location).toBe(`${shop.url}/products`);
});

test('every path of the contract has been called', () => {
  const declared = Object.entries(contract.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect([...called].sort()).toEqual(declared.sort());
});
