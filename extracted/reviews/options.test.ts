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

test('only the database has no default', () => {
  expect(readOptions({ REVIEWS_DATABASE_URL: databaseUrl })).toMatchObject({
    databaseUrl,
    host: '127.0.0.1',
    port: 8083,
  });
});

test('a secret may be in a file', () => {
  const file = join(folder, 'url');
  writeFileSync(file, `${databaseUrl}\n`);
  expect(readOptions({ REVIEWS_DATABASE_URL_FILE: file }).databaseUrl).toBe(databaseUrl);
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
