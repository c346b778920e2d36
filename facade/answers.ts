// What the facade adds to answers, and the answers that it gives by itself.
import type { FastifyReply } from 'fastify';
import type { Side } from '../capability/capability.ts';
import { type FaultCode, faultBody, faults } from './errors.ts';
import { isPubliclyCacheable } from './headers.ts';
import type { Metrics } from './metrics.ts';
import type { Passage } from './passage.ts';
import { requestIdHeader } from './request-id.ts';

export type Answers = {
  /**
   * An answer by the facade itself.
   * @param pinCookie of a write that may have been executed
   * @param retryAfterSeconds where the code alone does not say it
   */
  refuse(reply: FastifyReply, code: FaultCode, pinCookie?: string, retryAfterSeconds?: number): void;
  observe(passage: Passage, side: Side, status: number): void;
  /** The headers of an answer, with what the facade has to add. */
  complete(passage: Passage, headers: readonly string[], pinCookie?: string): readonly string[];
};

/** @param isStopping then clients are told to come back on another connection */
export function createAnswers(metrics: Metrics, isStopping: () => boolean): Answers {
  return {
    refuse(reply, code, pinCookie, retryAfterSeconds) {
      metrics.answeredItself(code);
      reply.hijack();
      const { raw } = reply;
      if (raw.destroyed || raw.headersSent) return;
      const body = faultBody(code);
      const fault: { status: number; retryAfterSeconds?: number } = faults[code];
      const headers = [
        'content-type',
        'application/json',
        'content-length',
        String(Buffer.byteLength(body)),
        'cache-control',
        'no-store',
        requestIdHeader,
        reply.request.id,
      ];
      const after = retryAfterSeconds ?? fault.retryAfterSeconds;
      if (after !== undefined) headers.push('retry-after', String(after));
      if (pinCookie !== undefined) headers.push('set-cookie', pinCookie);
      // What is left of a body is not waited for.
      if (!raw.req.complete || isStopping()) headers.push('connection', 'close');
      raw.writeHead(fault.status, headers).end(body);
    },
    observe({ match, startedAt, trace }, side, status) {
      if (trace) trace.side = side;
      metrics.observe({
        capability: match?.capability?.name ?? 'none',
        side,
        kind: match?.route.kind ?? 'other',
        status,
        seconds: (performance.now() - startedAt) / 1000,
      });
    },
    complete({ newCookie }, headers, pinCookie) {
      const added: string[] = [];
      if ((newCookie ?? pinCookie) !== undefined && !isPubliclyCacheable(headers))
        for (const cookie of [newCookie, pinCookie])
          if (cookie !== undefined) added.push('Set-Cookie', cookie);
      if (isStopping()) added.push('Connection', 'close');
      return added.length === 0 ? headers : [...headers, ...added];
    },
  };
}

/** A failing upstream is said a few times a minute, whatever the traffic; the metrics count all. */
export function atMostEach(ms: number): (key: string) => boolean {
  const last = new Map<string, number>();
  return (key) => {
    const now = Date.now();
    if (now - (last.get(key) ?? Number.NEGATIVE_INFINITY) < ms) return false;
    last.set(key, now);
    return true;
  };
}
