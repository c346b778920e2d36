// Legacy's word on what a service must not know, before it is asked to write.
import type { IncomingMessage } from 'node:http';
import type { ServiceResponse } from '../acl/http.ts';
import { type Bounds, jsonOrText } from './ask.ts';
import type { Ask } from './ask-aside.ts';
import { faultOf, UpstreamError } from './errors.ts';
import { type Origin, traceOf } from './headers.ts';
import { withoutOwnCookies } from './identity.ts';
import type { Limits } from './limits.ts';
import type { RequestTrace } from './request-trace.ts';

/** With the client's own cookies, and with the patience of the write itself. @throws UpstreamError: nothing was executed */
export type Consult = (
  client: { readonly request: Pick<IncomingMessage, 'headers'>; readonly origin: Origin },
  method: 'GET' | 'HEAD',
  path: string,
  trace: RequestTrace | undefined,
  moreMs: Bounds['moreMs'],
) => Promise<ServiceResponse>;

export function createConsult(
  askLegacy: Ask,
  limits: Pick<Limits, 'serviceMsMax' | 'serviceBytesMax'>,
): Consult {
  const bounds = { msMax: limits.serviceMsMax, bytesMax: limits.serviceBytesMax };
  return async ({ request, origin }, method, path, trace, moreMs) => {
    const span = trace?.ask('legacy', method);
    const cookie = withoutOwnCookies(request.headers.cookie ?? '');
    const { forwardedFor, proto, host } = origin;
    try {
      const headers = {
        accept: 'application/json',
        'x-forwarded-for': forwardedFor,
        'x-forwarded-proto': proto,
        ...(host !== '' && { 'x-forwarded-host': host }),
        ...(cookie !== '' && { cookie }),
        ...traceOf(request.headers, trace, span),
      };
      const { status, text } = await askLegacy({ method, path, headers }, { ...bounds, moreMs });
      if (span) span.status = status;
      span?.end();
      return { status, body: jsonOrText(text) };
    } catch (error) {
      span?.end(faultOf(error));
      throw new UpstreamError(faultOf(error), 'legacy could not be consulted about a write', error);
    }
  };
}
