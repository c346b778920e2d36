// Traces (https://www.w3.org/TR/trace-context/): a request of a trace that is sampled is a span of it, and each statement of it that
// changes rows says so in a comment at its end, as sqlcommenter writes it. Whoever reads the binlog can follow the trace on.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** To the letter: nothing else gets into a statement, or a span. */
const sampled = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f][13579bdf]$/;

const changesRows = /^\s*(?:insert|update|delete|replace)\b/i;

export type RequestSpan = {
  readonly traceId: string;
  readonly parentId: string;
  readonly spanId: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly method: string;
  /** As it is declared, never as it was asked for; undefined: there is none. */
  readonly route: string | undefined;
  readonly status: number;
};

/** Where spans go; it never waits and never throws. */
export type Spans = { add(span: RequestSpan): void; stop(): Promise<void> };

const traces = new AsyncLocalStorage<string>();

/** @param spans undefined: the trace is only passed on */
export function followTraces(app: FastifyInstance, spans: Spans | undefined): void {
  const known = new WeakMap<FastifyRequest, { traceId: string; parentId: string; spanId: string }>();
  app.addHook('onRequest', (request, _reply, done) => {
    const { traceparent } = request.headers;
    const [, traceId, parentId] = typeof traceparent === 'string' ? (sampled.exec(traceparent) ?? []) : [];
    if (traceId && parentId)
      known.set(request, {
        traceId,
        parentId,
        spanId: spans ? randomBytes(8).toString('hex') : parentId,
      });
    done();
  });
  // Not sooner: what has been awaited of the body is behind it.
  app.addHook('preHandler', (request, _reply, done) => {
    const trace = known.get(request);
    if (trace) traces.run(`00-${trace.traceId}-${trace.spanId}-01`, done);
    else done();
  });
  app.addHook('onResponse', async (request, { statusCode, elapsedTime }) => {
    const trace = known.get(request);
    if (!trace || !spans) return;
    const endMs = Date.now();
    const { method, routeOptions } = request;
    const startMs = endMs - elapsedTime;
    spans.add({ ...trace, startMs, endMs, method, route: routeOptions.url, status: statusCode });
  });
}

/** A connection of mysql2's, as far as it matters here: statements come as texts, or as options with a text. */
export type Commented = { query(statement: unknown, ...rest: unknown[]): unknown };

function commented(statement: unknown): unknown {
  const trace = traces.getStore();
  if (trace === undefined) return statement;
  if (typeof statement === 'string')
    return changesRows.test(statement) ? `${statement} /*traceparent='${trace}'*/` : statement;
  if (typeof statement !== 'object' || statement === null || !('sql' in statement)) return statement;
  return { ...statement, sql: commented(statement.sql) };
}

/** From now on its statements say the trace that they belong to. */
export function commentStatements(connection: Commented): void {
  const query = connection.query.bind(connection);
  connection.query = (statement, ...rest) => query(commented(statement), ...rest);
}
