// The whole sample with two replicas: reviews go to the service and back by the statements of a change, while clients write and look
// for what they wrote.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Side } from '../../capability/capability.ts';
import * as fence from '../../capability/fence.ts';
import { parseReplicaReport, type ReplicaReport } from '../../capability/replicas.ts';
import { type Ask, answerTo, asks, differences } from '../story/client-suite.ts';
import { type RunningStack, startStack } from '../story/stack.ts';
import { until } from '../sync/until.ts';

const reviews = 'reviews';
const prdNo = '1';

let stack: RunningStack;
let on: Readonly<Record<Side, fence.FenceSessions>>;
const connections: Connection[] = [];

beforeAll(async () => {
  stack = await startStack(['--reviews', '200', '--replicas', '2']);
  for (const words of [
    ['backfill', reviews],
    ['verify', reviews],
    ['shift', reviews, '--reads', '100'],
  ]) {
    const { code, stderr } = await stack.banyan(...words, '--json');
    expect([words[0], code, stderr]).toEqual([words[0], 0, expect.any(String)]);
  }
  const connect = async (url: string) => {
    const sql = await createConnection(url);
    connections.push(sql);
    await fence.prepareFenceSession(sql);
    return sql;
  };
  const sessions = async (url: string) => ({ sql: await connect(url), observer: await connect(url) });
  on = {
    legacy: await sessions(stack.databases.legacy),
    service: await sessions(stack.databases.services),
  };
}, 120_000);

afterAll(async () => {
  for (const sql of connections) sql.destroy();
  await stack?.[Symbol.asyncDispose]();
});

type Jar = Map<string, string>;
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** One request of a client that keeps its cookies; its JSON. */
async function ask(
  facade: number,
  jar: Jar,
  path: string,
  form?: Record<string, string>,
): Promise<Record<string, unknown>> {
  const url = new URL(path, stack.facades[facade]?.url);
  const response = await fetch(url, {
    headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [name = '', value = ''] = (cookie.split(';', 1)[0] ?? '').split('=', 2);
    jar.set(name, value);
  }
  const body: unknown = await response.json();
  if (!isRecord(body)) throw new Error(`${path}: ${response.status}`);
  return body;
}

async function logIn(member: string): Promise<Jar> {
  const jar: Jar = new Map();
  expect(await ask(0, jar, '/api/member/login.do', { mbrId: member, mbrPw: 'shop1234' })).toMatchObject({
    resultCode: '0000',
  });
  return jar;
}

async function write(facade: number, jar: Jar, text: string): Promise<number> {
  const answer = await ask(facade, jar, '/api/review/write.do', { prdNo, starPnt: '08', rvwCtnt: text });
  expect(answer).toMatchObject({ resultCode: '0000', rvwSeq: expect.any(Number) });
  return Number(answer.rvwSeq);
}

async function listed(facade: number, jar: Jar): Promise<number[]> {
  const { rvwList } = await ask(facade, jar, `/api/review/list.do?prdNo=${prdNo}`);
  return Array.isArray(rvwList) ? rvwList.map(({ rvwSeq }) => Number(rvwSeq)) : [];
}

function signalWorker(signal: NodeJS.Signals): void {
  for (const pid of readdirSync(join(stack.folder, 'run', 'children')).map(Number))
    if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').includes('banyan.ts worker'))
      process.kill(pid, signal);
}

async function look(facade: number): Promise<ReplicaReport> {
  const url = new URL(`/api/writes/${reviews}/look?waitMs=100`, stack.facades[facade]?.admin);
  const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${stack.token}` } });
  const report = parseReplicaReport(await response.json());
  if (!report) throw new Error(`no report: ${response.status}`);
  return report;
}

const both = <T>(of: (facade: number) => Promise<T>) => Promise.all([of(0), of(1)]);

/** As the coordinator does it. @returns milliseconds from the hold until both let go */
async function change(from: Side, epoch: bigint, id: bigint): Promise<number> {
  const to = from === 'legacy' ? 'service' : 'legacy';
  const at = { capability: reviews, owner: from, epoch };
  const startedAt = performance.now();
  expect(await fence.hold(on[from], reviews, id, 4)).toMatchObject({ rows: 1 });
  await until('both to acknowledge', async () =>
    (await both(look)).every(({ acknowledged }) => acknowledged.includes(String(id))),
  );
  expect(await fence.turn(on[from], at, { hold: id, turn: id + 1n }, 2)).toMatchObject({ rows: 1 });
  await until('the drain', async () => (await fence.readTurnMet(on[to].sql, reviews, from)) === id + 1n);
  expect(await fence.close(on[from], at, id + 1n, to)).toMatchObject({ rows: 1 });
  await until('the opening', async () => {
    const row = await fence.readFence(on[to].sql, reviews, 'none');
    return row?.owner === to && row.epoch === epoch + 1n;
  });
  await fence.removeHold(on[from], reviews, id);
  await until('both to send', async () =>
    (await both(look)).every(({ writes, epoch: known }) => writes === 'sending' && BigInt(known) > epoch),
  );
  return performance.now() - startedAt;
}

test('with the worker stopped, who wrote finds it on both replicas, and nobody else does yet', async () => {
  const member = await logIn('member1');
  signalWorker('SIGSTOP');
  const rvwSeq = await write(0, member, '기다리지 않고 보여요');
  expect(await listed(0, member)).toContain(rvwSeq);
  expect(await listed(1, member)).toContain(rvwSeq);
  expect(await listed(1, new Map())).not.toContain(rvwSeq);
  signalWorker('SIGCONT');
  await until('the review at the service', async () => (await listed(1, new Map())).includes(rvwSeq));
}, 120_000);

test('there and back under writes: none fails, each finds its own, every acknowledged one is on both sides', async () => {
  const writers = await Promise.all(['member2', 'member3', 'member4', 'member5'].map(logIn));
  const ledger: number[] = [];
  const wrong: string[] = [];
  let isOver = false;
  const run = async (jar: Jar, index: number) => {
    for (let turn = 0; !isOver; turn++) {
      const rvwSeq = await write(index % 2, jar, `${index} ${turn}`);
      ledger.push(rvwSeq);
      // On the other replica, as behind a balancer that is not sticky.
      const [list, view] = await Promise.all([
        listed((index + 1) % 2, jar),
        ask(index % 2, jar, `/api/review/view.do?rvwSeq=${rvwSeq}`),
      ]);
      if (!list.includes(rvwSeq)) wrong.push(`${rvwSeq} is not in ${list.join()}`);
      if (view.resultCode !== '0000') wrong.push(`${rvwSeq} cannot be viewed: ${JSON.stringify(view)}`);
    }
  };
  const running = writers.map(run);
  const more = (count: number) => {
    const target = ledger.length + count;
    return until(`${count} more writes`, () => ledger.length >= target);
  };
  const took: number[] = [];
  await more(10);
  took.push(await change('legacy', 1n, 101n));
  await more(20);
  took.push(await change('service', 2n, 201n));
  await more(20);
  isOver = true;
  await Promise.all(running);
  expect(wrong).toEqual([]);
  expect(new Set(ledger).size).toBe(ledger.length);
  const count = async (sql: Connection, table: string, column: string) =>
    Number(
      (
        await sql.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table} WHERE ${column} IN (?)`, [
          ledger,
        ])
      )[0][0]?.n,
    );
  expect(await count(on.legacy.sql, 'TB_RVW_MST', 'RVW_SEQ')).toBe(ledger.length);
  await until(
    'all of them at the service',
    async () => (await count(on.service.sql, 'review', 'id')) === ledger.length,
  );
  console.log(
    `${ledger.length} writes, changes of owner took ${took.map((ms) => Math.round(ms)).join(' and ')} ms`,
  );
}, 120_000);

test('once the service owns, reads and writes of every kind are answered as the monolith answers them, to the byte', async () => {
  await change('legacy', 3n, 301n);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const view = (name: string, path: string, headers: Record<string, string> = {}, method = 'GET'): Ask => ({
    name,
    method,
    path: `/api/review/view.do${path}`,
    headers,
  });
  const noReview = '?rvwSeq=4294967295';
  const etag = (await answerTo(stack.legacy, view('', noReview))).headers.etag ?? '';
  const suite: Ask[] = [
    ...asks([1, 2, 3]),
    view('a view of nothing that is a number', '?rvwSeq=x'),
    view('HEAD of a view', noReview, {}, 'HEAD'),
    view('a view that is known', noReview, { 'if-none-match': etag }),
    view('a view, gzip asked', noReview, { 'accept-encoding': 'gzip' }),
    ...['write', 'modify', 'delete', 'recommend'].flatMap((verb): Ask[] => {
      const path = `/api/review/${verb}.do`;
      return [
        { name: `${verb} of nobody`, method: 'POST', path, headers: form, body: 'rvwSeq=1' },
        { name: `${verb} without a body`, method: 'POST', path },
        {
          name: `${verb} in JSON`,
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json' },
          body: '{}',
        },
        {
          name: `${verb}, gzip asked, validators shown`,
          method: 'POST',
          path,
          headers: { ...form, 'accept-encoding': 'gzip', 'if-none-match': '*' },
          body: 'prdNo=1',
        },
      ];
    }),
  ];
  const straight = [];
  const through = [];
  for (const each of suite) straight.push(await answerTo(stack.legacy, each));
  for (const each of suite) through.push(await answerTo(stack.facade, each));
  expect(differences(suite, straight, through)).toEqual([]);
}, 120_000);
