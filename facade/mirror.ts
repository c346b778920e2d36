// Asks a side what it would have answered to a read that a client has got an answer to already. With connections of its own, and by
// nothing of the client's but what the answer depends on.
import type { EventEmitter } from 'node:events';
import type { LegacyAnswer, LegacyManner, ServiceResponse } from '../acl/http.ts';
import type { ReadRoute } from '../capability/capability.ts';
import { ask, jsonOrText } from './ask.ts';
import type { ComparedAnswer } from './compare.ts';
import type { Found } from './find-instances.ts';
import { type HeaderList, type Origin, requestHeaders } from './headers.ts';
import { cookiesCalled } from './identity.ts';
import { dress } from './legacy-manner.ts';
import { Pool } from './pool.ts';
import type { RequestTrace } from './request-trace.ts';

/** Who gets it knows that no client waits: it should count nothing, and begin no session. */
export const mirrorHeader = 'banyan-mirror';

export type MirrorLimits = {
  readonly connectMsMax: number;
  readonly shadowMsMax: number;
  readonly shadowBytesMax: number;
};

/** What is known of the client's request. */
export type Mirrored = {
  readonly path: string;
  /** With its question mark; empty: none. */
  readonly query: string;
  readonly rawHeaders: HeaderList;
  readonly origin: Origin;
  /** What a service gets of them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly trace?: RequestTrace | undefined;
};

/** The service has answered, and not in a way that can be said in legacy's words. */
export type Unusable = { readonly fault: string };

export type Mirror = {
  /** @throws when legacy does not answer */
  legacy(request: Mirrored): Promise<ComparedAnswer>;
  /**
   * @param ifNoneMatch as the client said it, to compare with a 304
   * @throws when the service does not answer
   */
  service(
    request: Mirrored,
    route: ReadRoute,
    upstream: string,
    ifNoneMatch?: string,
  ): Promise<ComparedAnswer | Unusable>;
  stop(): Promise<void>;
};

class NoAnswer extends Error {
  override name = 'NoAnswer';
}

/** Few: a side that is slow to answer mirrors has its connections for its clients. */
const connectionsMax = 8;

/** The answer is wanted whole, plain, and whatever the client has already. */
const notMirrored = new Set([
  'accept-encoding',
  'content-length',
  'cookie',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
]);

/** @param sessionCookie the only cookie that legacy gets, if any */
export function headersForLegacy(
  { rawHeaders, origin, trace }: Pick<Mirrored, 'rawHeaders' | 'origin' | 'trace'>,
  sessionCookie: string | undefined,
): Record<string, string> {
  // A client may call a header as objects call what they are born with.
  const headers = new Map<string, string>();
  const cookies: string[] = [];
  const sent = requestHeaders(rawHeaders, origin, trace);
  for (let at = 0; at < sent.length; at += 2) {
    const name = sent[at]?.toLowerCase() ?? '';
    const value = sent[at + 1] ?? '';
    if (name === 'cookie') cookies.push(value);
    if (notMirrored.has(name)) continue;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const session = sessionCookie && cookiesCalled(sessionCookie, cookies.join('; '));
  if (session) headers.set('cookie', session);
  headers.set(mirrorHeader, '1');
  return Object.fromEntries(headers);
}

/** Of instances that came and went; more are not kept. */
const poolsMax = 64;

/** @param place where an upstream is at present; undefined: nobody knows */
export function createMirror(
  place: (upstream: string) => Found | undefined,
  manner: LegacyManner,
  sessionCookie: string | undefined,
  limits: MirrorLimits,
  stopped: EventEmitter,
): Mirror {
  const pools = new Map<string, Pool>();
  const bounds = { msMax: limits.shadowMsMax, bytesMax: limits.shadowBytesMax };

  function poolOf(upstream: string): Pool {
    const found = place(upstream);
    if (!found) throw new NoAnswer(`no instance of ${upstream} is known`);
    const { origin, servername } = found;
    let pool = pools.get(origin);
    if (!pool) {
      pool = new Pool(origin, { ...limits, upstreamConnectionsMax: connectionsMax }, servername);
      pools.set(origin, pool);
      const [oldest] = pools;
      if (pools.size > poolsMax && oldest) {
        pools.delete(oldest[0]);
        void oldest[1].close();
      }
    }
    return pool;
  }

  /** As it is asked for clients, but beside its breaker and its bounds: a mirror says nothing of how it serves them. */
  async function askService(
    upstream: string,
    path: string,
    passed: Readonly<Record<string, string>>,
  ): Promise<ServiceResponse | Unusable> {
    const headers = { accept: 'application/json', ...passed, [mirrorHeader]: '1' };
    try {
      const question = { method: 'GET', path, headers } as const;
      const { status, text } = await ask(poolOf(upstream), question, bounds, stopped);
      if (status >= 500) return { fault: 'status' };
      const body = jsonOrText(text);
      return typeof body === 'string' ? { fault: 'not_json' } : { status, body };
    } catch (error) {
      if (error instanceof RangeError) return { fault: 'too_large' };
      throw new NoAnswer('the service does not answer', { cause: error });
    }
  }

  return {
    async legacy(request) {
      const headers = headersForLegacy(request, sessionCookie);
      const question = { method: 'GET', path: request.path + request.query, headers } as const;
      const { status, rawHeaders, text } = await ask(poolOf('legacy'), question, bounds, stopped);
      return { status, headers: rawHeaders, text: status === 204 ? undefined : text };
    },
    async service({ path, query, headers: passed }, { translate }, upstream, ifNoneMatch) {
      if (!translate) throw new Error('a route that is mirrored has a translator');
      const legacy = { path, query: new URLSearchParams(query) };
      let answer: LegacyAnswer;
      try {
        const request = translate.request(legacy);
        if ('answer' in request) {
          answer = request.answer;
        } else {
          const response = await askService(upstream, request.ask.path, passed);
          if ('fault' in response) return response;
          answer = translate.response(response, legacy);
        }
      } catch (error) {
        // What a translator throws is the translator's affair; the rest is a service that does not answer.
        if (error instanceof NoAnswer) throw error;
        return { fault: 'translation' };
      }
      const asGet = { method: 'GET', ifNoneMatch, acceptEncoding: undefined };
      const { status, headers, body } = await dress(answer, manner, asGet);
      return { status, headers, text: status === 304 ? undefined : body.toString('utf8') };
    },
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}
