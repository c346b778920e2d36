// Which headers cross the facade, as flat lists [name, value, name, value, …] in the form of Node's rawHeaders:
// order, spelling and duplicates stay as they were. All pure.
import type { IncomingHttpHeaders } from 'node:http';
import { withoutOwnCookies } from './identity.ts';
import type { RequestTrace, UpstreamSpan } from './request-trace.ts';

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

/** Said anew where the facade traces. */
const tracing = new Set(['traceparent', 'tracestate', 'x-request-id']);

/** Where a message goes, and where it ends. */
const framing = new Set(['host', 'content-length', 'transfer-encoding']);

/** Never to be named away by `Connection`: a request without its host or its length would be another request. */
const essential = new Set(['host', 'content-length', 'cookie', 'authorization']);

export type HeaderList = readonly string[];

const isCalled = (header: string | undefined, name: string) =>
  header !== undefined && header.length === name.length && header.toLowerCase() === name;

/** The values of a header, one an occurrence. */
export function valuesOf(headers: HeaderList, name: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if (isCalled(headers[i], name)) values.push(headers[i + 1] ?? '');
  return values;
}

/** Of its first occurrence. */
export function firstOf(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (isCalled(headers[i], name)) return headers[i + 1];
  return undefined;
}

/** All but one. */
export function without(headers: HeaderList, name: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if (!isCalled(headers[i], name)) kept.push(headers[i] ?? '', headers[i + 1] ?? '');
  return kept;
}

type Fate = 'kept' | 'hop-by-hop' | 'connection' | 'cookie' | 'ours' | 'trace';

function judgeName(name: string): Fate {
  const lower = name.toLowerCase();
  if (lower === 'connection' || lower === 'cookie') return lower;
  if (hopByHop.has(lower)) return 'hop-by-hop';
  if (tracing.has(lower)) return 'trace';
  // Many a server reads X_Forwarded_For as X-Forwarded-For.
  const meant = lower.replaceAll('_', '-');
  // A service believes banyan-identity: nobody but the facade says it.
  return (meant !== lower && (framing.has(meant) || hopByHop.has(meant))) ||
    forwarding.has(meant) ||
    meant.startsWith('x-banyan-') ||
    meant.startsWith('banyan-')
    ? 'ours'
    : 'kept';
}

/** Names as they are written are few; clients can invent others, and so no more than these are remembered. */
const fates = new Map<string, Fate>();
const fatesMax = 1_000;
const nameLengthMax = 64;

function fateOf(name: string): Fate {
  const known = fates.get(name);
  if (known) return known;
  const fate = judgeName(name);
  if (fates.size < fatesMax && name.length <= nameLengthMax) fates.set(name, fate);
  return fate;
}

/** Most say only what the connection is to become. */
const namesNothing = (connection: string) =>
  isCalled(connection, 'keep-alive') || isCalled(connection, 'close');

/** Those that `Connection` does not name. */
function withoutNamed(kept: HeaderList, connection: string): string[] {
  const named = new Set(connection.split(',').map((token) => token.trim().toLowerCase()));
  for (const name of essential) named.delete(name);
  const rest: string[] = [];
  for (let i = 0; i < kept.length; i += 2) {
    const name = kept[i] ?? '';
    if (!named.has(name.toLowerCase())) rest.push(name, kept[i + 1] ?? '');
  }
  return rest;
}

/**
 * @param isRequest then without what is not the client's to say
 * @param isTraced then without what is said anew of the trace
 */
function passedOn(headers: HeaderList, isRequest: boolean, isTraced: boolean): string[] {
  const kept: string[] = [];
  let connection = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    const fate = fateOf(name);
    if (fate === 'connection') {
      if (!namesNothing(value)) connection += `,${value}`;
    } else if (fate === 'cookie' && isRequest) {
      const cookies = withoutOwnCookies(value);
      if (cookies !== '') kept.push(name, cookies);
    } else if (fate === 'trace') {
      if (!isTraced) kept.push(name, value);
    } else if (fate !== 'hop-by-hop' && (fate !== 'ours' || !isRequest)) kept.push(name, value);
  }
  return connection === '' ? kept : withoutNamed(kept, connection);
}

/** The headers that are meant for the other end, those that `Connection` names left out too. */
export const endToEnd = (headers: HeaderList): string[] => passedOn(headers, false, false);

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
  const host = firstOf(headers, 'host') ?? '';
  if (!peer.trusted) return { forwardedFor: peer.address, proto: 'http', host };
  const before = valuesOf(headers, 'x-forwarded-for').join(', ');
  const proto = firstOf(headers, 'x-forwarded-proto')?.split(',')[0]?.trim().toLowerCase();
  return {
    forwardedFor: before === '' ? peer.address : `${before}, ${peer.address}`,
    proto: proto === 'https' ? 'https' : 'http',
    host: firstOf(headers, 'x-forwarded-host') ?? host,
  };
}

/**
 * What an upstream gets of a client's headers.
 * @param trace of the request; without one what the client says of a trace passes as it is
 * @param by the span that asks, if there is one
 */
export function requestHeaders(
  headers: HeaderList,
  origin: Origin,
  trace?: RequestTrace,
  by?: UpstreamSpan,
): string[] {
  const sent = passedOn(headers, true, trace !== undefined);
  sent.push('X-Forwarded-For', origin.forwardedFor, 'X-Forwarded-Proto', origin.proto);
  if (origin.host !== '') sent.push('X-Forwarded-Host', origin.host);
  if (trace) {
    sent.push('traceparent', trace.traceparent(by), 'X-Request-Id', trace.requestId);
    if (trace.tracestate !== undefined) sent.push('tracestate', trace.tracestate);
  }
  return sent;
}

/** All that a service gets of a client's headers: what lets a request be followed. */
export function traceOf(
  headers: IncomingHttpHeaders,
  trace: RequestTrace | undefined,
  by?: UpstreamSpan,
): Record<string, string> {
  if (trace) {
    const { tracestate, requestId } = trace;
    return {
      traceparent: trace.traceparent(by),
      'x-request-id': requestId,
      ...(tracestate !== undefined && { tracestate }),
    };
  }
  const passed: Record<string, string> = {};
  for (const name of ['traceparent', 'x-request-id'] as const) {
    const value = headers[name];
    if (typeof value === 'string') passed[name] = value;
  }
  return passed;
}

/** Whether caches that serve several clients may keep an answer: such a one never gets a cookie of ours. */
export function isPubliclyCacheable(headers: HeaderList): boolean {
  return valuesOf(headers, 'cache-control').some((value) => /(^|[\s,])(public|s-maxage\s*=)/i.test(value));
}

/** RFC 3986, 3.2.2 and 3.2.3, without a user: what else is in there, some server would take for a path or another host. */
const hostForm = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::\d{0,5})?$/;
const hostLengthMax = 1_000;

/** Most clients name the same one. */
let goodHost = '';

export function isHost(host: string): boolean {
  if (host === goodHost) return true;
  if (host.length > hostLengthMax || !hostForm.test(host)) return false;
  goodHost = host;
  return true;
}

/**
 * Framing that two servers could read differently, beyond what Node's parser refuses by itself.
 * @returns why the request is refused, or undefined
 */
export function framingFault(method: string, version: string, headers: HeaderList): string | undefined {
  const lengths = valuesOf(headers, 'content-length');
  const encodings = valuesOf(headers, 'transfer-encoding');
  if (lengths.length > 1 || (lengths.length > 0 && encodings.length > 0))
    return 'the length of the body is ambiguous';
  if (lengths.some((length) => !/^\d+$/.test(length))) return 'the length of the body is malformed';
  if (encodings.length > 1 || encodings.some((encoding) => encoding.toLowerCase() !== 'chunked'))
    return 'the transfer encoding is not supported';
  // RFC 9112, 6.1: whoever speaks HTTP/1.0 knows no chunks, and a proxy of that age before us would have passed them on unseen.
  if (version === '1.0' && encodings.length > 0) return 'HTTP/1.0 has no transfer encodings';
  if (valuesOf(headers, 'host').length > 1) return 'there is more than one host';
  const bodiless = method === 'GET' || method === 'HEAD' || method === 'TRACE';
  if (bodiless && (encodings.length > 0 || lengths.some((length) => Number(length) > 0)))
    return `a ${method} request has no body here`;
  return undefined;
}
