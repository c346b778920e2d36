// Facts of a capability that may change its owner: tests take out of them what is to fail.
import type { Facts } from './gate.ts';

const day = 86_400_000;
const row = { owner: 'legacy', epoch: 1n } as const;

export const sound: Facts = {
  phase: 'reads',
  phaseAgeMs: day,
  fences: { legacy: row, service: row },
  backfilledAgeMs: 2 * day,
  verifiedAgeMs: 3_600_000,
  isWorkerRunning: true,
  streams: [
    { stream: 'reviews', source: 'legacy', lagMs: 12, stop: null },
    { stream: 'reviews', source: 'service', lagMs: 9, stop: null },
  ],
  quarantined: 0,
  unproven: 3,
  skipped: 0,
  mismatched: 0,
  reads: { percent: 100, service: 1_000, legacy: 2 },
  parity: {
    mirrored: 1,
    routes: [{ route: 'GET /api/review/list.do', compared: 5_000, different: 0 }],
    ageMs: 500,
  },
  replicas: [{ name: 'f1', heartbeat: 'alive' }],
  fenceModes: [
    { side: 'legacy', table: 'TB_RVW_MST', mode: 'enforce' },
    { side: 'service', table: 'review', mode: 'enforce' },
  ],
  writers: [
    { side: 'legacy', observedMs: 7 * day, undeclared: [] },
    { side: 'service', observedMs: undefined, undeclared: [] },
  ],
  tripwires: [],
  untranslated: [],
  unremedied: [],
  entangled: [],
  refusals: [],
  shortCounters: [],
};
