// A house for as long as something is played in it: whatever happens, nothing of it is left running.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimRunFolder, removeRunFolder } from '../scripts/run-folder.ts';
import { endWithUs } from './end-with-us.ts';
import { keepEvidence } from './evidence.ts';
import { endHouse, type House, type HouseOptions, startHouse, sweepHouses } from './house.ts';

/**
 * @param folder where runs live, and evidence is kept by the seed
 * @param play is given the run's folder, too; what it returns is told beside the evidence, if there is to be any
 */
export async function inHouse(
  folder: string,
  seed: number,
  options: HouseOptions,
  play: (house: House, runFolder: string) => Promise<object | undefined>,
): Promise<void> {
  const evidence = join(folder, String(seed));
  rmSync(evidence, { recursive: true, force: true });
  const runs = join(folder, 'runs');
  await sweepHouses(runs);
  const runFolder = await claimRunFolder(join(runs, String(process.pid)));
  const end = () => endHouse(runFolder);
  const over = endWithUs(runFolder, end);
  try {
    const house = await startHouse(runFolder.path, runFolder, options);
    const told = await play(house, runFolder.path);
    const logs = house.logs();
    await house[Symbol.asyncDispose]();
    await over();
    if (told) keepEvidence(evidence, runFolder.path, told, logs);
  } finally {
    await over();
    await end();
    removeRunFolder(runFolder.path);
  }
}
