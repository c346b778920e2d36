// What every command that moves a flag waits for: that a facade follows.
import { setTimeout as delay } from 'node:timers/promises';
import { type AdminValues, type CapabilityOnFacade, facadeStatus, onFacade } from './facade-admin.ts';

/** Beside the time in which a facade asks an Unleash twice: that one needs a moment of its own. */
const followMsMax = 3_000;

export type Followed = {
  /** How long it took; undefined when it was not seen in time. */
  readonly ms: number | undefined;
  /** Whether a facade could be asked at all. */
  readonly isReachable: boolean;
  readonly waitedMs: number;
  /** Why the facade has no newer flags, or holds reads at legacy, when it does. */
  readonly why: string | null;
};

/** Waits until the facade says so of the capability. */
export async function untilFollowed(
  values: AdminValues,
  capability: string,
  isThere: (found: CapabilityOnFacade) => boolean,
): Promise<Followed> {
  const start = performance.now();
  const waitedMs = () => Math.round(performance.now() - start);
  for (;;) {
    const status = await facadeStatus(values);
    if (!status?.reachable) return { ms: undefined, isReachable: false, waitedMs: waitedMs(), why: null };
    const found = onFacade(status, capability);
    if (found && isThere(found))
      return { ms: waitedMs(), isReachable: true, waitedMs: waitedMs(), why: null };
    const { fault, pollMs } = status.flags;
    const why = fault === null ? (found?.interlock.why ?? null) : `its flags are old: ${fault}`;
    if (waitedMs() > followMsMax + 2 * (pollMs ?? 0))
      return { ms: undefined, isReachable: true, waitedMs: waitedMs(), why };
    await delay(50);
  }
}

export const describeFollowed = ({ ms, isReachable, waitedMs, why }: Followed): string =>
  ms !== undefined
    ? `the facade follows, ${ms} ms later`
    : isReachable
      ? `the facade does not follow after ${waitedMs} ms: ${why ?? '"banyan status" says more'}`
      : 'no facade was asked whether it follows: give --admin-url and BANYAN_ADMIN_TOKEN to have it confirmed';

/** Of a command whose flag was moved. */
export const exitCodeOf = ({ ms, isReachable }: Followed): 0 | 1 => (isReachable && ms === undefined ? 1 : 0);
