// What only MariaDB has: types that the binlog alone does not tell, ALTER in two phases, several domains.
import type { RowDataPacket } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectTo, type OwnServer, ownServer } from './test-servers.ts';
import { endOf, follow, rowsOf } from './test-stream.ts';

let server: OwnServer;
let sql: Connection;

beforeAll(async () => {
  server = await ownServer('mariadb');
  sql = await connectTo(server.url, 'own');
});
afterAll(async () => {
  await sql?.end();
  await server?.[Symbol.asyncDispose]();
});

test('the temporal types from before MySQL 5.6, with fractions of every length', async () => {
  const kinds = ['DATETIME', 'TIME', 'TIMESTAMP'].flatMap((kind) =>
    [0, 1, 2, 3, 4, 5, 6].map((digits) => `${kind}(${digits}) NULL`),
  );
  await sql.query('SET GLOBAL mysql56_temporal_format = OFF');
  await sql.query(`CREATE TABLE old (id INT, ${kinds.map((type, index) => `c${index} ${type}`).join()})`);
  await sql.query('SET GLOBAL mysql56_temporal_format = ON');
  await using follower = await follow(server.url);
  const instants = ['2024-02-29 12:34:56.789012', '0000-00-00 00:00:00', '2038-01-19 03:14:07.999999'];
  const times = ['-12:13:14.123456', '838:59:59.999999', '-00:00:00.500000'];
  for (const [row, instant] of instants.entries())
    await sql.query(
      `INSERT IGNORE INTO old VALUES (${row}, ${kinds.map((type) => `'${type.startsWith('TIME(') ? times[row] : instant}'`).join()})`,
    );
  const [selected] = await sql.query<RowDataPacket[]>('SELECT * FROM old ORDER BY id');
  const rows = rowsOf(await follower.untilNow(sql)).flatMap((each) => each.rows);
  expect(rows.map(({ after }) => after)).toEqual(selected.map((row) => Object.values(row)));
});

test('a table that is gone: its BINARY(16) still comes as bytes, its old temporal types stop by name', async () => {
  await using follower = await follow(server.url);
  await sql.query("CREATE TABLE gone (b BINARY(16)); INSERT INTO gone VALUES (x'0102'); DROP TABLE gone");
  const [change] = rowsOf(await follower.untilNow(sql));
  expect(change?.rows[0]?.after).toEqual([Buffer.from('01020000000000000000000000000000', 'hex')]);
  await sql.query(
    'SET GLOBAL mysql56_temporal_format = OFF; CREATE TABLE gone (d DATETIME(3)); SET GLOBAL mysql56_temporal_format = ON',
  );
  await sql.query('INSERT INTO gone VALUES (NOW(3)); DROP TABLE gone');
  await expect(follower.untilNow(sql)).rejects.toMatchObject({ code: 'table-unknown' });
});

test('an ALTER in two phases is one statement, at its end', async () => {
  await sql.query('CREATE TABLE phased (id INT PRIMARY KEY)');
  await using follower = await follow(server.url);
  await sql.query(
    'SET SESSION binlog_alter_two_phase = ON; ALTER TABLE phased ADD c INT, ALGORITHM=COPY; SET SESSION binlog_alter_two_phase = OFF',
  );
  await sql.query('INSERT INTO phased VALUES (1, 2)');
  const changes = await follower.untilNow(sql);
  expect(changes.filter(({ kind }) => kind === 'statement')).toHaveLength(1);
  expect(rowsOf(changes)[0]?.rows[0]?.after).toEqual([1, 2]);
});

test('several domains in one position', async () => {
  await using follower = await follow(server.url);
  await sql.query('CREATE TABLE d (id INT PRIMARY KEY)');
  for (const [index, domain] of [7, 3, 7, 0].entries())
    await sql.query(`SET SESSION gtid_domain_id = ${domain}; INSERT INTO d VALUES (${index})`);
  await sql.query('SET SESSION gtid_domain_id = DEFAULT');
  const last = (await follower.untilNow(sql)).at(-1);
  const position = last?.kind === 'commit' ? last.position : undefined;
  expect(position?.gtid).toBe((await endOf(sql)).gtid);
  expect(position?.gtid).toMatch(/^0-41-\d+,3-41-\d+,7-41-\d+$/);
  if (!position) return;
  await sql.query('INSERT INTO d VALUES (100)');
  await using again = await follow(server.url, { from: position });
  expect(rowsOf(await again.untilNow(sql)).map(({ rows }) => rows[0]?.after)).toEqual([[100]]);
});

test('a million rows in one transaction, in flat memory', async () => {
  await sql.query('CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(100))');
  await using follower = await follow(server.url);
  await sql.query(
    "INSERT INTO many SELECT seq, CONCAT('row number ', seq, REPEAT('.', 60)) FROM seq_1_to_1000000",
  );
  let rows = 0;
  let sum = 0;
  let peak = 0;
  let before = 0;
  for (;;) {
    const change = await follower.next();
    if (change.kind === 'commit') break;
    if (change.kind !== 'rows') continue;
    for (const { after } of change.rows) sum += Number(after?.[0]);
    rows += change.rows.length;
    // What the runtime takes for itself is there after the first rows.
    if (rows > 100_000 && before === 0) before = process.memoryUsage().rss;
    if (before > 0) peak = Math.max(peak, process.memoryUsage().rss - before);
  }
  expect([rows, sum]).toEqual([1_000_000, 500_000_500_000]);
  // V8 may take 64 MiB for what is young; the rows would be several hundred.
  expect(peak).toBeLessThan(128 * 1024 * 1024);
}, 60_000);
