// Every byte, every pair, every code point: what the decoders make of it is what the server does.
import type { RowDataPacket } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decoderOf } from './charset.ts';
import { connectTo, dialects, serverOf } from './test-servers.ts';

async function rows(sql: Connection, statement: string, values: unknown[] = []): Promise<RowDataPacket[]> {
  const [found] = await sql.query<RowDataPacket[]>(statement, values);
  return found;
}

const inChunks = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );

describe.each(dialects)('%s', (dialect) => {
  let server: Awaited<ReturnType<typeof serverOf>>;
  let sql: Connection;
  const database = `charset_${process.pid}`;

  beforeAll(async () => {
    server = await serverOf(dialect);
    sql = await connectTo(server.url, database);
  });
  afterAll(async () => {
    await sql?.query(`DROP DATABASE ${database}`);
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  test.each(['ascii', 'latin1', 'euckr'])('each byte and pair that %s can store', async (charset) => {
    const decode = decoderOf(charset, 'a test');
    const sequences = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));
    for (let pair = 0; pair < 0x10000; pair++) sequences.push(Buffer.from([pair >> 8, pair & 0xff]));
    await sql.query(
      'CREATE OR REPLACE TABLE b (b VARBINARY(2))'.replace(
        'CREATE OR REPLACE',
        'DROP TABLE IF EXISTS b; CREATE',
      ),
    );
    for (const chunk of inChunks(sequences, 8_192))
      await sql.query('INSERT INTO b VALUES ?', [chunk.map((each) => [each])]);
    // Bytes that are not well-formed are cut off, or refused, before they are stored.
    const kept = await rows(
      sql,
      `SELECT b, CONVERT(CONVERT(b USING ${charset}) USING utf8mb4) AS t FROM b
       WHERE CAST(CONVERT(b USING ${charset}) AS BINARY) = b`,
    );
    // MySQL keeps bytes above 0x7f in ascii, and gives nothing at all for them.
    const known = kept.filter(
      ({ b }) => charset !== 'ascii' || dialect === 'mariadb' || Buffer.from(b).every((byte) => byte < 0x80),
    );
    expect(known.length).toBeGreaterThan(100);
    const wrong = known.filter(({ b, t }) => Buffer.isBuffer(b) && decode(b, 0, b.length) !== t);
    expect(
      wrong.map(({ b, t }) => [Buffer.from(b).toString('hex'), t, decode(b, 0, b.length)]).slice(0, 20),
    ).toEqual([]);
  });

  test.each(['utf8mb4', 'utf8mb3', 'ucs2', 'utf16', 'utf16le', 'utf32', 'euckr', 'latin1'])(
    'each code point that %s can store',
    async (charset) => {
      const decode = decoderOf(charset, 'a test');
      const points = Array.from({ length: 0x10000 }, (_, point) => point).filter(
        (point) => point < 0xd800 || point > 0xdfff,
      );
      for (let point = 0x10000; point <= 0x10ffff; point += 251) points.push(point);
      let seen = 0;
      for (const chunk of inChunks(points, 8_192)) {
        await sql.query('DROP TABLE IF EXISTS c; CREATE TABLE c (t VARCHAR(2) CHARACTER SET utf8mb4)');
        await sql.query('INSERT INTO c VALUES ?', [chunk.map((point) => [String.fromCodePoint(point)])]);
        const found = await rows(
          sql,
          `SELECT t, CAST(CONVERT(t USING ${charset}) AS BINARY) AS b, CONVERT(CONVERT(t USING ${charset}) USING utf8mb4) AS back FROM c`,
        );
        seen += found.length;
        for (const { b, back } of found)
          if (decode(b, 0, b.length) !== back) expect([b, decode(b, 0, b.length)]).toEqual([b, back]);
      }
      expect(seen).toBe(points.length);
    },
  );
});
