import type { Gated } from '../capability/gates.ts';
import { commandLine, wayOf } from '../capability/way.ts';
import { capabilityNamed, command, commonOptions, configOf, serverOptions } from './command.ts';
import { adminOptions } from './facade-admin.ts';
import { gatherFacts, openFactsInput } from './gate-facts.ts';
import { verdictLines, verdictsOf } from './gated.ts';

const marks = { done: 'done', next: 'NEXT', later: '  - ' } as const;

export const planCommand = command({
  name: 'plan',
  words: 'CAPABILITY',
  summary:
    'The way of a capability, where it is on it, and every gate of the change of owner that comes next.',
  help: `
Changes nothing. "banyan advance" takes the next step; each gate is shown with what it rests on, how old that is, and what to
do when it is closed.`,
  options: { ...commonOptions, ...serverOptions, ...adminOptions },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    using input = await openFactsInput(config, capability, values);
    // With all that a cutover asks for, doctor's too: it is what the way leads to.
    const facts = await gatherFacts(input, 'cutover');
    const way = wayOf(facts);
    const { legacy, service } = facts.fences;
    output.say(
      `${capability.name}: ${facts.phase}; legacy's fence names ${legacy.owner} at epoch ${legacy.epoch}, the service's ${service.owner} at epoch ${service.epoch}`,
    );
    for (const { state, words: next, means } of way)
      output.say(`  ${marks[state]}  ${commandLine(capability.name, next).padEnd(44)} ${means}`);
    const move: Gated = facts.phase === 'owned' || facts.phase === 'retired' ? 'retire' : 'cutover';
    const gates = verdictsOf(move, capability, facts, []);
    output.say(`gates of ${move}:`);
    for (const line of verdictLines(gates)) output.say(`  ${line}`);
    return {
      result: {
        capability: capability.name,
        phase: facts.phase,
        way: way.map(({ step, state, words: next }) => ({
          step,
          state,
          command: commandLine(capability.name, next),
        })),
        move,
        gates,
      },
    };
  },
});
