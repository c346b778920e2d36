// Spans to a collector, by OTLP over HTTP (JSON), in batches and beside everything else. Loaded only by who traces: OpenTelemetry's
// packages take time and memory.
import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { type HrTime, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import { ATTR_ERROR_TYPE, ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import type { Logger } from 'pino';
import type { Span, SpanSink } from './span.ts';

/** Spans that wait or are being sent; more are lost. */
const spansMax = 4_096;
const batchMax = 512;
const delayMs = 500;
const sendMsMax = 3_000;
/** A collector that answers byte by byte is given up. */
const giveUpMs = 5_000;
const stopMsMax = 2_000;
const logEveryMs = 60_000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, consumer: SpanKind.CONSUMER };

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];

/** Ids are parts of long strings, and a part that is kept keeps the whole. */
const own = (id: string): string => Buffer.from(id, 'latin1').toString('latin1');

function readable(span: Span, resource: Resource): ReadableSpan {
  const { startMs, endMs, error } = span;
  const [traceId, spanId] = [own(span.traceId), own(span.spanId)];
  const parentId = span.parentId === undefined ? undefined : own(span.parentId);
  const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => context,
    ...(parentId !== undefined && {
      parentSpanContext: { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true },
    }),
    startTime: hrTime(startMs),
    endTime: hrTime(Math.max(startMs, endMs)),
    duration: hrTime(Math.max(0, endMs - startMs)),
    status: { code: error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: error === undefined ? span.attributes : { ...span.attributes, [ATTR_ERROR_TYPE]: error },
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: 'banyan' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/**
 * @param url of the collector's traces, such as http://127.0.0.1:4318/v1/traces
 * @param service the process's name in the traces
 */
export function openSpanSink(url: string, service: string, log: Logger): SpanSink {
  const connections = { keepAlive: true, maxSockets: 2 };
  const agent = url.startsWith('https:') ? new TlsAgent(connections) : new Agent(connections);
  const exporter = new OTLPTraceExporter({
    url,
    timeoutMillis: sendMsMax,
    concurrencyLimit: 2,
    httpAgentOptions: () => agent,
  });
  const resource = resourceFromAttributes({
    [ATTR_SERVICE_NAME]: service,
    'service.instance.id': randomUUID(),
  });
  let underway = 0;
  let exported = 0;
  let lost = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;

  /** The code of an error is ours to tell; its message may be the collector's words. */
  function tell(error: Error | undefined): void {
    if (performance.now() - loggedAt < logEveryMs) return;
    loggedAt = performance.now();
    const code = error && 'code' in error ? String(error.code) : (error?.name ?? 'unknown');
    log.warn({ code, lost }, 'traces could not be sent to the collector; nothing else is concerned');
  }

  /** Each batch ends once, whatever the exporter does. */
  const bounded: SpanExporter = {
    export(spans, done) {
      let isOver = false;
      const over: typeof done = (result) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        underway -= spans.length;
        if (result.code === 0) exported += spans.length;
        else {
          lost += spans.length;
          tell(result.error);
        }
        done({ code: 0 });
      };
      const timer = setTimeout(() => {
        agent.destroy();
        over({ code: 1, error: new Error('late') });
      }, giveUpMs);
      timer.unref();
      exporter.export(spans, over);
    },
    shutdown: () => exporter.shutdown(),
  };
  const processor = new BatchSpanProcessor({
    exporter: bounded,
    maxQueueSize: spansMax,
    maxExportBatchSize: batchMax,
    scheduledDelayMillis: delayMs,
    exportTimeoutMillis: giveUpMs + 1_000,
  });

  return {
    add(span) {
      if (underway >= spansMax) {
        lost += 1;
        return;
      }
      underway += 1;
      processor.onEnd(readable(span, resource));
    },
    counts: () => ({ exported, lost }),
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, stopMsMax);
      await Promise.race([processor.shutdown().catch(() => undefined), promise]);
      clearTimeout(timer);
    },
  };
}
