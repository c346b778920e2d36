import { expect, test } from 'vitest';
import * as rows from '../acl/reviews/rows.ts';
import type { Capability } from '../capability/capability.ts';
import { type TestDatabase, testDatabase } from '../test/databases.ts';
import { type CopyProgress, copyCapability } from './copy.ts';

const capabilityIn = (database: string): Capability => ({
  name: 'reviews',
  team: 'test',
  routes: [],
  service: { upstream: 'reviews', database },
  tables: [rows.review, rows.photo, rows.recommendation],
  references: [rows.member, rows.product],
});

/** Keys that only the server can order: case, trailing spaces, syllables, composite keys. */
async function fill(legacy: TestDatabase): Promise<void> {
  await legacy.sql.query(`
    INSERT INTO TB_MBR (MBR_ID, MBR_PW, MBR_NM, RGST_DTM) VALUES
      ('b', '', '비', '20200101000000'), ('A', '', '에이', '20200101000000'), ('가나', '', '홍길동 &#128512;', '20200101000000'),
      ('a1', '', '하나', '20200101000000'), ('똠방', '', '똠', '20200101000000');
    INSERT INTO TB_PRD (PRD_NO, PRD_NM, PRC, RGST_DTM) VALUES (1, '상품', 1000, '20200101000000'), (4294967295, '마지막', 0.5, '20200101000000');
    INSERT INTO TB_RVW_MST (RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, RVW_CTNT, CHNL_CD, DSP_YN, DEL_YN, RGST_DTM, MOD_DTM) VALUES
      (1, 1, 'A', '10', '좋아요 &#128512; &amp;', '01', 'Y', 'N', '20231101093000', '0000-00-00 00:00:00'),
      (2, 1, 'b', '01', '', '02', 'N', 'N', '20231231235959', '2024-01-01 00:00:00'),
      (7, 1, '가나', '05', '뷁', '03', 'Y', 'Y', '19700102090000', '0000-00-00 00:00:00'),
      (4294967295, 4294967295, 'a1', '03', 'x', '01', 'Y', 'N', '20231101093000', '0000-00-00 00:00:00');
    INSERT INTO TB_RVW_IMG VALUES (1, 1, 'a.jpg'), (1, 2, 'b.jpg'), (2, 1, 'c.jpg'), (7, 3, 'd.jpg');
    INSERT INTO TB_RVW_RCMD VALUES (1, 'A', '20231101093000'), (1, 'b', '20231101093001'), (1, '가나', '20231101093002'), (1, '똠방', '20231101093003'), (2, 'a1', '20231101093004');`);
}

async function pair() {
  const legacy = await testDatabase('legacy', 'legacy');
  const service = await testDatabase('services', 'reviews');
  return {
    legacy,
    service,
    capability: capabilityIn(service.name),
    copy: async (chunkRows: number, onProgress?: (progress: CopyProgress) => void) =>
      copyCapability({
        capability: capabilityIn(service.name),
        legacy: legacy.sql,
        legacyDatabase: legacy.name,
        service: service.sql,
        chunkRows,
        ...(onProgress ? { onProgress } : {}),
      }),
    [Symbol.asyncDispose]: async () => {
      await legacy[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

test.each([1, 2, 3, 1000])(
  'every row arrives once, in chunks of %i, and a second copy ends the same',
  async (chunkRows) => {
    await using both = await pair();
    await fill(both.legacy);
    const progress: CopyProgress[] = [];
    const facts = await both.copy(chunkRows, (each) => progress.push(each));
    expect(facts).toMatchObject({ rows: 20, refused: 0, refusals: [] });
    expect(facts.copiedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(progress.at(-1)).toMatchObject({ rowsDone: 20, rowsTotal: 20 });
    const dump = async () => {
      const tables = ['member', 'product', 'review', 'review_photo', 'review_recommendation'];
      return Promise.all(
        tables.map(
          async (table) => (await both.service.sql.query(`SELECT * FROM ${table} ORDER BY 1, 2`))[0],
        ),
      );
    };
    const first = await dump();
    expect(first[2]).toMatchObject([
      {
        id: 1,
        rating: 10,
        body: '좋아요 😀 &amp;',
        channel: 'desktop',
        visibility: 'visible',
        deleted: 0,
        created_at: '2023-11-01 00:30:00',
        updated_at: null,
      },
      {
        id: 2,
        body: '',
        visibility: 'hidden',
        created_at: '2023-12-31 14:59:59',
        updated_at: '2023-12-31 15:00:00',
      },
      { id: 7, body: '뷁', deleted: 1 },
      { id: 4294967295, product_id: 4294967295 },
    ]);
    expect((await both.service.sql.query('SELECT * FROM rating_histogram ORDER BY product_id'))[0]).toEqual([
      { product_id: 1, rating: 10, review_count: 1 },
      { product_id: 4294967295, rating: 3, review_count: 1 },
    ]);
    await both.copy(chunkRows);
    expect(await dump()).toEqual(first);
  },
);

test('rows that no translator accepts are counted and named without their values, and the others are copied', async () => {
  await using both = await pair();
  await fill(both.legacy);
  await both.legacy.sql.query("UPDATE TB_RVW_MST SET STAR_PNT = '99' WHERE RVW_SEQ = 2");
  await both.legacy.sql.query("UPDATE TB_RVW_MST SET RGST_DTM = '20230231000000' WHERE RVW_SEQ = 7");
  const facts = await both.copy(2);
  expect(facts).toMatchObject({ rows: 18, refused: 2 });
  expect(facts.refusals).toMatchObject([
    { table: 'TB_RVW_MST', key: { RVW_SEQ: 2 }, field: 'STAR_PNT' },
    {
      table: 'TB_RVW_MST',
      key: { RVW_SEQ: 7 },
      field: 'RGST_DTM',
      reason: expect.stringMatching(/not a time/),
    },
  ]);
  expect(JSON.stringify(facts.refusals)).not.toContain('99');
  expect((await both.service.sql.query('SELECT id FROM review ORDER BY id'))[0]).toEqual([
    { id: 1 },
    { id: 4294967295 },
  ]);
});

test('the copy is one moment: what legacy writes meanwhile is not in it', async () => {
  await using both = await pair();
  await fill(both.legacy);
  await using writer = await testDatabase('legacy');
  const insertions: Promise<unknown>[] = [];
  const facts = await both.copy(1, () => {
    insertions.push(
      writer.sql
        .query(
          `INSERT INTO ${both.legacy.name}.TB_RVW_MST (PRD_NO, MBR_ID, STAR_PNT, RGST_DTM) VALUES (1, 'A', '05', '20240101000000')`,
        )
        .catch(() => undefined),
      writer.sql.query(`DELETE FROM ${both.legacy.name}.TB_RVW_IMG`),
    );
  });
  await Promise.all(insertions);
  expect(facts.rows).toBe(20);
  expect((await both.service.sql.query('SELECT COUNT(*) AS n FROM review_photo'))[0]).toEqual([{ n: '4' }]);
});
