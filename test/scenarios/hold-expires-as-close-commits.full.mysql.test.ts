// As hold-expires-as-close-commits.mysql.test.ts, ten thousand times. Takes about three minutes.
import { expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { tryEdges } from './edge.ts';

const seed = suiteSeed('hold-expires-as-close-commits').below(1_000_000);

test('of ten thousand that a facade has let go none is refused', async () => {
  const tried = await tryEdges(10_000, seed);
  console.log(JSON.stringify(tried));
  expect(tried).toMatchObject({ refused: [], isWhole: true });
}, 900_000);
