// The facade's rule at its edges; that no order of events breaks it is proven in test/change-of-owner/proof.test.ts.
import { expect, test } from 'vitest';
import type { Side } from './capability.ts';
import { answered, booted, polled, type Reading, treat, type Writes } from './release.ts';

const read = (owner: Side, epoch: bigint, more: { turn?: true; hold?: boolean } = {}): Reading => ({
  is: 'read',
  hold: more.hold === undefined ? undefined : { id: 5n, isOver: !more.hold },
  fence: { owner, epoch, turn: more.turn ? { id: 6n, isOver: false } : null },
});
const away: Reading = { is: 'unreachable' };
const asking = { is: 'asking', epoch: 3n } as const;
const holding: Writes = { is: 'holding', epoch: 3n, holds: [5n] };
const bounds = { heldMax: 2, ageMsMax: 10_000 };

test.each<[string, Reading, Reading, Side | undefined]>([
  ['its own row names legacy', read('legacy', 3n), read('legacy', 3n), 'legacy'],
  ['a hold is in force', read('legacy', 3n, { hold: true }), read('legacy', 3n), undefined],
  ['a hold is over', read('legacy', 3n, { hold: false }), read('legacy', 3n), 'legacy'],
  ['a turn is in force', read('legacy', 3n, { turn: true }), read('legacy', 3n), undefined],
  ['legacy is closed and the service not open', read('service', 4n), read('legacy', 3n), undefined],
  ['the service is open', read('service', 4n), read('service', 4n), 'service'],
  [
    'an old hold is in force on the side that it leaves',
    read('service', 4n, { hold: true }),
    read('service', 4n),
    'service',
  ],
  ['legacy came back from a backup', read('legacy', 3n), read('service', 4n), 'service'],
  ['only legacy can be read, and names itself', read('legacy', 3n), away, 'legacy'],
  ['only legacy can be read, older than what was seen', read('legacy', 2n), away, undefined],
  ['nothing can be read', away, away, undefined],
])('where %s', (_where, legacy, service, to) => {
  const writes = answered(asking, { legacy, service });
  expect(writes).toMatchObject(to === undefined ? { is: 'holding' } : { is: 'sending', to });
});

test('a look by the way makes it hold, and never lets go', () => {
  const sending: Writes = { is: 'sending', epoch: 3n, to: 'legacy' };
  const free = { legacy: read('legacy', 3n), service: read('legacy', 3n) };
  const held = { ...free, legacy: read('legacy', 3n, { hold: true }) };
  expect(polled(sending, held)).toEqual(holding);
  expect(polled(holding, free)).toMatchObject({ is: 'holding', holds: [] });
  // Nobody turns a side without its acknowledgement: what cannot be read has not changed hands.
  expect(polled(sending, { legacy: away, service: away })).toEqual(sending);
});

test('a write is sent, held, or refused; its age alone never sends it', () => {
  expect(treat({ is: 'sending', epoch: 3n, to: 'service' }, { waitedMs: 9, held: 9 }, bounds)).toEqual({
    do: 'send',
    to: 'service',
  });
  for (const writes of [holding, booted]) {
    expect(treat(writes, { waitedMs: 0, held: 1 }, bounds).do).toBe('hold');
    expect(treat(writes, { waitedMs: 9_999, held: 2 }, bounds).do).toBe('hold');
    expect(treat(writes, { waitedMs: 0, held: 2 }, bounds).do).toBe('refuse');
    expect(treat(writes, { waitedMs: 10_000, held: 0 }, bounds).do).toBe('refuse');
  }
});
