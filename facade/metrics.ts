// Prometheus metrics of the facade. Labels take values that the configuration bounds, never a client's. What is counted with every
// request is in answer-metrics.ts, what is looked at when somebody asks in gauges.ts; here is what happens now and then.
import { Counter, Histogram, Registry } from 'prom-client';
import type { Side } from '../capability/capability.ts';
import type { SpanSink } from '../capability/span.ts';
import { countSpans } from '../capability/span-metrics.ts';
import { AnswerMetrics, LastMinute, type Observed } from './answer-metrics.ts';
import type { Reason } from './choose-side.ts';
import { createGauges } from './gauges.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** What became of a read that the shadow flag chose. */
export type ShadowOutcome =
  | 'equal'
  /** It differed, and no more when both sides were asked again. */
  | 'settled'
  | 'different'
  /** What differed was said anew by the owner each time, faster than the other side follows. */
  | 'moving'
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
  /** @returns what counts one more, given a value for each label */
  const counter = <const Labels extends readonly string[]>(
    name: string,
    labelNames: Labels,
    help: string,
  ) => {
    const counted = new Counter({ name, help, labelNames, registers });
    return (...values: { readonly [At in keyof Labels]: string }): void => {
      const labels: Record<string, string> = {};
      for (const [at, label] of labelNames.entries()) labels[label] = values[at] ?? '';
      counted.inc(labels);
    };
  };

  const fallbacks = counter(
    'banyan_facade_fallbacks_total',
    ['capability', 'reason'],
    'Safe reads that legacy answered because the service did not, by reason.',
  );
  const answeredItself = counter(
    'banyan_facade_own_answers_total',
    ['code'],
    'Answers by the facade itself, by the code in their body.',
  );
  const readOwnWrite: (capability: string, outcome: 'fresh' | 'owner' | 'waited' | 'late') => void = counter(
    'banyan_facade_own_write_reads_total',
    ['capability', 'outcome'],
    'Reads by clients who have written: the side chosen had it (fresh), they went to the owner, or waited for it (in vain: late).',
  );
  const held = counter(
    'banyan_facade_writes_held_total',
    ['capability'],
    'Writes that had to wait while their owner changed.',
  );
  const holdSeconds = new Histogram({
    name: 'banyan_facade_hold_seconds',
    labelNames: ['capability', 'outcome'],
    help: 'How long writes waited, and what became of them: entered (sent), refused, or gone (the client).',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const refusalRetried = counter(
    'banyan_facade_refusals_retried_total',
    ['capability'],
    'Writes that a fence refused, and that were sent again to the side that had them.',
  );
  const shadowed: (capability: string, route: string, outcome: ShadowOutcome) => void = counter(
    'banyan_facade_shadow_total',
    ['capability', 'route', 'outcome'],
    'Reads that the shadow flag chose, by what became of their comparison.',
  );
  const returned = counter(
    'banyan_facade_reads_returned_total',
    ['capability', 'check'],
    'How often this replica has seen the service fail, and has taken its reads back to legacy, by what failed.',
  );
  const turnedAway = counter(
    'banyan_facade_turned_away_total',
    ['upstream', 'why'],
    'Requests that an upstream was not asked: its breaker was open, it had too much to do (busy), or no instance was known (nowhere).',
  );
  const breakerTurned = counter(
    'banyan_facade_breaker_turns_total',
    ['upstream', 'to'],
    'How often a breaker has opened (open) and closed again (closed).',
  );
  const ejected = counter(
    'banyan_facade_ejections_total',
    ['upstream'],
    'How often an instance was left out for its failures.',
  );
  const fallbacksNow = new Map<string, LastMinute>();

  return {
    registry,
    gauges: createGauges(registry),
    answeredItself,
    readOwnWrite,
    held,
    refusalRetried,
    shadowed,
    returned,
    turnedAway,
    breakerTurned,
    ejected,
    /** Where spans go somewhere. */
    watchSpans: (sink: SpanSink) => countSpans(registry, 'banyan_facade_spans_total', sink),
    observe: (observed: Observed) => answers.observe(observed),
    chose: (capability: string, side: Side, reason: Reason) => answers.chose(capability, side, reason),
    fellBack(capability: string, reason: string) {
      fallbacks(capability, reason);
      const lastMinute = fallbacksNow.get(capability) ?? new LastMinute(now);
      fallbacksNow.set(capability, lastMinute);
      lastMinute.add();
    },
    heldUntil: (capability: string, outcome: string, seconds: number) =>
      holdSeconds.observe({ capability, outcome }, seconds),
    readsLastMinute: (capability: string, side: Side) => answers.readsLastMinute(capability, side),
    /** Those that were the flag's, or the owner's, to decide, by the side that was chosen. */
    unpinnedReadsLastMinute: (capability: string, side: Side) =>
      answers.unpinnedReadsLastMinute(capability, side),
    fallbacksLastMinute: (capability: string) => fallbacksNow.get(capability)?.count() ?? 0,
  };
}
