// A little client traffic for the demo: people who look at products and their reviews, and a few who are logged in, write reviews,
// recommend them, look at them, and expect to find what they wrote.
import { setTimeout as delay } from 'node:timers/promises';

export type Traffic = {
  /** Since the last call. */
  take(): Ledger;
  stop(): Promise<void>;
};

/** What clients have seen. */
export type Ledger = {
  readonly requests: number;
  readonly failures: number;
  /** Own writes that their writer did not find. */
  readonly missing: number;
  readonly slowestMs: number;
};

export type Pace = {
  readonly clients: number;
  readonly requestsPerSecond: number;
  /** Requests under way at a time. */
  readonly hands: number;
};

const usualPace: Pace = { clients: 20, requestsPerSecond: 10, hands: 1 };
/** Of the clients, the ones who are logged in. */
const members = 4;
/** One of these each so many turns. */
const writeEvery = 10;

type Client = {
  /** Always the same facade, as behind a sticky balancer. */
  readonly facade: string;
  readonly member: string | undefined;
  readonly cookies: Map<string, string>;
};

type Answer = { readonly status: number; readonly body: unknown };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const field = (answer: Answer | undefined, name: string): unknown =>
  isRecord(answer?.body) ? answer.body[name] : undefined;

/** Starts asking the facades; by default some ten requests a second by twenty clients who keep their cookies. */
export function startTraffic(
  facades: readonly string[],
  products: readonly number[],
  { clients, requestsPerSecond, hands }: Pace = usualPace,
): Traffic {
  const stopped = new AbortController();
  const counts = { requests: 0, failures: 0, missing: 0, slowestMs: 0 };
  const people = Array.from(
    { length: clients },
    (_, index): Client => ({
      facade: facades[index % facades.length] ?? '',
      member: index < members ? `member${index + 1}` : undefined,
      cookies: new Map(),
    }),
  );

  async function ask(
    { facade, cookies }: Client,
    path: string,
    form?: Readonly<Record<string, string>>,
  ): Promise<Answer | undefined> {
    counts.requests++;
    const began = performance.now();
    try {
      const response = await fetch(new URL(path, facade), {
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(15_000)]),
        ...(form && { method: 'POST', body: new URLSearchParams(form) }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [name = '', value = ''] = (cookie.split(';', 1)[0] ?? '').split('=', 2);
        cookies.set(name, value);
      }
      const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
      const body: unknown = isJson ? await response.json() : await response.arrayBuffer();
      const answer = { status: response.status, body };
      if (response.status >= 500 || field(answer, 'resultCode') === '9999') counts.failures++;
      return answer;
    } catch {
      if (!stopped.signal.aborted) counts.failures++;
      return undefined;
    } finally {
      counts.slowestMs = Math.max(counts.slowestMs, Math.round(performance.now() - began));
    }
  }

  /** Writes, looks and recommends; then it must be the newest of the product. */
  async function write(client: Client, product: number, turn: number): Promise<void> {
    if (!client.cookies.has('SHOPSESSION'))
      await ask(client, '/api/member/login.do', { mbrId: client.member ?? '', mbrPw: 'shop1234' });
    const text = `${turn}번째로 다시 샀어요. 만족합니다.`;
    const prdNo = String(product);
    const written = await ask(client, '/api/review/write.do', { prdNo, starPnt: '09', rvwCtnt: text });
    const rvwSeq = field(written, 'rvwSeq');
    if (typeof rvwSeq !== 'number') return;
    const list = await ask(client, `/api/review/list.do?prdNo=${prdNo}`);
    const listed = field(list, 'rvwList');
    if (Array.isArray(listed) && !listed.some((each) => isRecord(each) && each.rvwSeq === rvwSeq))
      counts.missing++;
    await ask(client, `/api/review/view.do?rvwSeq=${rvwSeq}`);
    await ask(client, '/api/review/recommend.do', { rvwSeq: String(rvwSeq) });
  }

  const paths = (product: number) => [
    `/api/review/list.do?prdNo=${product}`,
    `/products/${product}`,
    `/api/review/list.do?prdNo=${product}&sort=STAR&page=2`,
    `/api/review/summary.do?prdNo=${product}`,
  ];
  async function run(hand: number): Promise<void> {
    for (let turn = hand; !stopped.signal.aborted; turn += hands) {
      const product = products[turn % products.length] ?? 1;
      const writer = people[Math.floor(turn / writeEvery) % members];
      const reader = people[turn % clients];
      if (writer && turn % writeEvery === 0) await write(writer, product, turn);
      else if (reader) await ask(reader, paths(product)[(turn + Math.floor(turn / clients)) % 4] ?? '/');
      await delay((1000 * hands) / requestsPerSecond, undefined, { signal: stopped.signal }).catch(
        () => undefined,
      );
    }
  }
  const done = Promise.all(Array.from({ length: hands }, (_, hand) => run(hand)));
  return {
    take: () => {
      const taken = { ...counts };
      Object.assign(counts, { requests: 0, failures: 0, missing: 0, slowestMs: 0 });
      return taken;
    },
    stop: async () => {
      stopped.abort();
      await done;
    },
  };
}
