// The trace of a request is in the statements of that request, and in no other's, however many are under way.
import { randomBytes } from 'node:crypto';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestShop, testShop } from './test-shop.ts';

let shop: TestShop;
beforeAll(async () => {
  shop = await testShop(50);
});
afterAll(async () => shop?.[Symbol.asyncDispose]());

/** Statements of rows, as the binlog has them. */
async function annotations(since: { file: string; position: number }): Promise<string[]> {
  const [rows] = await shop.database.sql.query<RowDataPacket[]>(
    `SHOW BINLOG EVENTS IN '${since.file}' FROM ${since.position}`,
  );
  return rows.filter(({ Event_type }) => Event_type === 'Annotate_rows').map(({ Info }) => String(Info));
}

test('forty writers at once: each statement says its own request’s trace, or none', async () => {
  const [[status]] = await shop.database.sql.query<RowDataPacket[]>('SHOW MASTER STATUS');
  const since = { file: String(status?.File), position: Number(status?.Position) };
  const headers = await shop.logIn('member1');
  const writers = Array.from({ length: 40 }, (_, index) => ({
    text: `writer-${index}-`,
    traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-${index % 4 === 0 ? '00' : '01'}`,
  }));
  const answers = await Promise.all(
    writers.map(({ text, traceparent }) =>
      shop.call('/api/review/write.do', {
        headers: { ...headers, traceparent },
        form: { prdNo: '1', starPnt: '05', rvwCtnt: text },
      }),
    ),
  );
  for (const { text } of answers) expect(JSON.parse(text)).toMatchObject({ resultCode: '0000' });
  const statements = await annotations(since);
  const said = writers.map(({ text }) => {
    const statement = statements.find((each) => each.includes(`'${text}'`));
    return /\/\*traceparent='([^']*)'\*\/$/.exec(statement ?? 'not logged')?.[1];
  });
  expect(said).toEqual(
    writers.map(({ traceparent }) => (traceparent.endsWith('01') ? traceparent : undefined)),
  );
});

test('what is not to the letter does not get into a statement', async () => {
  const [[status]] = await shop.database.sql.query<RowDataPacket[]>('SHOW MASTER STATUS');
  const since = { file: String(status?.File), position: Number(status?.Position) };
  const id = 'a'.repeat(32);
  for (const traceparent of [
    `00-${id}-${'b'.repeat(16)}-01*/`,
    `00-${id}-${'B'.repeat(16)}-01`,
    "'; DROP TABLE t",
  ])
    await shop.call('/api/review/view.do?rvwSeq=1', { headers: { traceparent } });
  const statements = await annotations(since);
  expect(statements.length).toBeGreaterThan(0);
  for (const statement of statements) expect(statement).not.toContain('traceparent');
});
