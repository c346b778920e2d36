// A short soak, as users run it: about 3 minutes; its limit is 8. Too short to judge memory; long enough for a kill.
import { expect, test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { played } from './played.ts';

test('two minutes under load, with a change of owner in each and a kill: nobody notices more than that', {
  timeout: 480_000,
}, async () => {
  const { seed } = suiteSeed('short soak');
  const words = ['--minutes', '2', '--seed', String(seed), '--writes', '10', '--reads', '40'];
  const { code, said } = await played('drill/soak.ts', words);
  expect(said).toMatchObject({
    ...{ minutes: 2, seed, changes: 2, kills: 1, ok: true },
    ...{ lost: 0, doubled: 0, differences: 0, errors: { unexplained: 0 } },
  });
  expect(said.series).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ process: 'facade', figure: 'RSS MiB' }),
      expect.objectContaining({ process: 'facade', figure: 'MiB kept after a collection' }),
      expect.objectContaining({ process: 'worker', figure: 'descriptors' }),
      expect.objectContaining({ process: 'legacy database', figure: 'connections of banyan_apply' }),
      expect.objectContaining({ process: 'legacy database', figure: 'rows of change_step', ok: true }),
      expect.objectContaining({ process: 'streams', figure: 'changes not proven', after: 0, ok: true }),
    ]),
  );
  expect(code).toBe(0);
});
