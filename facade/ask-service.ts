// One exchange with a service, bounded in time and bytes, and repeated only where that does no harm.
import type { EventEmitter } from 'node:events';
import type { ServiceRequest, ServiceResponse, ServiceWrite } from '../acl/http.ts';
import { ask, type Bounds, ClientGone, jsonOrText, type Question } from './ask.ts';
import { type FaultCode, faultOf } from './errors.ts';
import type { Limits } from './limits.ts';
import type { RequestTrace, UpstreamSpan } from './request-trace.ts';
import { Lease, type Outcome, type TurnedAway, type Upstream } from './upstream.ts';

/** Why the service's answer cannot be used; each is a value of a metric's label. */
export type ServiceFaultReason =
  /** No connection, or nobody knows where it is: nothing was executed. */
  | 'unreachable'
  /** It was not asked: its breaker is open, or it has too much to do. */
  | 'breaker'
  | 'busy'
  /** The connection ended before the answer. */
  | 'lost'
  | 'timeout'
  | 'status'
  | 'too_large'
  | 'not_json'
  /** By the route's `isError`, whatever its status. */
  | 'said_error'
  | 'translation';

/** The service did answer; it is the answer that is of no use. */
export const isAnswered = (reason: ServiceFaultReason): boolean =>
  reason === 'status' ||
  reason === 'too_large' ||
  reason === 'not_json' ||
  reason === 'said_error' ||
  reason === 'translation';

export class ServiceFault extends Error {
  override name = 'ServiceFault';
  readonly reason: ServiceFaultReason;
  constructor(reason: ServiceFaultReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

const codes: Partial<Record<ServiceFaultReason, FaultCode>> = {
  timeout: 'upstream_timeout',
  unreachable: 'upstream_unavailable',
  breaker: 'breaker_open',
  busy: 'upstream_busy',
};

/** What a client is told when legacy may not be asked instead. */
export const faultCodeOf = (reason: ServiceFaultReason): FaultCode => codes[reason] ?? 'upstream_failed';

/** Nothing was executed, whatever was asked for. */
export const isNeverSent = (reason: ServiceFaultReason): boolean =>
  reason === 'unreachable' || reason === 'breaker' || reason === 'busy';

/** What one makes of an answer, and what it says of the service. */
export type Taken<T> = { readonly value: T; readonly outcome: Outcome };

export type AskServiceDeps<T> = {
  readonly upstream: Pick<Upstream, 'name' | 'enter' | 'enterElsewhere'>;
  /** Beside accept and content-type. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trace?: RequestTrace | undefined;
  readonly limits: Pick<Limits, 'serviceMsMax' | 'serviceBytesMax'>;
  /** Of the answer, whatever its status; its body is text when it is no JSON, and the status 500 or more. @throws ServiceFault */
  readonly take: (response: ServiceResponse) => Taken<T>;
  /** How much longer than `serviceMsMax` the answer is waited for; not at all without it. */
  readonly moreMs?: Bounds['moreMs'];
  /** Whose leaving ends it; a write has none, for it may be executed already. */
  readonly client?: EventEmitter;
  /** It changes nothing: another instance may be asked after one was lost. */
  readonly mayRepeat: boolean;
};

type Asked = ServiceWrite | (ServiceRequest & { readonly method: 'GET' });

const triesMax = 3;

const awayFault = ({ why }: TurnedAway): ServiceFault =>
  why === 'breaker'
    ? new ServiceFault('breaker', 'the breaker of the service is open')
    : why === 'busy'
      ? new ServiceFault('busy', 'the service has too much to do')
      : why === 'nowhere'
        ? new ServiceFault('unreachable', 'no instance of the service is known')
        : new ServiceFault('lost', 'the client went away');

/** Why there is no answer, as the reason that counts. */
function faultFrom(error: unknown): ServiceFault {
  if (error instanceof RangeError) return new ServiceFault('too_large', `of the service ${error.message}`);
  const code = faultOf(error);
  if (code === 'upstream_timeout')
    return new ServiceFault('timeout', 'the service did not answer in time', error);
  if (code === 'upstream_unavailable')
    return new ServiceFault('unreachable', 'the service cannot be reached', error);
  return new ServiceFault('lost', 'the connection to the service was lost before its answer', error);
}

/** What a fault says of the service; one of ours, or of the translator's, says nothing. */
const outcomeOf = ({ reason, cause }: ServiceFault): Outcome =>
  reason === 'status'
    ? 'error'
    : reason === 'not_json'
      ? 'said-error'
      : reason === 'too_large' || reason === 'translation' || cause instanceof ClientGone
        ? 'unknown'
        : reason === 'timeout'
          ? 'late'
          : 'lost';

function questionOf(request: Asked, headers: AskServiceDeps<unknown>['headers']): Question {
  const json = 'body' in request && request.body !== undefined ? JSON.stringify(request.body) : undefined;
  return {
    method: request.method,
    path: request.path,
    headers: {
      accept: 'application/json',
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json !== undefined && { body: json }),
  };
}

async function askAt<T>(
  lease: Lease,
  question: Question,
  msMax: number,
  span: UpstreamSpan | undefined,
  deps: AskServiceDeps<T>,
): Promise<T> {
  const { limits, client, moreMs, take } = deps;
  try {
    const { status, text } = await ask(
      lease.pool,
      question,
      { msMax, bytesMax: limits.serviceBytesMax, moreMs },
      client,
    );
    if (span) span.status = status;
    const body = jsonOrText(text);
    if (typeof body === 'string' && status < 500)
      throw new ServiceFault('not_json', 'the service sent something that is no JSON object');
    const { value, outcome } = take({ status, body });
    lease.end(outcome);
    span?.end();
    return value;
  } catch (error) {
    const fault = error instanceof ServiceFault ? error : faultFrom(error);
    lease.end(outcomeOf(fault));
    span?.end(fault.reason);
    throw fault;
  }
}

/**
 * Asks one instance; another one only when nothing was sent, or when it may be repeated.
 * @returns what was made of the answer
 * @throws ServiceFault
 */
export async function askService<T>(request: Asked, deps: AskServiceDeps<T>): Promise<T> {
  const { upstream, limits, client, mayRepeat, trace } = deps;
  const entry = await upstream.enter(client);
  if (!(entry instanceof Lease)) throw awayFault(entry);
  const until = performance.now() + limits.serviceMsMax;
  let lease = entry;
  for (let tries = 1; ; tries++) {
    const span = trace?.ask(upstream.name, request.method);
    const traced = trace && span && { traceparent: trace.traceparent(span) };
    const question = questionOf(request, { ...deps.headers, ...traced });
    try {
      return await askAt(lease, question, Math.max(until - performance.now(), 1), span, deps);
    } catch (fault) {
      if (!(fault instanceof ServiceFault) || fault.cause instanceof ClientGone) throw fault;
      const isHarmless = fault.reason === 'unreachable' || (mayRepeat && fault.reason === 'lost');
      const other = isHarmless && tries < triesMax ? upstream.enterElsewhere(lease) : undefined;
      if (!other) throw fault;
      lease = other;
    }
  }
}
