// One exchange with a service, bounded in time and bytes, and never repeated.
import type { EventEmitter } from 'node:events';
import type { Pool } from 'undici';
import type { ServiceRequest, ServiceResponse, ServiceWrite } from '../acl/http.ts';
import { ask, jsonOrText } from './ask.ts';
import { type FaultCode, faultOf } from './errors.ts';
import type { Limits } from './options.ts';

/** Why the service's answer cannot be used; each is a value of a metric's label. */
export type ServiceFaultReason =
  /** No connection: nothing was executed. */
  | 'unreachable'
  /** The connection ended before the answer. */
  | 'lost'
  | 'timeout'
  | 'status'
  | 'too_large'
  | 'not_json'
  | 'translation';

export class ServiceFault extends Error {
  override name = 'ServiceFault';
  readonly reason: ServiceFaultReason;
  constructor(reason: ServiceFaultReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** What a client is told when legacy may not be asked instead. */
export const faultCodeOf = (reason: ServiceFaultReason): FaultCode =>
  reason === 'timeout'
    ? 'upstream_timeout'
    : reason === 'unreachable'
      ? 'upstream_unavailable'
      : 'upstream_failed';

/**
 * @param headers beside accept and content-type
 * @param client whose leaving ends it; a write has none, for it may be executed already
 * @returns the answer whatever its status; a body that is no JSON as text when the status is 500 or more
 * @throws ServiceFault
 */
export async function askService(
  pool: Pool,
  request: ServiceWrite | (ServiceRequest & { readonly method: 'GET' }),
  headers: Readonly<Record<string, string>>,
  limits: Pick<Limits, 'serviceMsMax' | 'serviceBytesMax'>,
  client?: EventEmitter,
): Promise<ServiceResponse> {
  const json = 'body' in request && request.body !== undefined ? JSON.stringify(request.body) : undefined;
  const question = {
    method: request.method,
    path: request.path,
    headers: {
      accept: 'application/json',
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json !== undefined && { body: json }),
  };
  try {
    const { status, text } = await ask(
      pool,
      question,
      { msMax: limits.serviceMsMax, bytesMax: limits.serviceBytesMax },
      client,
    );
    const parsed = jsonOrText(text);
    if (typeof parsed === 'string' && status < 500)
      throw new ServiceFault('not_json', 'the service sent something that is no JSON object');
    return { status, body: parsed };
  } catch (error) {
    if (error instanceof ServiceFault) throw error;
    if (error instanceof RangeError) throw new ServiceFault('too_large', `of the service ${error.message}`);
    const code = faultOf(error);
    if (code === 'upstream_timeout')
      throw new ServiceFault('timeout', `the service did not answer within ${limits.serviceMsMax} ms`, error);
    if (code === 'upstream_unavailable')
      throw new ServiceFault('unreachable', 'the service cannot be reached', error);
    throw new ServiceFault('lost', 'the connection to the service was lost before its answer', error);
  }
}
