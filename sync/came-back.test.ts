import { expect, test } from 'vitest';
import type { Side } from '../capability/capability.ts';
import { behind } from './came-back.ts';

const row = (owner: Side, epoch: bigint) => ({ owner, epoch });

test.each([
  // As it should be: one owner; closed and not open yet, there and back.
  [row('legacy', 3n), row('legacy', 3n), undefined],
  [row('service', 4n), row('legacy', 3n), undefined],
  [row('service', 4n), row('legacy', 5n), undefined],
  // Both name themselves.
  [row('legacy', 3n), row('service', 4n), { side: 'legacy', owner: 'service', epoch: 4n, was: 3n }],
  [row('legacy', 5n), row('service', 2n), { side: 'service', owner: 'legacy', epoch: 5n, was: 2n }],
  // By hand: nobody can tell which one is right.
  [row('legacy', 3n), row('service', 3n), undefined],
  [row('service', 3n), row('legacy', 3n), undefined],
])('legacy %o, service %o: behind is %o', (legacy, service, expected) => {
  expect(behind({ legacy, service })).toEqual(expected);
});
