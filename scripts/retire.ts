import { isIdentity } from '../acl/identity.ts';
import type { BanyanConfig, Capability } from '../capability/capability.ts';
import { change } from '../capability/control-store.ts';
import { gateNames } from '../capability/gates.ts';
import { actorOf, capabilityNamed, command, configOf, standingOf } from './command.ts';
import { gatherFacts, openFactsInput } from './gate-facts.ts';
import { changeOptions, checkOverride, verdictLines, verdictsOf } from './gated.ts';

/** What nobody needs any more, and what stays where it is. */
function leftovers(config: BanyanConfig, capability: Capability): { canGo: string[]; stays: string[] } {
  const { name, tables, references, routes } = capability;
  const names = tables.map((each) => (isIdentity(each) ? each.identity : each.source.table));
  const shared = config.capabilities.filter((each) => each.name !== name);
  const isShared = (table: string) =>
    shared.some((each) => each.tables.some((other) => !isIdentity(other) && other.source.table === table));
  return {
    canGo: [
      ...names
        .filter((table) => !isShared(table))
        .map((table) => `${config.legacy.database}.${table} (fenced; drop it when nobody reads it)`),
      ...routes.map(({ method, path }) => `the monolith's code behind ${method} ${path}`),
      `the read flag ${name}.read`,
    ],
    stays: [
      ...references.map(
        ({ source }) =>
          `${config.legacy.database}.${source.table} stays in the monolith, and the service follows it`,
      ),
      ...routes
        .filter((route) => route.kind === 'read' && !route.translate)
        .map(({ method, path }) => `${method} ${path} is answered by the monolith`),
    ],
  };
}

export const retireCommand = command({
  name: 'retire',
  words: 'CAPABILITY [--execute]',
  summary: 'Ends the stream back to the monolith. There is no way back from here.',
  help: `
Once nobody will want "banyan rollback" any more. The monolith's tables stay as they are and stay fenced; what can go is
listed. Refused while routes of the monolith still read or write the capability's tables. Without --execute it looks at the
gates and changes nothing.`,
  options: changeOptions,
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const { name } = capability;
    checkOverride(values, 'retire');
    using input = await openFactsInput(config, capability, values);
    const row = await standingOf(input.control, name);
    const left = leftovers(config, capability);
    const sayLeft = () => {
      for (const each of left.canGo) output.say(`can go:  ${each}`);
      for (const each of left.stays) output.say(`stays:   ${each}`);
    };
    if (row.phase === 'retired') {
      output.say(`${name} is retired already`);
      sayLeft();
      return { result: { capability: name, executed: false, ok: true, ...left } };
    }
    const facts = await gatherFacts(input, 'retire');
    const gates = verdictsOf('retire', capability, facts, values.override);
    for (const line of verdictLines(gates)) output.say(line);
    const ok = gates.every(({ verdict }) => verdict !== 'fail');
    if (!ok || !values.execute) {
      output.say(
        ok ? 'every gate is open: --execute does it, for good' : 'some gates are closed; nothing was changed',
      );
      sayLeft();
      return { result: { capability: name, executed: false, ok, gates, ...left }, exitCode: ok ? 0 : 3 };
    }
    // The stream's end first: should this end here, the phase still says that a rollback is asked for in vain.
    await (await input.sessions.sql('service')).query(
      'INSERT IGNORE INTO banyan.banyan_retired (capability) VALUES (?)',
      [name],
    );
    await change(input.control, {
      capability: name,
      from: row,
      to: 'retired',
      deed: {
        actor: actorOf(values.actor),
        action: 'retire',
        reason: values.reason,
        detail: { gates, known: gateNames('retire') },
      },
    });
    output.say(`${name} is retired: the monolith's tables no longer follow`);
    sayLeft();
    return { result: { capability: name, executed: true, ok: true, gates, ...left } };
  },
});
