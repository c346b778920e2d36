// Starts a part of the stack again when it ends though nobody stopped it, as a supervisor in production does.
import { setTimeout as delay } from 'node:timers/promises';

type Part = { readonly exited: Promise<string>; stop(): Promise<void> };

export type KeptPart<T extends Part> = { readonly first: T; stop(): Promise<void> };

/** A part that ends this soon after its start has not really started. */
const shortMs = 5_000;
const shortLivesMax = 5;

/**
 * @param start must give the part the same address each time
 * @param onGiveUp called when it could not be started again, or ended five times right after its start
 */
export async function keepRunning<T extends Part>(
  name: string,
  start: () => Promise<T>,
  onEnd: (message: string) => void,
  onGiveUp: (message: string) => void,
): Promise<KeptPart<T>> {
  const first = await start();
  let current = first;
  let stopping = false;
  let shortLives = 0;
  const watch = async () => {
    for (;;) {
      const since = performance.now();
      const message = await current.exited;
      if (stopping) return;
      onEnd(`${message}\nstarting ${name} again`);
      await current.stop();
      shortLives = performance.now() - since < shortMs ? shortLives + 1 : 0;
      if (shortLives > shortLivesMax)
        return onGiveUp(`${name} ended ${shortLives} times right after its start`);
      await delay(100 * 2 ** shortLives);
      if (stopping) return;
      current = await start();
      if (stopping) return current.stop();
    }
  };
  const watching = watch().catch((error: unknown) =>
    onGiveUp(`${name} could not be started again: ${String(error)}`),
  );
  return {
    first,
    stop: async () => {
      stopping = true;
      await current.stop();
      await watching;
    },
  };
}
