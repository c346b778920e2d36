// A client of the shop with a jar of cookies, who asks one facade or another, as behind a balancer that is not sticky.
import { Pool } from 'undici';

export type Answer = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
};

export type Asked = {
  /** Which facade, by its place in the list. */
  readonly facade: number;
} & (
  | { readonly is: 'answered'; readonly answer: Answer }
  /** Nobody can know whether it was executed. */
  | { readonly is: 'lost'; readonly why: string }
  /** It certainly was not. */
  | { readonly is: 'unexecuted'; readonly why: string }
);

const answerMsMax = 20_000;

export const openPools = (facades: readonly string[]): readonly Pool[] =>
  facades.map((url) => new Pool(url, { connections: 64, pipelining: 1 }));

function parsed(text: string): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? { ...body } : {};
  } catch {
    return { text: text.slice(0, 200) };
  }
}

const codeOf = (from: unknown): unknown =>
  typeof from === 'object' && from !== null && 'code' in from ? from.code : undefined;

/** docs/facade.md: what waited for too long was not executed. */
const isUnexecuted = ({ status, body }: Answer) => status === 503 && codeOf(body.error) === 'write_held';

export class ShopClient {
  readonly #cookies = new Map<string, string>();
  readonly #pools: readonly Pool[];
  readonly #random: () => number;

  constructor(pools: readonly Pool[], random: () => number) {
    this.#pools = pools;
    this.#random = random;
  }

  async ask(
    method: 'GET' | 'POST',
    path: string,
    form: Readonly<Record<string, string>> = {},
  ): Promise<Asked> {
    const facade = Math.floor(this.#random() * this.#pools.length);
    const pool = this.#pools[facade];
    if (!pool) throw new Error('there is at least one facade');
    try {
      const answer = await this.#send(pool, method, path, form);
      const { status, body } = answer;
      if (status === 200) return { facade, is: 'answered', answer };
      const why = `${status} ${JSON.stringify(body).slice(0, 200)}`;
      return { facade, is: isUnexecuted(answer) ? 'unexecuted' : 'lost', why };
    } catch (error) {
      const why = error instanceof Error ? error.message || String(codeOf(error)) : String(error);
      return { facade, is: codeOf(error) === 'ECONNREFUSED' ? 'unexecuted' : 'lost', why };
    }
  }

  async #send(
    pool: Pool,
    method: 'GET' | 'POST',
    path: string,
    form: Readonly<Record<string, string>>,
  ): Promise<Answer> {
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
    for (const each of [headers['set-cookie'] ?? []].flat()) {
      const [pair = '', ...attributes] = each.split(';');
      const [name = '', value = ''] = pair.split('=', 2);
      if (attributes.some((attribute) => /^\s*max-age=0$/i.test(attribute))) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return { status: statusCode, body: parsed(text) };
  }
}
