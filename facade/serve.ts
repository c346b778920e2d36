// Serves one request from the side that was chosen for it, and from legacy when the service cannot and may be
// stood in for.
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Pool } from 'undici';
import type { LegacyManner } from '../acl/http.ts';
import type { Side } from '../capability/capability.ts';
import { type FaultCode, faultBody, faultOf, faults } from './errors.ts';
import type { Forwarder } from './forwarder.ts';
import { isPubliclyCacheable, requestHeaders } from './headers.ts';
import { dress } from './legacy-manner.ts';
import type { Metrics } from './metrics.ts';
import type { Limits } from './options.ts';
import type { Passage } from './passage.ts';
import { faultCodeOf, ServiceFault, translateRead } from './translate.ts';

export type ServeDeps = {
  readonly forwarder: Forwarder;
  /** An origin. */
  readonly legacy: string;
  readonly manner: LegacyManner;
  readonly servicePool: (upstream: string) => Pool;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Then clients are told to come back on another connection. */
  readonly isStopping: () => boolean;
};

export type Serve = {
  serve(request: FastifyRequest, reply: FastifyReply, passage: Passage): void;
  /** An answer by the facade itself. */
  refuse(reply: FastifyReply, code: FaultCode): void;
};

/** A failing upstream is said a few times a minute, whatever the traffic; the metrics count all. */
function atMostEach(ms: number): (key: string) => boolean {
  const last = new Map<string, number>();
  return (key) => {
    const now = Date.now();
    if (now - (last.get(key) ?? Number.NEGATIVE_INFINITY) < ms) return false;
    last.set(key, now);
    return true;
  };
}

/** All that a service gets of a client's headers: what lets a request be followed. */
function traceOf(headers: IncomingMessage['headers']): Record<string, string> {
  const trace: Record<string, string> = {};
  for (const name of ['traceparent', 'x-request-id'] as const) {
    const value = headers[name];
    if (typeof value === 'string') trace[name] = value;
  }
  return trace;
}

export function createServe(deps: ServeDeps): Serve {
  const { forwarder, manner, limits, metrics, log, isStopping } = deps;
  const isTimeToLog = atMostEach(10_000);

  function refuse(reply: FastifyReply, code: FaultCode): void {
    metrics.answeredItself(code);
    reply.hijack();
    const { raw } = reply;
    if (raw.destroyed || raw.headersSent) return;
    const body = faultBody(code);
    const headers = [
      'content-type',
      'application/json',
      'content-length',
      String(Buffer.byteLength(body)),
      'cache-control',
      'no-store',
    ];
    // What is left of a body is not waited for.
    if (!raw.req.complete || isStopping()) headers.push('connection', 'close');
    raw.writeHead(faults[code].status, headers).end(body);
  }

  function observe({ match, startedAt }: Passage, side: Side, status: number): void {
    metrics.observe({
      capability: match?.capability.name ?? 'none',
      side,
      kind: match?.route.kind ?? 'other',
      status,
      seconds: (performance.now() - startedAt) / 1000,
    });
  }

  /** The headers of an answer, with what the facade has to add. */
  function complete({ newCookie }: Passage, headers: readonly string[]): readonly string[] {
    const added: string[] = [];
    if (newCookie !== undefined && !isPubliclyCacheable(headers)) added.push('Set-Cookie', newCookie);
    if (isStopping()) added.push('Connection', 'close');
    return added.length === 0 ? headers : [...headers, ...added];
  }

  function fromLegacy(request: FastifyRequest, reply: FastifyReply, passage: Passage): void {
    const { target, origin } = passage;
    const headers = requestHeaders(request.raw.rawHeaders, origin);
    forwarder.forward(
      request,
      reply,
      { upstream: deps.legacy, path: target.path + target.query, headers },
      {
        onAnswer(head) {
          observe(passage, 'legacy', head.status);
          return complete(passage, head.headers);
        },
        onFailure(error) {
          const code = faultOf(error);
          if (isTimeToLog(`legacy ${code}`))
            log.error({ err: error, upstream: 'legacy', code }, 'a request could not be forwarded');
          observe(passage, 'legacy', faults[code].status);
          refuse(reply, code);
        },
      },
    );
  }

  async function fromService(request: FastifyRequest, reply: FastifyReply, passage: Passage): Promise<void> {
    const { target, match } = passage;
    if (match?.route.kind !== 'read' || !match.route.translate) return fromLegacy(request, reply, passage);
    const { capability, route } = match;
    const { headers, method } = request;
    const gone = new AbortController();
    const clientGone = () => gone.abort();
    reply.raw.once('close', clientGone);
    try {
      const asked = { path: target.path, query: new URLSearchParams(target.query) };
      const pool = deps.servicePool(capability.service.upstream);
      const answer = await translateRead(
        match.route.translate,
        asked,
        pool,
        traceOf(headers),
        limits,
        gone.signal,
      );
      const wire = {
        method,
        ifNoneMatch: headers['if-none-match'],
        acceptEncoding: headers['accept-encoding'],
      };
      const dressed = await dress(answer, manner, wire);
      reply.hijack();
      observe(passage, 'service', dressed.status);
      reply.raw.writeHead(dressed.status, [...complete(passage, dressed.headers)]).end(dressed.body);
    } catch (error) {
      reply.raw.off('close', clientGone);
      if (gone.signal.aborted) return void reply.hijack();
      const reason = error instanceof ServiceFault ? error.reason : 'translation';
      if (isTimeToLog(`${capability.name} ${reason}`))
        log.error(
          { err: error, capability: capability.name, reason, fallback: route.safe },
          'the service could not answer a read',
        );
      if (route.safe) {
        metrics.fellBack(capability.name, reason);
        return fromLegacy(request, reply, passage);
      }
      const code = faultCodeOf(reason);
      observe(passage, 'service', faults[code].status);
      refuse(reply, code);
    }
  }

  return {
    refuse,
    serve(request, reply, passage) {
      const { choice, match } = passage;
      metrics.chose(match?.capability.name ?? 'none', choice.side, choice.reason);
      if (choice.side === 'legacy') return fromLegacy(request, reply, passage);
      // Not returned: Fastify would answer by itself once the promise is kept, amid the fall-back.
      fromService(request, reply, passage).catch((error) => {
        log.error({ err: error }, 'the facade failed');
        refuse(reply, 'upstream_failed');
      });
    },
  };
}
