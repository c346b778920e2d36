// Spans to a collector, by OTLP over HTTP, in batches and beside everything else: when it does not take them they are lost, and that is
// all. Loaded only where a collector is named.
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { Spans } from './trace.ts';

const sendMsMax = 3_000;
const stopMsMax = 2_000;

const hrTime = (ms: number): [number, number] => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];

/** @param url of the collector's traces, such as http://127.0.0.1:4318/v1/traces */
export function openSpans(url: string): Spans {
  const resource = resourceFromAttributes({ 'service.name': 'reviews' });
  const connections = { keepAlive: true, maxSockets: 2 };
  const agent = url.startsWith('https:') ? new TlsAgent(connections) : new Agent(connections);
  const processor = new BatchSpanProcessor({
    exporter: new OTLPTraceExporter({
      url,
      timeoutMillis: sendMsMax,
      concurrencyLimit: 2,
      httpAgentOptions: () => agent,
    }),
    maxQueueSize: 2_048,
    maxExportBatchSize: 512,
    scheduledDelayMillis: 500,
    exportTimeoutMillis: sendMsMax + 1_000,
  });
  return {
    add({ traceId, parentId, spanId, startMs, endMs, method, route, status }) {
      const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
      processor.onEnd({
        name: route === undefined ? method : `${method} ${route}`,
        kind: SpanKind.SERVER,
        spanContext: () => context,
        parentSpanContext: { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true },
        startTime: hrTime(startMs),
        endTime: hrTime(endMs),
        duration: hrTime(endMs - startMs),
        status: { code: status >= 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
        attributes: {
          'http.request.method': method,
          'http.response.status_code': status,
          ...(route !== undefined && { 'http.route': route }),
          ...(status >= 500 && { 'error.type': String(status) }),
        },
        links: [],
        events: [],
        ended: true,
        resource,
        instrumentationScope: { name: 'reviews' },
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      });
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, stopMsMax);
      await Promise.race([processor.shutdown().catch(() => undefined), promise]);
      clearTimeout(timer);
      // A collector that never ends its answer keeps nobody here.
      agent.destroy();
    },
  };
}
