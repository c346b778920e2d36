// What `npm start` writes down of the stack it runs (var/stack.json), so that the CLI in another terminal
// finds it without options.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Stack = {
  readonly ready: true;
  readonly facade: string;
  readonly admin: string;
  readonly legacy: string;
  readonly services: Readonly<Record<string, string>>;
  /** mysql:// with an account that may do everything there. */
  readonly databases: { readonly legacy: string; readonly services: string; readonly control: string };
  /** Of the admin listener. */
  readonly token: string;
  readonly flags: string;
};

const file = join(import.meta.dirname, '..', 'var', 'stack.json');

/** @returns undefined when no stack is running (or none was stopped by force) */
export function readStack(): Stack | undefined {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export function writeStack(stack: Stack): void {
  writeFileSync(`${file}.new`, JSON.stringify(stack), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export const removeStack = (): void => rmSync(file, { force: true });
