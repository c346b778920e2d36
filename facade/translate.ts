// A read that the service answers: the legacy request becomes a request to the service, its answer legacy's JSON.
import type { EventEmitter } from 'node:events';
import type { HttpReadTranslator, LegacyAnswer, LegacyRequest } from '../acl/http.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { IsError } from '../capability/capability.ts';
import { type AskServiceDeps, askService, ServiceFault } from './ask-service.ts';
import type { Limits } from './limits.ts';
import type { RequestTrace } from './request-trace.ts';

export type TranslateReadDeps = {
  readonly upstream: AskServiceDeps<LegacyAnswer>['upstream'];
  /** Headers that let a request be followed; all that the service gets of the client's. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trace?: RequestTrace | undefined;
  readonly limits: Limits;
  /** Whose leaving ends it: nobody waits for the answer any more. */
  readonly client: EventEmitter;
  /** It may be asked again after it was lost. */
  readonly isSafe: boolean;
  readonly isError: IsError | undefined;
};

/** A TranslationError says what it could not say; anything else is a translator's mistake, and no less final. */
export function translating<T>(translate: () => T): T {
  try {
    return translate();
  } catch (error) {
    const message = error instanceof TranslationError ? error.message : 'the translator failed';
    throw new ServiceFault('translation', message, error);
  }
}

/** @throws ServiceFault when the service's answer cannot be had, or cannot be said in legacy's words */
export async function translateRead(
  translator: HttpReadTranslator,
  legacy: LegacyRequest,
  { upstream, headers, trace, limits, client, isSafe, isError }: TranslateReadDeps,
): Promise<LegacyAnswer> {
  const request = translating(() => translator.request(legacy));
  if ('answer' in request) return request.answer;
  return askService(
    { method: 'GET', path: request.ask.path },
    {
      upstream,
      headers,
      trace,
      limits,
      client,
      mayRepeat: isSafe,
      take(response) {
        if (response.status >= 500)
          throw new ServiceFault('status', `the service answered ${response.status}`);
        return translating(() => {
          const answer = translator.response(response, legacy);
          return { value: answer, outcome: isError?.(answer) ? 'said-error' : 'answered' };
        });
      },
    },
  );
}
