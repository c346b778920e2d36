// Who writes: a signed identity in the header `banyan-identity`. Of sessions and passwords this service knows nothing.
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { ReviewsError } from './errors.ts';
import { checkMemberId } from './legacy-limits.ts';

const header = 'banyan-identity';
const issuer = 'banyan';
/** The name that this service has as a capability: an identity signed for another one is of no use here. */
const audience = 'reviews';

/**
 * The public keys (JWKS) of who may say who a member is; `off`: the header's text is believed as it is.
 */
export type IdentityKeys = JSONWebKeySet | 'off';

/** @throws ReviewsError unauthenticated */
export type Identify = (headers: Readonly<Record<string, unknown>>) => Promise<string>;

/** @returns how a request's member is found */
export function createIdentify(keys: IdentityKeys): Identify {
  const keySet = keys === 'off' ? undefined : createLocalJWKSet(keys);
  return async (headers) => {
    const given = headers[header];
    if (typeof given !== 'string' || given === '')
      throw new ReviewsError('unauthenticated', `The header ${header} is missing.`);
    const memberId = keySet === undefined ? given : await subjectOf(given, keySet);
    try {
      checkMemberId(memberId);
    } catch (cause) {
      throw new ReviewsError('unauthenticated', 'The identity names no member.', undefined, { cause });
    }
    return memberId;
  };
}

async function subjectOf(token: string, keySet: ReturnType<typeof createLocalJWKSet>): Promise<string> {
  try {
    const { payload } = await jwtVerify(token, keySet, {
      algorithms: ['ES256'],
      issuer,
      audience,
      requiredClaims: ['sub', 'exp'],
    });
    return payload.sub ?? '';
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ReviewsError('unauthenticated', `The identity is not valid: ${why}`, undefined, { cause });
  }
}

/**
 * @param text a JWKS of public keys for ES256, each with its kid
 * @returns the keys, or what is wrong with them
 */
export function readIdentityKeys(text: string): { keys: JSONWebKeySet } | { fault: string } {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return { fault: 'is not JSON' };
  }
  if (!isRecord(set) || !Array.isArray(set.keys) || set.keys.length === 0)
    return { fault: 'is not a JWKS: {"keys":[…]}' };
  const keys: JSONWebKeySet['keys'] = [];
  for (const [index, key] of set.keys.entries()) {
    if (!isRecord(key)) return { fault: `has no key in place ${index + 1}` };
    const { kty, crv, kid, x, y } = key;
    if ('d' in key) return { fault: `holds a private key (${String(kid)}): leave its "d" out` };
    if (kty !== 'EC' || crv !== 'P-256' || typeof x !== 'string' || typeof y !== 'string')
      return { fault: `holds a key (${String(kid)}) that is not for ES256` };
    if (typeof kid !== 'string') return { fault: 'holds a key without a kid' };
    keys.push({ kty, crv, kid, x, y, alg: 'ES256' });
  }
  return { keys: { keys } };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
