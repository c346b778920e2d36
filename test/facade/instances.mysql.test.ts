// Two processes of the reviews service behind one facade, while clients read and write: one is killed, and comes back.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logIn } from '../story/log-in.ts';
import { type RunningStack, startStack } from '../story/stack.ts';
import { until } from '../sync/until.ts';
import { type BesideStack, type ReviewsProcess, startBeside } from './beside-stack.ts';
import type { FacadeProcess } from './facade-process.ts';

let stack: RunningStack;
let beside: BesideStack;
let facade: FacadeProcess;
const services: ReviewsProcess[] = [];

beforeAll(async () => {
  stack = await startStack(['--reviews', '200']);
  beside = await startBeside(stack);
  services.push(await beside.startReviews(), await beside.startReviews());
  facade = await beside.startFacade(services.map(({ url }) => url));
  for (const words of [
    ['backfill', 'reviews'],
    ['verify', 'reviews'],
    ['fence', 'reviews', '--enforce', '--execute'],
    ['shift', 'reviews', '--reads', '100'],
    ['cutover', 'reviews', '--execute', '--wait', '30', '--override', 'reads,writers', '--reason', 'a test'],
  ]) {
    const { code, stderr, stdout } = await stack.banyan(...words, '--json');
    if (code !== 0) throw new Error(`${words.join(' ')}: ${code} ${stderr} ${stdout}`);
  }
}, 180_000);

afterAll(async () => {
  await beside?.[Symbol.asyncDispose]();
  await stack?.[Symbol.asyncDispose]();
});

type Done = {
  readonly kind: 'read' | 'write';
  readonly from: number;
  readonly to: number;
  readonly fault: string;
};

/** Clients until they are told to stop; what each request came to. */
function startLoad(cookies: readonly string[]) {
  const done: Done[] = [];
  let isOver = false;
  const request = async (kind: Done['kind'], path: string, init: RequestInit) => {
    const from = performance.now();
    let fault = '';
    try {
      const response = await fetch(new URL(path, facade.url), init);
      const body = (await response.json()) as { resultCode?: string; error?: { code: string } };
      if (response.status !== 200 || body.resultCode !== '0000')
        fault = `${response.status} ${body.error?.code ?? body.resultCode}`;
    } catch (error) {
      fault = String(error);
    }
    done.push({ kind, from, to: performance.now(), fault });
  };
  const reader = async () => {
    while (!isOver) await request('read', '/api/review/list.do?prdNo=1', {});
  };
  const writer = async (cookie: string) => {
    for (let turn = 0; !isOver; turn++)
      await request('write', '/api/review/write.do', {
        method: 'POST',
        headers: { cookie },
        body: new URLSearchParams({ prdNo: '1', starPnt: '08', rvwCtnt: `글 ${turn}` }),
      });
  };
  const clients = [...Array.from({ length: 6 }, reader), ...cookies.map(writer)];
  return {
    done,
    async more(count: number) {
      const target = done.length + count;
      await until(`${count} more requests`, () => done.length >= target, { msMax: 60_000 });
    },
    async end() {
      isOver = true;
      await Promise.all(clients);
    },
  };
}

/** Reads and writes of reviews that an instance has answered. */
async function answered({ url }: ReviewsProcess): Promise<number> {
  const text = await (await fetch(new URL('/metrics', url))).text();
  return [
    ...text.matchAll(/^reviews_http_requests_total\{.*route="\/(?:products|reviews)[^}]*\} (\d+)$/gm),
  ].reduce((sum, [, count]) => sum + Number(count), 0);
}

const status = async () => {
  const { stdout } = await stack.banyan(
    ...['status', '--json', '--admin-url', facade.admin, '--admin-token', stack.token],
  );
  return JSON.parse(stdout) as {
    facade: { upstreams: { name: string; instances: { origin: string; up: boolean }[] }[] };
  };
};

test('kill -9 of one of two under load fails no read, and only the writes that it had; back again, it is used', async () => {
  const load = startLoad(
    await Promise.all(['member1', 'member2', 'member3'].map((member) => logIn(facade.url, member))),
  );
  const [killed, other] = services;
  if (!killed || !other) throw new Error('there are two');
  await load.more(150);
  for (const each of services) expect(await answered(each)).toBeGreaterThan(10);
  const killedAt = performance.now();
  process.kill(killed.pid, 'SIGKILL');
  await killed.exited;
  const goneAt = performance.now();
  await load.more(200);
  const { stdout } = await stack.banyan(
    ...['status', '--admin-url', facade.admin, '--admin-token', stack.token],
  );
  expect(stdout).toMatch(/upstream reviews: .*is left out for its failures/);
  expect((await status()).facade.upstreams.find(({ name }) => name === 'reviews')?.instances).toMatchObject([
    { origin: killed.url, up: false },
    { origin: other.url, up: true },
  ]);
  const again = await beside.startReviews(Number(new URL(killed.url).port));
  await until('it to be used again', async () => (await answered(again)) > 20, { msMax: 60_000 });
  await load.end();

  const faults = load.done.filter(({ fault }) => fault !== '');
  expect(faults.filter(({ kind }) => kind === 'read')).toEqual([]);
  // Those that it had, and those that were being handed to it while nobody had noticed yet.
  expect(faults.filter(({ from, to }) => from > goneAt + 50 || to < killedAt)).toEqual([]);
  expect(faults.length).toBeLessThanOrEqual(3);
  console.log(
    `${load.done.length} requests, ${load.done.filter(({ kind }) => kind === 'write').length} writes; failed: ${faults.map(({ kind, fault }) => `${kind} ${fault}`).join(', ') || 'none'}`,
  );
}, 120_000);
