// The programs as one starts them: what they print, how they end, what the seed brings.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { migrate } from './database.ts';
import { parseDatabaseUrl, readMigrations } from './options.ts';
import { call, run, type TestDatabase, testDatabase } from './test-shop.ts';

const folder = mkdtempSync(join(tmpdir(), 'shop-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const environment = (database: TestDatabase) => ({
  LEGACY_DATABASE_URL: database.url,
  LEGACY_UPLOADS: join(folder, 'uploads'),
});
const tables = [
  'TB_MBR',
  'TB_PRD',
  'TB_ORD_MST',
  'TB_ORD_DTL',
  'TB_RVW_MST',
  'TB_RVW_IMG',
  'TB_RVW_RCMD',
  'TB_WISH',
];

async function digest(database: TestDatabase): Promise<string> {
  const hash = createHash('sha256');
  for (const table of tables)
    hash.update(JSON.stringify(await database.rows(`SELECT * FROM ${table} ORDER BY 1, 2`)));
  return hash.digest('hex');
}

async function seeded(...args: string[]): Promise<{ digest: string; counts: Record<string, unknown> }> {
  await using database = await testDatabase();
  const { stdout } = await run('seed.ts', environment(database), ...args);
  return { digest: await digest(database), counts: JSON.parse(stdout) };
}

test('the seed: same arguments, same rows; another seed, other rows', async () => {
  const [first, second, other] = [
    await seeded('--reviews', '1500'),
    await seeded('--reviews', '1500'),
    await seeded('--reviews', '1500', '--seed', '2'),
  ];
  expect(first.counts).toMatchObject({ seeded: true, reviews: 1500, products: 30, members: 187 });
  expect(second).toEqual(first);
  expect(other.digest).not.toBe(first.digest);
});

test('the seed: what it brings is consistent, and it comes once', async () => {
  await using database = await testDatabase();
  const { stdout } = await run('seed.ts', environment(database), '--reviews', '1500');
  const counts = JSON.parse(stdout);
  const one = async (query: string) => Number(Object.values((await database.rows(query))[0] ?? {})[0]);
  expect(
    await one(
      'SELECT COUNT(*) FROM TB_RVW_MST R WHERE RCMD_CNT <> (SELECT COUNT(*) FROM TB_RVW_RCMD C WHERE C.RVW_SEQ = R.RVW_SEQ)',
    ),
  ).toBe(0);
  expect(
    await one(
      'SELECT COUNT(*) FROM TB_RVW_MST R LEFT JOIN TB_MBR M USING (MBR_ID) LEFT JOIN TB_PRD P USING (PRD_NO) WHERE M.MBR_ID IS NULL OR P.PRD_NO IS NULL',
    ),
  ).toBe(0);
  expect(
    await one(
      'SELECT COUNT(*) FROM TB_ORD_MST M WHERE ORD_AMT <> (SELECT SUM(ORD_QTY * UNIT_PRC) FROM TB_ORD_DTL D WHERE D.ORD_NO = M.ORD_NO)',
    ),
  ).toBe(0);
  expect(
    await one(
      "SELECT COUNT(*) FROM TB_ORD_MST WHERE ORD_NO NOT REGEXP '^20[0-9]{14}$' OR LEFT(ORD_NO, 8) <> LEFT(RGST_DTM, 8)",
    ),
  ).toBe(0);
  expect(await one("SELECT COUNT(*) FROM TB_RVW_MST WHERE RVW_CTNT = ''")).toBe(counts.empty);
  expect(await one("SELECT COUNT(*) FROM TB_RVW_MST WHERE RVW_CTNT REGEXP '&#[0-9]+;'")).toBe(
    counts.referenced,
  );
  for (const condition of ["DSP_YN = 'N'", "DEL_YN = 'Y'", "MOD_DTM > '2000-01-01'", 'ORD_NO IS NOT NULL'])
    expect(await one(`SELECT COUNT(*) FROM TB_RVW_MST WHERE ${condition}`), condition).toBeGreaterThan(0);
  const [image] = await database.rows('SELECT FILE_NM FROM TB_RVW_IMG LIMIT 1');
  expect(existsSync(join(folder, 'uploads', image?.FILE_NM))).toBe(true);
  const again = await run('seed.ts', environment(database), '--reviews', '10');
  expect(JSON.parse(again.stdout)).toEqual({ seeded: false });
});

test('an import: every line, with its own number, the empty and the odd ones too', async () => {
  await using database = await testDatabase();
  const file = join(folder, 'reviews.tsv.gz');
  const lines = [
    'review_id\tproduct_id\tauthor\trating\tdate\ttext',
    '46\t31304\tjang****\t7\t03.11.21\t그렇게는 재밋지 않습니다....',
    '10278235\t141800\tJang****\t10\t19.02.28\t',
    '47\t31304\tmember1\t1\t03.11.22\t역슬래시\\\\n 탭\\t줄\\n끝 뷁 ♥ é😀',
  ];
  writeFileSync(file, gzipSync(`${lines.join('\n')}\n`));
  const { stdout } = await run('seed.ts', environment(database), '--import', file);
  expect(JSON.parse(stdout)).toMatchObject({
    seeded: true,
    reviews: 3,
    products: 2,
    members: 21,
    empty: 1,
    referenced: 1,
  });
  const rows = await database.rows(
    'SELECT RVW_SEQ, PRD_NO, MBR_ID, STAR_PNT, LEFT(RGST_DTM, 8) AS day, RVW_CTNT FROM TB_RVW_MST ORDER BY RVW_SEQ',
  );
  expect(rows).toEqual([
    {
      RVW_SEQ: 46,
      PRD_NO: 31304,
      MBR_ID: 'jang****',
      STAR_PNT: '07',
      day: '20031121',
      RVW_CTNT: '그렇게는 재밋지 않습니다....',
    },
    {
      RVW_SEQ: 47,
      PRD_NO: 31304,
      MBR_ID: 'member1',
      STAR_PNT: '01',
      day: '20031122',
      RVW_CTNT: '역슬래시\\n 탭\t줄\n끝 뷁 ♥ &#233;&#128512;',
    },
    { RVW_SEQ: 10278235, PRD_NO: 141800, MBR_ID: 'jang****', STAR_PNT: '10', day: '20190228', RVW_CTNT: '' },
  ]);
  writeFileSync(file, `${lines.join('\n')}\n48\t1\tkim\t11\t03.11.22\tx\n`);
  await using empty = await testDatabase();
  await expect(run('seed.ts', environment(empty), '--import', file)).rejects.toMatchObject({
    code: 1,
    stderr: `seed: ${file}:5: "11" is no rating from 1 to 10\n`,
  });
  expect(await empty.rows('SELECT 1 FROM TB_MBR')).toEqual([]);
});

const realReviews =
  process.env.BANYAN_REAL_REVIEWS ??
  join(import.meta.dirname, '..', '..', 'shared', 'data', 'reviews-100k.tsv.gz');

test.runIf(existsSync(realReviews))('the real reviews: all of them', { timeout: 60_000 }, async () => {
  await using database = await testDatabase();
  const { stdout } = await run('seed.ts', environment(database), '--import', realReviews);
  expect(JSON.parse(stdout)).toMatchObject({
    seeded: true,
    reviews: 100_043,
    products: 2_047,
    empty: 4,
    referenced: 3,
  });
  const [counted] = await database.rows(
    "SELECT COUNT(*) AS n, SUM(CHAR_LENGTH(RVW_CTNT) = 0) AS empty FROM TB_RVW_MST WHERE DSP_YN = 'Y' AND DEL_YN = 'N'",
  );
  expect(counted).toEqual({ n: '100043', empty: '4' });
});

test('the server: one line when it listens, twice on one port is an error, and it stops when told', async () => {
  await using database = await testDatabase();
  const secret = join(folder, 'database-url');
  writeFileSync(secret, `${database.url}\n`);
  const env = { LEGACY_DATABASE_URL_FILE: secret, LEGACY_UPLOADS: join(folder, 'uploads') };
  const server = spawn(process.execPath, [join(import.meta.dirname, 'server.ts')], {
    env: { ...process.env, ...env, LEGACY_PORT: '0' },
  });
  let output = '';
  server.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await expect
    .poll(() => output, { timeout: 10_000 })
    .toMatch(/^\{"listening":"http:\/\/127\.0\.0\.1:\d+"\}\n$/);
  const { listening } = JSON.parse(output);
  expect((await call(listening, '/health.do')).text).toBe('{"resultCode":"0000"}');
  const { port } = new URL(listening);
  await expect(run('server.ts', { ...env, LEGACY_PORT: port })).rejects.toMatchObject({
    code: 1,
    stderr: `legacy-monolith: port ${port} of 127.0.0.1 is in use: end what uses it, or set LEGACY_PORT (0: any free port)\n`,
  });
  server.kill('SIGTERM');
  expect(await once(server, 'exit')).toEqual([0, null]);
});

test('two starts at once on an empty database: one makes the schema, the other waits, a dead lock is no hindrance', async () => {
  await using database = await testDatabase();
  const start = () => migrate(parseDatabaseUrl(database.url), readMigrations({}));
  await Promise.all([start(), start()]);
  await database.sql.query('UPDATE knex_migrations_lock SET is_locked = 1');
  await start();
  expect(await database.rows('SELECT name FROM knex_migrations')).toEqual(
    readdirSync(readMigrations({})).map((name) => ({ name })),
  );
});

test.each([
  [{ LEGACY_DATABASE_URL: '' }, /^legacy-monolith: LEGACY_DATABASE_URL is not set.*\n$/],
  [{ LEGACY_DATABASE_URL: 'postgres://a@b/c' }, /^legacy-monolith: LEGACY_DATABASE_URL must look like.*\n$/],
  [
    { LEGACY_DATABASE_URL: 'mysql://a:secret@127.0.0.1:1/c' },
    /^legacy-monolith: cannot start with the database c at 127\.0\.0\.1:1 .*ECONNREFUSED.*\n$/,
  ],
  [
    { LEGACY_DATABASE_URL: 'mysql://a:b@127.0.0.1:1/c', LEGACY_PORT: '99999' },
    /^legacy-monolith: LEGACY_PORT must be .*\n$/,
  ],
])('the server with %j: one line, exit 1', async (env, line) => {
  const failed = await run('server.ts', env).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(line) });
  expect(failed).not.toMatchObject({ stderr: expect.stringContaining('secret') });
});
