import { type Connection, createConnection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../test/databases.ts';
import * as store from './control-store.ts';

const deed = { actor: 'test', action: 'test', reason: 'because' };

async function controlStore(): Promise<TestDatabase> {
  const database = await testDatabase('legacy');
  await store.migrateOwnSchema(database.sql, 'control');
  await store.registerCapabilities(database.sql, ['reviews', 'wishlist']);
  return database;
}

async function capability(sql: Connection, name = 'reviews') {
  const row = await store.readCapability(sql, name);
  if (!row) throw new Error(`${name} is registered`);
  return row;
}

test('the schema is made once, also when two processes come at once, and a newer one is refused', async () => {
  await using database = await testDatabase('legacy');
  const another = await createConnection({ uri: database.url, multipleStatements: true });
  const applied = await Promise.all([
    store.migrateOwnSchema(database.sql, 'control'),
    store.migrateOwnSchema(another, 'control'),
  ]);
  await another.end();
  expect(applied.flat()).toEqual(store.ownMigrations('control').map(({ file }) => file));
  await database.sql.query("INSERT INTO schema_version (version, file) VALUES (9999, 'later')");
  await expect(store.migrateOwnSchema(database.sql, 'control')).rejects.toThrow(
    /version 9999.*at least as new/,
  );
});

test('a move is recorded with its evidence and its audit row, or not at all', async () => {
  await using database = await controlStore();
  const { sql } = database;
  expect(await store.readStandings(sql)).toEqual(
    new Map([
      ['reviews', { phase: 'legacy', ready: false }],
      ['wishlist', { phase: 'legacy', ready: false }],
    ]),
  );
  await store.change(sql, {
    capability: 'reviews',
    from: await capability(sql),
    to: 'synced',
    evidence: { kind: 'verified', facts: { rows: 3 } },
    deed,
  });
  expect((await store.readStandings(sql)).get('reviews')).toEqual({ phase: 'synced', ready: true });
  expect(await store.evidenceInForce(sql, 'reviews', 'verified')).toMatchObject({ facts: { rows: 3 } });
  expect(await store.readAudit(sql, { capability: 'reviews', rowsMax: 10 })).toMatchObject([
    {
      actor: 'test',
      action: 'test',
      reason: 'because',
      capability: 'reviews',
      detail: { from: 'legacy', to: 'synced' },
    },
  ]);
  await expect(
    store.change(sql, { capability: 'reviews', from: await capability(sql), to: 'retired', deed }),
  ).rejects.toThrow(/cannot go from synced to retired/);
  expect((await capability(sql)).phase).toBe('synced');
  await store.change(sql, {
    capability: 'reviews',
    from: await capability(sql),
    to: 'legacy',
    withdraw: ['verified'],
    deed,
  });
  expect((await store.readStandings(sql)).get('reviews')).toEqual({ phase: 'legacy', ready: false });
});

test('of two who move from the same state one succeeds, and the other is told', async () => {
  await using database = await controlStore();
  const { sql } = database;
  const from = await capability(sql);
  const another = await createConnection(database.url);
  const outcomes = await Promise.allSettled([
    store.change(sql, {
      capability: 'reviews',
      from,
      to: 'synced',
      evidence: { kind: 'verified', facts: { by: 1 } },
      deed,
    }),
    store.change(another, {
      capability: 'reviews',
      from,
      to: 'synced',
      evidence: { kind: 'verified', facts: { by: 2 } },
      deed,
    }),
  ]);
  await another.end();
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = outcomes.find((outcome) => outcome.status === 'rejected');
  expect(String(refused?.status === 'rejected' && refused.reason)).toMatch(/moved by somebody else/);
  const [evidence] = await sql.query('SELECT id FROM evidence');
  expect(evidence).toHaveLength(1);
});

test('nobody changes or deletes a row of the audit', async () => {
  await using database = await controlStore();
  await store.record(database.sql, null, deed);
  await expect(database.sql.query("UPDATE audit SET actor = 'x'")).rejects.toThrow(/append-only/);
  await expect(database.sql.query('DELETE FROM audit')).rejects.toThrow(/append-only/);
});
