// The admin listener: health, metrics and status, on a port of its own, for who shows the token.
import { createHash, timingSafeEqual } from 'node:crypto';
import fastify, { type FastifyError } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type ParityReport, parityMinutesMax } from '../capability/parity.ts';
import type { ReplicaReport } from '../capability/replicas.ts';
import type { AnalysisReport } from '../capability/tally.ts';
import { StartError } from './errors.ts';
import { type FlagFeed, isFeed, serveFlagFeed, tokenLengthMin } from './flag-feed.ts';
import { listen } from './listen.ts';

export type AdminDeps = {
  readonly token: string;
  /** The flags, for other replicas and SDKs. */
  readonly feed: FlagFeed;
  readonly registry: Registry;
  readonly log: Logger;
  /** Called before metrics are read. */
  readonly refresh: () => void;
  readonly readiness: () => { readonly ready: boolean; readonly checks: Readonly<Record<string, string>> };
  readonly status: () => unknown;
  /** @param minutes the window */
  readonly parity: (minutes: number) => ParityReport;
  readonly analysis: () => AnalysisReport;
  /**
   * Looks at holds and fences, then says how this replica stands to a capability's writes.
   * @param waitMs how long it may wait for what is in flight
   * @returns undefined for a capability that there is not
   */
  readonly look: (capability: string, waitMs: number) => Promise<ReplicaReport | undefined>;
};

const waitMsMax = 1_000;
const waitMsUsual = 100;

const minutesUsual = 60;

/** A number of the query's, `usual` when it is not there. @returns undefined for what is no whole number up to `max` */
function numberIn(query: unknown, name: string, usual: number, max: number): number | undefined {
  const given: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined;
  if (given === undefined) return usual;
  const number = typeof given === 'string' && /^\d{1,4}$/.test(given) ? Number(given) : undefined;
  return number !== undefined && number <= max ? number : undefined;
}

export type Admin = {
  /** @returns its URL */
  start(host: string, port: number): Promise<string>;
  stop(): Promise<void>;
};

const digest = (text: string) => createHash('sha256').update(text).digest();

/** @throws StartError when the token is too short to be one */
export function createAdmin({
  token,
  feed,
  registry,
  log,
  refresh,
  readiness,
  status,
  parity,
  analysis,
  look,
}: AdminDeps): Admin {
  if (token.length < tokenLengthMin)
    throw new StartError(
      `the admin token has ${token.length} characters, and ${tokenLengthMin} are the least`,
      'set BANYAN_ADMIN_TOKEN (or BANYAN_ADMIN_TOKEN_FILE); "openssl rand -hex 16" makes one',
    );
  const expected = digest(token);
  const app = fastify({
    logger: false,
    trustProxy: false,
    exposeHeadRoutes: false,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    bodyLimit: 64 * 1024,
    http: { headersTimeout: 5_000, insecureHTTPParser: false },
    forceCloseConnections: true,
  });
  const refusal = (code: string, message: string) => ({ error: { code, message } });

  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    const { origin, host } = request.headers;
    const site = request.headers['sec-fetch-site'];
    const foreign =
      (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) ||
      site === 'cross-site';
    if (foreign)
      return reply.code(403).send(refusal('foreign_origin', 'Pages of other sites have no business here.'));
    const { url } = request.routeOptions;
    // The flags have a token of their own.
    if (url === '/healthz' || url === '/readyz' || isFeed(url)) return;
    const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(shown), expected))
      return reply
        .code(401)
        .header('www-authenticate', 'Bearer')
        .send(refusal('no_token', 'Send the admin token as "Authorization: Bearer …".'));
  });
  // Nothing here takes a body.
  app.removeAllContentTypeParsers();
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const { statusCode } = error;
    if (statusCode !== undefined && statusCode < 500)
      return reply.code(statusCode).send(refusal('bad_request', error.message));
    log.error({ err: error }, 'the admin listener failed');
    return reply.code(500).send(refusal('internal', 'It failed; the log says why.'));
  });
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .send(
        refusal(
          'not_found',
          'There is /healthz, /readyz, /metrics, /api/status, /api/parity, /api/analysis, /api/client/features, and POST /api/writes/CAPABILITY/look.',
        ),
      ),
  );
  serveFlagFeed(app, feed, token);
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', (_request, reply) => {
    const { ready, checks } = readiness();
    return reply.code(ready ? 200 : 503).send({ ready, checks });
  });
  app.get('/metrics', async (_request, reply) => {
    refresh();
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  app.get('/api/status', () => status());
  app.get('/api/parity', ({ query }, reply) => {
    const minutes = numberIn(query, 'minutes', minutesUsual, parityMinutesMax);
    return minutes === undefined || minutes === 0
      ? reply.code(400).send(refusal('bad_request', `minutes is 1 to ${parityMinutesMax}.`))
      : parity(minutes);
  });
  app.get('/api/analysis', () => analysis());
  app.post<{ Params: { capability: string } }>(
    '/api/writes/:capability/look',
    async ({ params, query }, reply) => {
      const waitMs = numberIn(query, 'waitMs', waitMsUsual, waitMsMax);
      if (waitMs === undefined)
        return reply.code(400).send(refusal('bad_request', `waitMs is 0 to ${waitMsMax}.`));
      const report = await look(params.capability, waitMs);
      return (
        report ?? reply.code(404).send(refusal('no_capability', 'No writes of that name are watched here.'))
      );
    },
  );

  return {
    start: (host, port) => listen(app, host, port, '--admin-port', 'BANYAN_ADMIN_PORT'),
    stop: () => app.close(),
  };
}
