// Events as real servers wrote them, cut and flipped. With checksums damage is always found; without them it
// gives an error or some row, but never a hang, a crash, or memory out of proportion.
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from './change.ts';
import { BinlogError } from './errors.ts';
import type { EventSource } from './events.ts';
import { readChanges } from './events.ts';
import { openSession } from './session.ts';
import { Tables } from './tables.ts';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { anyServerId, endOf } from './test-stream.ts';
import { Transactions } from './transactions.ts';

const seed = 20_261_120;

/** mulberry32: the same damage in every run. */
function randomFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const sourceOf = (events: readonly Buffer[]): EventSource => {
  let next = 0;
  return { take: () => events[next++], wait: async () => next < events.length };
};

describe.each(dialects)('%s', (dialect) => {
  let server: OwnServer;
  let sql: Connection;
  let collations: ReadonlyMap<number, string>;
  const recorded = new Map<string, Buffer[]>();

  beforeAll(async () => {
    server = await ownServer(dialect);
    sql = await connectTo(server.url, 'fuzz');
    for (const checksum of ['CRC32', 'NONE']) {
      await sql.query(`SET GLOBAL binlog_checksum = ${checksum}`);
      recorded.set(checksum, await record());
    }
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  /** A bit of everything, as raw events. */
  async function record(): Promise<Buffer[]> {
    const session = await openSession({
      connection: { uri: server.url },
      serverId: anyServerId(),
      replicaUuid: 'ba27a900-0000-4000-8000-00000000000f',
      heartbeatMs: 5_000,
      queueBytesMax: 1e9,
      connectMsMax: 5_000,
    });
    const from = await session.now();
    const dump = await session.dump(from);
    collations = session.collations;
    await sql.query(
      `DROP TABLE IF EXISTS t; CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40), b TEXT CHARACTER SET euckr, c DECIMAL(20,5), d DATETIME(3), e ENUM('x','y'), f SET('p','q','r'), g BIT(12), h BLOB, i TIME(6), j JSON, k DOUBLE, l BINARY(9), m TIMESTAMP(2) NULL, n GEOMETRY)`,
    );
    const row = (id: number) =>
      `(${id}, 'a 가 ${id}', '한글 ${id}', ${id}.5, '2024-01-02 03:04:05.678', 'y', 'p,r', b'101', x'00ff', '-12:13:14.5', '{"a": [1, 2.5, "x", {"b": null}], "c": 123456}', ${id / 7}, 'abc', '2024-01-02 03:04:05', ST_GeomFromText('POINT(1 2)'))`;
    await sql.query(
      `INSERT INTO t VALUES ${[1, 2, 3, 4, 5].map(row).join()}; UPDATE t SET a = NULL, h = NULL; DELETE FROM t WHERE id > 3`,
    );
    await sql.query(
      dialect === 'mariadb'
        ? 'SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10'
        : "SET SESSION binlog_transaction_compression = ON, gtid_next = 'AUTOMATIC:fuzz'",
    );
    await sql.query(
      `INSERT INTO t VALUES ${[11, 12, 13].map(row).join()}; ALTER TABLE t COMMENT = 'some comment that is long enough to be compressed, and a bit longer'`,
    );
    await sql.query(
      dialect === 'mariadb'
        ? 'SET GLOBAL log_bin_compress = OFF'
        : "SET SESSION binlog_transaction_compression = OFF, gtid_next = 'AUTOMATIC'",
    );
    await sql.query("XA START 'x'; UPDATE t SET id = id + 100; XA END 'x'; XA PREPARE 'x'");
    await sql.query("XA COMMIT 'x'; INSERT INTO t (id) VALUES (999)");
    const events: Buffer[] = [];
    const marker = Buffer.from([0xe7, 0x03, 0, 0]);
    await endOf(sql);
    for (;;) {
      const event = dump.take();
      if (!event) await dump.wait();
      else {
        events.push(Buffer.from(event));
        if (events.length > 20 && event.includes(marker)) break;
      }
    }
    for (let event = dump.take(); event; event = dump.take()) events.push(Buffer.from(event));
    session.close();
    return events;
  }

  /** @param rows gets what was given, an error or not */
  async function decode(events: readonly Buffer[], rows: string[] = []): Promise<string[]> {
    const tables = new Tables({ collations, wants: () => true });
    const transactions = new Transactions({
      from: { gtid: '', at: undefined },
      dialect,
      tables,
      collations,
      heldBytesMax: 2_000,
      isFile: false,
    });
    try {
      for await (const change of readChanges(sourceOf(events), transactions)) {
        const text = rowText(change);
        if (text !== '') rows.push(text);
      }
    } finally {
      await transactions.close();
    }
    return rows;
  }

  const rowText = (change: Change) =>
    change.kind === 'rows' ? JSON.stringify([change.change, change.rows]) : '';

  async function damaged(
    checksum: string,
    rounds: number,
    judge: (rows: string[], error: unknown) => void,
  ): Promise<void> {
    const events = recorded.get(checksum) ?? [];
    const random = randomFrom(seed);
    for (let round = 0; round < rounds; round++) {
      const which = random(events.length);
      const copies = events.map((event, index) => (index === which ? Buffer.from(event) : event));
      const victim = copies[which] ?? Buffer.alloc(0);
      if (random(4) === 0) {
        const cut = Buffer.from(victim.subarray(0, random(victim.length)));
        // Half of the cuts are hidden from the frame's own length.
        if (random(2) === 0 && cut.length >= 13) cut.writeUInt32LE(cut.length, 9);
        copies[which] = cut;
      } else
        for (let flips = 1 + random(3); flips > 0; flips--) {
          const at = random(victim.length);
          victim[at] = (victim[at] ?? 0) ^ (1 << random(8));
        }
      const begun = performance.now();
      const rows: string[] = [];
      let error: unknown;
      try {
        await decode(copies, rows);
      } catch (thrown) {
        error = thrown;
      }
      if (error !== undefined && !(error instanceof BinlogError)) throw error;
      expect(performance.now() - begun).toBeLessThan(2_000);
      judge(rows, error);
    }
  }

  test('undamaged, both recordings give the same rows', async () => {
    const [summed, plain] = [
      await decode(recorded.get('CRC32') ?? []),
      await decode(recorded.get('NONE') ?? []),
    ];
    expect(summed.length).toBeGreaterThan(5);
    expect(plain).toEqual(summed);
  });

  test('with checksums: an error, or what damage to no row at all leaves', async () => {
    const whole = await decode(recorded.get('CRC32') ?? []);
    let errors = 0;
    await damaged('CRC32', 2_000, (rows, error) => {
      if (error) {
        errors++;
        // Nor is there a wrong row before it.
        expect(rows).toEqual(whole.slice(0, rows.length));
      }
      // The rotate that the server makes up is the one event whose damage may pass; it has no rows.
      else expect(rows).toEqual(whole);
    });
    expect(errors).toBeGreaterThan(1_800);
  });

  test('without checksums: an error or a row, in time', async () => {
    const before = process.memoryUsage().rss;
    let errors = 0;
    await damaged('NONE', 3_000, (_, error) => {
      if (error) errors++;
    });
    expect(errors).toBeGreaterThan(500);
    expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
  });
});
