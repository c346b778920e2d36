import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CohortError, cohortStrategy, cohortText, describeCohorts, parseCohorts } from './cohort.ts';
import { contextFaults, contextPlan } from './context.ts';
import { readFlagFile, rolloutPercent, setReadPercent, writeFlagFile } from './flag-file.ts';

const context = { member: 'user', beta: { header: 'x-beta' }, tenant: { header: 'x-tenant' } } as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cohorts-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('cohorts are said as name=value, several with ; and conditions of one with &', () => {
  const cohorts = parseCohorts('member=17, 23;tenant=acme&beta=1', context);
  expect(cohorts).toEqual([{ member: ['17', '23'] }, { tenant: ['acme'], beta: ['1'] }]);
  expect(cohorts.map(cohortText)).toEqual(['member=17,23', 'tenant=acme&beta=1']);
  expect(parseCohorts('none', context)).toEqual([]);
});

test.each([
  ['', /is no NAME=VALUE/],
  ['member', /is no NAME=VALUE/],
  ['member=', /is no NAME=VALUE/],
  ['colour=red', /declares no property "colour" \(it has member, beta, tenant\)/],
])('"%s" is no cohort, and the message says why', (text, reason) => {
  expect(() => parseCohorts(text, context)).toThrow(CohortError);
  expect(() => parseCohorts(text, context)).toThrow(reason);
});

test('those who are named stay while the percentage moves, and go at 0', () => {
  const path = join(folder, 'flags.json');
  writeFlagFile(path, { version: 2, features: [] });
  const flag = () => readFlagFile(path).features[0];
  const naming = parseCohorts('member=17', context).map((cohort) => cohortStrategy('reviews.read', cohort));
  setReadPercent(path, 'reviews', 0, naming);
  expect(flag()).toMatchObject({ enabled: true });
  expect(rolloutPercent(flag())).toBe(0);
  setReadPercent(path, 'reviews', 25);
  expect(rolloutPercent(flag())).toBe(25);
  expect(describeCohorts(flag())).toEqual(['member=17']);
  setReadPercent(path, 'reviews', 50, []);
  expect(describeCohorts(flag())).toEqual([]);
  setReadPercent(path, 'reviews', 50, naming);
  setReadPercent(path, 'reviews', 0);
  expect(flag()).toMatchObject({ enabled: false });
  expect(describeCohorts(flag())).toEqual([]);
});

test('what a configuration may declare, and what a request needs of it', () => {
  expect(contextFaults(context, true)).toEqual([]);
  expect(contextFaults(undefined, false)).toEqual([]);
  expect(contextPlan(context)).toEqual({
    headers: [
      ['beta', 'x-beta'],
      ['tenant', 'x-tenant'],
    ],
    user: 'member',
  });
  const faults = (of: unknown, hasIdentity = true) => contextFaults(of, hasIdentity).join();
  expect(faults({ member: 'user' }, false)).toMatch(/legacy.identity does not say/);
  expect(faults({ userId: { header: 'x' } })).toMatch(/no name for a property/);
  expect(faults({ a: { header: 'Cookie' } })).toMatch(/in lower case/);
  expect(faults({ a: { header: 'authorization' } })).toMatch(/no credentials/);
  expect(faults({ a: 'user', b: 'user' })).toMatch(/more than one name for the user/);
});
