import { expect, test } from 'vitest';
import { parseClientFeatures } from './client-features.ts';
import { flagOddities } from './flag-oddities.ts';
import { percentOf } from './flags.ts';

type Given = { strategies?: readonly object[]; enabled?: boolean; dependencies?: readonly object[] };

const flags = (
  { strategies = [], enabled = true, dependencies = [] }: Given,
  segments: readonly object[] = [],
) =>
  parseClientFeatures({ features: [{ name: 'reviews.read', enabled, strategies, dependencies }], segments });
const odd = (given: Given, segments?: readonly object[]) =>
  flagOddities([{ name: 'reviews.read', properties: ['tenant'] }], flags(given, segments));
const percent = (...strategies: object[]) => percentOf(flags({ strategies }).features.get('reviews.read'));

const rollout = (value: unknown, more: object = {}) => ({
  name: 'flexibleRollout',
  parameters: { rollout: value, stickiness: 'userId' },
  ...more,
});
const sticky = (stickiness: string | undefined) =>
  rollout('50', { parameters: { rollout: '50', stickiness } });
const staff = { contextName: 'userId', operator: 'IN', values: ['kim'] };

test('stickiness: by the client’s id, or said what it does instead', () => {
  expect(odd({ strategies: [sticky('userId')] })).toEqual([]);
  expect(odd({ strategies: [sticky('default')] })).toEqual([]);
  expect(odd({ strategies: [sticky(undefined)] })).toEqual([]);
  expect(odd({ strategies: [sticky('random')] })).toEqual([expect.stringMatching(/random.* back and forth/)]);
  expect(odd({ strategies: [sticky('sessionId')] })).toEqual([
    expect.stringMatching(/"sessionId" .* does not know .* moves nobody/),
  ]);
  expect(odd({ strategies: [sticky('random')], enabled: false })).toEqual([]);
});

test('strategies, constraints, segments and parents that mean nothing here are said', () => {
  expect(odd({ strategies: [{ name: 'remoteAddress', parameters: { IPs: '10.0.0.1' } }] })).toEqual([
    expect.stringMatching(/"remoteAddress" is not known/),
  ]);
  expect(odd({ strategies: [rollout('9', { constraints: [staff] })] })).toEqual([]);
  expect(
    odd({ strategies: [rollout('9', { constraints: [{ ...staff, contextName: 'country' }] })] }),
  ).toEqual([expect.stringMatching(/on "country", which the facade does not know/)]);
  expect(odd({ strategies: [rollout('9', { constraints: [{ ...staff, contextName: 'tenant' }] })] })).toEqual(
    [],
  );
  const country = [{ id: 7, constraints: [{ ...staff, contextName: 'country' }] }];
  expect(odd({ strategies: [rollout('9', { segments: [7] })] }, country)).toEqual([
    expect.stringMatching(/on "country"/),
  ]);
  expect(odd({ strategies: [rollout('9', { segments: [8] })] }, country)).toEqual([
    expect.stringMatching(/segment 8 is not there/),
  ]);
  expect(odd({ strategies: [rollout('9')], dependencies: [{ feature: 'all' }] })).toEqual([
    expect.stringMatching(/depends on "all", which is not there/),
  ]);
});

test('one percentage: that of the rollout for anybody, whoever else is named', () => {
  expect(percent()).toBe(100);
  expect(percent(rollout('25'))).toBe(25);
  expect(percent(rollout(25))).toBe(25);
  expect(percent(rollout('25'), rollout('100', { constraints: [staff] }))).toBe(25);
  expect(percent({ name: 'default' })).toBe(100);
  expect(percent(rollout('100', { constraints: [staff] }))).toBeNull();
  expect(percent(rollout('25'), rollout('30'))).toBeNull();
  expect(percent(rollout('0'))).toBe(0);
  expect(percent(sticky('random'))).toBeNull();
  expect(percent(sticky('sessionId'))).toBeNull();
  expect(percent(rollout('0'), { name: 'userWithId', parameters: { userIds: 'kim' } })).toBe(0);
  expect(percentOf(flags({ strategies: [rollout('25')], enabled: false }).features.get('reviews.read'))).toBe(
    0,
  );
});
