import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { contractOf, contractSchemas } from './contract.ts';
import { openDatabase } from './database.ts';
import { problemOf, ReviewsError } from './errors.ts';
import { createIdentify } from './identity.ts';
import { logOptions } from './log.ts';
import { addMetrics } from './metrics.ts';
import { migrate, readMigrations } from './migrations.ts';
import type { Options } from './options.ts';
import { addRoutes } from './routes.ts';
import { followTraces } from './trace.ts';

const bodyBytesMax = 64 * 1024;
const connectionMsMax = 30_000;
const requestMsMax = 10_000;
const keepAliveMsMax = 65_000; // longer than balancers keep idle connections, so that they close first
const stopMsMax = 10_000;

export type ReviewsService = {
  /** Ready to listen: the schema is up to date, the database answers. */
  readonly app: FastifyInstance;
  /** Not ready any more, finishes what is in flight (by force after 10 s), closes the pool. May be called again. */
  stop(): Promise<void>;
};

/**
 * Runs the migrations and builds the HTTP service; it does not listen yet.
 * @throws StartError
 */
export async function createReviewsService(
  options: Pick<Options, 'databaseUrl' | 'migrations' | 'logLevel' | 'identity' | 'traceUrl'>,
): Promise<ReviewsService> {
  await migrate(options.databaseUrl, readMigrations(options.migrations));
  const database = await openDatabase(options.databaseUrl);
  const app = fastify({
    ...logOptions(options.logLevel),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    connectionTimeout: connectionMsMax,
    requestTimeout: requestMsMax,
    keepAliveTimeout: keepAliveMsMax,
    // Connections that are still open while it stops get their answers, and "connection: close".
    return503OnClosing: false,
    // What the router cannot read, such as /reviews/%zz, never gets to the error handler.
    frameworkErrors: answerProblem,
    routerOptions: { maxParamLength: 20 },
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        keywords: ['components'],
      },
    },
  });
  app.removeContentTypeParser('text/plain');
  app.addSchema(contractSchemas);
  let stopping: Promise<void> | undefined;

  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    if (stopping !== undefined) reply.header('connection', 'close');
  });
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request) => {
    throw new ReviewsError('not-found', `There is no ${request.method} ${request.url.split('?')[0]}.`);
  });
  const spans =
    options.traceUrl === undefined ? undefined : (await import('./spans.ts')).openSpans(options.traceUrl);
  followTraces(app, spans);
  const metrics = addMetrics(app, database);
  addRoutes(app, database.source, createIdentify(options.identity));
  app.get('/healthz', { schema: contractOf('get', '/healthz') }, async () => ({ status: 'alive' }));
  app.get('/readyz', { schema: contractOf('get', '/readyz') }, async () => {
    if (stopping !== undefined) throw new ReviewsError('unavailable', 'The service is stopping.');
    try {
      await database.answers();
    } catch (cause) {
      throw new ReviewsError('unavailable', 'The database does not answer.', undefined, { cause });
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
    await database.close();
    await spans?.stop();
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
  if (problem.status === 401) reply.header('www-authenticate', 'Banyan-Identity');
  return reply.code(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem);
}
