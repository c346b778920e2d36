// A process of Banyan's without one of its guards: its environment has Node change one place of one file while loading it. What
// a scenario protects is shown by the harm that comes without it; the product has no switch for that.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export type Mutation = {
  /** From the root of the project. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly replace: string;
  readonly by: string;
};

/** @throws Error where the text is not there exactly once: the guard has been written otherwise since */
export function mutated(source: string, { file, replace, by }: Mutation): string {
  const parts = source.split(replace);
  if (parts.length !== 2)
    throw new Error(`${file} has "${replace}" ${parts.length - 1} times: the mutant must be written anew`);
  return parts.join(by);
}

/** For a child process; its own children have it, too. @throws as `mutated`, at once */
export function mutantEnv(...mutations: readonly Mutation[]): { readonly NODE_OPTIONS: string } {
  // Here, and not only there: a process that fails to start for this could be taken for the harm.
  const sources = new Map<string, string>();
  for (const mutation of mutations) {
    const path = join(root, mutation.file);
    sources.set(path, mutated(sources.get(path) ?? readFileSync(path, 'utf8'), mutation));
  }
  const hook = new URL('mutant-hook.ts', import.meta.url);
  hook.searchParams.set('mutations', JSON.stringify(mutations));
  const before = process.env.NODE_OPTIONS;
  return { NODE_OPTIONS: `${before ? `${before} ` : ''}--import=${hook.href}` };
}

/** The command has stood still for long, and takes the answer for one all the same. */
export const patient: Mutation = {
  file: 'capability/ask-server.ts',
  replace: 'answerMsMax = 5_000',
  by: 'answerMsMax = 100_000',
};

/** The command opens the new owner as soon as it has closed the old one, and looks at nothing: opening does not ride the stream. */
export const opensItself: Mutation = {
  file: 'scripts/run-change.ts',
  replace:
    'return this.#outcome(action.on, (on) => close(on, this.#at, this.#attempt.turn, this.#change.to));',
  by: `return this.#outcome(action.on, async (on) => {
    const outcome = await close(on, this.#at, this.#attempt.turn, this.#change.to);
    if (outcome.is === 'rows' && outcome.rows === 1)
      await (await this.#deps.sessions.sql(this.#change.to)).query(
        'UPDATE banyan.banyan_fence SET owner = ?, epoch = ?, turn_id = NULL, turn_deadline = NULL WHERE capability = ?',
        [this.#change.to, String(epoch + 1n), capability]);
    return outcome;
  });`,
};
