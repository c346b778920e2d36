// A write that the service executes: the legacy request becomes a request to the service, its answer legacy's JSON.
import type { Pool } from 'undici';
import type { HttpWriteTranslator, LegacyAnswer, LegacyWrite, ServiceResponse } from '../acl/http.ts';
import { TranslationError } from '../acl/translation-error.ts';
import type { IsRefusal } from '../capability/capability.ts';
import { askService, ServiceFault } from './ask-service.ts';
import type { Limits } from './options.ts';

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
  readonly pool: Pool;
  /** Asks legacy, with the client's own cookies. */
  readonly consult: (path: string, method: 'GET' | 'HEAD') => Promise<ServiceResponse>;
  /** All that the service gets of headers: who the user is, and what lets a request be followed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: Limits;
  readonly isRefusal: IsRefusal | undefined;
};

/** A translator's own failure is as final as a service's. */
function translating<T>(translate: () => T): T {
  try {
    return translate();
  } catch (error) {
    const message = error instanceof TranslationError ? error.message : 'the translator failed';
    throw new ServiceFault('translation', message, error);
  }
}

/**
 * Asks the service once. It goes on when the client has left: the write may be executed by then.
 * @throws ServiceFault when the service's answer cannot be had, or cannot be said in legacy's words; with any reason but
 * `unreachable` it may have been executed
 * @throws what `consult` throws; nothing was executed then
 */
export async function translateWrite(
  translator: HttpWriteTranslator,
  legacy: LegacyWrite,
  { pool, consult, headers, limits, isRefusal }: TranslateWriteDeps,
): Promise<TranslatedWrite> {
  const questions = translating(() => translator.consult?.(legacy) ?? []);
  const consulted = await Promise.all(questions.map(({ method, path }) => consult(path, method)));
  const request = translating(() => translator.request(legacy, consulted));
  if ('answer' in request) return { is: 'answer', answer: request.answer, wrote: false };
  const response = await askService(pool, request.ask, headers, limits);
  if (isRefusal?.(response)) return { is: 'refused' };
  // Of its own failure the translator can say what legacy says of its own; the rest is of the way there.
  if (response.status > 500) throw new ServiceFault('status', `the service answered ${response.status}`);
  const answer = translating(() => translator.response(response, legacy));
  return { is: 'answer', answer, wrote: response.status < 400 || response.status === 500 };
}
