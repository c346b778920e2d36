import { changeOwner } from './change-command.ts';
import { capabilityNamed, command, configOf } from './command.ts';
import { changeOptions } from './gated.ts';

export const rollbackCommand = command({
  name: 'rollback',
  words: 'CAPABILITY [--execute]',
  summary: 'Makes the monolith the owner again: nothing that the service accepted is lost.',
  help: `
The same machine as "banyan cutover", the other way round: the stream from the service has kept the monolith's tables up to
date all along. Without --execute it looks at every gate and changes nothing. The phase becomes reads: clients go on reading
by the flag's percentage. Legacy-only columns are as they were; ids are not used twice.`,
  options: changeOptions,
  async run({ values, words, output }) {
    const config = await configOf(values);
    return changeOwner({
      kind: 'rollback',
      config,
      capability: capabilityNamed(config, words),
      values,
      output,
    });
  },
});
