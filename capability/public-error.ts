// What may be said of an error where everybody may read it. Logs, metrics, status and spans are public: a value that a client or a row
// has brought into an error's message is not said there.

const textOf = (error: object, name: string): string | undefined => {
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
};

/** Errors of a database server whose message quotes names of the schema or of accounts only, by their numbers: not all have a name. */
const namesOnly: ReadonlySet<string> = new Set([
  ...['1044', '1045', '1142', '1143', '1227'], // access denied
  ...['1049', '1054', '1146'], // no such database, column, table
  ...['1048', '1364', '1406', '1264', '1265'], // a column that may not be NULL, or cannot hold a value
  ...['1451', '1452', '3819', '4025'], // foreign keys, and what CHECK says in MySQL and MariaDB
]);
const fromTrigger = '1644';

const credentials = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*@/gi;

/** Without the user and the password of a URL. */
export const withoutCredentials = (text: string): string => text.replace(credentials, '$1…@');

/** From the first quotation mark to the last: between them is what nobody can tell apart from more of it. */
const withoutQuoted = (text: string): string => text.replace(/['"`].*['"`]/s, '…');

/** The key's name comes after the value, and is the schema's. */
const duplicateKey = /^Duplicate entry '.*' for key '([^']{1,128})'$/s;

/** And so does the column's. */
const badValue = /^(Incorrect [a-z]+ value): '.*' for column ([\w$.`'-]{1,200}) at row (\d+)$/is;

/** The message of an error, without values. */
export function publicMessage(error: unknown): string {
  if (!(error instanceof Error)) return `a thrown ${typeof error}`;
  // What wraps a server's error may have put the statement before its message.
  const said = textOf(error, 'sqlMessage') ?? error.message;
  const errno = textOf(error, 'errno') ?? '';
  const isOfServer = textOf(error, 'sqlState') !== undefined;
  if (isOfServer) {
    const key = duplicateKey.exec(said)?.[1];
    if (key !== undefined) return `Duplicate entry … for key '${key}'`;
    const [, what, column, row] = badValue.exec(said) ?? [];
    if (what !== undefined) return `${what} for column ${column} at row ${row}`;
    // What a trigger says is its own words, with whatever it puts among them.
    if (errno === fromTrigger) return said.startsWith('banyan:') ? said : 'refused by a trigger';
    return namesOnly.has(errno) ? said : withoutQuoted(said);
  }
  // JSON.parse quotes what it was given.
  return withoutCredentials(error instanceof SyntaxError ? withoutQuoted(said) : said);
}

/** Where it was thrown; its head is the message once more. */
function framesOf({ stack = '', message }: Error): string {
  const at = stack.indexOf(message);
  const frames = (at === -1 ? '' : stack.slice(at + message.length))
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
  return frames.map((line) => line.trim()).join('\n');
}

const toldOf = ['code', 'errno', 'sqlState', 'syscall', 'reason'] as const;
const depthMax = 5;

export type PublicError = {
  readonly type: string;
  readonly message: string;
  readonly [name: string]: unknown;
};

/** An error as a log has it: whatever else hangs on it (statements, parameters, bytes of a request) is left out. */
export function publicError(error: unknown, depth = 0): PublicError {
  if (!(error instanceof Error)) return { type: typeof error, message: publicMessage(error) };
  const told = toldOf.flatMap((name) => {
    const value = textOf(error, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const { cause } = error;
  return {
    type: error.name,
    message: publicMessage(error),
    ...Object.fromEntries(told),
    ...(error instanceof AggregateError && {
      errors: error.errors.slice(0, 5).map((each) => publicMessage(each)),
    }),
    stack: framesOf(error),
    ...(cause !== undefined && depth < depthMax && { cause: publicError(cause, depth + 1) }),
  };
}
