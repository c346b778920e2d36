// Part of the story that README tells: unchanged clients, a copy, and a flag that moves a growing share of
// the review reads to the extracted service, with the same bytes on the wire.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Ask, answerTo, asks, differences } from './client-suite.ts';
import { logIn } from './log-in.ts';
import { type RunningStack, startStack } from './stack.ts';

/** The real reviews where they are present; the project never copies them. */
const real =
  process.env.BANYAN_REAL_REVIEWS ??
  join(import.meta.dirname, '..', '..', '..', 'shared', 'data', 'reviews-100k.tsv.gz');

let stack: RunningStack;
let suite: Ask[];
let straight: Answer[];
/** A product with few reviews. */
let quiet: number;

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
  quiet = (await pick('COUNT(*)'))[0] ?? 1;
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

/** The suite writes, too: until that is on the service, its client (by default those without cookies) reads from the owner. */
async function ownWritesArrived(cookie?: string): Promise<void> {
  const [ask] = suite;
  if (!ask) throw new Error('the suite is not empty');
  await vi.waitUntil(
    async () => {
      const before = (await readsBySide()).service;
      await answerTo(stack.facade, ask, cookie ? { cookie } : {});
      return (await readsBySide()).service > before;
    },
    { timeout: 10_000, interval: 20 },
  );
}

/** Ids as the facade mints them: 128 bits, base64url. */
const idCookie = (index: number) =>
  `banyan_id=${Buffer.from(index.toString().padStart(16, '0')).toString('base64url')}`;

/** Ends a part of the stack by force; the supervisor starts it again. */
function killPart(what: string): void {
  for (const pid of readdirSync(join(stack.folder, 'run', 'children')).map(Number))
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes(what))
      process.kill(pid, 'SIGKILL');
}

describe('reviews move by flag', () => {
  test('before anything is backfilled every read is legacy’s, and reads cannot be shifted', async () => {
    await expectSame();
    expect((await readsBySide()).service).toBe(0);
    const shift = await stack.banyan('shift', 'reviews', '--reads', '50');
    expect(shift).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /nothing says that the service has the data.*banyan backfill reviews.*banyan verify reviews/,
      ),
    });
  });

  test('a backfill whose worker is killed goes on with the next, and moves every row', async () => {
    const words = ['backfill', 'reviews', '--json', '--folder', stack.folder];
    const backfill = spawn(
      process.execPath,
      [join(import.meta.dirname, '..', '..', 'scripts', 'banyan.ts'), ...words],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let said = '';
    backfill.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const exited = once(backfill, 'exit');
    const services = await createConnection(stack.databases.services);
    await vi.waitUntil(
      async () =>
        Number(
          (
            await services.query<RowDataPacket[]>('SELECT SUM(rows_done) AS n FROM banyan.banyan_backfill')
          )[0][0]?.n,
        ) > 4_000,
      { timeout: 30_000, interval: 20 },
    );
    killPart('worker');
    expect((await exited)[0]).toBe(0);
    const result = JSON.parse(said);
    const legacy = await createConnection(stack.databases.legacy);
    const count = async (sql: Connection, table: string) =>
      Number((await sql.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table}`))[0][0]?.n);
    const rows = await count(legacy, 'TB_RVW_MST');
    expect(result).toMatchObject({ capability: 'reviews', ok: true, quarantined: 0 });
    expect(result.tables.find(({ table }: { table: string }) => table === 'TB_RVW_MST')).toMatchObject({
      state: 'complete',
      refused: 0,
      total: rows,
    });
    expect(await count(services, 'review')).toBe(rows);
    if (existsSync(real)) expect(rows).toBe(100_043);
    await Promise.all([legacy.end(), services.end()]);
    const status = JSON.parse((await stack.banyan('status', '--json')).stdout);
    expect(status.capabilities[0]).toMatchObject({
      name: 'reviews',
      phase: 'synced',
      proposedPercent: 0,
      effectivePercent: 0,
    });
  }, 120_000);

  test('what nobody has verified is not served; a verification of every row is the evidence', async () => {
    expect(await stack.banyan('shift', 'reviews', '--reads', '50')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/same on both sides: run "banyan verify reviews" first/),
    });
    const { code, stdout } = await stack.banyan('verify', 'reviews', '--json');
    const result = JSON.parse(stdout);
    expect({ code, ...result }).toMatchObject({ code: 0, ok: true, evidence: 'recorded', unproven: 0 });
    expect(result.tables.map(({ table }: { table: string }) => table)).toContain('TB_RVW_MST');
    const status = JSON.parse((await stack.banyan('status', '--json')).stdout);
    expect(status.capabilities[0]).toMatchObject({
      verified: { facts: { rows: result.rows } },
      interlock: expect.stringMatching(/phase/),
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
    await ownWritesArrived(idCookie(moved[0] ?? 0));
    await stack.banyan('shift', 'reviews', '--reads', '75');
    const later = await onService();
    expect(moved.filter((index) => !later.includes(index))).toEqual([]);
    expect(later.length).toBeGreaterThan(moved.length);
  });

  test('at 100 % every read is the service’s, to the byte, and none fell back', async () => {
    await stack.banyan('shift', 'reviews', '--reads', '100');
    await ownWritesArrived();
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

  test('what clients write while they read from the service is there at once', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const cookie = await logIn(stack.facade, 'member1');
    const text = '스트림을 지나온 리뷰 😀 &#65;';
    const written = await fetch(new URL('/api/review/write.do', stack.facade), {
      method: 'POST',
      headers: { ...form, cookie },
      body: new URLSearchParams({ prdNo: String(quiet), starPnt: '09', rvwCtnt: text }),
    });
    expect(await written.json()).toMatchObject({ resultCode: '0000' });
    const path = `/api/review/list.do?prdNo=${quiet}`;
    const listed = async (origin: string) => (await fetch(new URL(path, origin))).text();
    await vi.waitUntil(async () => (await listed(stack.facade)) === (await listed(stack.legacy)), {
      timeout: 5_000,
      interval: 10,
    });
    expect(await listed(stack.facade)).toContain('&#128512; &#65;');
    straight = await answers(stack.legacy);
  });

  test('when the service dies its readers get legacy’s answers, counted; when it is back, its own', async () => {
    killPart('extracted/reviews/server.ts');
    await expectSame();
    expect(await fallbacks()).toBeGreaterThan(0);
    await vi.waitUntil(
      async () => (await fetch(new URL('/readyz', stack.services.reviews)).catch(() => undefined))?.ok,
      { timeout: 20_000 },
    );
    await ownWritesArrived();
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
      'verify',
      'backfill',
    ]);
    expect(audit[0]).toMatchObject({
      reason: 'the story ends',
      detail: { from: 'reads', to: 'synced', reads: 0, was: 100 },
    });
  });
});
