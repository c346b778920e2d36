// Which headers cross the facade, as flat lists [name, value, name, value, …] in the form of Node's rawHeaders:
// order, spelling and duplicates stay as they were. All pure.
import type { IncomingHttpHeaders } from 'node:http';
import { withoutOwnCookies } from './identity.ts';

/** RFC 9110, 7.6.1: they speak of one connection. `expect` is answered here, by Node. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
]);

/** Said anew by the facade, so that nobody can pretend to be another address. */
const forwarding = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
]);

/** Never to be named away by `Connection`: a request without its host or its length would be another request. */
const essential = new Set(['host', 'content-length', 'cookie', 'authorization']);

export type HeaderList = readonly string[];

/** The values of a header, one an occurrence. */
export function valuesOf(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]?.toLowerCase() === name) values.push(headers[i + 1] ?? '');
  return values;
}

function namedByConnection(headers: HeaderList): Set<string> {
  const names = new Set<string>();
  for (const value of valuesOf(headers, 'connection'))
    for (const token of value.split(',')) names.add(token.trim().toLowerCase());
  for (const name of essential) names.delete(name);
  return names;
}

/** The headers that are meant for the other end, those that `Connection` names left out too. */
export function endToEnd(headers: HeaderList): string[] {
  const named = namedByConnection(headers);
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !named.has(lower)) kept.push(name, headers[i + 1] ?? '');
  }
  return kept;
}

export type Peer = {
  /** Of the other end of the socket, an IPv4 address never in its IPv6 form. */
  readonly address: string;
  /** Whether its X-Forwarded-* are believed. */
  readonly trusted: boolean;
};

export type Origin = {
  readonly forwardedFor: string;
  readonly proto: 'http' | 'https';
  readonly host: string;
};

/** Where a request came from, by the word of trusted proxies only. */
export function originOf(headers: HeaderList, peer: Peer): Origin {
  const host = valuesOf(headers, 'host')[0] ?? '';
  if (!peer.trusted) return { forwardedFor: peer.address, proto: 'http', host };
  const before = valuesOf(headers, 'x-forwarded-for').join(', ');
  const proto = valuesOf(headers, 'x-forwarded-proto')[0]?.split(',')[0]?.trim().toLowerCase();
  return {
    forwardedFor: before === '' ? peer.address : `${before}, ${peer.address}`,
    proto: proto === 'https' ? 'https' : 'http',
    host: valuesOf(headers, 'x-forwarded-host')[0] ?? host,
  };
}

/** What an upstream gets of a client's headers. */
export function requestHeaders(headers: HeaderList, origin: Origin): string[] {
  const sent: string[] = [];
  const kept = endToEnd(headers);
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] ?? '';
    const value = kept[i + 1] ?? '';
    const lower = name.toLowerCase();
    // Many a server reads X_Forwarded_For as X-Forwarded-For.
    const meant = lower.replaceAll('_', '-');
    // A service believes banyan-identity: nobody but the facade says it.
    if (forwarding.has(meant) || meant.startsWith('x-banyan-') || meant.startsWith('banyan-')) continue;
    if (lower === 'cookie') {
      const cookies = withoutOwnCookies(value);
      if (cookies !== '') sent.push(name, cookies);
    } else sent.push(name, value);
  }
  sent.push('X-Forwarded-For', origin.forwardedFor, 'X-Forwarded-Proto', origin.proto);
  if (origin.host !== '') sent.push('X-Forwarded-Host', origin.host);
  return sent;
}

/** All that a service gets of a client's headers: what lets a request be followed. */
export function traceOf(headers: IncomingHttpHeaders): Record<string, string> {
  const trace: Record<string, string> = {};
  for (const name of ['traceparent', 'x-request-id'] as const) {
    const value = headers[name];
    if (typeof value === 'string') trace[name] = value;
  }
  return trace;
}

/** Whether caches that serve several clients may keep an answer: such a one never gets a cookie of ours. */
export function isPubliclyCacheable(headers: HeaderList): boolean {
  return valuesOf(headers, 'cache-control').some((value) => /(^|[\s,])(public|s-maxage\s*=)/i.test(value));
}

/**
 * Framing that two servers could read differently, beyond what Node's parser refuses by itself.
 * @returns why the request is refused, or undefined
 */
export function framingFault(method: string, headers: HeaderList): string | undefined {
  const lengths = valuesOf(headers, 'content-length');
  const encodings = valuesOf(headers, 'transfer-encoding');
  if (lengths.length > 1 || (lengths.length > 0 && encodings.length > 0))
    return 'the length of the body is ambiguous';
  if (lengths.some((length) => !/^\d+$/.test(length))) return 'the length of the body is malformed';
  if (encodings.length > 1 || encodings.some((encoding) => encoding.toLowerCase() !== 'chunked'))
    return 'the transfer encoding is not supported';
  if (valuesOf(headers, 'host').length > 1) return 'there is more than one host';
  const bodiless = method === 'GET' || method === 'HEAD' || method === 'TRACE';
  if (bodiless && (encodings.length > 0 || lengths.some((length) => Number(length) > 0)))
    return `a ${method} request has no body here`;
  return undefined;
}
