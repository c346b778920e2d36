// The log of a process: one JSON object a line, on standard error. Every line of it is public.
import { type DestinationStream, type Logger, pino } from 'pino';
import { publicError, publicMessage, withoutCredentials } from './public-error.ts';

/** Nobody means to log these; should somebody do so all the same, they are not there. */
const secret = [
  'authorization',
  'body',
  'cookie',
  'headers',
  'password',
  'query',
  'rawHeaders',
  'set-cookie',
  'banyan-identity',
  'sql',
  'token',
];
const places = secret.flatMap((name) =>
  ['', '*.', '*.*.'].map((above) =>
    name.includes('-') ? `${above.replace(/\.$/, '')}["${name}"]` : `${above}${name}`,
  ),
);

/** @param to by default standard error */
export function createLog(level: string, to: DestinationStream = pino.destination(2)): Logger {
  return pino(
    {
      level,
      serializers: { err: publicError },
      redact: { paths: places, remove: true },
      formatters: {
        log: (fields) =>
          Object.fromEntries(
            Object.entries(fields).map(([name, value]) => [
              name,
              typeof value === 'string' ? withoutCredentials(value) : value,
            ]),
          ),
      },
      hooks: {
        // An error alone would make its message the line's.
        logMethod(words, log) {
          const [first, second] = words as unknown[];
          if (first instanceof Error) return log.call(this, { err: first }, publicMessage(first));
          const err: unknown =
            typeof first === 'object' && first !== null ? Reflect.get(first, 'err') : undefined;
          if (second === undefined && err instanceof Error)
            return log.call(this, first as object, publicMessage(err));
          return log.apply(this, words);
        },
      },
    },
    to,
  );
}
