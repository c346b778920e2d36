import { expect, test } from 'vitest';
import { explain, type Incident, type Ownership } from '../../drill/incidents.ts';
import type { Trouble } from '../story/shopper.ts';

const trouble = (over: Partial<Trouble>): Trouble => ({
  what: 'failed',
  kind: 'write',
  facade: 0,
  startedMs: 5_000,
  endedMs: 5_100,
  detail: '',
  ...over,
});
const incident = (over: Partial<Incident>): Incident => ({
  fault: 'monolith killed',
  hits: ['monolith'],
  from: 4_000,
  to: 6_000,
  ...over,
});
const legacyOwns: readonly Ownership[] = [{ from: 0, owners: ['legacy'] }];
const serviceOwns: readonly Ownership[] = [{ from: 0, owners: ['service'] }];
const isExplained = (one: Partial<Trouble>, by: Partial<Incident>, ownership = legacyOwns) =>
  explain(trouble(one), [incident(by)], ownership) !== undefined;

test('a request under way when its server fails, or begun within ten seconds after it is there again', () => {
  expect(isExplained({}, {})).toBe(true);
  expect(isExplained({ startedMs: 3_000, endedMs: 4_000 }, {})).toBe(true);
  expect(isExplained({ startedMs: 3_000, endedMs: 3_999 }, {})).toBe(false);
  expect(isExplained({ startedMs: 16_000, endedMs: 20_000 }, {})).toBe(true);
  expect(isExplained({ startedMs: 16_001, endedMs: 20_000 }, {})).toBe(false);
});

test('of the facade that was asked, and of the side that owned at some moment of it', () => {
  expect(isExplained({ facade: 1 }, { hits: ['facade-2'] })).toBe(true);
  expect(isExplained({ facade: 0 }, { hits: ['facade-2'] })).toBe(false);
  expect(isExplained({}, { hits: ['reviews'] })).toBe(false);
  expect(isExplained({}, { hits: ['reviews'] }, serviceOwns)).toBe(true);
  expect(isExplained({}, { hits: ['reviews'] }, [...legacyOwns, { from: 5_050, owners: ['service'] }])).toBe(
    true,
  );
  expect(isExplained({}, { hits: ['reviews'] }, [...legacyOwns, { from: 5_101, owners: ['service'] }])).toBe(
    false,
  );
});

test('a write that the service executes needs to know whose session it is, a read does not', () => {
  expect(isExplained({ kind: 'write' }, { hits: ['legacy database'] }, serviceOwns)).toBe(true);
  expect(isExplained({ kind: 'read' }, { hits: ['legacy database'] }, serviceOwns)).toBe(false);
});

test('what nobody needs explains nothing, and nothing explains a wrong answer or a stale read', () => {
  expect(isExplained({}, { hits: [] })).toBe(false);
  expect(isExplained({ what: 'wrong' }, {})).toBe(false);
  expect(isExplained({ what: 'stale' }, {})).toBe(false);
});
