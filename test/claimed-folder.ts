// A folder for the servers and processes that a suite starts.
import { mkdtempSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { claimRunFolder, type RunFolder } from '../scripts/run-folder.ts';

/** Beside the run's own folder, so that the next run ends what a killed one leaves behind. Who claims it removes it. */
export async function claimFolder(name: string): Promise<RunFolder> {
  const run = process.env.BANYAN_TEST_FOLDER;
  if (!run) throw new Error('run the suites by "npm test -- PATH"');
  return claimRunFolder(mkdtempSync(join(dirname(run), `${name}-`)));
}
