// Waiting for what a test is about: asked again and again, never slept for.
import { setTimeout as delay } from 'node:timers/promises';

/** What is waited for will not come. */
export class Stopped extends Error {
  override name = 'Stopped';
}

const pollMs = 15;
/** Usually it takes a moment; a machine that does five other things takes its time. */
export const usualMsMax = 60_000;

/**
 * @param ask the answer, or undefined (or false) while it is not there
 * @param explain said when it does not come in time
 * @returns the first answer
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  { msMax = usualMsMax, explain = async () => '' }: { msMax?: number; explain?: () => Promise<string> } = {},
): Promise<T> {
  let last: unknown;
  for (const end = performance.now() + msMax; performance.now() < end; await delay(pollMs)) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      if (error instanceof Stopped) throw error;
      last = error; // a server that is starting
    }
  }
  throw new Error(`${what}: not within ${msMax} ms. ${await explain()}`, { cause: last });
}
