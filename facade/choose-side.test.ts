import { expect, test } from 'vitest';
import type { Route } from '../capability/capability.ts';
import { phases, type Standing } from '../capability/phase.ts';
import { chooseSide } from './choose-side.ts';

const translate = { request: () => ({ ask: { path: '/' } }), response: () => ({ status: 200, body: {} }) };
const read: Route = { method: 'GET', path: '/r', kind: 'read', safe: true, translate };
const standings: (Standing | undefined)[] = [
  undefined,
  ...phases.flatMap((phase) => [
    { phase, ready: true },
    { phase, ready: false },
  ]),
];

const routes: [string, Route | undefined][] = [
  ['undeclared', undefined],
  ['write', { method: 'POST', path: '/w', kind: 'write' }],
  ['untranslated', { method: 'GET', path: '/r', kind: 'read', safe: true }],
  ['also-reads', { method: 'GET', path: '/r', kind: 'read', safe: true, translate, alsoReads: ['orders'] }],
];

const owners = [undefined, 'legacy', 'service'] as const;

test.each(routes)('%s stays on legacy, whatever phase, owner and flag say', (reason, route) => {
  for (const standing of standings)
    for (const owner of owners)
      for (const on of [true, false])
        expect(chooseSide({ route, standing, owner, isFlagOn: () => on })).toEqual({
          side: 'legacy',
          reason,
        });
});

test('while legacy owns, a translated read follows the flag in canary and reads, with evidence, and nowhere else', () => {
  for (const standing of standings) {
    const isOpen = standing?.ready === true && (standing.phase === 'canary' || standing.phase === 'reads');
    expect(chooseSide({ route: read, standing, owner: 'legacy', isFlagOn: () => true })).toEqual(
      isOpen ? { side: 'service', reason: 'flag-on' } : { side: 'legacy', reason: 'interlock' },
    );
    expect(chooseSide({ route: read, standing, owner: 'legacy', isFlagOn: () => false })).toEqual({
      side: 'legacy',
      reason: isOpen ? 'flag-off' : 'interlock',
    });
  }
});

test('while the service owns, it answers translated reads, whatever phase and flag say', () => {
  for (const standing of standings)
    for (const on of [true, false])
      expect(chooseSide({ route: read, standing, owner: 'service', isFlagOn: () => on })).toEqual({
        side: 'service',
        reason: 'owner',
      });
});

test('where no fence can be read, the recorded phase says who owned last', () => {
  const side = (phase: Standing['phase']) =>
    chooseSide({
      route: read,
      standing: { phase, ready: true },
      owner: undefined,
      isFlagOn: () => false,
    }).side;
  expect(phases.filter((phase) => side(phase) === 'service')).toEqual(['owned', 'retired']);
});
