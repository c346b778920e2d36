// The facade's own cookies. `banyan_id` makes a client's reads stay on the side they are on.
import { randomBytes } from 'node:crypto';

const prefix = 'banyan_';
const name = 'banyan_id';
const yearSeconds = 365 * 24 * 60 * 60;
/** 128 bits in base64url. */
const shape = new RegExp(`(?:^|;)\\s*${name}=([A-Za-z0-9_-]{22})\\s*(?:;|$)`);

/** The id that a client brings, or undefined when it brings none or none of ours. */
export const idFrom = (cookieHeader: string | undefined): string | undefined =>
  cookieHeader?.includes(name) ? shape.exec(cookieHeader)?.[1] : undefined;

export const mintId = () => randomBytes(16).toString('base64url');

/** The value of Set-Cookie. `Secure` only on https: on http a browser would not keep it. */
export const idCookie = (id: string, proto: 'http' | 'https') =>
  `${name}=${id}; Path=/; Max-Age=${yearSeconds}; HttpOnly; SameSite=Lax${proto === 'https' ? '; Secure' : ''}`;

/** The cookies of a name as the client wrote them; several of one name go on together, for legacy to choose. */
export function cookiesCalled(name: string, cookieHeader: string | undefined): string | undefined {
  const cookies = (cookieHeader ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.split('=', 1)[0]?.trim() === name);
  return cookies.length === 0 ? undefined : cookies.join('; ');
}

/** A Cookie header without the facade's cookies, the others byte for byte; empty when none is left. */
export function withoutOwnCookies(header: string): string {
  if (!header.includes(prefix)) return header;
  const kept = header.split(';').filter((pair) => !pair.trimStart().startsWith(prefix));
  return kept.join(';').trimStart();
}
