// Legacy's word on what a service must not know, before it is asked to write.
import type { ServiceResponse } from '../acl/http.ts';
import { jsonOrText } from './ask.ts';
import type { Ask } from './ask-aside.ts';
import { faultOf, UpstreamError } from './errors.ts';
import { traceOf } from './headers.ts';
import { withoutOwnCookies } from './identity.ts';
import type { Client } from './pins.ts';
import type { RequestTrace } from './request-trace.ts';

/** With the client's own cookies. @throws UpstreamError: nothing was executed */
export type Consult = (
  client: Client,
  method: 'GET' | 'HEAD',
  path: string,
  trace: RequestTrace | undefined,
) => Promise<ServiceResponse>;

const consultMsMax = 2_000;

export function createConsult(askLegacy: Ask, bytesMax: number): Consult {
  return async ({ request, origin }, method, path, trace) => {
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
      const { status, text } = await askLegacy({ method, path, headers }, { msMax: consultMsMax, bytesMax });
      if (span) span.status = status;
      span?.end();
      return { status, body: jsonOrText(text) };
    } catch (error) {
      span?.end(faultOf(error));
      throw new UpstreamError(faultOf(error), 'legacy could not be consulted about a write', error);
    }
  };
}
