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
import { shiftCommand } from './shift.ts';

export const stopCommand = command({
  name: 'stop',
  words: 'CAPABILITY',
  summary: 'Puts the reads back on the owner, from any phase, at once.',
  help: `
For the night on which something is wrong and nobody knows yet what. Before the change of owner that is legacy: as "banyan
shift --reads 0". After it the service owns, and its reads are there already: the way back is "banyan rollback".`,
  options: {
    ...actingOptions,
    ...adminOptions,
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const { name } = capabilityNamed(await configOf(values), words);
    const phase = await withControl(values, async (control) => {
      const { phase } = await standingOf(control, name);
      if (phase === 'owned' || phase === 'retired')
        await record(control, name, {
          actor: actorOf(values.actor),
          action: 'stop',
          reason: values.reason,
          detail: { phase },
        });
      return phase;
    });
    if (phase !== 'owned' && phase !== 'retired')
      return shiftCommand.run({ values: { ...values, reads: 0 }, words, output });
    output.say(
      `${name} is ${phase}: the service owns it, and answers its reads. ${phase === 'owned' ? `To have the monolith own it again: banyan rollback ${name}` : 'There is no way back from retired'}`,
    );
    return { result: { capability: name, phase, reads: null } };
  },
});
