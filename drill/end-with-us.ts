// A drill that is interrupted.
import { type RunFolder, removeRunFolder } from '../scripts/run-folder.ts';

/**
 * Ctrl-C leaves nothing running, and is no finding.
 * @returns to be called when the drill is over; one that was interrupted does not get past it
 */
export function endWithUs(
  runFolder: RunFolder,
  endAll: () => Promise<void> = runFolder.endChildren,
): () => Promise<void> {
  let ending: Promise<void> | undefined;
  const end = () => {
    ending ??= endAll().then(() => {
      removeRunFolder(runFolder.path);
      process.exit(1);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  return async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
    await ending;
  };
}
