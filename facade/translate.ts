// A read that the service answers: the legacy request becomes a request to the service, its answer legacy's JSON.
import type { Pool } from 'undici';
import type { HttpReadTranslator, LegacyAnswer, LegacyRequest, ServiceResponse } from '../acl/http.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { FaultCode } from './errors.ts';
import type { Limits } from './options.ts';

/** Why the service's answer cannot be used; each is a value of a metric's label. */
export type ServiceFaultReason =
  | 'unreachable'
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

async function readBounded(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ServiceFault('too_large', `the service sent more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ServiceFault('not_json', 'the service sent something that is not JSON', cause);
  }
}

async function ask(
  pool: Pool,
  path: string,
  trace: Readonly<Record<string, string>>,
  limits: Limits,
  gone: AbortSignal,
): Promise<ServiceResponse> {
  const late = AbortSignal.timeout(limits.serviceMsMax);
  try {
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path,
      headers: { accept: 'application/json', ...trace },
      signal: AbortSignal.any([late, gone]),
    });
    const text = await readBounded(body, limits.serviceBytesMax);
    if (statusCode >= 500) throw new ServiceFault('status', `the service answered ${statusCode}`);
    return { status: statusCode, body: parse(text) };
  } catch (error) {
    if (error instanceof ServiceFault) throw error;
    if (late.aborted)
      throw new ServiceFault('timeout', `the service did not answer within ${limits.serviceMsMax} ms`, error);
    throw new ServiceFault('unreachable', 'the service cannot be reached', error);
  }
}

/**
 * @param trace headers that let a request be followed; all that the service gets of the client's
 * @param gone aborted when nobody waits for the answer any more
 * @throws ServiceFault when the service's answer cannot be had, or cannot be said in legacy's words
 */
export async function translateRead(
  translator: HttpReadTranslator,
  legacy: LegacyRequest,
  pool: Pool,
  trace: Readonly<Record<string, string>>,
  limits: Limits,
  gone: AbortSignal,
): Promise<LegacyAnswer> {
  try {
    const request = translator.request(legacy);
    if ('answer' in request) return request.answer;
    return translator.response(await ask(pool, request.ask.path, trace, limits, gone), legacy);
  } catch (error) {
    if (error instanceof ServiceFault) throw error;
    // A TranslationError says what it could not say; anything else is a translator's mistake, and no less final.
    const message = error instanceof TranslationError ? error.message : 'the translator failed';
    throw new ServiceFault('translation', message, error);
  }
}
