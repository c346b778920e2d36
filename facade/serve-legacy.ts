// Passes a request on to legacy, as it is.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type Answers, atMostEach } from './answers.ts';
import { faultOf, faults } from './errors.ts';
import type { Forwarder } from './forwarder.ts';
import { requestHeaders } from './headers.ts';
import type { Identities } from './identity-bridge.ts';
import type { Passage } from './passage.ts';

/** A write that legacy executes. */
export type LegacyWriting = {
  /** When it has been read already. */
  readonly body?: Buffer | undefined;
  /** It has been answered, or may have been executed without an answer. @returns a cookie for the answer */
  wrote(): string | undefined;
  /** Once, in any case. */
  ended(): void;
};

export type ServeLegacy = (
  request: FastifyRequest,
  reply: FastifyReply,
  passage: Passage,
  writing?: LegacyWriting,
) => void;

export type ServeLegacyDeps = {
  readonly forwarder: Forwarder;
  /** An origin. */
  readonly legacy: string;
  readonly identities: Pick<Identities, 'passed'> | undefined;
  readonly answers: Answers;
  readonly log: Logger;
};

export function createServeLegacy(deps: ServeLegacyDeps): ServeLegacy {
  const { forwarder, legacy, identities, answers, log } = deps;
  const isTimeToLog = atMostEach(10_000);

  return (request, reply, passage, writing) => {
    const { target, origin } = passage;
    const headers = requestHeaders(request.raw.rawHeaders, origin);
    let cookie: string | undefined;
    forwarder.forward(
      request,
      reply,
      { upstream: legacy, path: target.path + target.query, headers, body: writing?.body },
      {
        onAnswer(head) {
          cookie = writing?.wrote();
          identities?.passed(request.method, target.path, request.headers.cookie);
          answers.observe(passage, 'legacy', head.status);
          return answers.complete(passage, head.headers, cookie);
        },
        onFailure(error) {
          const code = faultOf(error);
          if (isTimeToLog(code))
            log.error({ err: error, upstream: 'legacy', code }, 'a request could not be forwarded');
          answers.observe(passage, 'legacy', faults[code].status);
          answers.refuse(reply, code, cookie);
        },
        ...(writing && {
          onEnd(error?: unknown) {
            if (error !== undefined && faultOf(error) !== 'upstream_unavailable') cookie = writing.wrote();
            writing.ended();
          },
        }),
      },
    );
  };
}
