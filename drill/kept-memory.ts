// What a Node process keeps once everything is collected: all of the heap and of what is beside it that somebody still holds. It is
// what shows a leak; the memory that V8 has taken from the system also grows because V8 likes to have more, by jumps of 30 MiB and
// more for the first ten minutes of a process under load.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const mebibyte = 2 ** 20;
/** A whole collection stops the process for some 50 ms. */
export const collectEveryMs = 20_000;

/** For the environment of processes that are to collect now and then, and to say in `folder` what is left. */
export function keptEnv(folder: string): { readonly NODE_OPTIONS: string } {
  mkdirSync(folder, { recursive: true });
  const hook = new URL('kept-hook.ts', import.meta.url);
  hook.searchParams.set('folder', folder);
  return { NODE_OPTIONS: `--expose-gc --import=${hook.href}` };
}

/** @returns MiB; undefined when it has not said it yet */
export function keptBy(pid: number, folder: string): number | undefined {
  try {
    return Number(readFileSync(join(folder, String(pid)), 'utf8'));
  } catch {
    return undefined;
  }
}
