// The trace of a request, passed on to the database: a comment at the end of each statement that changes rows, as sqlcommenter writes it
// (https://google.github.io/sqlcommenter/). Whoever reads the binlog can tell from it which request a change belongs to.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { FastifyInstance } from 'fastify';

/** W3C trace context, to the letter, and sampled: nothing else gets into a statement. */
const sampled = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][13579bdf]$/;

const changesRows = /^\s*(?:insert|update|delete|replace)\b/i;

const traces = new AsyncLocalStorage<string>();

/** Requests of a trace that is sampled have it while they are served; all others go on untouched. */
export function followTraces(app: FastifyInstance): void {
  // Not sooner: what has been awaited of the body is behind it.
  app.addHook('preHandler', (request, _reply, done) => {
    const { traceparent } = request.headers;
    if (typeof traceparent === 'string' && sampled.test(traceparent)) traces.run(traceparent, done);
    else done();
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
