// A span that is over: what the facade and the worker say of a piece of work, once it is done. Every value of it is public: names of
// the configuration, numbers, codes; never a path, a query, a header or an id of a person or a row.

export type Span = {
  readonly kind: 'server' | 'client' | 'consumer';
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first of its trace. */
  readonly parentId: string | undefined;
  /** Milliseconds since 1970, with their fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** What failed, as a code; undefined: nothing. */
  readonly error: string | undefined;
};

/** Where spans go. It never waits, and never throws: what cannot be sent is lost, and counted. */
export type SpanSink = {
  add(span: Span): void;
  counts(): { readonly exported: number; readonly lost: number };
  /** Sends what is there, for a moment at most. */
  stop(): Promise<void>;
};
