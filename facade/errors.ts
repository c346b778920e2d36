// What the facade itself says when something is wrong: data, in one place.

type Fault = {
  readonly status: number;
  readonly message: string;
  /** Nothing was executed: the client may come again after so long. */
  readonly retryAfterSeconds?: number;
};

/** To clients: no internals; the cause is in the log. */
export const faults = {
  bad_request: { status: 400, message: 'The request is malformed.' },
  bad_path: { status: 400, message: 'The path of the request is malformed.' },
  bad_framing: { status: 400, message: 'The request cannot be forwarded safely.' },
  request_timeout: { status: 408, message: 'The request did not arrive in time.' },
  body_too_large: { status: 413, message: 'The body of the request is too large.' },
  too_many_requests: {
    status: 429,
    message: 'There are too many requests of this client. Come again later.',
  },
  headers_too_large: { status: 431, message: 'The headers of the request are too large.' },
  upstream_failed: { status: 502, message: 'The server behind this address failed.' },
  upstream_unavailable: { status: 503, message: 'The server behind this address cannot be reached.' },
  too_many_websockets: { status: 503, message: 'There are too many open connections.' },
  upstream_busy: {
    status: 503,
    message: 'The server behind this address has too much to do. Nothing was changed: send it again.',
    retryAfterSeconds: 1,
  },
  breaker_open: {
    status: 503,
    message: 'The server behind this address fails, and is left alone for a moment. Nothing was changed.',
    retryAfterSeconds: 2,
  },
  write_held: {
    status: 503,
    message: 'Writes had to wait for too long. Nothing was changed: send it again.',
    retryAfterSeconds: 2,
  },
  write_untranslated: { status: 503, message: 'This cannot be changed at the moment. Nothing was changed.' },
  upstream_timeout: { status: 504, message: 'The server behind this address did not answer in time.' },
} as const satisfies Record<string, Fault>;

export type FaultCode = keyof typeof faults;

/** The JSON body of an answer by the facade itself. */
export const faultBody = (code: FaultCode) =>
  JSON.stringify({ error: { code, message: faults[code].message } });

/** A failure on the way to an upstream, by what it means for the client. */
export class UpstreamError extends Error {
  override name = 'UpstreamError';
  readonly code: FaultCode;
  constructor(code: FaultCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Why the facade cannot start, and what to do about it. */
export class StartError extends Error {
  override name = 'StartError';
  readonly hint: string;
  constructor(message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.hint = hint;
  }
}

/** Errors before anything was sent: the request has certainly not been executed. */
const notConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);

/** A connection that stands can end so, too: then it says nothing of what was sent. */
const perhapsConnected = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

const isNotConnected = (error: unknown): boolean =>
  notConnected.has(codeOf(error)) ||
  (perhapsConnected.has(codeOf(error)) &&
    error instanceof Error &&
    'syscall' in error &&
    error.syscall === 'connect');

/** What a failed exchange with an upstream is called to the client. */
export function faultOf(error: unknown): FaultCode {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof UpstreamError) return at.code;
    if (isNotConnected(at)) return 'upstream_unavailable';
    // Several addresses were tried (localhost as ::1 and 127.0.0.1).
    if (at instanceof AggregateError && at.errors.some(isNotConnected)) return 'upstream_unavailable';
  }
  return 'upstream_failed';
}
