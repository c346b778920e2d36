// What `npm start` writes down of the stack it runs (stack.json in its folder, var/), so that the CLI in another terminal
// finds it without options.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Stack = {
  readonly ready: true;
  /** The first one's. */
  readonly facade: string;
  readonly admin: string;
  readonly facades: readonly { readonly url: string; readonly admin: string }[];
  readonly legacy: string;
  readonly services: Readonly<Record<string, string>>;
  /** Its status. */
  readonly worker: string;
  /** mysql:// with an account that may do everything there. */
  readonly databases: { readonly legacy: string; readonly services: string; readonly control: string };
  /** The monolith's schema, with the account of its nightly batch. */
  readonly batch: string;
  /** Of the admin listeners. */
  readonly token: string;
  readonly flags: string;
};

const fileIn = (folder: string) => join(folder, 'stack.json');

/** @returns undefined when no stack of that folder is running */
export function readStack(folder: string): Stack | undefined {
  const file = fileIn(folder);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export function writeStack(folder: string, stack: Stack): void {
  const file = fileIn(folder);
  writeFileSync(`${file}.new`, JSON.stringify(stack), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export const removeStack = (folder: string): void => rmSync(fileIn(folder), { force: true });
