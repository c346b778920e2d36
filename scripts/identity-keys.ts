// The key pair by which services know that it is the facade who says whose a request is: made once, and kept.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { secretFile } from './command.ts';

/** Private JWK for the facades, public JWKS for the services. */
export type IdentityKeys = { readonly privateKey: string; readonly publicKeys: string };

/** @returns the texts of `identity-key.json` and `identity-keys.json` among the secrets */
export async function identityKeysIn(folder: string): Promise<IdentityKeys> {
  const [file, publicFile] = [
    secretFile(folder, 'identity-key.json'),
    secretFile(folder, 'identity-keys.json'),
  ];
  if (!existsSync(file) || !existsSync(publicFile)) {
    const pair = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    const named = { kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(publicFile, JSON.stringify({ keys: [{ ...jwk, ...named }] }), { mode: 0o600 });
    writeFileSync(file, JSON.stringify({ ...(await exportJWK(pair.privateKey)), ...named }), { mode: 0o600 });
  }
  return { privateKey: readFileSync(file, 'utf8'), publicKeys: readFileSync(publicFile, 'utf8') };
}
