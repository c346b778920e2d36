// Writes are let go, turned and closed upon in the same moments, some hundred times; ten thousand times in
// hold-expires-as-close-commits.full.mysql.test.ts.
import { expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { tryEdges } from './edge.ts';
import { mutantEnv } from './mutant.ts';

const seed = suiteSeed('hold-expires-as-close-commits').below(1_000_000);

test('none that a facade has let go is refused', async () => {
  const tried = await tryEdges(300, seed);
  console.log(JSON.stringify(tried));
  expect(tried).toMatchObject({ refused: [], isWhole: true });
  // It was at the edges.
  for (const each of ['stayed', 'moved', 'turnedLate', 'closedLate'] as const)
    expect(tried[each], each).toBeGreaterThan(0);
}, 300_000);

test('a facade that lets go when the hold is over, whatever the fence says, has some refused', async () => {
  const env = mutantEnv({
    file: 'capability/release.ts',
    replace: 'const isTurned = fence.turn !== null && !fence.turn.isOver;',
    by: 'const isTurned = false;',
  });
  expect((await tryEdges(300, seed, env)).refused).not.toEqual([]);
}, 300_000);
