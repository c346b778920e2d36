// Prometheus metrics of the facade. Labels take values that the configuration bounds, never a client's.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Side } from '../capability/capability.ts';
import { AnswerMetrics, LastMinute, type Observed } from './answer-metrics.ts';
import type { Reason } from './choose-side.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** @param now milliseconds */
export function createMetrics(now: () => number = Date.now) {
  const registry = new Registry();
  const registers = [registry];
  const answers = new AnswerMetrics(registry, now);
  const fallbacks = new Counter({
    name: 'banyan_facade_fallbacks_total',
    help: 'Safe reads that legacy answered because the service did not, by reason.',
    labelNames: ['capability', 'reason'] as const,
    registers,
  });
  const ownReads = new Counter({
    name: 'banyan_facade_own_write_reads_total',
    help: 'Reads by clients who have written: the side chosen had it (fresh), they went to the owner, or waited for it (in vain: late).',
    labelNames: ['capability', 'outcome'] as const,
    registers,
  });
  const held = new Counter({
    name: 'banyan_facade_writes_held_total',
    help: 'Writes that had to wait while their owner changed.',
    labelNames: ['capability'] as const,
    registers,
  });
  const holdSeconds = new Histogram({
    name: 'banyan_facade_hold_seconds',
    help: 'How long writes waited, and what became of them: entered (sent), refused, or gone (the client).',
    labelNames: ['capability', 'outcome'] as const,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const retried = new Counter({
    name: 'banyan_facade_refusals_retried_total',
    help: 'Writes that a fence refused, and that were sent again to the side that had them.',
    labelNames: ['capability'] as const,
    registers,
  });
  const refused = new Counter({
    name: 'banyan_facade_own_answers_total',
    help: 'Answers by the facade itself, by the code in their body.',
    labelNames: ['code'] as const,
    registers,
  });
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const gauges = {
    proposedPercent: gauge(
      'banyan_facade_flag_proposed_percent',
      'What the read flag asks for; absent when it is no single percentage.',
      ['capability'],
    ),
    effectivePercent: gauge(
      'banyan_facade_flag_effective_percent',
      'What the interlock lets through of it; 100 once the service owns.',
      ['capability'],
    ),
    interlockOpen: gauge('banyan_facade_interlock_open', '1 when evidence permits reads from the service.', [
      'capability',
    ]),
    flagsValid: gauge('banyan_facade_flags_valid', '1 when the newest flags are in force.'),
    controlAge: gauge(
      'banyan_facade_control_store_age_seconds',
      'Since the control store was read; absent when it never was.',
    ),
    controlConnected: gauge(
      'banyan_facade_control_store_connected',
      '1 when the last read of the control store succeeded.',
    ),
    owner: gauge('banyan_facade_owner', '1 for the side that owns, by the fences.', ['capability', 'side']),
    epoch: gauge('banyan_facade_owner_epoch', 'How often the owner has changed, by the fences.', [
      'capability',
    ]),
    writesState: gauge(
      'banyan_facade_writes_state',
      '1 for what is done with writes: asking, holding, sending.',
      ['capability', 'state'],
    ),
    writesInFlight: gauge('banyan_facade_writes_in_flight', 'Writes sent and not yet over.', ['capability']),
    writesHeld: gauge('banyan_facade_writes_held', 'Writes that wait now.', ['capability']),
    sideReachable: gauge('banyan_facade_side_reachable', '1 when its fences were read last time.', ['side']),
    registered: gauge('banyan_facade_registered', '1 when the registry of replicas has this one.'),
    websockets: gauge('banyan_facade_websockets_open', 'Tunnels that are open or being opened.'),
  };
  const fallbacksNow = new Map<string, LastMinute>();

  return {
    registry,
    gauges,
    observe: (observed: Observed) => answers.observe(observed),
    chose: (capability: string, side: Side, reason: Reason) => answers.chose(capability, side, reason),
    fellBack(capability: string, reason: string) {
      fallbacks.inc({ capability, reason });
      const lastMinute = fallbacksNow.get(capability) ?? new LastMinute(now);
      fallbacksNow.set(capability, lastMinute);
      lastMinute.add();
    },
    readOwnWrite: (capability: string, outcome: 'fresh' | 'owner' | 'waited' | 'late') =>
      ownReads.inc({ capability, outcome }),
    held: (capability: string) => held.inc({ capability }),
    heldUntil: (capability: string, outcome: string, seconds: number) =>
      holdSeconds.observe({ capability, outcome }, seconds),
    refusalRetried: (capability: string) => retried.inc({ capability }),
    answeredItself: (code: string) => refused.inc({ code }),
    readsLastMinute: (capability: string, side: Side) => answers.readsLastMinute(capability, side),
    /** Those that were the flag's, or the owner's, to decide, by the side that was chosen. */
    unpinnedReadsLastMinute: (capability: string, side: Side) =>
      answers.unpinnedReadsLastMinute(capability, side),
    fallbacksLastMinute: (capability: string) => fallbacksNow.get(capability)?.count() ?? 0,
  };
}
