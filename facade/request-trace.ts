// What is known of the trace of one request while it is served. One small object a request; only of those that are sampled is
// more noted, and that is made into spans once the answer has gone out.
import type { Side } from '../capability/capability.ts';
import { formatTraceparent, mintSpanId } from '../capability/trace-context.ts';

/** A request of the facade's to an upstream, of a trace that is sampled. */
export class UpstreamSpan {
  readonly spanId = mintSpanId();
  readonly upstream: string;
  readonly method: string;
  /** By performance.now() */
  readonly startedAt = performance.now();
  /** 0: not yet. */
  endedAt = 0;
  tries = 1;
  /** 0: no answer. */
  status = 0;
  error: string | undefined;

  constructor(upstream: string, method: string) {
    this.upstream = upstream;
    this.method = method;
  }

  /** @param error the code of what came instead of an answer */
  end(error?: string): void {
    this.endedAt = performance.now();
    this.error = error;
  }
}

export class RequestTrace {
  readonly traceId: string;
  readonly parentId: string | undefined;
  readonly spanId = mintSpanId();
  readonly isSampled: boolean;
  readonly tracestate: string | undefined;
  readonly requestId: string;
  side: Side | undefined;
  /** Why legacy answered instead of the service. */
  fallback: string | undefined;
  heldMs = 0;
  #upstreams: UpstreamSpan[] | undefined;

  constructor(
    traceId: string,
    parentId: string | undefined,
    isSampled: boolean,
    tracestate: string | undefined,
    requestId: string,
  ) {
    this.traceId = traceId;
    this.parentId = parentId;
    this.isSampled = isSampled;
    this.tracestate = tracestate;
    this.requestId = requestId;
  }

  get upstreams(): readonly UpstreamSpan[] {
    return this.#upstreams ?? [];
  }

  /** An upstream is going to be asked. @returns undefined when nothing is noted of it */
  ask(upstream: string, method: string): UpstreamSpan | undefined {
    if (!this.isSampled) return undefined;
    const span = new UpstreamSpan(upstream, method);
    this.#upstreams ??= [];
    this.#upstreams.push(span);
    return span;
  }

  /** @param by the span that asks, where there is one */
  traceparent(by: UpstreamSpan | undefined): string {
    return formatTraceparent(this.traceId, by?.spanId ?? this.spanId, this.isSampled);
  }
}
