import { parseOptions } from '../capability/options.ts';
import { commandLine, type WayStep, wayOf } from '../capability/way.ts';
import { backfillCommand } from './backfill.ts';
import {
  actorOption,
  type Command,
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  type Output,
  serverOptions,
} from './command.ts';
import { cutoverCommand } from './cutover.ts';
import { adminOptions } from './facade-admin.ts';
import { fenceCommand } from './fence.ts';
import { gatherFacts, openFactsInput } from './gate-facts.ts';
import { retireCommand } from './retire.ts';
import { shiftCommand } from './shift.ts';
import { verifyCommand } from './verify.ts';

type Done = Awaited<ReturnType<Command['run']>>;

/** Options that say where things are go on to the step's command as they were given here. */
const passedOn = new Set([
  ...Object.keys(commonOptions),
  ...Object.keys(serverOptions),
  ...Object.keys(adminOptions),
  'actor',
]);

async function take(
  step: WayStep,
  capability: string,
  given: Readonly<Record<string, unknown>>,
  output: Output,
): Promise<Done> {
  const [name, ...options] = step.words;
  const run = async <D extends Command['options']>(found: Command<D>): Promise<Done> => {
    const { values, words } = parseOptions(found.options, [capability, ...options], {});
    const same = Object.entries(given).filter(([key]) => passedOn.has(key) && key in found.options);
    return found.run({ values: { ...values, ...Object.fromEntries(same) }, words, output });
  };
  switch (name) {
    case 'backfill':
      return run(backfillCommand);
    case 'verify':
      return run(verifyCommand);
    case 'fence':
      return run(fenceCommand);
    case 'shift':
      return run(shiftCommand);
    case 'cutover':
      return run(cutoverCommand);
    case 'retire':
      return run(retireCommand);
    default:
      throw new Error(`the way has no command "${name}"`);
  }
}

export const advanceCommand = command({
  name: 'advance',
  words: 'CAPABILITY [--execute]',
  summary: 'Takes the next step of the way, whatever it is.',
  help: `
The steps are those of "banyan plan": backfill, verify, fence --observe, shift --reads 10, shift --reads 100, fence --enforce,
cutover, retire. One step each time it is called; without --execute it says which one, and changes nothing. A step that is
closed by a gate stays closed: nothing is overridden here.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    ...adminOptions,
    ...actorOption,
    execute: { type: 'flag', help: 'Take it; without it the step is named, and nothing is done.' },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const next = await (async () => {
      using input = await openFactsInput(config, capability, values);
      return wayOf(await gatherFacts(input, 'rollback')).find(({ state }) => state === 'next');
    })();
    if (!next) throw new CommandError(`${capability.name} is retired: there is no way on from there`);
    const line = commandLine(capability.name, next.words);
    output.say(`next: ${line}  (${next.means})`);
    if (!values.execute)
      return { result: { capability: capability.name, next: next.step, command: line, executed: false } };
    const { result, exitCode = 0 } = await take(next, capability.name, values, output);
    return {
      result: { capability: capability.name, next: next.step, command: line, executed: true, result },
      exitCode,
    };
  },
});
