// Rows that no translator accepts: kept with their reason, out of the stream's way; they leave when they are mended,
// deleted, or accepted after all.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, startPair } from './pair.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

let pair: Pair;
let worker: WorkerProcess;
let config: string;
beforeAll(async () => {
  pair = await startPair({ tables: [], reviews: true });
  config = join(pair.folder, 'banyan.config.ts');
  worker = await pair.startWorker();
  await pair.legacy.query(
    `USE shop; INSERT INTO TB_MBR (MBR_ID, MBR_PW, MBR_NM, RGST_DTM) VALUES ('kim', '', '김', '20240101000000');
     INSERT INTO TB_PRD (PRD_NO, PRD_NM, PRC, RGST_DTM) VALUES (1, '사과', 1000, '20240101000000')`,
  );
});
afterAll(() => pair?.[Symbol.asyncDispose]());

const legacy = (sql: string) => pair.legacy.query(`USE shop; ${sql}`);
const review = (id: number, star: string, at = '20240229123456') =>
  `INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, RGST_DTM) VALUES (${id}, 1, 'kim', '${star}', '좋아요 &#128512;', '${at}')`;
const ids = async () =>
  (await pair.service.query('SELECT id FROM reviews.review ORDER BY id')).map(({ id }) => id);

type Held = { table: string; key: string; field: string; reason: string; capability: string };
const list = async (): Promise<Held[]> => {
  const { code, stdout, stderr } = await pair.banyan('quarantine', 'list', '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).rows;
};

test('both sides say the same in their own words, by SQL that knows nothing of the translators', async () => {
  await legacy(
    `${review(1, '07')}; ${review(2, '10', '20231231235959')}; UPDATE TB_RVW_MST SET DSP_YN = 'N', VIEW_CNT = 3 WHERE RVW_SEQ = 2`,
  );
  await legacy(
    "INSERT INTO TB_RVW_IMG VALUES (1, 1, 'a.jpg'); INSERT INTO TB_RVW_RCMD VALUES (1, 'kim', '20240301000000')",
  );
  await pair.aligned();
  const ofLegacy = await pair.legacy.query(
    `SELECT RVW_SEQ AS id, PRD_NO AS product_id, MBR_ID AS author_id, CAST(STAR_PNT AS UNSIGNED) AS rating,
       REPLACE(CONVERT(RVW_CTNT USING utf8mb4), '&#128512;', '😀') AS body, IF(DSP_YN = 'Y', 'visible', 'hidden') AS visibility, VIEW_CNT AS view_count,
       CAST(STR_TO_DATE(RGST_DTM, '%Y%m%d%H%i%s') - INTERVAL 9 HOUR AS CHAR) AS created_at, NULLIF(CAST(MOD_DTM AS CHAR), '0000-00-00 00:00:00') AS updated_at
     FROM shop.TB_RVW_MST ORDER BY 1`,
  );
  const ofService = await pair.service.query(
    'SELECT id, product_id, author_id, rating, body, visibility, view_count, CAST(created_at AS CHAR) AS created_at, CAST(updated_at AS CHAR) AS updated_at FROM reviews.review ORDER BY 1',
  );
  const values = (rows: object[]) => rows.map((row) => Object.values(row).map(String));
  expect(values(ofService)).toEqual(values(ofLegacy));
  const [summary] = await pair.service.query(
    'SELECT SUM(review_count) AS n, SUM(review_count * rating) AS s FROM reviews.rating_histogram WHERE product_id = 1',
  );
  expect([Number(summary?.n), Number(summary?.s)]).toEqual([1, 7]);
  const [names] = await pair.service.query(
    "SELECT (SELECT display_name FROM reviews.member WHERE id = 'kim') AS member, (SELECT title FROM reviews.product WHERE id = 1) AS product",
  );
  expect(names).toMatchObject({ member: '김', product: '사과' });
});

test('what the monolith does to a leaving member, the service has too', async () => {
  await legacy(
    `INSERT INTO TB_MBR (MBR_ID, MBR_PW, MBR_NM, RGST_DTM) VALUES ('lee', '', '이', '20240101000000'); ${review(5, '07').replace("'kim'", "'lee'")}`,
  );
  await legacy(
    "START TRANSACTION; UPDATE TB_MBR SET LEAV_YN = 'Y', LEAV_DT = '2024-03-01', MBR_NM = '탈퇴회원' WHERE MBR_ID = 'lee'; UPDATE TB_RVW_MST SET RVW_CTNT = '탈퇴한 회원이 남긴 리뷰입니다.' WHERE MBR_ID = 'lee'; COMMIT",
  );
  await pair.aligned();
  const [left] = await pair.service.query(
    "SELECT m.display_name, m.has_left, r.body FROM reviews.member m JOIN reviews.review r ON r.author_id = m.id WHERE m.id = 'lee'",
  );
  expect(left).toEqual({ display_name: '탈퇴회원', has_left: 1, body: '탈퇴한 회원이 남긴 리뷰입니다.' });
  await legacy('DELETE FROM TB_RVW_MST WHERE RVW_SEQ = 5');
  await pair.aligned('legacy');
});

test('refused rows are named with their reason; a good image or the deletion takes them out', async () => {
  await legacy(
    `${review(10, 'XX')}; ${review(11, '07', '20240231000000')}; ${review(12, '99')}; ${review(13, '05')}`,
  );
  await pair.aligned('legacy');
  expect(await ids()).toEqual([1, 2, 13]);
  const held = await list();
  expect(held.map(({ table, key, field }) => [table, key, field])).toEqual([
    ['TB_RVW_MST', '[10]', 'STAR_PNT'],
    ['TB_RVW_MST', '[11]', 'RGST_DTM'],
    ['TB_RVW_MST', '[12]', 'STAR_PNT'],
  ]);
  expect(held.every(({ reason, capability }) => reason.length > 5 && capability === 'reviews')).toBe(true);
  expect(JSON.stringify(held)).not.toContain('20240231000000');
  // A row that was good and becomes bad: what the service has stays as it was.
  await legacy("UPDATE TB_RVW_MST SET STAR_PNT = '00' WHERE RVW_SEQ = 13");
  await legacy(
    "UPDATE TB_RVW_MST SET STAR_PNT = '08' WHERE RVW_SEQ = 10; DELETE FROM TB_RVW_MST WHERE RVW_SEQ = 11",
  );
  await legacy("UPDATE TB_RVW_MST SET RVW_SEQ = 20, STAR_PNT = '01' WHERE RVW_SEQ = 12");
  await pair.aligned('legacy');
  expect((await list()).map(({ key }) => key)).toEqual(['[13]']);
  expect(await ids()).toEqual([1, 2, 10, 13, 20]);
  await legacy("UPDATE TB_RVW_MST SET STAR_PNT = '06' WHERE RVW_SEQ = 13");
  await pair.aligned('legacy');
  expect(await list()).toEqual([]);
  const [mended] = await pair.service.query('SELECT rating FROM reviews.review WHERE id = 13');
  expect(mended?.rating).toBe(6);
});

test('what a connection lost in the middle of a transaction had taken out is taken out when it comes again', {
  timeout: 120_000,
}, async () => {
  await legacy(review(30, 'XX'));
  await pair.aligned('legacy');
  expect(await list()).toHaveLength(1);
  // Not INNODB_TRX: what is read so often is not made anew (its cache rests for 0.1 s first).
  const inserted = async () =>
    Number((await pair.service.query("SHOW GLOBAL STATUS LIKE 'Handler_write'"))[0]?.Value);
  const before = await inserted();
  // So long that the cut comes while it is on its way.
  const sql = await pair.legacy.connect('shop');
  await sql.query('BEGIN');
  await sql.query("UPDATE TB_RVW_MST SET STAR_PNT = '03' WHERE RVW_SEQ = 30");
  await sql.query(
    "INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, RGST_DTM) SELECT 1000 + seq, 1, 'kim', '05', REPEAT('가', 500), '20240229123456' FROM seq_1_to_40000",
  );
  await sql.query('COMMIT');
  const end = pair.aligned('legacy');
  await until('the target in the midst of it', async () => (await inserted()) > before + 500);
  pair.legacy.relay.cut();
  await end;
  sql.destroy();
  expect(await list()).toEqual([]);
  const [all] = await pair.service.query(
    'SELECT COUNT(*) AS n, SUM(id = 30 AND rating = 3) AS mended FROM reviews.review',
  );
  expect([Number(all?.n), Number(all?.mended)]).toEqual([5 + 1 + 40_000, 1]);
});

test('an image is forgotten after its time; the entry stays, and the row leaves when it is mended', async () => {
  await legacy(review(40, 'XX'));
  await pair.aligned('legacy');
  await pair.service.query(
    "UPDATE banyan.banyan_quarantine SET since = since - INTERVAL 31 DAY WHERE image LIKE '%XX%'",
  );
  await worker.kill();
  worker = await pair.startWorker();
  await until('the image is gone', async () => {
    const [held] = await pair.service.query(
      'SELECT SUM(image IS NULL) AS n, COUNT(*) AS entries FROM banyan.banyan_quarantine',
    );
    return Number(held?.n) === 1 && Number(held?.entries) === 1;
  });
  expect(await list()).toMatchObject([{ key: '[40]', field: 'STAR_PNT' }]);
  await legacy("UPDATE TB_RVW_MST SET STAR_PNT = '04' WHERE RVW_SEQ = 40");
  await pair.aligned('legacy');
  expect(await list()).toEqual([]);
});

test('once the translator accepts them, a retry brings them in', { timeout: 120_000 }, async () => {
  const text = readFileSync(config, 'utf8');
  const strict = `rowTranslator({ ...rows.photo, targets: [{ ...rows.photo.targets[0], columns: { ...rows.photo.targets[0].columns,
    file_name: { from: 'FILE_NM', codec: renamed({ kind: 'text', lengthMax: 5, repertoire: ascii }) } } }] })`;
  const acl = (file: string) => JSON.stringify(join(import.meta.dirname, '..', '..', 'acl', file));
  writeFileSync(
    config,
    `import { renamed } from ${acl('codecs.ts')}; import { rowTranslator } from ${acl('translator.ts')}; import { ascii } from ${acl('repertoire.ts')};\n${text.replace('rows.photo,', `${strict},`)}`,
  );
  await worker.kill();
  worker = await pair.startWorker();
  await legacy("INSERT INTO TB_RVW_IMG VALUES (1, 2, 'long-name.jpg'), (1, 3, 'b.gif')");
  await pair.aligned('legacy');
  expect((await list()).map(({ table, key, field }) => [table, key, field])).toEqual([
    ['TB_RVW_IMG', '[1,2]', 'FILE_NM'],
  ]);
  writeFileSync(config, text);
  await worker.kill();
  worker = await pair.startWorker();
  const retried = await pair.banyan('quarantine', 'retry', '--json');
  expect(JSON.parse(retried.stdout)).toEqual({ asked: 1 });
  await until('the row is in', async () => (await list()).length === 0, { explain: async () => pair.logs() });
  expect(
    await pair.service.query(
      'SELECT position, file_name FROM reviews.review_photo WHERE review_id = 1 ORDER BY 1',
    ),
  ).toEqual([
    expect.objectContaining({ position: 1, file_name: 'a.jpg' }),
    expect.objectContaining({ position: 2, file_name: 'long-name.jpg' }),
    expect.objectContaining({ position: 3, file_name: 'b.gif' }),
  ]);
  expect(await pair.faults()).toEqual([]);
});

test('a worker whose stream has not read its quarantine yet says how it stands', async () => {
  await worker.kill();
  const { relay } = pair.service;
  const reading = relay.holdAtPart('FROM banyan.banyan_quarantine', () => undefined);
  worker = await pair.startWorker();
  await reading.sprung;
  for (const path of ['/metrics', '/api/status'])
    expect((await fetch(worker.url + path)).status, path).toBe(200);
  reading.release();
  await pair.aligned();
});
