// One client of the shop: writes reviews of its own, looks at those of others, and reads back what it has written.
import { chance } from '../sync/seed.ts';
import { type Answer, type openPools, ShopClient } from './shop-client.ts';
import { decided, type Review, type Version } from './shop-ledger.ts';

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
  /** The share of new reviews that have a word in them which the nightly batch hides. */
  readonly forbiddenShare?: number;
  /** Of the reads that follow no write: lists of reviews; the others are summaries. */
  readonly listShare?: number;
};

export type Trouble = {
  /** `failed`: no answer, or none that one can use. `wrong`: an answer that must not be. `stale`: it knew less than was acknowledged. */
  readonly what: 'failed' | 'wrong' | 'stale';
  readonly kind: Timed['kind'];
  /** Which facade was asked, by its place in the list. */
  readonly facade: number;
  /** Milliseconds since the shoppers began. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly detail: string;
};

export type Timed = { readonly kind: 'read' | 'write'; readonly startedMs: number; readonly ms: number };

/** What all shoppers have in common. */
export type Floor = {
  readonly pools: ReturnType<typeof openPools>;
  readonly now: () => number;
  readonly troubles: Trouble[];
  readonly timed: Timed[];
  readonly reviews: Map<string, Review>;
  /** Of reviews: each is given once. */
  readonly numbers: Set<number>;
  ownReads: number;
  acknowledged: number;
  /** Recommendations under way. */
  readonly recommending: Set<Promise<void>>;
  mayRecommend: boolean;
};

const password = 'shop1234';
/** Of the list of a product's reviews, newest first. */
const pageRows = 10;
const forbidden = '대출상담';

/** What became of a request: `undefined` when nobody knows, or it is no use to ask. */
type Said = { readonly answer: Answer; readonly facade: number; readonly startedMs: number };
type Fate = 'done' | 'undone' | 'undecided';

export class Shopper {
  readonly #number: number;
  readonly #options: ShoppersOptions;
  readonly #shop: Floor;
  readonly #client: ShopClient;
  readonly #random: () => number;
  readonly #own: Review[] = [];
  readonly #product: number;
  readonly #account: { readonly mbrId: string; readonly mbrPw: string };
  #made = 0;

  constructor(number: number, options: ShoppersOptions, shop: Floor) {
    const luck = chance(options.seed).fork(`shopper ${number}`);
    this.#random = () => luck.below(1_000_000) / 1_000_000;
    this.#number = number;
    this.#options = options;
    this.#shop = shop;
    this.#client = new ShopClient(shop.pools, this.#random);
    this.#product = options.products[number % options.products.length] ?? 1;
    this.#account = { mbrId: `shopper${options.seed % 10_000}_${number}`, mbrPw: password };
  }

  async join(): Promise<void> {
    const joined = await this.#client.ask('POST', '/api/member/join.do', {
      ...this.#account,
      mbrNm: `손님 ${this.#number}`,
    });
    const login = await this.#logIn();
    if (!login) throw new Error(`${this.#account.mbrId} cannot log in: ${JSON.stringify(joined)}`);
  }

  async #logIn(): Promise<boolean> {
    const asked = await this.#client.ask('POST', '/api/member/login.do', this.#account);
    return asked.is === 'answered' && asked.answer.body.resultCode === '0000';
  }

  async work(isStopped: () => boolean): Promise<void> {
    const { shoppers, writesPerSecond, readsPerSecond } = this.#options;
    const { now } = this.#shop;
    const paceMs = (1_000 * shoppers) / (writesPerSecond + readsPerSecond);
    const writeShare = writesPerSecond / (writesPerSecond + readsPerSecond);
    for (let dueAt = now() + this.#random() * paceMs; !isStopped(); ) {
      const waitMs = dueAt - now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // Whoever was kept waiting does not catch up: a shopper does one thing after the other.
      dueAt = Math.max(dueAt + paceMs, now());
      if (isStopped()) return;
      if (this.#random() < writeShare) await this.#write();
      else if (this.#random() < (this.#options.listShare ?? 0.3)) await this.#readOwn();
      else await this.#ask('read', 'GET', `/api/review/summary.do?prdNo=${this.#product}`);
    }
  }

  #trouble(
    what: Trouble['what'],
    kind: Trouble['kind'],
    { facade, startedMs }: Pick<Said, 'facade' | 'startedMs'>,
    detail: string,
  ) {
    const { now, troubles } = this.#shop;
    troubles.push({
      what,
      kind,
      facade,
      startedMs,
      endedMs: now(),
      detail: `${this.#account.mbrId}: ${detail}`,
    });
  }

  /** @returns what was said, or whether it may have been executed all the same */
  async #ask(
    kind: Timed['kind'],
    ...[method, path, form]: Parameters<ShopClient['ask']>
  ): Promise<Said | 'undone' | 'undecided'> {
    const startedMs = this.#shop.now();
    const asked = await this.#client.ask(method, path, form);
    if (asked.is === 'answered') {
      this.#shop.timed.push({ kind, startedMs, ms: this.#shop.now() - startedMs });
      return { answer: asked.answer, facade: asked.facade, startedMs };
    }
    this.#trouble('failed', kind, { facade: asked.facade, startedMs }, `${method} ${path}: ${asked.why}`);
    return asked.is === 'unexecuted' ? 'undone' : 'undecided';
  }

  /** @param allowed resultCodes, besides 0000, that say that nothing was done */
  async #tryWrite(
    what: string,
    form: Readonly<Record<string, string>>,
    allowed: readonly string[] = [],
  ): Promise<{ fate: Fate; said: Said | undefined }> {
    const path = `/api/review/${what}.do`;
    const said = await (what === 'view'
      ? this.#ask('write', 'GET', `${path}?${new URLSearchParams(form)}`)
      : this.#ask('write', 'POST', path, form));
    if (typeof said === 'string') return { fate: said, said: undefined };
    const { resultCode } = said.answer.body;
    if (resultCode === '0000') {
      this.#shop.acknowledged++;
      return { fate: 'done', said };
    }
    if (!allowed.includes(String(resultCode)))
      this.#trouble('wrong', 'write', said, `${what}: ${JSON.stringify(said.answer.body).slice(0, 200)}`);
    // A session outlives every process: that it is gone is wrong, and yet the shopper goes on.
    if (resultCode === '9001') await this.#logIn();
    return { fate: 'undone', said };
  }

  async #write(): Promise<void> {
    const choice = this.#random();
    const review = this.#own.at(-1);
    const version = review && decided(review);
    if (!review || !version || choice < 0.4) return this.create();
    if (choice < 0.6) return this.#change(review, 'modify');
    if (choice < 0.7) return this.#change(review, 'delete');
    const anybodys = this.#anybodys();
    if (!anybodys) return this.create();
    if (choice < 0.85 || !this.#shop.mayRecommend) return this.#view(anybodys);
    const recommending = this.#recommend(anybodys);
    this.#shop.recommending.add(recommending);
    await recommending;
    this.#shop.recommending.delete(recommending);
  }

  /** One that can be seen, as far as anybody knows. */
  #anybodys(): Review | undefined {
    const shown = [...this.#shop.reviews.values()]
      .slice(-30)
      .filter((review) => !review.mayBeHidden && decided(review)?.deleted === false);
    return shown[Math.floor(this.#random() * shown.length)];
  }

  async create(): Promise<void> {
    const mark = `${this.#account.mbrId}-${++this.#made}`;
    const mayBeHidden = this.#random() < (this.#options.forbiddenShare ?? 0);
    const version: Version = {
      body: `${mark} 글 ${Math.floor(this.#random() * 1e9)}${mayBeHidden ? ` ${forbidden}` : ''}`,
      stars: '08',
      deleted: false,
    };
    const { fate, said } = await this.#tryWrite('write', {
      prdNo: String(this.#product),
      starPnt: version.stars,
      rvwCtnt: version.body,
    });
    if (fate === 'undone') return;
    const seq = said && Number(said.answer.body.rvwSeq);
    if (said && seq !== undefined) {
      if (this.#shop.numbers.has(seq))
        this.#trouble('wrong', 'write', said, `the number ${seq} was given twice`);
      this.#shop.numbers.add(seq);
    }
    const review: Review = {
      mark,
      seq,
      possible: fate === 'done' ? [version] : [undefined, version],
      mayBeHidden,
      views: { acknowledged: 0, undecided: 0 },
      recommendations: new Map(),
    };
    this.#shop.reviews.set(mark, review);
    if (fate !== 'done') return;
    this.#own.push(review);
    await this.#readOwn();
  }

  async #change(review: Review, what: 'modify' | 'delete'): Promise<void> {
    const before = decided(review);
    if (!before) return;
    const after: Version =
      what === 'delete'
        ? { ...before, deleted: true }
        : { body: `${review.mark} 고침 ${Math.floor(this.#random() * 1e9)}`, stars: '06', deleted: false };
    // While it is asked nobody knows.
    review.possible = [before, after];
    const { fate } = await this.#tryWrite(what, {
      rvwSeq: String(review.seq),
      ...(what === 'modify' ? { starPnt: after.stars, rvwCtnt: after.body } : {}),
    });
    if (fate === 'done') review.possible = [after];
    if (fate === 'undone') review.possible = [before];
    // What was lost may still be executed: nobody touches this one any more.
    if (fate === 'undecided' || after.deleted) this.#own.splice(this.#own.indexOf(review), 1);
    if (fate === 'done') await this.#readOwn();
  }

  /** By anybody, of anybody's: its author may delete it meanwhile. */
  async #view(review: Review): Promise<void> {
    const known = review.views.acknowledged;
    review.views.undecided++;
    const { fate, said } = await this.#tryWrite('view', { rvwSeq: String(review.seq) }, ['2001']);
    // The view is counted before the review is read: deleted in between, it is counted, and not found (2001).
    const mayBeCounted = fate === 'undecided' || said?.answer.body.resultCode === '2001';
    if (!mayBeCounted) review.views.undecided--;
    if (fate !== 'done' || !said) return;
    review.views.acknowledged++;
    this.#atLeast(said, 'view', review, Reflect.get(Object(said.answer.body.rvw), 'viewCnt'), known + 1);
  }

  async #recommend(review: Review): Promise<void> {
    const me = this.#account.mbrId;
    const before = review.recommendations.get(me);
    const known = [...review.recommendations.values()].filter((how) => how === 'acknowledged').length;
    if (before === undefined) review.recommendations.set(me, 'undecided');
    const allowed = before === undefined ? ['2001'] : ['2001', '3001'];
    const { fate, said } = await this.#tryWrite('recommend', { rvwSeq: String(review.seq) }, allowed);
    if (fate === 'done') {
      if (before === 'acknowledged' && said)
        this.#trouble('stale', 'write', said, `${review.mark} was recommended twice by the same member`);
      review.recommendations.set(me, 'acknowledged');
      if (said) this.#atLeast(said, 'recommend', review, said.answer.body.rcmdCnt, known + 1);
    } else if (fate === 'undone' && before === undefined) review.recommendations.delete(me);
  }

  #atLeast(said: Said, what: string, { mark }: Review, told: unknown, known: number): void {
    if (!(Number(told) >= known))
      this.#trouble(
        'stale',
        'write',
        said,
        `${what} of ${mark} counts ${String(told)}, and ${known} are known`,
      );
  }

  /** Its newest reviews are on the first page, since nobody else writes about its product. */
  async #readOwn(): Promise<void> {
    const said = await this.#ask('read', 'GET', `/api/review/list.do?prdNo=${this.#product}`);
    if (typeof said === 'string') return;
    const { body } = said.answer;
    if (body.resultCode !== '0000')
      return this.#trouble('wrong', 'read', said, `list: ${JSON.stringify(body).slice(0, 200)}`);
    this.#shop.ownReads++;
    const list = Array.isArray(body.rvwList) ? body.rvwList : [];
    const seen = new Map(list.map((each) => [String(each.rvwCtnt).split(' ', 1)[0], String(each.rvwCtnt)]));
    const oldestShown = Math.min(...list.map(({ rvwSeq }) => Number(rvwSeq)));
    for (const review of this.#own.slice(-5)) {
      const version = decided(review);
      // What this shopper has lost sight of (the answer to a change was lost) is still shown, and fills the page.
      const isOnLaterPage = list.length >= pageRows && (review.seq ?? 0) < oldestShown;
      if (version && !review.mayBeHidden && !isOnLaterPage && seen.get(review.mark) !== version.body)
        this.#trouble(
          'stale',
          'read',
          said,
          `${review.mark} should read "${version.body}", and reads "${seen.get(review.mark)}"`,
        );
    }
    for (const mark of seen.keys()) {
      const review = this.#shop.reviews.get(mark ?? '');
      if (review && decided(review)?.deleted)
        this.#trouble('stale', 'read', said, `${mark} was deleted, and is shown`);
    }
  }
}
