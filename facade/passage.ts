// All that is decided of a request before it goes anywhere, from its head alone.
import type { IncomingMessage } from 'node:http';
import { type BlockList, isIPv6, type Socket } from 'node:net';
import type { Side } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import { type Choice, chooseSide } from './choose-side.ts';
import type { FaultCode } from './errors.ts';
import { framingFault, isHost, type Origin, originOf, type Peer } from './headers.ts';
import { idCookie, idFrom, mintId } from './identity.ts';
import type { Limits } from './limits.ts';
import { normaliseTarget, type Target } from './normalise-path.ts';
import { type Properties, propertiesOf } from './properties.ts';
import type { RequestTrace } from './request-trace.ts';
import type { RouteMatch, RouteTable } from './route-table.ts';
import type { Tracing } from './tracing.ts';

export type Passage = {
  readonly target: Target;
  readonly match: RouteMatch | undefined;
  readonly origin: Origin;
  readonly choice: Choice;
  /** The client's, its own or a new one. */
  readonly id: string | undefined;
  /** What its capability's flag may ask of it beside that. */
  readonly properties: Properties | undefined;
  /** To be set on the answer, if that may be. */
  readonly newCookie: string | undefined;
  /** By performance.now() */
  readonly startedAt: number;
  /** Undefined where nothing is traced. */
  readonly trace: RequestTrace | undefined;
};

type Judged = { readonly target: Target } | { readonly refused: FaultCode };

/**
 * Whether a request may go on at all.
 * @param url its target, as the client wrote it
 */
export function judge(
  request: IncomingMessage,
  url: string,
  limits: Pick<Limits, 'pathBytesMax' | 'bodyBytesMax'>,
): Judged {
  const { headers, rawHeaders, method = '', httpVersion } = request;
  const normalised = normaliseTarget(url, limits.pathBytesMax);
  if ('fault' in normalised) return { refused: 'bad_path' };
  const { target } = normalised;
  // Node's parser also takes 0.9 and 2.0.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return { refused: 'bad_request' };
  if (headers.host === undefined ? httpVersion !== '1.0' : !isHost(headers.host))
    return { refused: 'bad_request' };
  if (target.authority !== undefined && target.authority.toLowerCase() !== headers.host?.toLowerCase())
    return { refused: 'bad_request' };
  if (framingFault(method, httpVersion, rawHeaders) !== undefined) return { refused: 'bad_framing' };
  if (Number(headers['content-length'] ?? 0) > limits.bodyBytesMax) return { refused: 'body_too_large' };
  return { target };
}

/** A dual-stack listener sees IPv4 peers in their IPv6 form. */
const plainAddress = (address: string) => address.replace(/^::ffff:/, '');

export function isTrusted(address: string, trustedProxies: BlockList): boolean {
  const plain = plainAddress(address);
  return plain !== '' && trustedProxies.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
}

/** Who is at the other end of a connection does not change while it lasts. */
const peers = new WeakMap<Socket, Peer>();

function peerOf(socket: Socket, trustedProxies: BlockList): Peer {
  const known = peers.get(socket);
  if (known) return known;
  const address = plainAddress(socket.remoteAddress ?? '');
  const trusted = isTrusted(address, trustedProxies);
  const peer = { address, trusted };
  if (address !== '') peers.set(socket, peer);
  return peer;
}

/** Whether who sent a request is a trusted proxy. @param trustedProxies always the same for a socket */
export const isFromTrusted = (request: IncomingMessage, trustedProxies: BlockList): boolean =>
  peerOf(request.socket, trustedProxies).trusted;

/** Where a request came from. @param trustedProxies always the same for a socket */
export const originFor = (request: IncomingMessage, trustedProxies: BlockList): Origin =>
  originOf(request.rawHeaders, peerOf(request.socket, trustedProxies));

export type Circumstances = {
  readonly routes: RouteTable;
  readonly standing: (capability: string) => Standing | undefined;
  /** By the fences' word. */
  readonly owner: (capability: string) => Side | undefined;
  readonly isFlagOn: (flag: string, id: string, properties?: Properties) => boolean;
  readonly tracing: Tracing | undefined;
};

function choose(
  match: RouteMatch | undefined,
  id: string | undefined,
  properties: Properties | undefined,
  standing: Standing | undefined,
  now: Circumstances,
): Choice {
  const name = match?.capability?.name;
  const flag = match?.flag;
  const isFlagOn = () => flag !== undefined && id !== undefined && now.isFlagOn(flag, id, properties);
  const owner = name === undefined ? undefined : now.owner(name);
  return chooseSide({ route: match?.route, standing, owner, isFlagOn });
}

const standingOf = (match: RouteMatch | undefined, { standing }: Circumstances) =>
  match?.capability === undefined ? undefined : standing(match.capability.name);

/** Finds the route, the client's id and the side. */
export function decide(
  request: IncomingMessage,
  requestId: string,
  target: Target,
  origin: Origin,
  now: Circumstances,
): Passage {
  const startedAt = performance.now();
  const match = now.routes.match(request.method ?? '', target.path);
  const standing = standingOf(match, now);
  const known = idFrom(request.headers.cookie);
  // A capability that has not moved needs no id, and its clients no cookie.
  const minted =
    known === undefined && standing !== undefined && standing.phase !== 'legacy' ? mintId() : undefined;
  const properties = match?.context && propertiesOf(match.context, request.headers);
  const choice = choose(match, known ?? minted, properties, standing, now);
  const newCookie = minted === undefined ? undefined : idCookie(minted, origin.proto);
  const trace = now.tracing?.begin(request, requestId);
  return { target, match, origin, choice, id: known ?? minted, properties, newCookie, startedAt, trace };
}

/** The side by what is known now. */
export const chooseAgain = ({ match, id, properties }: Passage, now: Circumstances): Choice =>
  choose(match, id, properties, standingOf(match, now), now);
