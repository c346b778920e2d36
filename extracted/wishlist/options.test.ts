import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMigrations } from './migrations.ts';
import { readOptions } from './options.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wishlist-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const databaseUrl = 'mysql://wishlist:secret@127.0.0.1:3306/wishlist';

test('only the database has no default; its URL may be in a file', () => {
  expect(readOptions({ WISHLIST_DATABASE_URL: databaseUrl })).toMatchObject({
    databaseUrl,
    host: '127.0.0.1',
    port: 8084,
  });
  const file = join(folder, 'url');
  writeFileSync(file, `${databaseUrl}\n`);
  expect(readOptions({ WISHLIST_DATABASE_URL_FILE: file }).databaseUrl).toBe(databaseUrl);
});

test('all faults are said at once, and never the password', () => {
  const read = () =>
    readOptions({
      WISHLIST_DATABASE_URL: 'postgres://u:secret@h/d',
      WISHLIST_PORT: '80800',
      WISHLIST_LOG_LEVEL: 'x',
    });
  expect(read).toThrow(/WISHLIST_DATABASE_URL does not begin with mysql:.*WISHLIST_PORT.*WISHLIST_LOG_LEVEL/);
  expect(read).not.toThrow(/secret/);
});

test('migrations are the numbered SQL files of a folder, in order', () => {
  expect(() => readMigrations(join(folder, 'none'))).toThrow(/WISHLIST_MIGRATIONS/);
  expect(() => readMigrations(folder)).toThrow(/no \.sql files/);
  writeFileSync(join(folder, '0010-b.sql'), 'B');
  writeFileSync(join(folder, '0002-a.sql'), 'A');
  expect(readMigrations(folder)).toEqual([
    { name: '0002-a', sql: 'A' },
    { name: '0010-b', sql: 'B' },
  ]);
  writeFileSync(join(folder, '0002-again.sql'), '');
  expect(() => readMigrations(folder)).toThrow(/has the number 0002/);
  rmSync(join(folder, '0002-again.sql'));
  writeFileSync(join(folder, '3-short.sql'), '');
  expect(() => readMigrations(folder)).toThrow(/name it like/);
});
