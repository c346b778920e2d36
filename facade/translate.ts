// A read that the service answers: the legacy request becomes a request to the service, its answer legacy's JSON.
import type { EventEmitter } from 'node:events';
import type { Pool } from 'undici';
import type { HttpReadTranslator, LegacyAnswer, LegacyRequest } from '../acl/http.ts';
import { TranslationError } from '../acl/translation-error.ts';
import { askService, ServiceFault } from './ask-service.ts';
import type { Limits } from './options.ts';

/**
 * @param trace headers that let a request be followed; all that the service gets of the client's
 * @param client whose leaving ends it: nobody waits for the answer any more
 * @throws ServiceFault when the service's answer cannot be had, or cannot be said in legacy's words
 */
export async function translateRead(
  translator: HttpReadTranslator,
  legacy: LegacyRequest,
  pool: Pool,
  trace: Readonly<Record<string, string>>,
  limits: Limits,
  client: EventEmitter,
): Promise<LegacyAnswer> {
  try {
    const request = translator.request(legacy);
    if ('answer' in request) return request.answer;
    const asked = { method: 'GET', path: request.ask.path } as const;
    const response = await askService(pool, asked, trace, limits, client);
    if (response.status >= 500) throw new ServiceFault('status', `the service answered ${response.status}`);
    return translator.response(response, legacy);
  } catch (error) {
    if (error instanceof ServiceFault) throw error;
    // A TranslationError says what it could not say; anything else is a translator's mistake, and no less final.
    const message = error instanceof TranslationError ? error.message : 'the translator failed';
    throw new ServiceFault('translation', message, error);
  }
}
