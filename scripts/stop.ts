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
import { flagPlaceOf } from './flag-place.ts';
import { shiftCommand } from './shift.ts';

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
    const [asked] = await Promise.allSettled([place.percentOf(shadowFlag(name))]);
    const shadow = asked.status === 'fulfilled' ? (asked.value ?? null) : undefined;
    const [put] = await Promise.allSettled([
      shadow === 0 ? undefined : place.setPercent(shadowFlag(name), 0),
    ]);
    const phase = await withControl(values, async (control) => {
      const { phase } = await standingOf(control, name);
      const wasShadowed = shadow !== undefined && shadow !== 0 && put.status === 'fulfilled';
      if (phase === 'owned' || phase === 'retired' || wasShadowed)
        await record(control, name, {
          actor: actorOf(values.actor),
          action: 'stop',
          reason: values.reason,
          detail: { phase, ...(wasShadowed && { shadow }) },
        });
      return phase;
    });
    // There the shift says so itself, of the flag of the reads.
    if (put.status === 'rejected' && (phase === 'owned' || phase === 'retired')) throw put.reason;
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
