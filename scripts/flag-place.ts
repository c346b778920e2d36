// Where the flags are that the facades follow: a file, or an Unleash. What moves one does not know which.
import type { BanyanConfig } from '../capability/capability.ts';
import { type FlagStrategy, readFlagFile, rolloutPercent, setRollout } from '../capability/flag-file.ts';
import { CommandError } from './command.ts';
import { type AdminValues, flagFile } from './facade-admin.ts';
import { unleashAdmin } from './unleash-admin.ts';

export type FlagPlace = {
  /** @returns what the flag asks for, 0 when there is none; undefined when it is no plain rollout */
  percentOf(flag: string): Promise<number | undefined>;
  /**
   * 0 is off, for everybody.
   * @param naming instead of the cohorts that were named so; without, these stay, except at 0
   * @throws CommandError or FlagFileError: who does not have it, and what to do
   */
  setPercent(flag: string, percent: number, naming?: readonly FlagStrategy[]): Promise<void>;
};

const filePlace = (file: string): FlagPlace => ({
  percentOf: async (flag) => rolloutPercent(readFlagFile(file).features.find(({ name }) => name === flag)),
  setPercent: async (flag, percent, naming) => setRollout(file, flag, percent, naming),
});

/** @throws CommandError when nobody says where they are */
export function flagPlaceOf(values: AdminValues, { flags }: BanyanConfig): FlagPlace {
  const { unleashUrl: url, unleashAdminToken: token } = values;
  if (url === undefined) {
    const file = flagFile(values);
    if (file) return filePlace(file);
    throw new CommandError(
      'which flags do the facades follow? Give --flags or BANYAN_FLAGS for a file, UNLEASH_URL for an Unleash',
      { exitCode: 2 },
    );
  }
  if (token === undefined)
    throw new CommandError(
      `the facades follow the Unleash at ${url}: to move flags there, give UNLEASH_ADMIN_TOKEN or UNLEASH_ADMIN_TOKEN_FILE`,
      { exitCode: 2 },
    );
  if (flags === undefined)
    throw new CommandError(
      `the facades follow the Unleash at ${url}: say in the configuration which project and environment of it,` +
        " as in flags: { unleash: { project: 'default', environment: 'production' } }",
      { exitCode: 2 },
    );
  return unleashAdmin(url, token, flags.unleash);
}
