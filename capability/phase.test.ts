import { describe, expect, test } from 'vitest';
import { legalMove, phases, readInterlock } from './phase.ts';

describe('moves between phases', () => {
  test('every pair of phases has the verdict that DESIGN gives it', () => {
    const table = phases.map(
      (from) => `${from}: ${phases.filter((to) => legalMove(from, to).legal).join(' ')}`,
    );
    expect(table).toEqual([
      'legacy: synced',
      'synced: legacy shadow canary reads',
      'shadow: legacy synced canary reads',
      'canary: legacy synced shadow reads',
      'reads: legacy synced shadow canary owned',
      'owned: reads retired',
      'retired: ',
    ]);
  });

  test('a refusal says why', () => {
    const why = (from: (typeof phases)[number], to: (typeof phases)[number]) => {
      const move = legalMove(from, to);
      return move.legal ? '' : move.why;
    };
    expect(why('legacy', 'canary')).toMatch(/way forward is synced/);
    expect(why('owned', 'legacy')).toMatch(/way back is reads/);
    expect(why('retired', 'reads')).toMatch(/the end/);
    expect(why('reads', 'reads')).toMatch(/already/);
  });
});

describe('the interlock', () => {
  test('is open only in canary and reads, and only on evidence', () => {
    const open = phases.filter((phase) => readInterlock({ phase, ready: true }).open);
    expect(open).toEqual(['canary', 'reads']);
    expect(phases.filter((phase) => readInterlock({ phase, ready: false }).open)).toEqual([]);
    expect(readInterlock(undefined)).toMatchObject({ open: false });
  });
});
