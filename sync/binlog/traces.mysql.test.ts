// The trace of a transaction, as its application has said it in a comment: from real servers, of both dialects.
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTo, dialects, type OwnServer, ownServer } from './test-servers.ts';
import { follow } from './test-stream.ts';

const [traceId, spanId, other] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7', 'b'.repeat(16)];
const comment = (span = spanId) => `/*traceparent='00-${traceId}-${span}-01'*/`;
const trace = { traceId, spanId, isSampled: true };

describe.each(dialects)('%s', (dialect) => {
  let server: OwnServer;
  let sql: Connection;
  beforeAll(async () => {
    server = await ownServer(dialect, dialect === 'mysql' ? ['--binlog-rows-query-log-events=ON'] : []);
    sql = await connectTo(server.url, 'traced');
    await sql.query('CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a LONGTEXT)');
  });
  afterAll(async () => {
    await sql?.end();
    await server?.[Symbol.asyncDispose]();
  });

  /** The traces of the transactions that the statements are. */
  async function tracesOf(traces: boolean, ...statements: string[]) {
    await using follower = await follow(server.url, { traces });
    for (const statement of statements) await sql.query(statement);
    const changes = await follower.untilNow(sql);
    return changes.filter(({ kind }) => kind === 'commit').map((change) => Reflect.get(change, 'trace'));
  }

  test('each transaction has its own, or none', async () => {
    const statements = [
      `INSERT INTO t (a) VALUES ('x') ${comment()}`,
      "INSERT INTO t (a) VALUES ('x')",
      `UPDATE t SET a = 'y' ${comment(other)}`,
      `DELETE FROM t WHERE id = 1 ${comment()}`,
    ];
    expect(await tracesOf(true, ...statements)).toEqual([
      trace,
      undefined,
      { ...trace, spanId: other },
      trace,
    ]);
  });

  test('the first statement that says one says it for all of its transaction', async () => {
    const statements = [
      'START TRANSACTION',
      "INSERT INTO t (a) VALUES ('x')",
      `INSERT INTO t (a) VALUES ('x') ${comment()}`,
      `INSERT INTO t (a) VALUES ('x') ${comment(other)}`,
      'COMMIT',
      "INSERT INTO t (a) VALUES ('x')",
    ];
    expect(await tracesOf(true, ...statements)).toEqual([trace, undefined]);
  });

  test('it is found behind a large statement, and not in what a client wrote', async () => {
    const statements = [
      `INSERT INTO t (a) VALUES ('${'뷁'.repeat(1_000_000)}') ${comment()}`,
      `INSERT INTO t (a) VALUES ("${comment()}")`,
    ];
    expect(await tracesOf(true, ...statements)).toEqual([trace, undefined]);
  });

  test('nobody looks who was not asked to', async () => {
    expect(await tracesOf(false, `INSERT INTO t (a) VALUES ('x') ${comment()}`)).toEqual([undefined]);
  });
});
