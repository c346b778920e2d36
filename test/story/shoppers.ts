// Clients of the shop who write reviews and read them back, through the facades: each keeps a ledger of what was acknowledged
// to it, and looks whether its own reads know it. They know nothing of sides.
import { Pool } from 'undici';
import { chance } from '../sync/seed.ts';

export type ShoppersOptions = {
  /** The facades' URLs: each request goes to one of them by chance, as behind a balancer that is not sticky. */
  readonly facades: readonly string[];
  /** New members, each of whom writes about a product of its own. */
  readonly shoppers: number;
  readonly products: readonly number[];
  readonly seed: number;
  /** Of all shoppers together; each does its share one after the other. None at all: they wait for `writeOne`. */
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
};

export type Trouble = {
  readonly what: 'failed' | 'wrong' | 'stale';
  /** Milliseconds since the shoppers began. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly detail: string;
};

export type Timed = { readonly kind: 'read' | 'write'; readonly startedMs: number; readonly ms: number };

/** What a review must be, by its number; `undecided`: it may also be this, since an answer was lost. */
export type Review = { body: string; stars: string; deleted: boolean; undecided: boolean };

export type Shoppers = {
  readonly troubles: readonly Trouble[];
  readonly timed: readonly Timed[];
  readonly reviews: ReadonlyMap<number, Review>;
  /** One more review by the first shopper, until it is answered, and read back. */
  writeOne(): Promise<void>;
  /** Reads by shoppers of what they had written. */
  readonly ownReads: () => number;
  /** Milliseconds since they began. */
  now(): number;
  /** Lets each finish what it is at. */
  stop(): Promise<void>;
};

const password = 'shop1234';
const answerMsMax = 20_000;

type Answer = {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly cookies: readonly string[];
};

class Shopper {
  readonly #cookies = new Map<string, string>();
  readonly #pools: readonly Pool[];
  readonly #random: () => number;

  constructor(pools: readonly Pool[], random: () => number) {
    this.#pools = pools;
    this.#random = random;
  }

  /** @throws when there is no answer */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    form: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const pool = this.#pools[Math.floor(this.#random() * this.#pools.length)] ?? this.#pools[0];
    if (!pool) throw new Error('there is at least one facade');
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const { statusCode, headers, body } = await pool.request({
      method,
      path,
      headers: {
        ...(cookie === '' ? {} : { cookie }),
        ...(method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      },
      body: method === 'POST' ? new URLSearchParams(form).toString() : null,
      signal: AbortSignal.timeout(answerMsMax),
    });
    const text = await body.text();
    const set = [headers['set-cookie'] ?? []].flat();
    for (const each of set) {
      const [pair = '', ...attributes] = each.split(';');
      const [name = '', value = ''] = pair.split('=', 2);
      if (attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute))) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return { status: statusCode, body: parsed(text), cookies: set };
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? { ...body } : {};
  } catch {
    return { text: text.slice(0, 200) };
  }
}

/** Logs everybody in, then has them go to work. */
export async function startShoppers(options: ShoppersOptions): Promise<Shoppers> {
  const { facades, shoppers, products, seed, writesPerSecond, readsPerSecond } = options;
  const agents = facades.map((url) => new Pool(url, { connections: 64, pipelining: 1 }));
  const startedAt = performance.now();
  const now = () => performance.now() - startedAt;
  const troubles: Trouble[] = [];
  const timed: Timed[] = [];
  const reviews = new Map<number, Review>();
  let ownReads = 0;
  let isStopped = false;
  let writeOne: () => Promise<void> = () => Promise.reject(new Error('nobody has logged in yet'));

  async function shop(number: number): Promise<void> {
    const luck = chance(seed).fork(`shopper ${number}`);
    const random = () => luck.below(1_000_000) / 1_000_000;
    const member = `shopper${seed % 10_000}_${number}`;
    const shopper = new Shopper(agents, random);
    const product = products[number % products.length] ?? 1;
    const own: number[] = [];
    const paceMs = (1_000 * shoppers) / (writesPerSecond + readsPerSecond);
    const writeShare = writesPerSecond / (writesPerSecond + readsPerSecond);
    let dueAt = now() + random() * paceMs;

    const trouble = (what: Trouble['what'], startedMs: number, detail: string) =>
      void troubles.push({ what, startedMs, endedMs: now(), detail: `${member}: ${detail}` });
    /** @returns undefined when there was no answer, or none that one can use */
    async function timedAsk(
      kind: Timed['kind'],
      ...[method, path, form]: Parameters<Shopper['ask']>
    ): Promise<Answer | undefined> {
      const startedMs = now();
      try {
        const answer = await shopper.ask(method, path, form);
        timed.push({ kind, startedMs, ms: now() - startedMs });
        if (answer.status === 200) return answer;
        trouble(
          'failed',
          startedMs,
          `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 200)}`,
        );
      } catch (error) {
        trouble(
          'failed',
          startedMs,
          `${method} ${path}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      return undefined;
    }
    const isOk = (answer: Answer, what: string): boolean => {
      if (answer.body.resultCode === '0000') return true;
      trouble('wrong', now(), `${what}: ${JSON.stringify(answer.body).slice(0, 200)}`);
      return false;
    };

    async function write(): Promise<void> {
      const choice = random();
      const seq = own.at(-1);
      if (seq === undefined || choice < 0.5) return create();
      const review = reviews.get(seq);
      if (!review || review.deleted) return create();
      if (choice < 0.85) return modify(seq, review);
      return remove(seq, review);
    }
    async function create(): Promise<void> {
      const body = `글 ${number}-${own.length} ${Math.floor(random() * 1e9)}`;
      const answer = await timedAsk('write', 'POST', '/api/review/write.do', {
        prdNo: String(product),
        starPnt: '08',
        rvwCtnt: body,
      });
      if (!answer || !isOk(answer, 'write')) return;
      const seq = Number(answer.body.rvwSeq);
      if (reviews.has(seq)) trouble('wrong', now(), `the number ${seq} was given twice`);
      reviews.set(seq, { body, stars: '08', deleted: false, undecided: false });
      own.push(seq);
      await readOwn();
    }
    async function modify(seq: number, review: Review): Promise<void> {
      const body = `${review.body.slice(0, 60)} 고침 ${Math.floor(random() * 1e9)}`;
      review.undecided = true;
      const answer = await timedAsk('write', 'POST', '/api/review/modify.do', {
        rvwSeq: String(seq),
        starPnt: '06',
        rvwCtnt: body,
      });
      if (!answer || !isOk(answer, 'modify')) return;
      Object.assign(review, { body, stars: '06', undecided: false });
      await readOwn();
    }
    async function remove(seq: number, review: Review): Promise<void> {
      review.undecided = true;
      const answer = await timedAsk('write', 'POST', '/api/review/delete.do', { rvwSeq: String(seq) });
      if (!answer || !isOk(answer, 'delete')) return;
      Object.assign(review, { deleted: true, undecided: false });
      own.pop();
      await readOwn();
    }
    /** Its newest reviews are on the first page, since nobody else writes about its product. */
    async function readOwn(): Promise<void> {
      const startedMs = now();
      const answer = await timedAsk('read', 'GET', `/api/review/list.do?prdNo=${product}`);
      if (!answer || !isOk(answer, 'list')) return;
      const list = Array.isArray(answer.body.rvwList) ? answer.body.rvwList : [];
      ownReads++;
      const seen = new Map(list.map((each) => [Number(each.rvwSeq), String(each.rvwCtnt)]));
      for (const seq of own.slice(-5)) {
        const review = reviews.get(seq);
        if (!review || review.undecided) continue;
        if (seen.get(seq) !== review.body)
          trouble(
            'stale',
            startedMs,
            `review ${seq} should read "${review.body}", and reads "${seen.get(seq)}"`,
          );
      }
      for (const seq of seen.keys())
        if (reviews.get(seq)?.deleted) trouble('stale', startedMs, `review ${seq} was deleted, and is shown`);
    }

    const account = { mbrId: member, mbrPw: password };
    await shopper.ask('POST', '/api/member/join.do', { ...account, mbrNm: `손님 ${number}` });
    const login = await shopper.ask('POST', '/api/member/login.do', account);
    if (login.body.resultCode !== '0000')
      throw new Error(`${member} cannot log in: ${JSON.stringify(login.body)}`);
    if (number === 1) writeOne = create;
    ready();
    await everybody.promise;
    while (!isStopped && writesPerSecond + readsPerSecond > 0) {
      const waitMs = dueAt - now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // Whoever was kept waiting does not catch up: a shopper does one thing after the other.
      dueAt = Math.max(dueAt + paceMs, now());
      if (isStopped) return;
      if (random() < writeShare) await write();
      else if (random() < 0.3) await readOwn();
      else await timedAsk('read', 'GET', `/api/review/summary.do?prdNo=${product}`);
    }
  }

  let waiting = shoppers;
  const everybody = Promise.withResolvers<void>();
  const ready = () => {
    if (--waiting === 0) everybody.resolve();
  };
  const work = Promise.all(Array.from({ length: shoppers }, (_, index) => shop(index + 1)));
  await Promise.race([everybody.promise, work]);
  return {
    troubles,
    timed,
    reviews,
    writeOne: () => writeOne(),
    ownReads: () => ownReads,
    now,
    async stop() {
      isStopped = true;
      await work;
      await Promise.all(agents.map((agent) => agent.close()));
    },
  };
}
