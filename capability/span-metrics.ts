// How many spans have gone out, and how many were lost on the way.
import { Counter, type Registry } from 'prom-client';
import type { SpanSink } from './span.ts';

/** @param name of the counter */
export function countSpans(registry: Registry, name: string, sink: SpanSink): void {
  new Counter({
    name,
    help: 'Spans of traces: exported, the collector has taken them; lost, it has not, or there was no room.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(sink.counts())) this.inc({ outcome }, count);
    },
  });
}
