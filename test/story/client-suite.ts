// What existing clients ask of the shop, and what of the answer must not change by a byte.
import { createHash } from 'node:crypto';
import { request } from 'node:http';

export type Ask = {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A review read that the flag may move to the service. */
  readonly moves?: boolean;
};

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Headers whose values depend on the moment or the connection, not on the answer. */
const passing = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const list = (query: string) => `/api/review/list.do?${query}`;

/** Requests whose answers depend on the data alone. */
export function asks(products: readonly number[]): Ask[] {
  const [a = 1, b = 2] = products;
  const reads: Ask[] = products.flatMap((product) => [
    { name: `list of ${product}`, method: 'GET', path: list(`prdNo=${product}`), moves: true },
    {
      name: `list of ${product} by stars`,
      method: 'GET',
      path: list(`prdNo=${product}&sort=STAR&page=2`),
      moves: true,
    },
    {
      name: `list of ${product} by recommendations`,
      method: 'GET',
      path: list(`prdNo=${product}&sort=RCMD`),
      moves: true,
    },
    {
      name: `summary of ${product}`,
      method: 'GET',
      path: `/api/review/summary.do?prdNo=${product}`,
      moves: true,
    },
  ]);
  const odd = [
    'prdNo=',
    'prdNo=abc',
    'prdNo=4294967296',
    'prdNo=-1',
    'prdNo=99999999',
    `prdNo=${a}&page=0`,
    `prdNo=${a}&page=x`,
    `prdNo=${a}&page=999999`,
    `prdNo=${a}&sort=nothing`,
    `prdNo=${a}&prdNo=${b}`,
    `prdNo=%20${a}`,
    `PRDNO=${a}`,
    `prdNo=${a}&page=2&extra=%EB%A6%AC%EB%B7%B0`,
    `prdNo=0${a}`,
    `prdNo=${a}%00`,
    `prdNo=000000000000${a}`,
    `prdNo=${a}&sort=%01STAR`,
    `prdNo=${a}&page=%`,
    `prdNo=%FF${a}`,
    `prdNo=${'9'.repeat(400)}`,
    `prdNo=${a}&sort=constructor`,
    `prdNo=${a}+`,
  ].map((query): Ask => ({ name: `list with ${query}`, method: 'GET', path: list(query), moves: true }));
  return [
    ...reads,
    ...odd,
    { name: 'HEAD of a list', method: 'HEAD', path: list(`prdNo=${a}`), moves: true },
    {
      name: 'a list, gzipped',
      method: 'GET',
      path: list(`prdNo=${a}`),
      headers: { 'accept-encoding': 'gzip' },
      moves: true,
    },
    {
      name: 'a list, gzip refused',
      method: 'GET',
      path: list(`prdNo=${a}`),
      headers: { 'accept-encoding': 'gzip;q=0, identity' },
      moves: true,
    },
    {
      name: 'a list, any encoding',
      method: 'GET',
      path: list(`prdNo=${a}`),
      headers: { 'accept-encoding': '*' },
      moves: true,
    },
    {
      name: 'a list, brotli or gzip',
      method: 'GET',
      path: list(`prdNo=${a}`),
      headers: { 'accept-encoding': 'br, gzip;q=0.5' },
      moves: true,
    },
    {
      name: 'HEAD of a list, gzipped',
      method: 'HEAD',
      path: list(`prdNo=${a}`),
      headers: { 'accept-encoding': 'gzip' },
      moves: true,
    },
    {
      name: 'a summary, gzip asked',
      method: 'GET',
      path: `/api/review/summary.do?prdNo=${a}`,
      headers: { 'accept-encoding': 'gzip' },
      moves: true,
    },
    { name: 'OPTIONS of a list', method: 'OPTIONS', path: list(`prdNo=${a}`) },
    { name: 'POST to a list', method: 'POST', path: list(`prdNo=${a}`), headers: form, body: 'x=1' },
    { name: 'a product page', method: 'GET', path: `/products/${a}` },
    {
      name: 'the product list page, gzipped',
      method: 'GET',
      path: '/products',
      headers: { 'accept-encoding': 'gzip' },
    },
    { name: 'the front page, a redirect', method: 'GET', path: '/' },
    { name: 'product list', method: 'GET', path: '/api/product/list.do' },
    { name: 'product', method: 'GET', path: `/api/product/view.do?prdNo=${a}` },
    { name: 'style sheet', method: 'GET', path: '/static/shop.css' },
    { name: 'nothing there', method: 'GET', path: '/no/such/page' },
    { name: 'no photo there', method: 'GET', path: `/photos/${'0'.repeat(32)}.jpg` },
    {
      name: 'write without a log-in',
      method: 'POST',
      path: '/api/review/write.do',
      headers: form,
      body: `prdNo=${a}&starPnt=05&rvwCtnt=x`,
    },
    {
      name: 'delete without a log-in',
      method: 'POST',
      path: '/api/review/delete.do',
      headers: form,
      body: 'rvwSeq=1',
    },
    {
      name: 'log-in with a wrong password',
      method: 'POST',
      path: '/api/member/login.do',
      headers: form,
      body: 'mbrId=member1&mbrPw=wrong',
    },
    { name: 'view of no review', method: 'GET', path: '/api/review/view.do?rvwSeq=4294967295' },
    { name: 'DELETE, which nothing has', method: 'DELETE', path: `/products/${a}` },
  ];
}

/** Asks with a Host of its own, so that absolute Locations are comparable. */
export function answerTo(
  origin: string,
  ask: Ask,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const url = new URL(origin);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: url.hostname,
        port: url.port,
        method: ask.method,
        path: ask.path,
        headers: { host: 'shop.example', ...ask.headers, ...headers },
        agent: false,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const body = Buffer.concat(chunks);
          const kept = Object.entries(incoming.headers)
            .filter(([name]) => !passing.has(name))
            .map(([name, value]) => [name, sayHeader(name, value)] as const)
            .filter(([, value]) => value !== '')
            .sort(([a], [b]) => (a < b ? -1 : 1));
          const isText =
            /json|text/.test(incoming.headers['content-type'] ?? '') && !incoming.headers['content-encoding'];
          resolve({
            status: incoming.statusCode ?? 0,
            headers: Object.fromEntries(kept),
            body: isText
              ? body.toString()
              : `${body.length} bytes, sha1 ${createHash('sha1').update(body).digest('hex')}`,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(ask.body);
  });
}

/** What differs between the monolith's own answers and those that clients get, by request; empty when nothing does. */
export const differences = (
  suite: readonly Ask[],
  straight: readonly Answer[],
  through: readonly Answer[],
): object[] =>
  suite.flatMap((ask, index) =>
    JSON.stringify(straight[index]) === JSON.stringify(through[index])
      ? []
      : [{ ask, straight: straight[index], through: through[index] }],
  );

/** The facade may add its own cookies; the shop's must stay. */
function sayHeader(name: string, value: string | string[] | undefined): string {
  if (name !== 'set-cookie') return String(value);
  return [value ?? []]
    .flat()
    .filter((cookie) => !cookie.startsWith('banyan_'))
    .join('\n');
}
