// Prometheus metrics of the facade. Labels take values that the configuration bounds, never a client's.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Side } from '../capability/capability.ts';
import type { SpanSink } from '../capability/span.ts';
import { countSpans } from '../capability/span-metrics.ts';
import { AnswerMetrics, LastMinute, type Observed } from './answer-metrics.ts';
import type { Reason } from './choose-side.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** What became of a read that the shadow flag chose. */
export type ShadowOutcome =
  | 'equal'
  /** It differed, and no more when both sides were asked again. */
  | 'settled'
  | 'different'
  /** A side did not answer. */
  | 'failed'
  /** More than is kept or compared. */
  | 'too_large'
  | 'unreadable'
  /** The client left, or had no whole answer. */
  | 'abandoned'
  /** There was no room. */
  | 'dropped'
  /** The flag or the phase changed meanwhile. */
  | 'stopped';

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
  const turnedAway = new Counter({
    name: 'banyan_facade_turned_away_total',
    help: 'Requests that an upstream was not asked: its breaker was open, it had too much to do (busy), or no instance was known (nowhere).',
    labelNames: ['upstream', 'why'] as const,
    registers,
  });
  const breakerTurns = new Counter({
    name: 'banyan_facade_breaker_turns_total',
    help: 'How often a breaker has opened (open) and closed again (closed).',
    labelNames: ['upstream', 'to'] as const,
    registers,
  });
  const ejections = new Counter({
    name: 'banyan_facade_ejections_total',
    help: 'How often an instance was left out for its failures.',
    labelNames: ['upstream'] as const,
    registers,
  });
  const shadowed = new Counter({
    name: 'banyan_facade_shadow_total',
    help: 'Reads that the shadow flag chose, by what became of their comparison.',
    labelNames: ['capability', 'route', 'outcome'] as const,
    registers,
  });
  const returns = new Counter({
    name: 'banyan_facade_reads_returned_total',
    help: 'How often this replica has seen the service fail, and has taken its reads back to legacy, by what failed.',
    labelNames: ['capability', 'check'] as const,
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
    shadowPercent: gauge(
      'banyan_facade_shadow_percent',
      'Of its reads, those that are mirrored; absent when it is no single percentage.',
      ['capability'],
    ),
    parity: gauge(
      'banyan_facade_parity_ratio',
      'Of the mirrored reads of the last hour, those that both sides answer alike; absent without any.',
      ['capability'],
    ),
    readsReturned: gauge(
      'banyan_facade_reads_returned',
      '1 when its reads have gone back to legacy by themselves, until somebody moves them again.',
      ['capability'],
    ),
    flagsValid: gauge('banyan_facade_flags_valid', '1 when the newest flags are in force.'),
    flagsAge: gauge(
      'banyan_facade_flags_age_seconds',
      'Since an Unleash confirmed the flags in force; absent with a flag file, and until there are any.',
    ),
    flagsWarnings: gauge(
      'banyan_facade_flags_warnings',
      'What of the flags means something else here than it seems; /api/status says what.',
    ),
    controlAge: gauge(
      'banyan_facade_control_store_age_seconds',
      'Since the control store was read; absent when it never was.',
    ),
    controlConnected: gauge(
      'banyan_facade_control_store_connected',
      '1 when the last read of the control store succeeded.',
    ),
    phase: gauge('banyan_facade_phase', '1 for the phase of a capability, by the control store.', [
      'capability',
      'phase',
    ]),
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
    breakerState: gauge(
      'banyan_facade_breaker_state',
      '0: closed, requests pass; 1: half open, a few probe; 2: open, none is sent.',
      ['upstream'],
    ),
    instanceUp: gauge(
      'banyan_facade_instance_up',
      '1 when an instance gets requests; 0 when it is left out for its failures or its health checks.',
      ['upstream', 'instance'],
    ),
    instanceInFlight: gauge('banyan_facade_instance_in_flight', 'Requests under way at an instance.', [
      'upstream',
      'instance',
    ]),
    upstreamWaiting: gauge('banyan_facade_upstream_waiting', 'Requests that wait for room at an upstream.', [
      'upstream',
    ]),
    instancesValid: gauge(
      'banyan_facade_instances_valid',
      '0 when the instances of an upstream could not be had last time, from its file or DNS.',
      ['upstream'],
    ),
    websockets: gauge('banyan_facade_websockets_open', 'Tunnels that are open or being opened.'),
  };
  const fallbacksNow = new Map<string, LastMinute>();

  return {
    registry,
    gauges,
    /** Where spans go somewhere. */
    watchSpans: (sink: SpanSink) => countSpans(registry, 'banyan_facade_spans_total', sink),
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
    turnedAway: (upstream: string, why: string) => turnedAway.inc({ upstream, why }),
    breakerTurned: (upstream: string, to: string) => breakerTurns.inc({ upstream, to }),
    ejected: (upstream: string) => ejections.inc({ upstream }),
    shadowed: (capability: string, route: string, outcome: ShadowOutcome) =>
      shadowed.inc({ capability, route, outcome }),
    returned: (capability: string, check: string) => returns.inc({ capability, check }),
    answeredItself: (code: string) => refused.inc({ code }),
    readsLastMinute: (capability: string, side: Side) => answers.readsLastMinute(capability, side),
    /** Those that were the flag's, or the owner's, to decide, by the side that was chosen. */
    unpinnedReadsLastMinute: (capability: string, side: Side) =>
      answers.unpinnedReadsLastMinute(capability, side),
    fallbacksLastMinute: (capability: string) => fallbacksNow.get(capability)?.count() ?? 0,
  };
}
