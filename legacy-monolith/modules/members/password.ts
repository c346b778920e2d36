// MBR_PW: salt$scrypt, both in hexadecimal.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

// A sample's cost: 1 MiB and about two milliseconds. A shop that means it takes N = 2^17.
const cost = { N: 1024, r: 8, p: 1 } as const;

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    scrypt(password, salt, 32, cost, (error, key) => (error ? reject(error) : resolve(key))),
  );
}

/** @param salt 16 bytes; random but for the seed, whose rows are the same each time */
export async function hashPassword(password: string, salt: Buffer = randomBytes(16)): Promise<string> {
  return `${salt.toString('hex')}$${(await derive(password, salt)).toString('hex')}`;
}

/** False, too, for a MBR_PW that is no hash: such a member cannot log in. */
export async function passwordMatches(password: string, stored: string): Promise<boolean> {
  const [, salt, key] = /^([0-9a-f]{32})\$([0-9a-f]{64})$/.exec(stored) ?? [];
  if (salt === undefined || key === undefined) return false;
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'hex')), Buffer.from(key, 'hex'));
}
