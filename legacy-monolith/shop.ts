// The shop as a whole: one application, one database, five modules.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import compress from '@fastify/compress';
import cookie from '@fastify/cookie';
import etag from '@fastify/etag';
import formbody from '@fastify/formbody';
import websocket from '@fastify/websocket';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { type Database, migrate, openDatabase } from './database.ts';
import { createEvents } from './events.ts';
import { html, notFoundPage, page } from './html.ts';
import { logOptions } from './log.ts';
import { catalogRoutes } from './modules/catalog/routes.ts';
import { memberRoutes } from './modules/members/routes.ts';
import { orderRoutes } from './modules/orders/routes.ts';
import { statusStreamRoute } from './modules/orders/status-stream.ts';
import { photoRoutes } from './modules/reviews/photo-routes.ts';
import { reviewRoutes } from './modules/reviews/routes.ts';
import { wishRoutes } from './modules/wishlist/routes.ts';
import type { ShopOptions } from './options.ts';
import { followTraces } from './trace.ts';
import { answer, Refusal, type Routes, refuse } from './wire.ts';

export type Shop = {
  readonly app: FastifyInstance;
  /** Ends streams and sockets, lets what is in flight finish, then leaves the database. */
  stop(): Promise<void>;
};

/** A refusal is an answer (HTTP 200); what the framework will not parse is a wrong parameter; the rest is ours. */
function answerError(error: FastifyError, reply: FastifyReply): FastifyReply {
  if (error instanceof Refusal) return refuse(reply, error.resultCode);
  const isApi = /\.do(\?|$)/.test(reply.request.url);
  if (error.statusCode !== undefined && error.statusCode < 500) {
    if (isApi) return refuse(reply, '1001');
    return page(reply.code(error.statusCode), '잘못된 요청입니다', html`<p>주소를 다시 확인해 주세요.</p>`);
  }
  reply.log.error({ err: error }, 'a request failed');
  reply.code(500);
  if (isApi) return refuse(reply, '9999');
  return page(reply, '시스템 오류', html`<p>잠시 후 다시 이용해 주세요.</p>`);
}

/**
 * Every path that answers GET answers HEAD, by the same handler and the same hooks: Fastify's own HEAD routes
 * would give the length of the body before compression. Every path answers OPTIONS with what it allows, and
 * another method with 405 and the same.
 * @returns what adds the latter; to be registered after all others
 */
function completeMethods(app: FastifyInstance): (last: FastifyInstance) => Promise<void> {
  const allowed = new Map<string, Set<string>>();
  app.addHook('onRoute', function (route) {
    const methods = allowed.get(route.url) ?? new Set(['OPTIONS']);
    allowed.set(route.url, methods);
    for (const method of [route.method].flat()) methods.add(method);
    // A copy, before the plugins' hooks have seen it: they treat each of the two by itself.
    if (route.method === 'GET') this.route({ ...route, method: 'HEAD' });
  });
  return async (last) => {
    // A copy: each route that is added here comes by the hook above.
    for (const [url, methods] of [...allowed]) {
      const allow = [...methods].sort().join(', ');
      const others = last.supportedMethods.filter((method) => !methods.has(method));
      const say = (status: number) => async (_request: FastifyRequest, reply: FastifyReply) =>
        reply.code(status).header('allow', allow).send();
      last.route({ method: 'OPTIONS', url, handler: say(200) });
      last.route({ method: others, url, handler: say(405) });
    }
  };
}

function serviceRoutes({ reads }: Routes, db: Database): void {
  reads.get('/health.do', async (_request, reply) => {
    await db.raw('SELECT 1');
    return answer(reply);
  });
  const css = readFileSync(join(import.meta.dirname, 'static', 'shop.css'), 'utf8');
  reads.get('/static/shop.css', async (_request, reply) =>
    reply
      .header('content-type', 'text/css;charset=UTF-8')
      .header('cache-control', 'public, max-age=3600')
      .send(css),
  );
}

/**
 * Brings the schema up to date and builds the application; the caller listens.
 * @throws what the database, or the folder of uploads, has against it
 */
export async function createShop(options: ShopOptions): Promise<Shop> {
  await migrate(options.database, options.migrations);
  mkdirSync(options.uploads, { recursive: true });
  const db = openDatabase(options.database);
  const events = createEvents();
  const app = Fastify({
    ...logOptions(options.logLevel),
    bodyLimit: 64 * 1024,
    exposeHeadRoutes: false, // see completeMethods
    frameworkErrors: (error, _request, reply) => answerError(error, reply),
  });
  app.removeAllContentTypeParsers(); // forms only: no JSON comes in
  app.setErrorHandler((error: FastifyError, _request, reply) => answerError(error, reply));
  app.setNotFoundHandler((_request, reply) => notFoundPage(reply));
  followTraces(app);
  const otherMethods = completeMethods(app);
  await app.register(cookie);
  await app.register(formbody);
  await app.register(websocket, {
    options: {
      maxPayload: 4_096,
      handleProtocols: (offered) => (offered.has('stock.v1') ? 'stock.v1' : false),
    },
  });
  // All at once up to 256 KiB, so that an answer's length does not depend on the machine's number of processors.
  await app.register(compress, { encodings: ['gzip'], threshold: 1_024, syncThreshold: 256 * 1024 });
  app.register(async (reads) => {
    await reads.register(etag, { weak: true });
    const routes = { reads, writes: app };
    serviceRoutes(routes, db);
    memberRoutes(routes, db, options.publicUrl);
    catalogRoutes(routes, db, events, options.publicUrl);
    orderRoutes(routes, db, events, options.publicUrl);
    reviewRoutes(routes, db, options);
    wishRoutes(routes, db);
  });
  statusStreamRoute(app, db, events, options.heartbeatMs);
  photoRoutes(app, db, options.uploads);
  app.register(otherMethods);
  return {
    app,
    stop: async () => {
      await app.close();
      await db.destroy();
    },
  };
}
