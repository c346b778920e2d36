// What the stream did for a write whose trace is sampled, as a span of that trace: from when the transaction was read to when it was on
// the target. The clocks of two servers are not compared: the source's own time stands beside it, as it is.
import type { Span } from '../capability/span.ts';
import { mintSpanId, type Traceparent } from '../capability/trace-context.ts';
import type { FrameKey } from './frame.ts';

/** A transaction that has been read to its end. */
export type TracedWrite = {
  readonly trace: Traceparent;
  /** Of the captured tables. */
  readonly rows: number;
  /** By performance.now() */
  readonly readAt: number;
  /** Seconds since 1970, by the source's clock. */
  readonly sourceSeconds: number;
};

/** Of one batch; what more there is goes without. */
export const tracedMax = 256;

/** @param lagMs how far the target is behind; undefined: not known yet */
export function applySpan(
  { capability, source }: FrameKey,
  { trace, rows, readAt, sourceSeconds }: TracedWrite,
  lagMs: number | undefined,
): Span {
  const toEpochMs = Date.now() - performance.now();
  return {
    kind: 'consumer',
    name: `apply ${capability} from ${source}`,
    traceId: trace.traceId,
    spanId: mintSpanId(),
    parentId: trace.spanId,
    startMs: toEpochMs + readAt,
    endMs: toEpochMs + performance.now(),
    attributes: {
      'banyan.capability': capability,
      'banyan.source': source,
      'banyan.rows': rows,
      'banyan.source_seconds': sourceSeconds,
      ...(lagMs !== undefined && { 'banyan.lag_ms': Math.round(lagMs) }),
    },
    error: undefined,
  };
}
