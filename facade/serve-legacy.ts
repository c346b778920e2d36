// Passes a request on to legacy, as it is.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { AnswerCache } from './answer-cache.ts';
import { type Answers, atMostEach } from './answers.ts';
import { type FaultCode, faultOf, faults } from './errors.ts';
import type { Answered, ForwardEvents } from './exchange.ts';
import type { Forwarder, Outgoing } from './forwarder.ts';
import { type HeaderList, requestHeaders } from './headers.ts';
import { withoutOwnCookies } from './identity.ts';
import type { Identities } from './identity-bridge.ts';
import type { Listener } from './legacy-look.ts';
import type { Passage } from './passage.ts';
import { idsOf } from './request-id.ts';
import type { UpstreamSpan } from './request-trace.ts';
import { type Entry, Lease, type Outcome, type TurnedAway, type Upstream } from './upstream.ts';

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
  /** An answer that was given to another client will do. */
  mayBeKept?: boolean,
  /** Is told of the answer, too. */
  listener?: Listener,
) => void;

export type ServeLegacyDeps = {
  readonly forwarder: Forwarder;
  readonly legacy: Pick<Upstream, 'enter' | 'enterElsewhere'>;
  readonly identities: Pick<Identities, 'passed'> | undefined;
  readonly answers: Answers;
  /** Undefined when no route declares one. */
  readonly cache: AnswerCache | undefined;
  readonly log: Logger;
};

const awayCodes = {
  breaker: 'breaker_open',
  busy: 'upstream_busy',
  nowhere: 'upstream_unavailable',
} as const satisfies Record<Exclude<TurnedAway['why'], 'gone'>, FaultCode>;

const triesMax = 3;

/** What says who one is may change the answer, whatever the answer says of it. */
const isNobodys = ({ headers }: FastifyRequest): boolean =>
  headers.authorization === undefined && withoutOwnCookies(headers.cookie ?? '') === '';

/** One request on its way to an instance of legacy, and to another one only when the first was not there. */
class Passing implements ForwardEvents {
  readonly #deps: ServeLegacyDeps;
  readonly #isTimeToLog: (key: string) => boolean;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #passage: Passage;
  readonly #writing: LegacyWriting | undefined;
  readonly #cache: AnswerCache | undefined;
  readonly #listener: Listener | undefined;
  #outgoing: Outgoing | undefined;
  #lease: Lease | undefined;
  /** Where it goes after it could not be sent. */
  #next: Lease | undefined;
  #tries = 0;
  #span: UpstreamSpan | undefined;
  #status = 0;
  #cookie: string | undefined;

  constructor(
    deps: ServeLegacyDeps,
    isTimeToLog: (key: string) => boolean,
    request: FastifyRequest,
    reply: FastifyReply,
    passage: Passage,
    writing: LegacyWriting | undefined,
    cache: AnswerCache | undefined,
    listener: Listener | undefined,
  ) {
    this.#deps = deps;
    this.#isTimeToLog = isTimeToLog;
    this.#request = request;
    this.#reply = reply;
    this.#passage = passage;
    this.#writing = writing;
    this.#cache = cache;
    this.#listener = listener;
  }

  enter(entry: Entry): void {
    if (entry instanceof Lease) {
      this.#go(entry);
      return;
    }
    this.#writing?.ended();
    if (entry.why === 'gone') this.#reply.hijack();
    else this.#refuse(awayCodes[entry.why]);
  }

  onAnswer({ status, headers }: Answered): HeaderList {
    const { identities, answers } = this.#deps;
    const { method, headers: asked } = this.#request;
    this.#status = status;
    if (this.#span) this.#span.status = status;
    this.#cookie = this.#writing?.wrote();
    identities?.passed(method, this.#passage.target.path, asked.cookie);
    answers.observe(this.#passage, 'legacy', status);
    this.#listener?.begins(status, headers);
    return answers.complete(this.#passage, headers, this.#cookie);
  }

  onData(chunk: Buffer): void {
    this.#listener?.data(chunk);
  }

  onEnd(error?: unknown): void {
    const lease = this.#lease;
    this.#span?.end(error === undefined ? undefined : faultOf(error));
    lease?.end(error === undefined ? (this.#status >= 500 ? 'error' : 'answered') : this.#outcomeOf(error));
    const isUnsent = error !== undefined && faultOf(error) === 'upstream_unavailable';
    if (lease && isUnsent && this.#mayGoElsewhere) this.#next = this.#deps.legacy.enterElsewhere(lease);
    if (this.#next) return;
    if (error !== undefined && !isUnsent) this.#cookie = this.#writing?.wrote();
    this.#writing?.ended();
  }

  onFailure(error: unknown): void {
    const next = this.#next;
    if (next) {
      this.#next = undefined;
      this.#go(next);
      return;
    }
    const code = faultOf(error);
    if (this.#isTimeToLog(code))
      this.#deps.log.error(
        { err: error, upstream: 'legacy', code, ...idsOf(this.#request, this.#passage.trace) },
        'a request could not be forwarded',
      );
    this.#request.raw.resume(); // a body that nobody has read goes nowhere
    this.#refuse(code);
  }

  /** All of it is still there, to be sent to another instance. */
  get #mayGoElsewhere(): boolean {
    const stream = this.#outgoing?.stream;
    return (stream === undefined || stream.isUnread) && this.#tries < triesMax && !this.#reply.raw.destroyed;
  }

  #go(lease: Lease): void {
    this.#lease = lease;
    this.#tries += 1;
    const { target, origin, match, trace } = this.#passage;
    if (this.#span) this.#span.tries = this.#tries;
    else this.#span = trace?.ask('legacy', this.#request.method);
    const pool =
      this.#cache?.over(lease.pool, `${origin.proto}://${origin.host || 'none.invalid'}`) ?? lease.pool;
    this.#outgoing ??= {
      pool,
      path: target.path + target.query,
      headers: requestHeaders(this.#request.raw.rawHeaders, origin, trace, this.#span),
      mayRepeat: match?.route.kind === 'read' && match.route.safe,
      body: this.#writing?.body,
      stream: undefined,
    };
    this.#outgoing.pool = pool;
    this.#outgoing.stream = undefined;
    this.#deps.forwarder.forward(this.#request, this.#reply, this.#outgoing, this);
  }

  /** A client that leaves, or sends too much, says nothing about legacy. */
  #outcomeOf(error: unknown): Outcome {
    const code = faultOf(error);
    if (this.#reply.raw.destroyed) return 'unknown';
    if (code === 'upstream_timeout') return 'late';
    return code === 'upstream_unavailable' || code === 'upstream_failed' ? 'lost' : 'unknown';
  }

  #refuse(code: FaultCode): void {
    const { answers } = this.#deps;
    answers.observe(this.#passage, 'legacy', faults[code].status);
    answers.refuse(this.#reply, code, this.#cookie);
  }
}

export function createServeLegacy(deps: ServeLegacyDeps): ServeLegacy {
  const { legacy, answers, cache, log } = deps;
  const isTimeToLog = atMostEach(10_000);

  return (request, reply, passage, writing, mayBeKept, listener) => {
    const kept = mayBeKept === true && isNobodys(request) ? cache : undefined;
    const passing = new Passing(deps, isTimeToLog, request, reply, passage, writing, kept, listener);
    const entry = legacy.enter(reply.raw);
    if (!(entry instanceof Promise)) return passing.enter(entry);
    entry
      .then((late) => passing.enter(late))
      .catch((error) => {
        log.error({ err: error, ...idsOf(request, passage.trace) }, 'the facade failed');
        answers.refuse(reply, 'upstream_failed');
      });
  };
}
