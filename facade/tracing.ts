// Traces of requests: the context that a client gives, or a new one; whether it is sampled; and the spans of what was sampled, made
// once the answer has gone out. Without `--trace-url` there is none of it, and headers pass as they are.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Span, SpanSink } from '../capability/span.ts';
import { isTracestate, mintTraceId, parseTraceparent } from '../capability/trace-context.ts';
import type { Passage } from './passage.ts';
import { RequestTrace, type UpstreamSpan } from './request-trace.ts';

export type TraceOptions = {
  /** Of requests, by chance; 0 to 1. */
  readonly ratio: number;
  /** Whether a client's word counts that its trace is sampled. */
  readonly trustClients: boolean;
};

export type Tracing = {
  /** @param requestId of the request, see request-id.ts */
  begin(request: IncomingMessage, requestId: string): RequestTrace;
  /** Of a sampled one: once its answer is over its spans go out. */
  follow(request: IncomingMessage, response: ServerResponse, passage: Passage, trace: RequestTrace): void;
};

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/** A client may say any word for a method. */
const methodOf = (method: string | undefined): string =>
  method !== undefined && methods.has(method) ? method : '_OTHER';

function clientSpan(trace: RequestTrace, of: UpstreamSpan, toEpochMs: number): Span {
  const { upstream, startedAt, endedAt, status, error, tries } = of;
  const method = methodOf(of.method);
  return {
    kind: 'client',
    name: `${method} ${upstream}`,
    traceId: trace.traceId,
    spanId: of.spanId,
    parentId: trace.spanId,
    startMs: toEpochMs + startedAt,
    endMs: toEpochMs + (endedAt || performance.now()),
    attributes: {
      'http.request.method': method,
      'banyan.upstream': upstream,
      ...(status > 0 && { 'http.response.status_code': status }),
      ...(tries > 1 && { 'http.request.resend_count': tries - 1 }),
    },
    error: error ?? (status >= 400 ? String(status) : undefined),
  };
}

function serverSpan(
  { method: asked }: IncomingMessage,
  { statusCode, headersSent, writableFinished }: ServerResponse,
  { match, origin, startedAt }: Passage,
  trace: RequestTrace,
  toEpochMs: number,
): Span {
  const method = methodOf(asked);
  const route = match?.route.path;
  const { side, fallback, heldMs } = trace;
  return {
    kind: 'server',
    name: route === undefined ? method : `${method} ${route}`,
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    startMs: toEpochMs + startedAt,
    endMs: toEpochMs + performance.now(),
    attributes: {
      'http.request.method': method,
      'url.scheme': origin.proto,
      ...(route !== undefined && { 'http.route': route }),
      ...(headersSent && { 'http.response.status_code': statusCode }),
      ...(match?.capability && { 'banyan.capability': match.capability.name }),
      ...(side !== undefined && { 'banyan.side': side }),
      ...(fallback !== undefined && { 'banyan.fallback': fallback }),
      ...(heldMs > 0 && { 'banyan.held_ms': Math.round(heldMs) }),
      ...(!writableFinished && { 'banyan.client_left': true }),
    },
    error: headersSent && statusCode >= 500 ? String(statusCode) : undefined,
  };
}

export function createTracing({ ratio, trustClients }: TraceOptions, sink: SpanSink): Tracing {
  return {
    begin({ headers }, requestId) {
      const { traceparent, tracestate } = headers;
      const given = typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined;
      const isSampled = (trustClients && given?.isSampled === true) || Math.random() < ratio;
      if (!given) return new RequestTrace(mintTraceId(), undefined, isSampled, undefined, requestId);
      // Node joins those of several headers, as they may be.
      const state = typeof tracestate === 'string' && isTracestate(tracestate) ? tracestate : undefined;
      return new RequestTrace(given.traceId, given.spanId, isSampled, state, requestId);
    },
    follow(request, response, passage, trace) {
      response.once('close', () => {
        // The clock of the day may have been set meanwhile: lengths are by the other one.
        const toEpochMs = Date.now() - performance.now();
        sink.add(serverSpan(request, response, passage, trace, toEpochMs));
        for (const each of trace.upstreams) sink.add(clientSpan(trace, each, toEpochMs));
      });
    },
  };
}
