// The same writes, to the monolith alone and to the service by way of the translators: the answers must be the same
// bytes, and the rows the same rows.
import { readdirSync } from 'node:fs';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as rows from '../../acl/reviews/rows.ts';
import type { Row, RowTranslator } from '../../acl/translator.ts';
import { formType, type Step, startTwoSides, type TwoSides } from './two-sides.ts';

const seed = Number(process.env.BANYAN_TEST_SEED ?? 20_261_121);

let sides: TwoSides;
beforeAll(async () => {
  sides = await startTwoSides();
});
afterAll(async () => sides?.[Symbol.asyncDispose]());

/** YYYYMMDDHHMMSS to seconds. */
const secondsOf = (stamp: string) =>
  Date.parse(stamp.replace(/(....)(..)(..)(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z')) / 1000;

/** Times that two clocks have said a moment apart are one time. */
function sameTimes(monolith: string, other: string): string {
  const stamps = [...monolith.matchAll(/"(?:rgst|mod)Dtm":"(\d{14})"/g)].map((match) => match[1] ?? '');
  let index = 0;
  return other.replace(/"((?:rgst|mod)Dtm)":"(\d{14})"/g, (whole, name: string, stamp: string) => {
    const said = stamps[index++];
    return said !== undefined && Math.abs(secondsOf(said) - secondsOf(stamp)) <= 5
      ? `"${name}":"${said}"`
      : whole;
  });
}

/** mulberry32: the same numbers for the same seed. */
function seeded(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What clients send as a review's text, encoded well or badly, as it stands in the body. */
const texts = [
  '%F0%9F%98%80%C3',
  ...[
    ...[
      '좋아요',
      '뷁 쌰 펲',
      '😀 é ñ',
      '',
      ' ',
      'a\r\n\tb',
      '  끝  ',
      '& < > " \' \\ /',
      '&#128512; &#233; &#38; &#128; &#0; &#55296;',
    ],
    ...['\u0000a\u0007b\u0085c\u009fd\u007fe', '®€①㈜', '\ufeff\u2028', '가'.repeat(2000), '가'.repeat(2001)],
    ...[
      '😀'.repeat(222),
      `${'😀'.repeat(222)}ab`,
      `${'😀'.repeat(222)}abc`,
      '&#128512;'.repeat(223),
      '바카라 100%',
    ],
  ].map(encodeURIComponent),
  ...['100% 좋아요', '%b0%a1%b3%aa', '%ED%A0%80', 'a%41%zz', '%', 'a+b%2Bc', '=a=b', 'x%00y'],
] as const;

test('a few hundred writes, and everything that can be wrong with one, are answered alike and leave the same rows', async () => {
  const { shop, database, identities, byMonolith, byService } = sides;
  const below = seeded(seed);
  const of = <T>(...choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
  /** Four times of five what is right. */
  const mostly = <T, U>(right: T, ...wrong: readonly [U, ...U[]]): T | U =>
    below(5) === 0 ? of(...wrong) : right;
  const codes = new Map<string, number>();
  let steps = 0;

  /** Both sides; what the monolith said, parsed. */
  async function both(step: Step): Promise<Record<string, unknown>> {
    const monolith = await byMonolith(step);
    const other = await byService(step);
    const what = JSON.stringify(step).slice(0, 300);
    expect(other.status, what).toBe(monolith.status);
    expect(sameTimes(monolith.text, other.text), what).toBe(monolith.text);
    const answer: Record<string, unknown> = JSON.parse(monolith.text);
    const name = `${step.path.slice('/api/review/'.length)} ${answer.resultCode}`;
    codes.set(name, (codes.get(name) ?? 0) + 1);
    steps++;
    return answer;
  }

  const cookies = await Promise.all(['member1', 'member2', 'member3'].map((id) => shop.logIn(id)));
  const [own, other, leaving] = cookies.map(({ cookie }) => cookie);
  // member1 has bought; so has member2.
  const orders: { ordNo: string; prdNo: string }[] = [];
  await shop.database.sql.query(
    "UPDATE TB_PRD SET STK_QTY = 100, SALE_YN = 'Y', SALE_END_DT = 0 WHERE PRD_NO <= 4",
  );
  for (const [index, headers] of [cookies[0], cookies[1]].entries()) {
    const prdNo = String(index + 1);
    const placed = await shop.call('/api/order/place.do', {
      headers: { cookie: headers?.cookie ?? '' },
      form: { prdNo, qty: '1', payMthdCd: '01' },
    });
    orders.push({ ordNo: JSON.parse(placed.text).ordNo, prdNo });
  }
  const photos = readdirSync(shop.uploads).filter((name) => /^[0-9a-f]{32}\./.test(name));
  const photo = (index: number) => photos[index % photos.length] ?? '';
  const [last] = await shop.database.rows('SELECT MAX(RVW_SEQ) AS id FROM TB_RVW_MST');
  let newest = Number(last?.id);
  await both({ path: '/api/review/view.do', query: `?rvwSeq=${newest}` });

  const cookie = () => mostly(of(own, own, other), undefined, 'SHOPSESSION=x', `a=b; ${own}; ${other}`);
  const text = () => of(...texts);
  const stars = () => mostly(of('01', '05', '09', '10', '%30%35', '10%00'), '00', '11', '1', '');
  const images = () =>
    mostly(
      of(undefined, '', photo(0), [1, 2, 3, 4, 5].map(photo).join(','), `${photo(2)}%2C${photo(2)}`),
      [1, 2, 3, 4, 5, 6].map(photo).join(','),
      `${photo(1)},${'0'.repeat(32)}.jpg`,
      `${photo(1)},../../etc/passwd`,
      `${photo(1)},`,
    );
  const some = () => of(newest, newest, 1 + below(newest));
  const number = () =>
    mostly(
      of(String(some()), `00${some()}`, `${some()}%00`),
      ...(['0', '4294967295', '4294967296', '99999', '', 'x', '-1', '1e1', '１'] as const),
    );
  const product = () =>
    mostly(
      of('1', '2', '3', '0001', '999999', '0'),
      ...(['4294967295', '4294967296', '', 'a', '3.0'] as const),
    );
  /** Of name and value, left out now and then, repeated now and then. */
  const body = (fields: Readonly<Record<string, string | undefined>>) =>
    Object.entries(fields)
      .filter(([, value]) => value !== undefined && below(40) !== 0)
      .flatMap(([name, value]) =>
        below(12) === 0 ? [`${name}=${value}`, `${name}=zz`] : [`${name}=${value}`],
      )
      .join('&');
  const form = (
    path: string,
    fields: Readonly<Record<string, string | undefined>>,
    who = cookie(),
  ): Step => ({
    path: `/api/review/${path}`,
    ...(who !== undefined && { cookie: who }),
    contentType: of(formType, formType, `${formType}; charset=UTF-8`, 'Application/X-WWW-Form-Urlencoded'),
    body: body(fields),
  });

  const kinds = [
    () => {
      const { ordNo, prdNo } = of(orders[0], orders[1]) ?? { ordNo: '', prdNo: '' };
      const order = mostly(of(undefined, '', ordNo, ordNo, `${ordNo}%00`), '1'.repeat(16), '12');
      return form('write.do', {
        ordNo: order,
        prdNo: mostly(order ? prdNo : product(), product()),
        starPnt: stars(),
        rvwCtnt: text(),
        chnlCd: mostly(of(undefined, '01', '02', '03'), '', '04'),
        imgUrls: images(),
      });
    },
    () => form('modify.do', { rvwSeq: number(), starPnt: stars(), rvwCtnt: text(), imgUrls: images() }),
    () => form('recommend.do', { rvwSeq: number() }),
    () =>
      below(3) === 0 ? form('delete.do', { rvwSeq: number() }) : form('recommend.do', { rvwSeq: number() }),
    () => ({
      path: '/api/review/view.do',
      query: of('', '?', `?rvwSeq=${number()}`, `?rvwSeq=${number()}&rvwSeq=1`),
    }),
  ] as const;

  for (let i = 0; i < 1_200; i++) {
    const step: Step = (kinds[below(kinds.length)] ?? kinds[0])();
    const { resultCode, rvwSeq } = await both(step);
    if (step.path.endsWith('write.do') && resultCode === '0000') newest = Number(rvwSeq);
    // What is stored now shows as it showed before.
    if (resultCode === '0000' && rvwSeq !== undefined && !step.path.endsWith('delete.do'))
      await both({ path: '/api/review/view.do', query: `?rvwSeq=${rvwSeq}` });
  }

  // What is no form at all, whoever sends it.
  const good = `rvwSeq=${newest}`;
  for (const path of ['write.do', 'modify.do', 'delete.do', 'recommend.do'])
    for (const who of [own, undefined])
      for (const odd of [
        { contentType: 'application/json', body: '{}' },
        { contentType: 'application/json' },
        { contentType: 'multipart/form-data; boundary=x', body: good },
        { contentType: 'text/plain', body: good },
        { body: good },
        {},
        { contentType: formType, body: `${good}&x=${'x'.repeat(70_000)}` },
        { contentType: formType, body: '' },
      ])
        await both({ path: `/api/review/${path}`, ...(who !== undefined && { cookie: who }), ...odd });

  // Hidden by staff: its author changes it, nobody sees it.
  const { rvwSeq: hidden } = await both({
    ...form('write.do', {}, own),
    contentType: formType,
    body: 'prdNo=3&starPnt=08&rvwCtnt=x',
  });
  await shop.database.sql.query("UPDATE TB_RVW_MST SET DSP_YN = 'N' WHERE RVW_SEQ = ?", [hidden]);
  await database.sql.query("UPDATE review SET visibility = 'hidden' WHERE id = ?", [hidden]);
  const about = (path: string, who: string | undefined): Step => ({
    path: `/api/review/${path}`,
    ...(who !== undefined && { cookie: who }),
    contentType: formType,
    body: `rvwSeq=${hidden}&starPnt=09&rvwCtnt=y`,
  });
  await both({ path: '/api/review/view.do', query: `?rvwSeq=${hidden}` });
  for (const path of ['recommend.do', 'modify.do', 'delete.do', 'modify.do', 'delete.do'])
    for (const who of [other, own]) await both(about(path, who));

  // Logged out, a session is nobody's at once.
  await both(about('recommend.do', leaving));
  await shop.call('/api/member/logout.do', { method: 'POST', headers: { cookie: leaving ?? '' } });
  identities.passed('POST', '/api/member/logout.do', leaving);
  await both(about('recommend.do', leaving));

  // A database that fails.
  const failing = (name: string, table: string) =>
    `CREATE TRIGGER ${name} BEFORE UPDATE ON ${table} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'out of luck'`;
  await shop.database.sql.query(failing('broken', 'TB_RVW_MST'));
  await database.sql.query(failing('broken', 'review'));
  const [mine] = await shop.database.rows(
    "SELECT MAX(RVW_SEQ) AS id FROM TB_RVW_MST WHERE MBR_ID = 'member1' AND DSP_YN = 'Y' AND DEL_YN = 'N'",
  );
  await both({ path: '/api/review/view.do', query: `?rvwSeq=${mine?.id}` });
  await both({ ...about('modify.do', own), body: `rvwSeq=${mine?.id}&starPnt=09&rvwCtnt=y` });
  for (const sql of [shop.database.sql, database.sql]) await sql.query('DROP TRIGGER broken');

  console.log(
    `${steps} writes, seed ${seed}: ${[...codes]
      .sort()
      .map(([code, count]) => `${code} ×${count}`)
      .join(', ')}`,
  );
  const reached = new Set([...codes.keys()].map((name) => name.split(' ')[1]));
  expect([...reached].sort()).toEqual([
    '0000',
    '1001',
    '1002',
    '1003',
    '1004',
    '2001',
    '2002',
    '2003',
    '3001',
    '9001',
    '9003',
    '9999',
  ]);
  for (const route of ['view.do', 'write.do', 'modify.do', 'delete.do', 'recommend.do'])
    expect(codes.get(`${route} 0000`) ?? 0, route).toBeGreaterThan(0);

  for (const translator of [rows.review, rows.photo, rows.recommendation]) await expectSameRows(translator);
}, 120_000);

test('what a fence refuses was not executed, and is known as such; who leaves meanwhile is masked alike', async () => {
  const { shop, database, byMonolith, byService, translated } = sides;
  const { cookie } = await shop.logIn('member5');
  const written: Step = {
    path: '/api/review/write.do',
    cookie,
    contentType: formType,
    body: 'prdNo=2&starPnt=10&rvwCtnt=leaving',
  };
  const [there, here] = [
    JSON.parse((await byMonolith(written)).text),
    JSON.parse((await byService(written)).text),
  ];
  expect(here).toEqual(there);
  const view: Step = { path: '/api/review/view.do', query: `?rvwSeq=${here.rvwSeq}` };
  const fence = (table: string) =>
    `CREATE TRIGGER fence BEFORE UPDATE ON ${table} FOR EACH ROW
     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'banyan: refused: reviews is owned by another'`;
  await shop.database.sql.query(fence('TB_RVW_MST'));
  await database.sql.query(fence('review'));
  expect(await translated(view)).toEqual({ is: 'refused' });
  expect(await byMonolith(view)).toEqual({
    status: 500,
    text: '{"resultCode":"9999","resultMsg":"시스템 오류가 발생했습니다."}',
  });
  const left = await shop.call('/api/member/leave.do', { method: 'POST', headers: { cookie } });
  expect(left.text).toBe('{"resultCode":"0000"}');
  for (const sql of [shop.database.sql, database.sql]) await sql.query('DROP TRIGGER fence');
  // As the stream of reference rows brings it.
  await database.sql.query("UPDATE member SET display_name = '탈퇴회원', has_left = 1 WHERE id = 'member5'");
  const [masked, also] = [await byMonolith(view), await byService(view)];
  expect(sameTimes(masked.text, also.text)).toBe(masked.text);
  expect(JSON.parse(masked.text).rvw).toMatchObject({
    rvwCtnt: '탈퇴한 회원이 남긴 리뷰입니다.',
    mbrNm: '탈퇴회원',
    viewCnt: 1,
    modDtm: '',
  });
});

/** The monolith's rows, translated, are the service's. */
async function expectSameRows(translator: RowTranslator): Promise<void> {
  const { shop, database } = sides;
  const target = translator.targets[0];
  if (!target) throw new Error('a translator has a target');
  const { source } = translator;
  const monolith = (
    await shop.database.rows(`SELECT * FROM ${source.table} ORDER BY ${source.key.join(', ')}`)
  ).map((row) => translator.forward(row)[0]?.columns ?? {});
  const names = Object.keys(target.columns);
  const [own] = await database.sql.query<(RowDataPacket & Row)[]>(
    `SELECT ${names.join(', ')} FROM ${target.table} ORDER BY ${target.key.join(', ')}`,
  );
  expect(own.length, target.table).toBeGreaterThan(50);
  const time = (value: unknown) =>
    typeof value === 'string' ? Date.parse(`${value.replace(' ', 'T')}Z`) : 0;
  const alike = own.map((row, index) => {
    const same = { ...row };
    for (const name of ['created_at', 'updated_at']) {
      const said = monolith[index]?.[name];
      if (typeof said === 'string' && Math.abs(time(said) - time(row[name])) <= 5_000) same[name] = said;
    }
    return same;
  });
  expect(alike).toEqual(monolith);
}
