import { shadowFlag } from '../capability/capability.ts';
import { record } from '../capability/control-store.ts';
import {
  actingOptions,
  actorOf,
  capabilityNamed,
  command,
  configOf,
  standingOf,
  withControl,
} from './command.ts';
import { adminOptions } from './facade-admin.ts';
import { type FlagPlace, flagPlaceOf } from './flag-place.ts';
import { shiftCommand } from './shift.ts';

type PutOff =
  /** `was` null: it was no single percentage. */
  { readonly isOff: true; readonly was: number | null } | { readonly isOff: false; readonly fault: unknown };

async function putOff(place: FlagPlace, flag: string): Promise<PutOff> {
  try {
    const was = (await place.percentOf(flag)) ?? null;
    if (was !== 0) await place.setPercent(flag, 0);
    return { isOff: true, was };
  } catch (fault) {
    return { isOff: false, fault };
  }
}

export const stopCommand = command({
  name: 'stop',
  words: 'CAPABILITY',
  summary: 'Puts the reads back on the owner and the shadow off, from any phase, at once.',
  help: `
For the night on which something is wrong and nobody knows yet what. Before the change of owner that is legacy: as "banyan
shift --reads 0". After it the service owns, and its reads are there already: the way back is "banyan rollback".`,
  options: {
    ...actingOptions,
    ...adminOptions,
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const { name } = capabilityNamed(config, words);
    const place = flagPlaceOf(values, config);
    // First: whatever becomes of the rest, nothing is mirrored any more.
    const put = await putOff(place, shadowFlag(name));
    const phase = await withControl(values, async (control) => {
      const { phase } = await standingOf(control, name);
      const wasShadowed = put.isOff && put.was !== 0;
      if (phase === 'owned' || phase === 'retired' || wasShadowed)
        await record(control, name, {
          actor: actorOf(values.actor),
          action: 'stop',
          reason: values.reason,
          detail: { phase, ...(wasShadowed && { shadow: put.was }) },
        });
      return phase;
    });
    // Before that the phase ends it, too, and the shift says so of the flag of the reads.
    if (!put.isOff && (phase === 'owned' || phase === 'retired')) throw put.fault;
    if (phase !== 'owned' && phase !== 'retired')
      return shiftCommand.run({
        values: { ...values, reads: 0, shadow: undefined, cohort: undefined },
        words,
        output,
      });
    output.say(
      `${name} is ${phase}: the service owns it, and answers its reads. ${phase === 'owned' ? `To have the monolith own it again: banyan rollback ${name}` : 'There is no way back from retired'}`,
    );
    return { result: { capability: name, phase, reads: null } };
  },
});
