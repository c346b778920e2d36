// Forms as the monolith's own parser reads them. It differs from the URL standard where clients encode badly: a value
// with one wrong escape, or with escapes that are no UTF-8, stays as it was sent.
import type { LegacyWrite } from '../http.ts';
import { withoutControls } from './wire.ts';

const formBytesMax = 64 * 1024;

/** The first of each name, without control characters. */
export type Form = ReadonlyMap<string, string>;

function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/** @returns undefined for a body that the monolith will not read: it answers 1001 then, whoever asks */
export function formOf({ contentType, body }: Pick<LegacyWrite, 'contentType' | 'body'>): Form | undefined {
  const form = new Map<string, string>();
  if (contentType === undefined) return body.length === 0 ? form : undefined;
  if (contentType.split(';', 1)[0]?.trim().toLowerCase() !== 'application/x-www-form-urlencoded')
    return undefined;
  if (body.length > formBytesMax) return undefined;
  for (const pair of Buffer.from(body).toString('utf8').split('&')) {
    const at = pair.indexOf('=');
    const name = decode(at === -1 ? pair : pair.slice(0, at));
    if (pair !== '' && !form.has(name))
      form.set(name, withoutControls(at === -1 ? '' : decode(pair.slice(at + 1))));
  }
  return form;
}
