// The CLI as people get it wrong: every error says what happened, to what, and what to do.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/private-server.ts';
import { run } from '../story/stack.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const banyan = (...words: string[]) =>
  run('banyan.ts', [
    ...words,
    ...(words[0]?.startsWith('-') || words.length === 0 ? [] : ['--folder', folder]),
  ]);

describe('wrong words', () => {
  test.each([
    [
      ['nonsense'],
      2,
      /no command "nonsense"; there are install, worker, plan, advance, backfill, verify, shift, ramp, fence, writers, cutover, rollback/,
    ],
    [['backfill'], 2, /name a capability: reviews, wishlist/],
    [['backfill', 'orders'], 2, /no capability "orders"; the configuration has reviews, wishlist/],
    [['backfill', 'reviews', 'wishlist'], 2, /one capability at a time/],
    [
      ['verify', 'reviews', '--table', 'TB_ORD'],
      2,
      /reviews has no table "TB_ORD"; it has TB_MBR, .*TB_RVW_MST/,
    ],
    [['verify', 'reviews', '--execute'], 2, /--execute belongs to --repair/],
    [['shift', 'reviews'], 2, /--reads 0 to --reads 100/],
    [['shift', 'reviews', '--reads', '101'], 2, /--reads is 101: it must be 0 to 100/],
    [['shift', 'reviews', '--reads', 'half'], 2, /whole number/],
    [['ramp', 'reviews'], 2, /--steps is "": say whole percentages/],
    [['ramp', 'reviews', '--steps', '5,1'], 2, /each above the one before/],
    [['ramp', 'reviews', '--steps', '5', '--every', '10'], 2, /--every is "10": say 30s/],
    [['ramp', 'reviews', '--steps', '5', '--override', 'errors'], 2, /"errors" is none of latency, parity/],
    [['ramp', 'reviews', '--steps', '5', '--override', 'parity'], 2, /needs a --reason/],
    [['status', '--jsn'], 2, /no option --jsn[\s\S]*--help/],
    [
      ['status'],
      2,
      /where is the (control store|legacy database server)\? Give --\w+-url or BANYAN_\w+_URL, or run "npm start"/,
    ],
    [['audit', '--control-url', 'http://x'], 2, /not a mysql:\/\/ URL/],
    [
      ['audit', '--control-url', 'mysql://127.0.0.1:3306'],
      1,
      /password of banyan_cli is not in .*run "banyan install" first/,
    ],
    [
      ['audit', '--config', 'nowhere.ts', 'reviews'],
      1,
      /nowhere\.ts cannot be used:\n {2}- there is no such file/,
    ],
    [
      ['install', '--legacy-url', 'mysql://127.0.0.1:3306', '--services-url', 'mysql://127.0.0.1:3306'],
      1,
      /needs an account that may create schemas/,
    ],
  ] as const)('banyan %j', async (words, code, message) => {
    const result = await banyan(...words);
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/at .*\.ts:\d+/);
    expect(result.code).toBe(code);
    expect(result.stdout).toBe('');
  });
});

test('without a command it teaches; each command’s help lists its options', async () => {
  const overview = await banyan();
  expect(overview).toMatchObject({
    code: 2,
    stdout: expect.stringMatching(
      /The way of a capability: install, worker, backfill, verify, fence --observe/,
    ),
  });
  for (const name of 'install worker plan advance backfill verify shift fence writers cutover rollback retire stop status quarantine audit'.split(
    ' ',
  )) {
    const help = await banyan(name, '--help');
    expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(new RegExp(`^banyan ${name} `)) });
    expect(help.stdout).toMatch(/--json/);
  }
});

test('--json gives errors as one object, too', async () => {
  const { stdout, code } = await banyan('backfill', 'orders', '--json');
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    error: { message: expect.stringMatching(/no capability "orders"/) },
  });
});

test('a database that is down, and one that refuses, are named with the option that says where they are', async () => {
  const port = await freePort();
  const down = await banyan('audit', '--control-url', `mysql://root:secret@127.0.0.1:${port}`);
  expect(down).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      new RegExp(`the control store at 127.0.0.1:${port} does not answer \\(ECONNREFUSED\\).*--control-url`),
    ),
  });
  const url = new URL(process.env.BANYAN_TEST_LEGACY_SERVER ?? '');
  url.password = 'wrong-secret';
  const refused = await banyan('audit', '--control-url', url.href);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/refuses root.*banyan install/) });
  expect(refused.stderr).not.toContain('wrong-secret');
});

test('a broken flag file stops a shift before anything is moved', async () => {
  const flags = join(folder, 'flags.json');
  writeFileSync(flags, '{"features":[{"name":"reviews.read"}]}');
  const shift = await banyan(
    'shift',
    'reviews',
    '--reads',
    '5',
    '--flags',
    flags,
    '--control-url',
    process.env.BANYAN_TEST_LEGACY_SERVER ?? '',
  );
  expect(shift).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/flag file .*flags\.json: feature "reviews\.read": "enabled" is neither/),
  });
});

test('install --print gives a DBA SQL, and connects to nothing', async () => {
  const { code, stdout } = await banyan('install', '--print');
  expect(code).toBe(0);
  expect(stdout).toMatch(/CREATE DATABASE IF NOT EXISTS banyan;/);
  expect(stdout).toMatch(
    /GRANT SELECT \(`MBR_ID`, `MBR_NM`, `LEAV_YN`\) ON `shop`\.`TB_MBR` TO 'banyan_read'@'%'/,
  );
  expect(stdout).not.toMatch(/MBR_PW/);
});
