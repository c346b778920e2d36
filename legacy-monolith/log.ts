// The log: one JSON object a line, on standard error. Every line of it is public: of an error only what no client and no row has brought
// into it is said.
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';

const textOf = (error: object, name: string): string | undefined => {
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
};

/** From the first quotation mark to the last: values of rows and requests stand between such. */
const withoutQuoted = (text: string) => text.replace(/['"`].*['"`]/s, '…');
const withoutCredentials = (text: string) => text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*@/gi, '$1…@');

function messageOf(error: Error): string {
  // What wraps the database's error may have put the statement, with its values, before the message.
  const said = textOf(error, 'sqlMessage');
  if (said === undefined)
    return withoutCredentials(error instanceof SyntaxError ? withoutQuoted(error.message) : error.message);
  const key = /^Duplicate entry '.*' for key '([^']{1,128})'$/s.exec(said)?.[1];
  if (key !== undefined) return `Duplicate entry … for key '${key}'`;
  // What a trigger says is its own words, with whatever it puts among them.
  if (textOf(error, 'errno') === '1644') return said.startsWith('banyan:') ? said : 'refused by a trigger';
  return withoutQuoted(said);
}

function framesOf({ stack = '', message }: Error): string {
  const at = stack.indexOf(message);
  const frames = (at === -1 ? '' : stack.slice(at + message.length)).split('\n');
  return frames
    .filter((line) => /^\s+at /.test(line))
    .map((line) => line.trim())
    .join('\n');
}

type PublicError = {
  type: string;
  message: string;
  stack: string;
  cause?: PublicError;
  [name: string]: unknown;
};

/** Statements, parameters and bytes of requests, which hang on errors too, are left out. */
function publicError(error: unknown, depth = 0): PublicError {
  if (!(error instanceof Error)) return { type: typeof error, message: '', stack: '' };
  const told = ['code', 'errno', 'sqlState', 'statusCode'].map(
    (name) => [name, textOf(error, name)] as const,
  );
  return {
    type: error.name,
    message: messageOf(error),
    ...Object.fromEntries(told.filter(([, value]) => value !== undefined)),
    stack: framesOf(error),
    ...(error.cause !== undefined && depth < 5 && { cause: publicError(error.cause, depth + 1) }),
  };
}

/** Of a trace and a request only ids go into a line, and only what can be nothing else: hex digits, as UUIDs have them, too. */
const traceShape = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const requestShape = /^[0-9A-Fa-f-]{8,64}$/;
const headerOf = (headers: FastifyRequest['raw']['headers'], name: string) => {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
};

/** What Fastify is told of its log. */
export const logOptions = (level: string) => ({
  logger: {
    level,
    // Standard output is for the one line that says where it listens.
    stream: process.stderr,
    serializers: {
      err: publicError,
      req: ({ method, routeOptions }: FastifyRequest) => ({ method, route: routeOptions?.url }),
    },
  },
  genReqId: ({ headers }: FastifyRequest['raw']) => {
    const given = headerOf(headers, 'x-request-id');
    return requestShape.test(given) ? given : '';
  },
  childLoggerFactory: (
    logger: FastifyBaseLogger,
    bindings: object,
    options: object,
    { headers }: FastifyRequest['raw'],
  ): FastifyBaseLogger => {
    const traceId = traceShape.exec(headerOf(headers, 'traceparent'))?.[1];
    return logger.child(traceId === undefined ? bindings : { ...bindings, traceId }, options);
  },
});
