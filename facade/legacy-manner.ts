// Dresses a translated answer as legacy would have sent it: validator, 304, HEAD and gzip in the manner of a
// Fastify application with @fastify/etag and @fastify/compress (the test compares with one, side by side).
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { etagOf, jsonText, type LegacyAnswer, type LegacyManner } from '../acl/http.ts';

export type Dressed = { readonly status: number; readonly headers: readonly string[]; readonly body: Buffer };

export type Asked = {
  readonly method: string;
  readonly ifNoneMatch: string | undefined;
  readonly acceptEncoding: string | undefined;
};

const compress = promisify(gzip);
const nothing = Buffer.alloc(0);

/** Whether gzip may be used; `*` and `x-gzip` mean it too, as they do to @fastify/compress. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  return (acceptEncoding ?? '').split(',').some((part) => {
    const [coding = '', ...parameters] = part.toLowerCase().replaceAll(/\s/g, '').split(';');
    if (coding !== 'gzip' && coding !== 'x-gzip' && coding !== '*') return false;
    const quality = parameters.find((parameter) => parameter.startsWith('q='));
    return quality === undefined || Number.parseFloat(quality.slice(2)) > 0;
  });
}

/** Exactly the comparison of @fastify/etag: one validator, no lists, no `*`. */
const matches = (header: string | undefined, etag: string) =>
  header !== undefined && (header === etag || header === `W/${etag}` || `W/${header}` === etag);

/** What is said to a request that is no GET is not kept by anybody: it has no validator, and nothing about caches. */
function mannerFor(method: string, manner: LegacyManner): LegacyManner {
  if (method === 'GET' || method === 'HEAD') return manner;
  const headers = Object.entries(manner.headers).filter(([name]) => name.toLowerCase() !== 'cache-control');
  return { ...manner, headers: Object.fromEntries(headers), etag: 'none' };
}

/** HEAD has the headers of GET, those of a compressed body too. */
export async function dress(answer: LegacyAnswer, usual: LegacyManner, asked: Asked): Promise<Dressed> {
  const manner = mannerFor(asked.method, usual);
  const body = Buffer.from(jsonText(answer.body));
  const headers = ['content-type', manner.contentType, ...Object.entries(manner.headers).flat()];
  const etag = etagOf(manner, body);
  if (etag !== undefined) headers.push('etag', etag);
  if (etag !== undefined && matches(asked.ifNoneMatch, etag))
    return { status: 304, headers: [...headers, 'content-length', '0'], body: nothing };
  const pack =
    manner.gzipBytesMin !== undefined &&
    body.length >= manner.gzipBytesMin &&
    acceptsGzip(asked.acceptEncoding);
  const sent = pack ? await compress(body) : body;
  if (pack) headers.push('vary', 'accept-encoding', 'content-encoding', 'gzip');
  headers.push('content-length', String(sent.length));
  return { status: answer.status, headers, body: asked.method === 'HEAD' ? nothing : sent };
}
