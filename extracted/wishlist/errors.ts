// Every error a client sees is a problem document (RFC 9457); every error at start is one line that helps.

/** RFC 9457. `type` is a URN that never changes; `field` names what in the request was wrong. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly field?: string;
};

const problems = {
  malformed: { status: 400, title: 'The request is malformed' },
  'not-found': { status: 404, title: 'There is no such thing here' },
  'too-large': { status: 413, title: 'The body is too large' },
  'media-type': { status: 415, title: 'Only application/json is understood' },
  'not-storable': { status: 422, title: 'The value is outside of what may be stored' },
  internal: { status: 500, title: 'Something went wrong here' },
  unavailable: { status: 503, title: 'The service cannot answer now' },
  /** Whoever guards the table lets nobody write to it here and now: nothing was executed. */
  fenced: { status: 503, title: 'Writes are not taken here now' },
} as const;

export type ProblemCode = keyof typeof problems;

/** What the service answers instead of a result. */
export class WishlistError extends Error {
  override name = 'WishlistError';
  readonly code: ProblemCode;
  readonly field: string | undefined;
  constructor(code: ProblemCode, detail: string, field?: string, options?: ErrorOptions) {
    super(detail, options);
    this.code = code;
    this.field = field;
  }
}

/** The service cannot start; `message` says what is wrong and what to do. */
export class StartError extends Error {
  override name = 'StartError';
}

/** Anything thrown while a request was handled, as the document its client gets. */
export function problemOf(error: unknown): Problem {
  if (error instanceof WishlistError) return problem(error.code, error.message, error.field);
  const errno = errnoOf(error);
  // The server alone knows what euckr holds: 1366 when it stores, 1267 (MySQL: 3988) when it compares.
  if (errno === 1366 || errno === 1267 || errno === 3988)
    return problem('not-storable', 'memberId contains a character that euckr cannot hold', 'memberId');
  if (errno === 1213 || errno === 1205)
    return problem('unavailable', 'Too many writers wanted the same row; try again.');
  if (isFenced(error))
    return problem('fenced', 'The database does not take writes here now. Nothing was written.');
  if (isDatabaseGone(error)) return problem('unavailable', 'The database does not answer; try again.');
  const status = statusOf(error);
  if (status === undefined || !(error instanceof Error))
    return problem('internal', 'The error is in the log.');
  if (status === 404) return problem('not-found', error.message);
  if (status === 413) return problem('too-large', error.message);
  if (status === 415) return problem('media-type', error.message);
  return problem('malformed', error.message, fieldOf(error));
}

/** A trigger's SIGNAL of the fence around the table, known by how its message begins. */
const isFenced = (error: unknown): boolean =>
  errnoOf(error) === 1644 &&
  typeof error === 'object' &&
  error !== null &&
  'sqlState' in error &&
  error.sqlState === '45000' &&
  'sqlMessage' in error &&
  String(error.sqlMessage).startsWith('banyan:');

/** The database's error number. */
export function errnoOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errno' in error)) return undefined;
  return typeof error.errno === 'number' ? error.errno : undefined;
}

function isDatabaseGone(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('fatal' in error && error.fatal === true) return true;
  const errno = errnoOf(error);
  // 1040 too many connections, 1053 shutting down, 1290 read only, 1836 read only, 1927 connection killed
  if (errno !== undefined && [1040, 1053, 1290, 1836, 1927].includes(errno)) return true;
  // mysql2's pool has words only, no code.
  return (
    error instanceof Error &&
    (error.message === 'Queue limit reached.' || error.message === 'Pool is closed.')
  );
}

function problem(code: ProblemCode, detail: string, field?: string): Problem {
  return {
    type: `urn:wishlist:problem:${code}`,
    ...problems[code],
    detail,
    ...(field !== undefined && { field }),
  };
}

/** What Fastify itself refuses carries a statusCode of 4xx. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}

/** The first field that Fastify's validation of a request complains about. */
function fieldOf(error: Error): string | undefined {
  if (!('validation' in error) || !Array.isArray(error.validation)) return undefined;
  const first: unknown = error.validation[0];
  if (typeof first !== 'object' || first === null) return undefined;
  if ('instancePath' in first && typeof first.instancePath === 'string' && first.instancePath !== '')
    return first.instancePath.slice(1).replaceAll('/', '.');
  if (!('params' in first) || typeof first.params !== 'object' || first.params === null) return undefined;
  return 'additionalProperty' in first.params ? String(first.params.additionalProperty) : undefined;
}
