// Moves the percentage of a capability's reads that are mirrored, and with it the phase: what "banyan shift --shadow" does.
import type { Connection } from 'mysql2/promise';
import { type Capability, shadowFlag } from '../capability/capability.ts';
import { change, evidenceInForce, record } from '../capability/control-store.ts';
import type { Phase } from '../capability/phase.ts';
import {
  actorOf,
  CommandError,
  type Done,
  type Output,
  type ServerValues,
  standingOf,
  withControl,
} from './command.ts';
import type { AdminValues } from './facade-admin.ts';
import type { FlagPlace } from './flag-place.ts';
import { describeFollowed, exitCodeOf, untilFollowed } from './move-flag.ts';

export type ShadowValues = ServerValues &
  AdminValues & { readonly actor: string | undefined; readonly reason: string | undefined };

/** Undefined where the phase says nothing of it. */
function phaseFor(percent: number, phase: Phase): Phase | undefined {
  if (percent > 0 && phase === 'synced') return 'shadow';
  return percent === 0 && phase === 'shadow' ? 'synced' : undefined;
}

async function mayBeMirrored(control: Connection, name: string, phase: Phase): Promise<void> {
  if (phase === 'retired')
    throw new CommandError(
      `${name} is retired: legacy follows no more, and there is nothing to compare with`,
    );
  if (!(await evidenceInForce(control, name, 'backfilled')))
    throw new CommandError(
      `nothing says that the service has the data of ${name}: run "banyan backfill ${name}" first`,
    );
}

/** @returns once a facade has been seen to follow, or none could be asked */
export async function shiftShadow(
  { name }: Capability,
  percent: number,
  place: FlagPlace,
  values: ShadowValues,
  output: Output,
): Promise<Done> {
  const flag = shadowFlag(name);
  const was = await place.percentOf(flag);
  // Off means off, whatever becomes of the rest.
  if (percent === 0) await place.setPercent(flag, percent);
  const phase = await withControl(values, async (control) => {
    const current = await standingOf(control, name);
    if (percent > 0) await mayBeMirrored(control, name, current.phase);
    const to = phaseFor(percent, current.phase);
    const deed = {
      actor: actorOf(values.actor),
      action: 'shift',
      reason: values.reason,
      detail: { shadow: percent, was: was ?? 'a flag of another kind' },
    };
    const movePhase = async () => {
      if (to === undefined) await record(control, name, deed);
      else await change(control, { capability: name, from: current, to, deed });
    };
    await movePhase();
    if (percent > 0) await place.setPercent(flag, percent);
    return to ?? current.phase;
  });
  output.say(`${name}: mirrored reads ${was ?? '?'} % → ${percent} %, phase ${phase}`);
  const followed = await untilFollowed(values, name, ({ shadowPercent }) => shadowPercent === percent);
  output.say(describeFollowed(followed));
  return {
    result: { capability: name, shadow: percent, was: was ?? null, phase, confirmedMs: followed.ms ?? null },
    exitCode: exitCodeOf(followed),
  };
}
