import { expect, test } from 'vitest';
import { chance } from '../test/sync/seed.ts';
import { soakPlan } from './soak-plan.ts';

const kinds = (seed: number, minutes: number) =>
  soakPlan(chance(seed), minutes).flatMap(({ kill }) => (kill ? [kill.fault] : []));

test('every second minute something is killed, each kind within twelve minutes, and one of each pair never', () => {
  for (let seed = 0; seed < 50; seed++) {
    const killed = kinds(seed, 30);
    expect(killed).toHaveLength(15);
    expect(new Set(killed).size).toBe(6);
    expect(new Set(killed.slice(0, 6)).size).toBe(6);
    expect(killed.every((fault) => fault.endsWith('killed'))).toBe(true);
  }
});

test('a command is killed while it runs, and the same seed gives the same plan', () => {
  for (let seed = 0; seed < 50; seed++) {
    const plan = soakPlan(chance(seed), 30);
    expect(plan.some(({ kill }) => kill?.fault === 'command killed' && kill.at.is === 'apart')).toBe(false);
    expect(soakPlan(chance(seed), 30)).toEqual(plan);
  }
});
