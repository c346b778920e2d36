import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { answers, openDatabase } from './database.ts';
import { problemOf, WishlistError } from './errors.ts';
import { logOptions } from './log.ts';
import { addMetrics } from './metrics.ts';
import { migrate, readMigrations } from './migrations.ts';
import type { Options } from './options.ts';
import { addRoutes } from './routes.ts';

const bodyBytesMax = 8 * 1024;
const connectionMsMax = 30_000;
const requestMsMax = 10_000;
const keepAliveMsMax = 65_000; // longer than balancers keep idle connections, so that they close first
const stopMsMax = 10_000;

export type WishlistService = {
  /** Ready to listen: the schema is up to date, the database answers. */
  readonly app: FastifyInstance;
  /** Not ready any more, finishes what is in flight (by force after 10 s), closes the pool. May be called again. */
  stop(): Promise<void>;
};

/**
 * Runs the migrations and builds the HTTP service; it does not listen yet.
 * @throws StartError
 */
export async function createWishlistService(
  options: Pick<Options, 'databaseUrl' | 'migrations' | 'logLevel'>,
): Promise<WishlistService> {
  await migrate(options.databaseUrl, readMigrations(options.migrations));
  const pool = openDatabase(options.databaseUrl);
  const app = fastify({
    ...logOptions(options.logLevel),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    connectionTimeout: connectionMsMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: keepAliveMsMax,
    // Connections that are still open while it stops get their answers, and "connection: close".
    return503OnClosing: false,
    // What the router cannot read, such as /members/%zz/wishes, never gets to the error handler.
    frameworkErrors: answerProblem,
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false },
    },
  });
  app.removeContentTypeParser('text/plain');
  let stopping: Promise<void> | undefined;

  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (stopping !== undefined) reply.header('connection', 'close');
  });
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request) => {
    throw new WishlistError('not-found', `There is no ${request.method} ${request.url.split('?')[0]}.`);
  });
  const metrics = addMetrics(app);
  addRoutes(app, pool);
  app.get('/healthz', async () => ({ status: 'alive' }));
  app.get('/readyz', async () => {
    if (stopping !== undefined) throw new WishlistError('unavailable', 'The service is stopping.');
    try {
      await answers(pool);
    } catch (cause) {
      throw new WishlistError('unavailable', 'The database does not answer.', undefined, { cause });
    }
    return { status: 'ready' };
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );

  await app.ready();

  const stop = async () => {
    const force = setTimeout(() => app.server.closeAllConnections(), stopMsMax);
    await app.close();
    clearTimeout(force);
    await pool.end();
  };
  return {
    app,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status === 500) request.log.error({ err: error }, 'a request failed');
  if (problem.status === 503) request.log.warn({ err: error }, 'a request could not be served now');
  if (problem.status === 503) reply.header('retry-after', '1');
  return reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem);
}
