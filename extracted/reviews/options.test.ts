import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMigrations } from './migrations.ts';
import { readOptions } from './options.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reviews-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const databaseUrl = 'mysql://reviews:secret@127.0.0.1:3306/reviews';

test('only the database and the keys have no default', () => {
  expect(readOptions({ REVIEWS_DATABASE_URL: databaseUrl, REVIEWS_IDENTITY: 'off' })).toMatchObject({
    databaseUrl,
    host: '127.0.0.1',
    port: 8083,
  });
});

test('a secret may be in a file', () => {
  const file = join(folder, 'url');
  writeFileSync(file, `${databaseUrl}\n`);
  expect(readOptions({ REVIEWS_DATABASE_URL_FILE: file, REVIEWS_IDENTITY: 'off' }).databaseUrl).toBe(
    databaseUrl,
  );
  expect(() => readOptions({ REVIEWS_DATABASE_URL_FILE: join(folder, 'none') })).toThrow(
    /REVIEWS_DATABASE_URL_FILE: ENOENT/,
  );
  expect(() => readOptions({ REVIEWS_DATABASE_URL: databaseUrl, REVIEWS_DATABASE_URL_FILE: file })).toThrow(
    /both set/,
  );
});

test('all faults are said at once, and never the password', () => {
  const read = () =>
    readOptions({
      REVIEWS_DATABASE_URL: 'postgres://u:secret@h/d',
      REVIEWS_PORT: '80800',
      REVIEWS_LOG_LEVEL: 'x',
    });
  expect(read).toThrow(/REVIEWS_DATABASE_URL does not begin with mysql:.*REVIEWS_PORT.*REVIEWS_LOG_LEVEL/);
  expect(read).not.toThrow(/secret/);
  expect(() => readOptions({})).toThrow(/REVIEWS_DATABASE_URL is not set/);
  expect(() => readOptions({ REVIEWS_DATABASE_URL: 'mysql://h' })).toThrow(/no database/);
});

test('identities are signed, unless it is said in so many words that they are not', () => {
  const read = (env: Record<string, string>) =>
    readOptions({ REVIEWS_DATABASE_URL: databaseUrl, ...env }).identity;
  const key = { kty: 'EC', crv: 'P-256', kid: 'k1', x: 'x', y: 'y' };
  const keys = (...given: object[]) => ({ REVIEWS_IDENTITY_KEYS: JSON.stringify({ keys: given }) });
  expect(read(keys({ ...key, use: 'sig' }))).toEqual({ keys: [{ ...key, alg: 'ES256' }] });
  const file = join(folder, 'keys.json');
  writeFileSync(file, JSON.stringify({ keys: [key] }));
  expect(read({ REVIEWS_IDENTITY_KEYS_FILE: file })).toEqual({ keys: [{ ...key, alg: 'ES256' }] });
  expect(read({ REVIEWS_IDENTITY: 'off' })).toBe('off');
  expect(() => read({})).toThrow(/REVIEWS_IDENTITY_KEYS is not set: .*REVIEWS_IDENTITY=off/);
  expect(() => read({ REVIEWS_IDENTITY: 'none' })).toThrow(/can only be off/);
  expect(() => read({ ...keys(key), REVIEWS_IDENTITY: 'off' })).toThrow(/both set/);
  expect(() => read({ REVIEWS_IDENTITY_KEYS: 'x' })).toThrow(/REVIEWS_IDENTITY_KEYS is not JSON/);
  expect(() => read(keys())).toThrow(/is not a JWKS/);
  expect(() => read(keys({ ...key, kid: undefined }))).toThrow(/without a kid/);
  expect(() => read(keys({ ...key, kty: 'RSA' }))).toThrow(/not for ES256/);
  expect(() => read(keys({ ...key, d: 'secret' }))).toThrow(/private key \(k1\)/);
  expect(() => read(keys({ ...key, d: 'secret' }))).not.toThrow(/secret/);
});

test('migrations are the numbered SQL files of a folder, in order', () => {
  expect(() => readMigrations(join(folder, 'none'))).toThrow(/REVIEWS_MIGRATIONS/);
  expect(() => readMigrations(folder)).toThrow(/no \.sql files/);
  writeFileSync(join(folder, '0010-b.sql'), 'B');
  writeFileSync(join(folder, '0002-a.sql'), 'A');
  expect(readMigrations(folder)).toEqual([
    { name: '0002-a-0000000000002', sql: 'A' },
    { name: '0010-b-0000000000010', sql: 'B' },
  ]);
  writeFileSync(join(folder, '02-again.sql'), '');
  expect(() => readMigrations(folder)).toThrow(/has the number 2/);
  rmSync(join(folder, '02-again.sql'));
  writeFileSync(join(folder, 'unnumbered.sql'), '');
  expect(() => readMigrations(folder)).toThrow(/name it like/);
});
