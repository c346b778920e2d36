// Options are declared once: type, default, description. Command-line flags, environment variables, files
// for secrets, and the help text all derive from the declaration. Parsed in mains, never at import.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

type Kind = {
  text: string;
  url: string;
  port: number;
  integer: number;
  number: number;
  flag: boolean;
  list: readonly string[];
};

export type Option<K extends keyof Kind = keyof Kind> = {
  readonly type: K;
  readonly help: string;
  /** Without a default the value is undefined when nobody gives one, and `false` or `[]` for flags and lists. */
  readonly default?: Kind[K];
  /** The environment variable; a secret's may also be given as a file's path in `<env>_FILE`. */
  readonly env?: string;
  readonly secret?: boolean;
  /** For integers and numbers. */
  readonly min?: number;
  readonly max?: number;
};

export type Declaration = Readonly<Record<string, Option>>;

export type Values<D extends Declaration> = {
  readonly [N in keyof D]: D[N]['type'] extends 'flag' | 'list'
    ? Kind[D[N]['type']]
    : D[N] extends { default: Kind[keyof Kind] }
      ? Kind[D[N]['type']]
      : Kind[D[N]['type']] | undefined;
};

/** Wrong options: every fault at once, one a line. */
export class OptionsError extends Error {
  override name = 'OptionsError';
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/** `legacyUrl` is given as `--legacy-url`. */
export const flagName = (name: string) =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const whole = /^-?\d+$/;

function parseValue(option: Option, text: string): { value: Kind[keyof Kind] } | { fault: string } {
  switch (option.type) {
    case 'text':
      return text === '' ? { fault: 'is empty' } : { value: text };
    case 'url':
      return URL.canParse(text) ? { value: text } : { fault: 'is not a URL' };
    case 'list':
      return { value: text.split(',').filter((part) => part !== '') };
    case 'flag':
      if (/^(1|true|yes|on)$/i.test(text)) return { value: true };
      return /^(0|false|no|off|)$/i.test(text)
        ? { value: false }
        : { fault: `is "${text}": say true or false` };
    case 'port':
    case 'integer':
    case 'number': {
      const value = Number(text);
      if (text.trim() === '' || !Number.isFinite(value) || (option.type !== 'number' && !whole.test(text)))
        return { fault: `is "${text}": a ${option.type === 'number' ? 'number' : 'whole number'} is needed` };
      const min = option.min ?? (option.type === 'port' ? 0 : undefined);
      const max = option.max ?? (option.type === 'port' ? 65_535 : undefined);
      if ((min !== undefined && value < min) || (max !== undefined && value > max))
        return { fault: `is ${text}: it must be ${min ?? '…'} to ${max ?? '…'}` };
      return { value };
    }
  }
}

/** From the environment, or for a secret from the file that the environment names. */
function fromEnvironment(
  option: Option,
  env: NodeJS.ProcessEnv,
  faults: string[],
): { text: string; source: string } | undefined {
  if (!option.env) return undefined;
  const text = env[option.env];
  const fileVariable = `${option.env}_FILE`;
  const file = option.secret ? env[fileVariable] : undefined;
  if (text && file) faults.push(`${option.env} and ${fileVariable} are both set: keep one`);
  if (text) return { text, source: option.env };
  if (!file) return undefined;
  try {
    return { text: readFileSync(file, 'utf8').trim(), source: `${fileVariable} (${file})` };
  } catch (error) {
    faults.push(
      `${fileVariable}: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

/**
 * Reads options from the command line, then the environment, then the defaults.
 * @returns their values, and the words of the command line that are not options
 * @throws OptionsError with every fault
 */
export function parseOptions<D extends Declaration>(
  declaration: D,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): { values: Values<D>; words: string[] } {
  const faults: string[] = [];
  const names = new Map(Object.keys(declaration).map((name) => [flagName(name).slice(2), name]));
  const given = new Map<string, string | true>();
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      [...names].map(
        ([flag, name]) =>
          [flag, { type: declaration[name]?.type === 'flag' ? 'boolean' : 'string' }] as const,
      ),
    ),
    strict: false,
    tokens: true,
  });
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const name = names.get(token.name);
    if (name === undefined) faults.push(`there is no option ${token.rawName}`);
    else if (declaration[name]?.type !== 'flag' && token.value === undefined)
      faults.push(`${token.rawName} needs a value`);
    else given.set(name, token.value ?? true);
  }
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(declaration)) {
    const flag = given.get(name);
    const found =
      flag !== undefined
        ? { text: flag === true ? 'true' : flag, source: flagName(name) }
        : fromEnvironment(option, env, faults);
    if (!found) {
      values[name] = option.default ?? { flag: false, list: [] }[option.type as string];
      continue;
    }
    const parsed = parseValue(option, found.text);
    if ('fault' in parsed)
      faults.push(
        `${found.source} ${option.secret ? parsed.fault.replace(/"[^"]*"/, 'not readable') : parsed.fault}`,
      );
    else values[name] = parsed.value;
  }
  if (faults.length > 0) throw new OptionsError(faults);
  return { values: values as Values<D>, words };
}

/** The options' part of a help text, one or two lines each. */
export function describeOptions(declaration: Declaration): string {
  return Object.entries(declaration)
    .map(([name, option]) => {
      const value = option.type === 'flag' ? '' : ` ${option.type.toUpperCase()}`;
      const source = option.env ? ` [${option.env}${option.secret ? ` or ${option.env}_FILE` : ''}]` : '';
      const preset = option.default === undefined ? '' : ` (default ${String(option.default)})`;
      return `  ${flagName(name)}${value}\n      ${option.help}${preset}${source}`;
    })
    .join('\n');
}
