import { createConnection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { testDatabase } from '../test/databases.ts';
import { readAudit, readStandings, registerCapabilities } from './control-store.ts';
import { isJudged, readInterlock } from './phase.ts';
import { beginRound, readRound, writeReturn } from './read-shift.ts';

const reviews = 'reviews';

test('a round is begun by one operator at a time, and ends what facades have written of the one before', async () => {
  await using database = await testDatabase('legacy', 'control');
  const { sql } = database;
  await registerCapabilities(sql, [reviews]);
  await sql.query("UPDATE capability SET phase = 'canary' WHERE name = ?", [reviews]);
  await sql.query("INSERT INTO evidence (capability, kind, facts) VALUES (?, 'verified', '{}')", [reviews]);
  const standing = async () => (await readStandings(sql)).get(reviews);
  expect(await standing()).toEqual({ phase: 'canary', ready: true });
  expect(isJudged(await standing())).toBe(true);

  expect(await beginRound(sql, reviews, { guarded: false })).toBe(1n);
  await expect(beginRound(sql, reviews, { guarded: false, after: 0n })).rejects.toThrow(
    /somebody else moves/,
  );
  expect(await beginRound(sql, reviews, { guarded: true, after: 1n })).toBe(2n);
  await expect(beginRound(sql, reviews, { guarded: true, after: 1n })).rejects.toThrow(/banyan audit/);
  expect(await standing()).toMatchObject({ reads: { round: 2n, isGuarded: true, returned: null } });

  // Two facades see it at once: the first one's reason is the reason, and the audit has it once.
  const other = await createConnection(database.url);
  const of = (facade: string) => ({
    capability: reviews,
    round: 2n,
    facade,
    reason: `as ${facade} saw it`,
    figures: {},
  });
  const first = await Promise.all([writeReturn(sql, of('a')), writeReturn(other, of('b'))]);
  await other.end();
  expect(first.filter(Boolean)).toHaveLength(1);
  const audit = await readAudit(sql, { capability: reviews, rowsMax: 10 });
  expect(audit).toMatchObject([{ action: 'return', actor: expect.stringMatching(/^facade [ab]$/) }]);
  expect((await standing())?.reads?.returned?.why).toBe(audit[0]?.reason);
  expect(readInterlock(await standing())).toMatchObject({ open: false });
  expect(isJudged(await standing())).toBe(false);

  // Of a round that is over it says nothing.
  await beginRound(sql, reviews, { guarded: false });
  expect(await readRound(sql, reviews)).toBe(3n);
  expect(await writeReturn(sql, { ...of('a'), round: 1n })).toBe(true);
  expect(readInterlock(await standing())).toEqual({ open: true });
});
