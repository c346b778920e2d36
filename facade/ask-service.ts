// One exchange with a service, bounded in time and bytes, and never repeated.
import type { Pool } from 'undici';
import type { ServiceRequest, ServiceResponse, ServiceWrite } from '../acl/http.ts';
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

/** @throws RangeError when there is more */
export async function readBounded(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new RangeError(`more than ${bytesMax} bytes came`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** JSON; undefined for no body, and the text itself when it is none. */
export function jsonOrText(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * @param headers beside accept and content-type
 * @param gone aborted when nobody waits for the answer any more; a write has none, for it may be executed already
 * @returns the answer whatever its status; a body that is no JSON as text when the status is 500 or more
 * @throws ServiceFault
 */
export async function askService(
  pool: Pool,
  request: ServiceWrite | (ServiceRequest & { readonly method: 'GET' }),
  headers: Readonly<Record<string, string>>,
  limits: Pick<Limits, 'serviceMsMax' | 'serviceBytesMax'>,
  gone?: AbortSignal,
): Promise<ServiceResponse> {
  const late = AbortSignal.timeout(limits.serviceMsMax);
  const json = 'body' in request && request.body !== undefined ? JSON.stringify(request.body) : undefined;
  try {
    const { statusCode, body } = await pool.request({
      method: request.method,
      path: request.path,
      headers: {
        accept: 'application/json',
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json !== undefined && { body: json }),
      signal: gone === undefined ? late : AbortSignal.any([late, gone]),
    });
    const parsed = jsonOrText(await readBounded(body, limits.serviceBytesMax));
    if (typeof parsed === 'string' && statusCode < 500)
      throw new ServiceFault('not_json', 'the service sent something that is no JSON object');
    return { status: statusCode, body: parsed };
  } catch (error) {
    if (error instanceof ServiceFault) throw error;
    if (error instanceof RangeError) throw new ServiceFault('too_large', `of the service ${error.message}`);
    if (late.aborted)
      throw new ServiceFault('timeout', `the service did not answer within ${limits.serviceMsMax} ms`, error);
    if (faultOf(error) === 'upstream_unavailable')
      throw new ServiceFault('unreachable', 'the service cannot be reached', error);
    throw new ServiceFault('lost', 'the connection to the service was lost before its answer', error);
  }
}
