// The admin listener: health, metrics and status, on a port of its own, for who shows the token.
import { createHash, timingSafeEqual } from 'node:crypto';
import fastify from 'fastify';
import type { Registry } from 'prom-client';
import { StartError } from './errors.ts';
import { listen } from './listen.ts';

export const tokenLengthMin = 16;

export type AdminDeps = {
  readonly token: string;
  readonly registry: Registry;
  /** Called before metrics are read. */
  readonly refresh: () => void;
  readonly readiness: () => { readonly ready: boolean; readonly checks: Readonly<Record<string, string>> };
  readonly status: () => unknown;
};

export type Admin = {
  /** @returns its URL */
  start(host: string, port: number): Promise<string>;
  stop(): Promise<void>;
};

const digest = (text: string) => createHash('sha256').update(text).digest();

/** @throws StartError when the token is too short to be one */
export function createAdmin({ token, registry, refresh, readiness, status }: AdminDeps): Admin {
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
    if (request.routeOptions.url === '/healthz' || request.routeOptions.url === '/readyz') return;
    const shown = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(shown), expected))
      return reply
        .code(401)
        .header('www-authenticate', 'Bearer')
        .send(refusal('no_token', 'Send the admin token as "Authorization: Bearer …".'));
  });
  app.setErrorHandler((_error, _request, reply) =>
    reply.code(500).send(refusal('internal', 'It failed; the log says why.')),
  );
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(refusal('not_found', 'There is /healthz, /readyz, /metrics and /api/status.')),
  );
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

  return {
    start: (host, port) => listen(app, host, port, '--admin-port', 'BANYAN_ADMIN_PORT'),
    stop: () => app.close(),
  };
}
