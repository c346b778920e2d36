// The id by which a request is found again: in an answer of the facade's own, in its log, and upstream. A trusted proxy may have
// given it one; a client's is not ours to believe.
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { mintTraceId } from '../capability/trace-context.ts';
import type { RequestTrace } from './request-trace.ts';

export const requestIdHeader = 'x-request-id';

/** What looks like an id, and would do no harm in a log. */
const shape = /^[A-Za-z0-9._:+/=-]{1,128}$/;

/** @param isTrusted whether who is at the other end of the connection is */
export function requestIdOf(headers: IncomingHttpHeaders, isTrusted: () => boolean): string {
  const given = headers[requestIdHeader];
  return typeof given === 'string' && shape.test(given) && isTrusted() ? given : mintTraceId();
}

/** For the log line of a request. */
export const idsOf = ({ id }: FastifyRequest, trace: RequestTrace | undefined) => ({
  requestId: id,
  traceId: trace?.traceId,
});
