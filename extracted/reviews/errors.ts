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
  unauthenticated: { status: 401, title: 'Who writes must be said' },
  forbidden: { status: 403, title: "This is another member's" },
  'not-found': { status: 404, title: 'There is no such thing here' },
  conflict: { status: 409, title: 'The request conflicts with what is stored' },
  'too-large': { status: 413, title: 'The body is too large' },
  'media-type': { status: 415, title: 'Only application/json is understood' },
  'not-storable': { status: 422, title: 'The value is outside of what may be stored' },
  'unknown-product': { status: 422, title: 'There is no such product' },
  internal: { status: 500, title: 'Something went wrong here' },
  unavailable: { status: 503, title: 'The service cannot answer now' },
  /** Whoever guards the tables lets nobody write to them here and now: nothing was executed. */
  fenced: { status: 503, title: 'Writes are not taken here now' },
} as const;

export type ProblemCode = keyof typeof problems;

/** What the service answers instead of a result. */
export class ReviewsError extends Error {
  override name = 'ReviewsError';
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
  if (error instanceof ReviewsError) return problem(error.code, error.message, error.field);
  if (isDatabaseGone(error)) return problem('unavailable', 'The database does not answer; try again.');
  if (isFenced(error))
    return problem('fenced', 'The database does not take writes here now. Nothing was written.');
  if (isContention(error)) return problem('unavailable', 'Too many writers wanted the same row; try again.');
  const status = statusOf(error);
  if (status === undefined || !(error instanceof Error))
    return problem('internal', 'The error is in the log.');
  if (status === 404) return problem('not-found', error.message);
  if (status === 413) return problem('too-large', error.message);
  if (status === 415) return problem('media-type', error.message);
  return problem('malformed', error.message, fieldOf(error));
}

/** Deadlock (1213) or lock wait timeout (1205): the same transaction may well pass when tried again. */
export function isContention(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 1213 || errno === 1205;
}

/** A row with this key is there already. */
export function isDuplicateKey(error: unknown): boolean {
  return errnoOf(error) === 1062;
}

/** A trigger's SIGNAL of the fence around the tables, known by how its message begins. */
function isFenced(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('driverError' in error && error.driverError !== error) return isFenced(error.driverError);
  return (
    errnoOf(error) === 1644 &&
    'sqlState' in error &&
    error.sqlState === '45000' &&
    'sqlMessage' in error &&
    String(error.sqlMessage).startsWith('banyan:')
  );
}

/** MariaDB's error number, on the error itself or on the one that TypeORM wrapped. */
export function errnoOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('errno' in error && typeof error.errno === 'number') return error.errno;
  return 'driverError' in error ? errnoOf(error.driverError) : undefined;
}

function isDatabaseGone(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ('driverError' in error && error.driverError !== error) return isDatabaseGone(error.driverError);
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
    type: `urn:reviews:problem:${code}`,
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
  const params =
    'params' in first && typeof first.params === 'object' && first.params !== null ? first.params : {};
  for (const key of ['missingProperty', 'additionalProperty'])
    if (key in params) return String(Object.entries(params).find(([name]) => name === key)?.[1]);
  return undefined;
}
