// The wire side of the anti-corruption layer: the legacy request becomes a request to the service, and the
// service's answer becomes the bytes that legacy would have sent.
import { createHash } from 'node:crypto';
import { type Codec, CodecFault } from './codecs.ts';
import { TranslationError } from './translation-error.ts';

/** What a translator may look at: the request as legacy's clients send it. */
export type LegacyRequest = {
  readonly path: string;
  /** Decoded; of a repeated name, translators take the first, as `get` does. */
  readonly query: URLSearchParams;
};

export type ServiceRequest = { readonly path: string };

export type ServiceResponse = {
  readonly status: number;
  /** Parsed JSON; undefined when there was no body. */
  readonly body: unknown;
};

/**
 * A status and a JSON value; the legacy manner (below) makes the bytes and the headers of it. An object whose
 * keys look like numbers is a Map: plain objects put those first, whatever their order.
 */
export type LegacyAnswer = { readonly status: number; readonly body: unknown };

export type HttpReadTranslator = {
  /** @returns a request for the service, or at once the answer that legacy gives without looking anything up */
  request(legacy: LegacyRequest): { ask: ServiceRequest } | { answer: LegacyAnswer };
  /** @throws TranslationError when the service's answer cannot be said in legacy's words */
  response(service: ServiceResponse, legacy: LegacyRequest): LegacyAnswer;
};

/** What a translator of writes may look at. */
export type LegacyWrite = LegacyRequest & {
  readonly method: string;
  /** The header as it came; undefined: there was none. */
  readonly contentType: string | undefined;
  /** As it came: what a form means that is not well encoded, each legacy has decided for itself. */
  readonly body: Uint8Array;
  /** Whose session it is, as the identity bridge has it of legacy; undefined: nobody's. */
  readonly user: string | undefined;
};

export type ServiceWrite = {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** JSON; undefined: no body. */
  readonly body?: unknown;
};

/** What legacy is asked; of HEAD the status is the answer. */
export type Question = { readonly method: 'GET' | 'HEAD'; readonly path: string };

export type HttpWriteTranslator = {
  /**
   * What legacy is asked first, with the client's own cookies: what the service must not know, and legacy still judges
   * (has this member bought it?). A few questions, all at once.
   */
  consult?(legacy: LegacyWrite): readonly Question[];
  /**
   * @param consulted legacy's answers, in the order asked
   * @returns a request for the service, or at once the answer that legacy gives without writing anything
   */
  request(
    legacy: LegacyWrite,
    consulted: readonly ServiceResponse[],
  ): { ask: ServiceWrite } | { answer: LegacyAnswer };
  /** @throws TranslationError when the service's answer cannot be said in legacy's words */
  response(service: ServiceResponse, legacy: LegacyWrite): LegacyAnswer;
};

/** How a legacy system dresses its JSON: the same for all of its translated routes. */
export type LegacyManner = {
  readonly contentType: string;
  /** Sent with every answer, in this order, after content-type. */
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: 'none' | 'weak-sha1-base64';
  /** Bodies of at least this size are compressed when the client accepts gzip; undefined: never. */
  readonly gzipBytesMin?: number;
};

/** The validator legacy would send with this body, or undefined when it sends none. */
export function etagOf(manner: LegacyManner, body: Uint8Array): string | undefined {
  return manner.etag === 'none' ? undefined : `W/"${createHash('sha1').update(body).digest('base64')}"`;
}

/** JSON as JSON.stringify writes it, with Maps as objects in the order of their entries. */
export function jsonText(value: unknown): string {
  if (value instanceof Map) return objectText([...value]);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value === 'object' && value !== null) return objectText(Object.entries(value));
  return JSON.stringify(value);
}

const objectText = (entries: readonly (readonly [string, unknown])[]) =>
  `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${jsonText(value)}`).join(',')}}`;

/** One key of a JSON object: where it stands in the service's model, and how its value is said. */
export type JsonField = { readonly from: string; readonly codec: Codec };

/**
 * Says one object of the service's model in legacy's words: keys in the order of the declaration.
 * @throws TranslationError naming the field that cannot be said
 */
export function toLegacyJson(
  capability: string,
  what: string,
  fields: Readonly<Record<string, JsonField>>,
  model: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const legacy: Record<string, unknown> = {};
  for (const [name, { from, codec }] of Object.entries(fields)) {
    try {
      legacy[name] = codec.back(model[from]);
    } catch (error) {
      if (!(error instanceof CodecFault)) throw error;
      throw new TranslationError({
        capability,
        table: what,
        key: { id: model.id },
        field: from,
        value: model[from],
        reason: error.message,
      });
    }
  }
  return legacy;
}
