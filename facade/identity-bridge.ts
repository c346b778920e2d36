// Who a request's user is, by legacy's word, and how services are told: legacy's session stays the truth while it
// lives, and a service gets a signed identity that lives for a minute.
import { createHash } from 'node:crypto';
import { importJWK, SignJWT } from 'jose';
import type { IdentityBridge } from '../capability/capability.ts';
import { jsonOrText } from './ask.ts';
import type { Ask } from './ask-aside.ts';
import { faultOf, StartError, UpstreamError } from './errors.ts';
import { cookiesCalled } from './identity.ts';
import type { Limits } from './limits.ts';

export const identityHeader = 'banyan-identity';

const questionMsMax = 2_000;
const knownMsMax = 5_000;
/** Shorter: a session that logs in through another replica is not taken for nobody's for long. */
const nobodyMsMax = 1_000;
const sessionsMax = 10_000;
const lifeSeconds = 60;
const signaturesMax = 10_000;

export type Identities = {
  /**
   * Whose session a request belongs to, by its Cookie header; kept for seconds.
   * @throws UpstreamError when legacy cannot be asked
   */
  userOf(cookieHeader: string | undefined): Promise<string | undefined>;
  /** For every request that legacy has answered: drops what is known of that session at log-in and log-out. */
  passed(method: string, path: string, cookieHeader: string | undefined): void;
  /** Headers that a service gets: { 'banyan-identity': signed JWT } for a user, {} for nobody. */
  headersFor(user: string | undefined, audience: string): Promise<Readonly<Record<string, string>>>;
};

export type SigningKey = { readonly kid: string; readonly key: Awaited<ReturnType<typeof importJWK>> };

export type IdentityDeps = {
  readonly declaration: IdentityBridge;
  readonly askLegacy: Ask;
  readonly key: SigningKey;
  readonly limits: Limits;
  /** Milliseconds that never go back; for tests. */
  readonly now?: () => number;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/**
 * @param text a private JWK of P-256 with a kid, from a file or the environment
 * @throws StartError
 */
export async function readSigningKey(text: string): Promise<SigningKey> {
  const hint = 'give a private JWK for ES256: {"kty":"EC","crv":"P-256","kid":…,"x":…,"y":…,"d":…}';
  const fault = (why: string, cause?: unknown) =>
    new StartError(`the identity key (BANYAN_IDENTITY_KEY) ${why}`, hint, cause);
  let jwk: unknown;
  try {
    jwk = JSON.parse(text);
  } catch {
    // Without the cause: its message repeats the text.
    throw fault('is not JSON');
  }
  if (!isObject(jwk)) throw fault('is not a JWK');
  const { kty, crv, kid, x, y, d } = jwk;
  if (kty !== 'EC' || crv !== 'P-256') throw fault('is not a key of the curve P-256');
  if (typeof d !== 'string') throw fault('is a public key: it has no "d"');
  if (typeof kid !== 'string' || kid === '')
    throw fault('has no "kid", by which services find its public half');
  if (typeof x !== 'string' || typeof y !== 'string') throw fault('lacks "x" or "y"');
  try {
    return { kid, key: await importJWK({ kty, crv, x, y, d }, 'ES256') };
  } catch (cause) {
    throw fault('is no point of the curve P-256', cause);
  }
}

/** The session itself is kept nowhere. */
const digestOf = (cookies: string) => createHash('sha256').update(cookies).digest('base64');

/** Keeps the newest `max`; the one that came first goes first. */
function put<V>(map: Map<string, V>, key: string, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}

type Known = { readonly user: Promise<string | undefined>; until: number };

export function createIdentities({
  declaration,
  askLegacy,
  key,
  limits,
  now = () => performance.now(),
}: IdentityDeps): Identities {
  const sessions = new Map<string, Known>();
  const signatures = new Map<string, { readonly headers: Promise<Record<string, string>>; until: number }>();
  const dropAt = new Set(declaration.dropAt.map(({ method, path }) => `${method} ${path}`));

  async function userBehind(cookie: string): Promise<string | undefined> {
    try {
      const { status, text } = await askLegacy(
        { method: 'GET', path: declaration.path, headers: { accept: 'application/json', cookie } },
        { msMax: questionMsMax, bytesMax: limits.serviceBytesMax },
      );
      // A failure of legacy's own says nothing about the session.
      if (status >= 500)
        throw new UpstreamError('upstream_failed', `legacy answered ${status} when asked who it is`);
      return declaration.userOf({ status, body: jsonOrText(text) });
    } catch (error) {
      throw new UpstreamError(faultOf(error), 'legacy could not be asked who it is', error);
    }
  }

  async function sign(user: string, audience: string): Promise<Record<string, string>> {
    const jwt = await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: key.kid })
      .setIssuer('banyan')
      .setAudience(audience)
      .setSubject(user)
      .setIssuedAt()
      .setExpirationTime(`${lifeSeconds}s`)
      .sign(key.key);
    return { [identityHeader]: jwt };
  }

  return {
    userOf(cookieHeader) {
      const cookies = cookiesCalled(declaration.cookie, cookieHeader);
      if (cookies === undefined) return Promise.resolve(undefined);
      const digest = digestOf(cookies);
      const found = sessions.get(digest);
      if (found !== undefined && now() < found.until) return found.user;
      // Requests that come while the question is under way share it. When it is dropped meanwhile, its answer stays
      // with those who asked before.
      const known: Known = { user: userBehind(cookies), until: Number.POSITIVE_INFINITY };
      put(sessions, digest, known, sessionsMax);
      known.user.then(
        (user) => {
          known.until = now() + (user === undefined ? nobodyMsMax : knownMsMax);
        },
        () => {
          if (sessions.get(digest) === known) sessions.delete(digest);
        },
      );
      return known.user;
    },

    passed(method, path, cookieHeader) {
      if (!dropAt.has(`${method} ${path}`)) return;
      const cookies = cookiesCalled(declaration.cookie, cookieHeader);
      if (cookies !== undefined) sessions.delete(digestOf(cookies));
    },

    headersFor(user, audience) {
      if (user === undefined) return Promise.resolve({});
      const name = JSON.stringify([audience, user]);
      const found = signatures.get(name);
      if (found !== undefined && now() < found.until) return found.headers;
      const headers = sign(user, audience);
      // Half of its life is left for the way, for queues, and for clocks that differ.
      put(signatures, name, { headers, until: now() + (lifeSeconds * 1000) / 2 }, signaturesMax);
      headers.catch(() => signatures.delete(name));
      return headers;
    },
  };
}
