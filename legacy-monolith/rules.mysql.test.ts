// What must hold in the shop's own database.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { euckrHolds, toEuckr, withoutControls } from './euckr.ts';
import { run, type TestShop, testShop } from './test-shop.ts';

let shop: TestShop;
beforeAll(async () => {
  shop = await testShop(300);
});
afterAll(async () => shop?.[Symbol.asyncDispose]());

const one = async (query: string, ...values: unknown[]) => {
  const [row] = await shop.database.rows(query, ...values);
  if (row === undefined) throw new Error(`no row: ${query}`);
  return row;
};

test('twenty buyers, seven pieces: seven orders, and the rest are told', async () => {
  const { sql } = shop.database;
  await sql.query(
    "UPDATE TB_PRD SET STK_QTY = 7, PRC = 12000.50, SALE_YN = 'Y', SALE_END_DT = 0 WHERE PRD_NO = 1",
  );
  const members = await Promise.all(
    Array.from({ length: 20 }, (_, index) => shop.logIn(`member${index + 1}`)),
  );
  const answers = await Promise.all(
    members.map(async (headers) => {
      const { text } = await shop.call('/api/order/place.do', {
        headers,
        form: { prdNo: '1', qty: '1', payMthdCd: '01' },
      });
      return { headers, ...JSON.parse(text) };
    }),
  );
  const codes = answers.map((answer) => answer.resultCode).sort();
  expect(codes).toEqual([...Array(7).fill('0000'), ...Array(13).fill('4001')]);
  expect((await one('SELECT STK_QTY FROM TB_PRD WHERE PRD_NO = 1')).STK_QTY).toBe(0);
  const bought = answers.find((answer) => answer.resultCode === '0000');
  expect(await one('SELECT ORD_STS_CD, ORD_AMT FROM TB_ORD_MST WHERE ORD_NO = ?', bought.ordNo)).toEqual({
    ORD_STS_CD: '20',
    ORD_AMT: '12000.50',
  });
  const cancel = () =>
    shop.call('/api/order/cancel.do', { headers: bought.headers, form: { ordNo: bought.ordNo } });
  const cancelled = await Promise.all([cancel(), cancel()]);
  expect(cancelled.map(({ text }) => JSON.parse(text).resultCode).sort()).toEqual(['0000', '4002']);
  expect((await one('SELECT STK_QTY FROM TB_PRD WHERE PRD_NO = 1')).STK_QTY).toBe(1);
});

test('where reviews are fenced off a member can leave all the same, and is masked when they are read', async () => {
  const { sql } = shop.database;
  const headers = await shop.logIn('member7');
  const text = '아직 여기 있는 글';
  // The newest of its product: on every first page.
  await sql.query(
    `UPDATE TB_RVW_MST SET MBR_ID = 'member7', RVW_CTNT = ?, DSP_YN = 'Y', DEL_YN = 'N', PRD_NO = 4,
       RGST_DTM = '20990101000000' WHERE RVW_SEQ = 6`,
    [text],
  );
  await sql.query(
    `CREATE TRIGGER fence BEFORE UPDATE ON TB_RVW_MST FOR EACH ROW
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'banyan: refused: reviews is owned by service'`,
  );
  // Any other write of the shop's is refused in its usual words, and nobody is told why.
  const refused = await shop.call('/api/review/modify.do', {
    headers,
    form: { rvwSeq: '6', starPnt: '05', rvwCtnt: '새 글' },
  });
  expect([refused.status, refused.text]).toEqual([
    500,
    '{"resultCode":"9999","resultMsg":"시스템 오류가 발생했습니다."}',
  ]);
  expect(JSON.stringify(refused.headers)).not.toMatch(/banyan/i);

  expect((await shop.call('/products/4')).text).toContain(text);
  const left = await shop.call('/api/member/leave.do', { method: 'POST', headers });
  expect(left.text).toBe('{"resultCode":"0000"}');
  expect(await one("SELECT LEAV_YN, MBR_NM FROM TB_MBR WHERE MBR_ID = 'member7'")).toEqual({
    LEAV_YN: 'Y',
    MBR_NM: '탈퇴회원',
  });
  expect((await one('SELECT RVW_CTNT FROM TB_RVW_MST WHERE RVW_SEQ = 6')).RVW_CTNT).toBe(text);
  await sql.query('DROP TRIGGER fence');
  for (const path of ['/api/review/view.do?rvwSeq=6', '/api/review/list.do?prdNo=4', '/products/4']) {
    const { text: shown } = await shop.call(path);
    expect(shown, path).toContain('탈퇴한 회원이 남긴 리뷰입니다.');
    expect(shown, path).not.toContain(text);
  }
});

test('a member who leaves, and the masking of the reviews, are one transaction', async () => {
  const { sql } = shop.database;
  const headers = await shop.logIn('member8');
  await sql.query("UPDATE TB_RVW_MST SET MBR_ID = 'member8' WHERE RVW_SEQ <= 5");
  // What would stop the masking must stop the leaving.
  await sql.query("CREATE TRIGGER no_mask BEFORE UPDATE ON TB_RVW_MST FOR EACH ROW SIGNAL SQLSTATE '45000'");
  const failed = await shop.call('/api/member/leave.do', { method: 'POST', headers });
  expect([failed.status, JSON.parse(failed.text).resultCode]).toEqual([500, '9999']);
  expect(await one("SELECT LEAV_YN FROM TB_MBR WHERE MBR_ID = 'member8'")).toEqual({ LEAV_YN: 'N' });
  await sql.query('DROP TRIGGER no_mask');
  const left = await shop.call('/api/member/leave.do', { method: 'POST', headers });
  expect(JSON.parse(left.text).resultCode).toBe('0000');
  expect(
    await one("SELECT MBR_NM, LEAV_YN, LEAV_DT > '2020-01-01' AS dated FROM TB_MBR WHERE MBR_ID = 'member8'"),
  ).toEqual({ MBR_NM: '탈퇴회원', LEAV_YN: 'Y', dated: 1 });
  const reviews = await shop.database.rows(
    "SELECT DISTINCT RVW_CTNT, MOD_DTM > '2020-01-01' AS modified FROM TB_RVW_MST WHERE MBR_ID = 'member8'",
  );
  expect(reviews).toEqual([{ RVW_CTNT: '탈퇴한 회원이 남긴 리뷰입니다.', modified: 1 }]);
  expect((await shop.call('/api/member/me.do', { headers })).text).toContain('9001');
});

test('a review as it is stored: references, no control characters, Seoul time, address; then viewed and changed', async () => {
  const headers = { ...(await shop.logIn('member9')), 'x-forwarded-for': '198.51.100.1, 2001:db8::7' };
  const form = { prdNo: '2', starPnt: '07', rvwCtnt: ' 펲시\u0000\u0007\r\n😀é&#1; "é" ' };
  const { rvwSeq } = JSON.parse((await shop.call('/api/review/write.do', { headers, form })).text);
  const row = await one('SELECT * FROM TB_RVW_MST WHERE RVW_SEQ = ?', rvwSeq);
  expect(row).toMatchObject({
    RVW_CTNT: ' 펲시\r\n&#128512;&#233;&#1; "&#233;" ',
    CHNL_CD: '01',
    RGST_IP: '2001:db8::7',
    MOD_DTM: '0000-00-00 00:00:00',
  });
  const age = await one(
    "SELECT TIMESTAMPDIFF(SECOND, STR_TO_DATE(?, '%Y%m%d%H%i%s'), UTC_TIMESTAMP() + INTERVAL 9 HOUR) AS seconds",
    row.RGST_DTM,
  );
  expect(Math.abs(Number(age.seconds))).toBeLessThan(60);
  const view = async () => JSON.parse((await shop.call(`/api/review/view.do?rvwSeq=${rvwSeq}`)).text).rvw;
  expect(await view()).toMatchObject({ viewCnt: 1, modDtm: '' });
  const change = { rvwSeq: String(rvwSeq), starPnt: '10', rvwCtnt: '바꿈' };
  await shop.call('/api/review/modify.do', { headers, form: change });
  const changed = await view();
  expect(changed).toMatchObject({ viewCnt: 2, starPnt: '10', rvwCtnt: '바꿈', rcmdCnt: 0 });
  expect(changed.modDtm).toMatch(/^20\d{12}$/);
  await shop.call('/api/review/recommend.do', { headers, form: { rvwSeq: String(rvwSeq) } });
  const counted = await one(
    'SELECT RCMD_CNT, (SELECT COUNT(*) FROM TB_RVW_RCMD C WHERE C.RVW_SEQ = R.RVW_SEQ) AS rcmdRows FROM TB_RVW_MST R WHERE RVW_SEQ = ?',
    rvwSeq,
  );
  expect(counted).toEqual({ RCMD_CNT: 1, rcmdRows: '1' });
});

test('what euckr holds: every code point of the Basic Multilingual Plane, as this server gives it back', async () => {
  const { sql } = shop.database;
  await sql.query("SET SESSION sql_mode = ''"); // so that it stores "?" where it would refuse
  await sql.query(
    'CREATE TABLE held (code INT PRIMARY KEY, one VARCHAR(1) CHARACTER SET euckr) ENGINE = MEMORY',
  );
  const codes = Array.from({ length: 0x10000 }, (_, code) => code).filter(
    (code) => code < 0xd800 || code > 0xdfff,
  );
  for (let at = 0; at < codes.length; at += 8_000)
    await sql.query('INSERT INTO held VALUES ?', [
      codes.slice(at, at + 8_000).map((code) => [code, String.fromCharCode(code)]),
    ]);
  const rows = await shop.database.rows('SELECT code, one FROM held');
  const differing = rows.filter(({ code, one }) => euckrHolds(code) !== (one === String.fromCharCode(code)));
  expect(differing.map(({ code }) => code.toString(16))).toEqual([]);
  expect(rows.filter(({ code }) => euckrHolds(code))).toHaveLength(17_176);
  expect(toEuckr('가펲㉾€®é😀\ud800')).toBe('가펲&#12926;€®&#233;&#128512;&#65533;');
  expect(withoutControls('\u0000a\tb\r\nc\u007f\u0085')).toBe('a\tb\r\nc');
});

test('the nightly batch writes past the API, and a second run finds nothing to do', async () => {
  const { sql } = shop.database;
  await sql.query("UPDATE TB_ORD_MST SET ORD_STS_CD = '40' WHERE ORD_STS_CD = '10'");
  await sql.query(
    "INSERT INTO TB_ORD_MST (ORD_NO, MBR_ID, ORD_STS_CD, ORD_AMT, RGST_DTM) VALUES ('2026010199999999', 'member1', '10', 1, '20260101000000')",
  );
  await sql.query("INSERT INTO TB_ORD_DTL VALUES ('2026010199999999', 1, 3, 2, 1)");
  await sql.query('UPDATE TB_PRD SET STK_QTY = 5 WHERE PRD_NO = 3');
  await sql.query('UPDATE TB_RVW_MST SET RCMD_CNT = RCMD_CNT + 9 WHERE RVW_SEQ IN (10, 11)');
  await sql.query("UPDATE TB_RVW_MST SET RVW_CTNT = '무료 카지노', DSP_YN = 'Y' WHERE RVW_SEQ = 12");
  const env = { LEGACY_DATABASE_URL: shop.database.url };
  expect(JSON.parse((await run('batch/nightly.ts', env)).stdout)).toEqual({
    recounted: 2,
    hidden: 1,
    closed: 1,
    sessionsEnded: 0,
  });
  expect(await one('SELECT STK_QTY FROM TB_PRD WHERE PRD_NO = 3')).toEqual({ STK_QTY: 7 });
  expect(JSON.parse((await run('batch/nightly.ts', env)).stdout)).toEqual({
    recounted: 0,
    hidden: 0,
    closed: 0,
    sessionsEnded: 0,
  });
});
