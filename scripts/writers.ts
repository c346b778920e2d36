import type { Side } from '../capability/capability.ts';
import { record } from '../capability/control-store.ts';
import { forgetWriter, readWriters, type Writers } from '../capability/writers.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  withControl,
} from './command.ts';

const sides = ['legacy', 'service'] as const;
const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');

function linesOf(side: Side, { since, writers }: Writers): string[] {
  const noted =
    since === undefined ? 'nobody is noted: "banyan fence CAPABILITY --observe"' : `noted since ${since}Z`;
  const cells = writers.map(({ user, host, rows, firstSeen, lastSeen, declared }) => [
    declared ? 'declared' : 'UNDECLARED',
    `${user}@${host}`,
    `${rows} rows at least`,
    `first ${firstSeen}Z`,
    `last ${lastSeen}Z`,
  ]);
  const width = (column: number) => Math.max(...cells.map((row) => row[column]?.length ?? 0));
  const widths = [0, 1, 2, 3, 4].map(width);
  return [
    `${serverOf(side)}: ${noted}`,
    ...cells.map((row) =>
      `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
    ),
  ];
}

/** USER or USER@HOST; a user's name may have an @, a host's has none. */
function parseForget(text: string): { user: string; host: string | undefined } {
  const at = text.lastIndexOf('@');
  if (at === 0 || at === text.length - 1)
    throw new CommandError(`--forget "${text}": say USER or USER@HOST, as in the list`, { exitCode: 2 });
  return at < 0 ? { user: text, host: undefined } : { user: text.slice(0, at), host: text.slice(at + 1) };
}

export const writersCommand = command({
  name: 'writers',
  words: 'CAPABILITY [--forget USER[@HOST] --reason TEXT]',
  summary: 'Which database users write its tables, on both sides, and which of them nobody has declared.',
  help: `
Noted by the fence's triggers ("banyan fence CAPABILITY --observe"). A user that the configuration does not name under
\`writers\` closes the gate to a change of owner: after the change its writes would be refused. Declare it when it is the
application's own; else move it to the service's API, or stop it, and then
  banyan writers reviews --forget shop_batch --reason "asks the API since release 412"
forgets what was noted; it is noted again when it writes again. docs/fence.md has more.`,
  options: {
    ...actingOptions,
    forget: { type: 'text', help: 'USER, or USER@HOST: forget what was noted of it.' },
    reason: { type: 'text', help: 'Why it is forgotten, for the audit.' },
  },
  async run({ values, words, output }) {
    const capability = capabilityNamed(await configOf(values), words);
    const forget = values.forget === undefined ? undefined : parseForget(values.forget);
    if (forget && !values.reason)
      throw new CommandError('--forget needs a --reason: whoever reads the audit will ask', { exitCode: 2 });
    let forgotten = 0;
    const found: ({ readonly side: Side } & Writers)[] = [];
    for (const side of sides) {
      const sql = await connectAs(serverOf(side), 'banyan_cli', values);
      try {
        if (forget) forgotten += await forgetWriter(sql, capability.name, forget.user, forget.host);
        found.push({ side, ...(await readWriters(sql, capability, side)) });
      } finally {
        sql.destroy();
      }
    }
    if (forget) {
      if (forgotten === 0)
        throw new CommandError(
          `nothing is noted of "${values.forget}": "banyan writers ${capability.name}" has the list`,
        );
      await withControl(values, (control) =>
        record(control, capability.name, {
          actor: actorOf(values.actor),
          action: 'forget-writer',
          reason: values.reason,
          detail: { ...forget },
        }),
      );
    }
    for (const { side, ...writers } of found) for (const line of linesOf(side, writers)) output.say(line);
    return { result: { capability: capability.name, sides: found, ...(forget ? { forgotten } : {}) } };
  },
});
