import { readCapability, record } from '../capability/control-store.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  serverOptions,
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
    ...commonOptions,
    ...serverOptions,
    ...actorOption,
    ...adminOptions,
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const { name } = capabilityNamed(await configOf(values), words);
    const phase = await withControl(values, async (control) => {
      const row = await readCapability(control, name);
      if (!row) throw new CommandError(`${name} is not in the control store: run "banyan install"`);
      if (row.phase === 'owned' || row.phase === 'retired')
        await record(control, name, {
          actor: actorOf(values.actor),
          action: 'stop',
          reason: values.reason,
          detail: { phase: row.phase },
        });
      return row.phase;
    });
    if (phase !== 'owned' && phase !== 'retired')
      return shiftCommand.run({ values: { ...values, reads: 0 }, words, output });
    output.say(
      `${name} is ${phase}: the service owns it, and answers its reads. ${phase === 'owned' ? `To have the monolith own it again: banyan rollback ${name}` : 'There is no way back from retired'}`,
    );
    return { result: { capability: name, phase, reads: null } };
  },
});
