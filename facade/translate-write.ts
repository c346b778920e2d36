// A write that the service executes: the legacy request becomes a request to the service, its answer legacy's JSON.
import type { HttpWriteTranslator, LegacyAnswer, LegacyWrite, ServiceResponse } from '../acl/http.ts';
import type { IsError, IsRefusal } from '../capability/capability.ts';
import { type AskServiceDeps, askService, ServiceFault } from './ask-service.ts';
import type { Limits } from './limits.ts';
import type { RequestTrace } from './request-trace.ts';
import { translating } from './translate.ts';

export type TranslatedWrite =
  | {
      readonly is: 'answer';
      readonly answer: LegacyAnswer;
      /** The service has executed something, or may have. */
      readonly wrote: boolean;
    }
  /** The fence refused it: not executed. */
  | { readonly is: 'refused' };

export type TranslateWriteDeps = {
  readonly upstream: AskServiceDeps<TranslatedWrite>['upstream'];
  /** Asks legacy, with the client's own cookies. */
  readonly consult: (path: string, method: 'GET' | 'HEAD') => Promise<ServiceResponse>;
  /** All that the service gets of headers: who the user is, and what lets a request be followed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trace?: RequestTrace | undefined;
  readonly limits: Limits;
  /** How much longer than `serviceMsMax` the service may take. */
  readonly moreMs?: AskServiceDeps<TranslatedWrite>['moreMs'];
  readonly isRefusal: IsRefusal | undefined;
  readonly isError: IsError | undefined;
};

/**
 * Asks the service once; another instance only when nothing was sent to the first. It goes on when the client has left: the write may be executed by then.
 * @throws ServiceFault when the service's answer cannot be had, or cannot be said in legacy's words; with any reason but
 * `unreachable`, `breaker` and `busy` it may have been executed
 * @throws what `consult` throws; nothing was executed then
 */
export async function translateWrite(
  translator: HttpWriteTranslator,
  legacy: LegacyWrite,
  { upstream, consult, headers, trace, limits, moreMs, isRefusal, isError }: TranslateWriteDeps,
): Promise<TranslatedWrite> {
  const questions = translating(() => translator.consult?.(legacy) ?? []);
  const consulted = await Promise.all(questions.map(({ method, path }) => consult(path, method)));
  const request = translating(() => translator.request(legacy, consulted));
  if ('answer' in request) return { is: 'answer', answer: request.answer, wrote: false };
  return askService<TranslatedWrite>(request.ask, {
    upstream,
    headers,
    trace,
    limits,
    moreMs,
    mayRepeat: false,
    take(response) {
      const { status } = response;
      // It does what it should: that is no failure.
      if (isRefusal?.(response)) return { value: { is: 'refused' }, outcome: 'answered' };
      // Of its own failure the translator can say what legacy says of its own; the rest is of the way there.
      if (status > 500) throw new ServiceFault('status', `the service answered ${status}`);
      return translating(() => {
        const answer = translator.response(response, legacy);
        const outcome = status === 500 ? 'error' : isError?.(answer) ? 'said-error' : 'answered';
        return { value: { is: 'answer', answer, wrote: status < 400 || status === 500 }, outcome };
      });
    },
  });
}
