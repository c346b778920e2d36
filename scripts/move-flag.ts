// What every command that moves a flag needs: the file it is in, and whether a facade follows.
import { setTimeout as delay } from 'node:timers/promises';
import { readFlagFile } from '../capability/flag-file.ts';
import { CommandError } from './command.ts';
import {
  type AdminValues,
  type CapabilityOnFacade,
  facadeStatus,
  flagFile,
  onFacade,
} from './facade-admin.ts';

const followMsMax = 3_000;

/** @throws CommandError when the flag is in an Unleash, or nobody says in which file it is; FlagFileError */
export function flagFileOf(flag: string, values: AdminValues): string {
  if (values.unleashUrl)
    throw new CommandError(
      `the facades follow the Unleash at ${values.unleashUrl}: set the rollout of "${flag}" there`,
    );
  const file = flagFile(values);
  if (!file)
    throw new CommandError('which flag file do the facades watch? Give --flags or BANYAN_FLAGS', {
      exitCode: 2,
    });
  // One that cannot be read stops a command before anything is moved.
  readFlagFile(file);
  return file;
}

export type Followed = {
  /** How long it took; undefined when it was not seen in time. */
  readonly ms: number | undefined;
  /** Whether a facade could be asked at all. */
  readonly isReachable: boolean;
  /** Why the facade holds reads at legacy, when it does. */
  readonly why: string | null;
};

/** Waits until the facade says so of the capability. */
export async function untilFollowed(
  values: AdminValues,
  capability: string,
  isThere: (found: CapabilityOnFacade) => boolean,
): Promise<Followed> {
  const start = performance.now();
  let why: string | null = null;
  for (; performance.now() - start < followMsMax; await delay(50)) {
    const status = await facadeStatus(values);
    if (!status?.reachable) return { ms: undefined, isReachable: false, why };
    const found = onFacade(status, capability);
    if (found && isThere(found))
      return { ms: Math.round(performance.now() - start), isReachable: true, why: null };
    why = found?.interlock.why ?? null;
  }
  return { ms: undefined, isReachable: true, why };
}

export const describeFollowed = ({ ms, isReachable, why }: Followed): string =>
  ms !== undefined
    ? `the facade follows, ${ms} ms later`
    : isReachable
      ? `the facade does not follow after ${followMsMax} ms: ${why ?? '"banyan status" says more'}`
      : 'no facade was asked whether it follows: give --admin-url and BANYAN_ADMIN_TOKEN to have it confirmed';

/** Of a command whose flag was moved. */
export const exitCodeOf = ({ ms, isReachable }: Followed): 0 | 1 => (isReachable && ms === undefined ? 1 : 0);
