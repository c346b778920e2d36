import { changeOwner } from './change-command.ts';
import { capabilityNamed, command, configOf } from './command.ts';
import { changeOptions } from './gated.ts';

export const cutoverCommand = command({
  name: 'cutover',
  words: 'CAPABILITY [--execute]',
  summary: "Makes the service the owner of the capability's writes.",
  help: `
Without --execute it looks at every gate and changes nothing. With it, writes of the capability are held at the facades for
a moment, the monolith is closed, the change stream opens the service, and the held writes go there; no request fails. Until
the monolith is closed anything that goes wrong is undone, and writes go on there. Kill it at any moment: nobody waits for
longer than four seconds, and the same command, run again, goes on or finds it undone. "banyan rollback" is the way back.
docs/change-of-owner.md has every step, and docs/cli.md the exit codes.`,
  options: changeOptions,
  async run({ values, words, output }) {
    const config = await configOf(values);
    return changeOwner({
      kind: 'cutover',
      config,
      capability: capabilityNamed(config, words),
      values,
      output,
    });
  },
});
