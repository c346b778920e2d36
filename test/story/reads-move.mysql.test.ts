// Part of the story that README tells: unchanged clients, a copy, and a flag that moves a growing share of
// the review reads to the extracted service, with the same bytes on the wire.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Ask, answerTo, asks, differences } from './client-suite.ts';
import { type RunningStack, startStack } from './stack.ts';

/** The real reviews where they are present; the project never copies them. */
const real =
  process.env.BANYAN_REAL_REVIEWS ??
  join(import.meta.dirname, '..', '..', '..', 'shared', 'data', 'reviews-100k.tsv.gz');

let stack: RunningStack;
let suite: Ask[];
let straight: Answer[];

beforeAll(async () => {
  stack = await startStack(existsSync(real) ? ['--import', real] : ['--reviews', '20000']);
  const legacy = await createConnection(stack.databases.legacy);
  const pick = async (order: string) =>
    (
      await legacy.query<RowDataPacket[]>(
        `SELECT PRD_NO FROM TB_RVW_MST GROUP BY PRD_NO ORDER BY ${order}, PRD_NO LIMIT 12`,
      )
    )[0].map(({ PRD_NO }) => Number(PRD_NO));
  const withReferences = (
    await legacy.query<RowDataPacket[]>(
      "SELECT DISTINCT PRD_NO FROM TB_RVW_MST WHERE RVW_CTNT LIKE '%&#%' OR RVW_CTNT = '' LIMIT 12",
    )
  )[0].map(({ PRD_NO }) => Number(PRD_NO));
  const products = [
    ...new Set([...(await pick('COUNT(*) DESC')), ...(await pick('COUNT(*)')), ...withReferences]),
  ];
  await legacy.end();
  suite = asks(products);
  straight = await answers(stack.legacy);
}, 120_000);

afterAll(async () => stack?.[Symbol.asyncDispose]());

async function answers(origin: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer[]> {
  const all: Answer[] = [];
  for (const ask of suite) all.push(await answerTo(origin, ask, headers));
  return all;
}

async function readsBySide(): Promise<{ legacy: number; service: number }> {
  const text = await (
    await fetch(new URL('/metrics', stack.admin), { headers: { authorization: `Bearer ${stack.token}` } })
  ).text();
  const sum = (side: string) =>
    text
      .split('\n')
      .filter(
        (line) =>
          line.startsWith('banyan_facade_requests_total{') &&
          line.includes('capability="reviews"') &&
          line.includes('kind="read"') &&
          line.includes(`side="${side}"`),
      )
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  return { legacy: sum('legacy'), service: sum('service') };
}

async function fallbacks(): Promise<number> {
  const text = await (
    await fetch(new URL('/metrics', stack.admin), { headers: { authorization: `Bearer ${stack.token}` } })
  ).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('banyan_facade_fallbacks_total{'))
    .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
}

/** Through the facade, as a client with this id: each answer must be the monolith's own. */
async function expectSame(cookie?: string): Promise<void> {
  const through = await answers(stack.facade, cookie ? { cookie } : {});
  expect(differences(suite, straight, through)).toEqual([]);
}

/** Ids as the facade mints them: 128 bits, base64url. */
const idCookie = (index: number) =>
  `banyan_id=${Buffer.from(index.toString().padStart(16, '0')).toString('base64url')}`;

describe('reviews move by flag', () => {
  test('before anything is copied every read is legacy’s, and reads cannot be shifted', async () => {
    await expectSame();
    expect((await readsBySide()).service).toBe(0);
    const shift = await stack.banyan('shift', 'reviews', '--reads', '50');
    expect(shift).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nothing says that the service has the data.*banyan copy reviews/),
    });
  });

  test('a copy that is killed leaves no evidence, and is run again', async () => {
    const words = ['copy', 'reviews', '--chunk-rows', '20', '--folder', stack.folder];
    const copy = spawn(
      process.execPath,
      [join(import.meta.dirname, '..', '..', 'scripts', 'banyan.ts'), ...words],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    await once(copy.stderr, 'data'); // its first line of progress
    copy.kill('SIGKILL');
    await once(copy, 'exit');
    const { capabilities } = JSON.parse((await stack.banyan('status', '--json')).stdout);
    expect(capabilities[0]).toMatchObject({ phase: 'legacy', copied: null });
  });

  test('copy moves every row and says how many', async () => {
    const copy = await stack.banyan('copy', 'reviews', '--json');
    expect(copy.code).toBe(0);
    const result = JSON.parse(copy.stdout);
    const legacy = await createConnection(stack.databases.legacy);
    const [[count]] = (await legacy.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS n FROM TB_RVW_MST',
    )) as unknown as [[{ n: number }]];
    await legacy.end();
    expect(result).toMatchObject({ capability: 'reviews', ok: true, refused: 0 });
    expect(result.tables.find(({ table }: { table: string }) => table === 'TB_RVW_MST')).toEqual({
      table: 'TB_RVW_MST',
      rows: Number(count.n),
      copied: Number(count.n),
      refused: 0,
    });
    if (existsSync(real)) expect(Number(count.n)).toBe(100_043);
    const status = JSON.parse((await stack.banyan('status', '--json')).stdout);
    expect(status.capabilities[0]).toMatchObject({
      name: 'reviews',
      phase: 'synced',
      proposedPercent: 0,
      effectivePercent: 0,
    });
  }, 120_000);

  test('at 0 % everything is legacy’s, to the byte', async () => {
    await expectSame();
    expect((await readsBySide()).service).toBe(0);
  });

  test('at 50 % half of the clients read from the service within a second, to the byte, and stay there', async () => {
    const shift = JSON.parse((await stack.banyan('shift', 'reviews', '--reads', '50', '--json')).stdout);
    expect(shift).toMatchObject({ reads: 50, was: 0, phase: 'canary' });
    expect(shift.confirmedMs).toBeLessThan(1_000);
    const [ask] = suite;
    if (!ask) throw new Error('the suite is not empty');
    const onService = async () => {
      const moved: number[] = [];
      for (let index = 0; index < 200; index++) {
        const before = (await readsBySide()).service;
        await answerTo(stack.facade, ask, { cookie: idCookie(index) });
        if ((await readsBySide()).service > before) moved.push(index);
      }
      return moved;
    };
    const moved = await onService();
    expect(moved.length).toBeGreaterThan(70);
    expect(moved.length).toBeLessThan(130);
    await expectSame(idCookie(moved[0] ?? 0));
    await stack.banyan('shift', 'reviews', '--reads', '75');
    const later = await onService();
    expect(moved.filter((index) => !later.includes(index))).toEqual([]);
    expect(later.length).toBeGreaterThan(moved.length);
  });

  test('at 100 % every read is the service’s, to the byte, and none fell back', async () => {
    await stack.banyan('shift', 'reviews', '--reads', '100');
    const before = await readsBySide();
    await expectSame();
    const after = await readsBySide();
    expect(after.legacy).toBe(before.legacy);
    expect(after.service - before.service).toBe(suite.filter(({ moves }) => moves).length);
    expect(await fallbacks()).toBe(0);
  });

  test('304s agree: the validator of one side is valid on the other', async () => {
    const conditional = suite
      .map((ask, index) => ({
        ...ask,
        headers: { ...ask.headers, 'if-none-match': straight[index]?.headers.etag ?? '' },
      }))
      .filter(({ moves, headers }) => moves && headers['if-none-match'] !== '');
    const own: Answer[] = [];
    const through: Answer[] = [];
    for (const ask of conditional) {
      own.push(await answerTo(stack.legacy, ask));
      through.push(await answerTo(stack.facade, ask));
    }
    expect(own.filter(({ status }) => status === 304).length).toBeGreaterThan(20);
    expect(differences(conditional, own, through)).toEqual([]);
  });

  test('a copy is refused while clients read from the service', async () => {
    expect((await stack.banyan('copy', 'reviews')).stderr).toMatch(
      /its service is answering reads.*--reads 0/,
    );
  });

  test('when the service dies its readers get legacy’s answers, counted; when it is back, its own', async () => {
    const kill = () => {
      for (const pid of readdirSync(join(stack.folder, 'run', 'children')).map(Number))
        if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('extracted/reviews/server.ts'))
          process.kill(pid, 'SIGKILL');
    };
    kill();
    await expectSame();
    expect(await fallbacks()).toBeGreaterThan(0);
    await vi.waitUntil(
      async () => (await fetch(new URL('/readyz', stack.services.reviews)).catch(() => undefined))?.ok,
      { timeout: 20_000 },
    );
    const [before, counted] = [await readsBySide(), await fallbacks()];
    await expectSame();
    expect((await readsBySide()).service - before.service).toBe(suite.filter(({ moves }) => moves).length);
    expect(await fallbacks()).toBe(counted);
  });

  test('back at 0 % everything is legacy’s at once, and the audit tells the story', async () => {
    await stack.banyan('shift', 'reviews', '--reads', '0', '--reason', 'the story ends');
    const before = await readsBySide();
    await expectSame();
    expect((await readsBySide()).service).toBe(before.service);
    const { audit } = JSON.parse((await stack.banyan('audit', 'reviews', '--json')).stdout);
    expect(audit.map(({ action }: { action: string }) => action)).toEqual([
      'shift',
      'shift',
      'shift',
      'shift',
      'copy',
      'copy-begin',
      'copy-begin',
    ]);
    expect(audit[0]).toMatchObject({
      reason: 'the story ends',
      detail: { from: 'reads', to: 'synced', reads: 0, was: 100 },
    });
  });
});
