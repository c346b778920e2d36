// A facade with the shadow on, between a legacy and a service that tests speak for.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { pino } from 'pino';
import type { HttpReadTranslator } from '../acl/http.ts';
import { etagOf } from '../acl/http.ts';
import type { ReadRoute, Route, Side } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { createParity } from './parity.ts';
import { manner, startFacade, until, upstream } from './test-servers.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
const translate: HttpReadTranslator = {
  request: ({ query }) => ({ ask: { path: `/reviews?productId=${query.get('prdNo')}` } }),
  response({ body }) {
    if (!isRecord(body) || body.spoiled === true) throw new Error('cannot be said: kim@example.com');
    return { status: 200, body };
  },
};
const list: ReadRoute = {
  method: 'GET',
  path: '/api/review/list.do',
  kind: 'read',
  safe: true,
  translate,
  shadow: { show: ['?prdNo'], ignore: ['$.at'] },
};
const routes: Route[] = [
  list,
  { method: 'GET', path: '/api/review/unsafe.do', kind: 'read', safe: false, translate },
  { method: 'GET', path: '/api/review/untranslated.do', kind: 'read', safe: true },
  { method: 'GET', path: '/api/review/view.do', kind: 'write' },
];
export const path = '/api/review/list.do?prdNo=7&name=kim@example.com';
export const route = 'GET /api/review/list.do';

type Answering = { body: unknown; status: number; asked: IncomingMessage[]; handler: RequestListener };

/** As legacy does it, or the service. */
export function answering(body: unknown, isLegacy = false): Answering {
  const side: Answering = {
    body,
    status: 200,
    asked: [],
    handler(request: IncomingMessage, response: ServerResponse) {
      side.asked.push(request);
      const text = JSON.stringify(side.body);
      const etag = etagOf(manner, Buffer.from(text)) ?? '';
      response.setHeader('content-type', manner.contentType).setHeader('cache-control', 'no-cache');
      if (isLegacy && request.headers['if-none-match'] === etag)
        return void response.writeHead(304, { etag }).end();
      if (isLegacy) response.setHeader('etag', etag);
      if (isLegacy && /gzip/.test(request.headers['accept-encoding'] ?? ''))
        return void response.setHeader('content-encoding', 'gzip').end(gzipSync(text));
      response.writeHead(side.status).end(text);
    },
  };
  return side;
}

type Given = {
  readonly legacy: RequestListener;
  readonly service: RequestListener;
  readonly reads?: number;
  readonly shadow?: () => number;
  readonly standing?: () => Standing;
  readonly limits?: NonNullable<Parameters<typeof startFacade>[0]['limits']>;
  readonly log?: (line: string) => void;
  readonly owner?: Side;
};

/** As far as reads ask: no write is under way. */
const ownedBy = (side: Side): Parameters<typeof startFacade>[0]['owners'] =>
  ({ view: { owner: () => ({ side, epoch: 0n }), side: () => undefined, latest: () => undefined } }) as never;

export async function shadowed(given: Given) {
  const stack = new AsyncDisposableStack();
  const legacy = stack.use(await upstream(given.legacy));
  const service = stack.use(await upstream(given.service));
  const parity = createParity(60_000);
  const shadow = given.shadow ?? (() => 100);
  const facade = stack.use(
    await startFacade({
      legacy: legacy.url,
      service: service.url,
      routes,
      parity,
      flags: {
        isOn: (flag) => (flag.endsWith('.read') ? (given.reads ?? 0) > 0 : shadow() > 0),
        proposedPercent: (flag) => (flag.endsWith('.read') ? (given.reads ?? 0) : shadow()),
      },
      standing: given.standing ?? (() => ({ phase: 'reads', ready: true })),
      limits: { shadowAgainMs: 5, ...given.limits },
      ...(given.owner && { owners: ownedBy(given.owner) }),
      ...(given.log && { log: pino({ level: 'info' }, { write: given.log }) }),
    }),
  );
  const counted = (outcome: string) => facade.metric('banyan_facade_shadow_total', { outcome, route });
  const get = (headers: Record<string, string> = {}, of = path) => fetch(facade.url + of, { headers });
  return {
    legacy,
    service,
    facade,
    counted,
    get,
    /** One request, and what became of it. */
    async becomes(outcome: string, headers: Record<string, string> = {}) {
      const before = await counted(outcome);
      const answer = await get(headers);
      await answer.text();
      await until(async () => (await counted(outcome)) === before + 1, `one more ${outcome}`);
      return answer;
    },
    report: () => parity.report('reviews', 0n, 60).routes[0],
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}
