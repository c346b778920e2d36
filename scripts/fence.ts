import type { Connection } from 'mysql2/promise';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { record } from '../capability/control-store.ts';
import { type FenceRow, readFences } from '../capability/fence.ts';
import { FenceError, fenceSession, runFenceStatements } from '../capability/fence-run.ts';
import {
  type FenceMode,
  type FencePlace,
  type FenceStatement,
  fencedTables,
  fenceStatements,
  modesOf,
  readTriggers,
} from '../capability/fence-triggers.ts';
import { readWriters, sinceSql } from '../capability/writers.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  connectTo,
  withControl,
} from './command.ts';
import { adminUrl } from './install.ts';

const sides = ['legacy', 'service'] as const;
const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');

type SideState = {
  readonly place: FencePlace;
  readonly fence: FenceRow;
  readonly modes: ReadonlyMap<string, FenceMode>;
  /** From what is in place to what was asked for. */
  readonly statements: readonly FenceStatement[];
  /** After them: from when on writers are noted. */
  readonly since: readonly string[];
};

const placeOf = (config: BanyanConfig, capability: Capability, side: Side): FencePlace => ({
  capability: capability.name,
  side,
  schema: side === 'legacy' ? config.legacy.database : capability.service.database,
  tables: fencedTables(capability, side),
});

/** Writers of all tables are noted from the moment when the last table's are. */
function sinceStatements(
  name: string,
  modes: ReadonlyMap<string, FenceMode>,
  isNoted: boolean,
  mode: FenceMode,
): string[] {
  if (mode === 'off') return isNoted ? sinceSql(name, false) : [];
  return isNoted && ![...modes.values()].includes('off') ? [] : sinceSql(name, true);
}

async function readState(
  on: Readonly<Record<Side, Connection>>,
  config: BanyanConfig,
  capability: Capability,
  mode: FenceMode | undefined,
): Promise<SideState[]> {
  const fences = await readFences(on, capability.name);
  if (!fences) throw new CommandError(`${capability.name} is not installed everywhere: run "banyan install"`);
  return Promise.all(
    sides.map(async (side) => {
      const place = placeOf(config, capability, side);
      const triggers = await readTriggers(on[side], place.schema).catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        throw new CommandError(
          `the triggers on the ${serverOf(side)} server cannot be read: ${message}. "banyan install" brings accounts and rights up to date`,
          { cause: error },
        );
      });
      const modes = modesOf(place, triggers);
      const { since } = await readWriters(on[side], capability, side);
      return {
        place,
        fence: fences[side],
        modes,
        statements: mode === undefined ? [] : fenceStatements(place, triggers, mode),
        since: mode === undefined ? [] : sinceStatements(capability.name, modes, since !== undefined, mode),
      };
    }),
  );
}

/** The mode that the words mean; undefined: only look. */
function modeAsked(values: { observe: boolean; enforce: boolean; off: boolean }): FenceMode | undefined {
  const asked = (['observe', 'enforce', 'off'] as const).filter((mode) => values[mode]);
  if (asked.length > 1)
    throw new CommandError(`one mode at a time: --${asked.join(' or --')}?`, { exitCode: 2 });
  return asked[0];
}

const makingTriggers = {
  doing: 'making triggers',
  may: 'make them with another definer',
  byHand: 'have a DBA run what is printed without --execute',
};

const ownerGate = 'owner';

function checkWords(
  mode: FenceMode | undefined,
  {
    execute,
    override,
    reason,
  }: { execute: boolean; override: readonly string[]; reason: string | undefined },
): void {
  const fault =
    execute && mode === undefined
      ? 'what is to be executed? Say --observe, --enforce or --off'
      : override.length > 0 && mode !== 'off'
        ? `--override is for --off: nothing else is refused`
        : override.some((gate) => gate !== ownerGate)
          ? `--override: the only thing that may be overridden here is "${ownerGate}"`
          : override.length > 0 && !reason
            ? '--override needs a --reason: whoever reads the audit will ask'
            : undefined;
  if (fault !== undefined) throw new CommandError(fault, { exitCode: 2 });
}

/** What a DBA can run by hand: exactly what --execute would. */
const printed = (state: SideState): string[] => [
  `\n-- On the ${serverOf(state.place.side)} server`,
  `${fenceSession};`,
  ...state.statements.map(({ sql }) =>
    sql.startsWith('CREATE') ? `DELIMITER //\n${sql} //\nDELIMITER ;` : `${sql};`,
  ),
  ...state.since.map((sql) => `${sql};`),
];

async function runOn(
  state: SideState,
  mode: FenceMode,
  url: URL,
  waitMsMax: number,
  progress: (line: string) => void,
): Promise<void> {
  const { place, statements } = state;
  const server = serverOf(place.side);
  const sql = await connectTo(server, url);
  const observer = await connectTo(server, url);
  try {
    await runFenceStatements(statements, {
      sql,
      observer,
      waitMsMax,
      pauseMs: 1_000,
      onWait: (table, inTheWay) =>
        progress(`${place.schema}.${table} is in use; trying again. Open there: ${inTheWay}`),
    });
    const now = modesOf(place, await readTriggers(sql, place.schema));
    const missed = place.tables.filter((table) => now.get(table) !== mode);
    if (missed.length > 0)
      throw new FenceError(
        `${missed.join(', ')} on the ${server} server: somebody else changed triggers meanwhile; run this again`,
      );
    for (const text of state.since) await sql.query(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(`the fence on the ${server} server: ${message}`, { cause: error });
  } finally {
    sql.destroy();
    observer.destroy();
  }
}

const described = ({ place, fence, modes }: SideState): string[] => [
  `${serverOf(place.side)}: ${fence.owner} owns at epoch ${fence.epoch}`,
  ...[...modes].map(([table, mode]) => `  ${mode.padEnd(8)} ${place.schema}.${table}`),
];

const resultOf = (capability: string, states: readonly SideState[], executed: boolean) => ({
  capability,
  executed,
  sides: states.map(({ place, fence, modes, statements }) => ({
    side: place.side,
    schema: place.schema,
    owner: fence.owner,
    epoch: fence.epoch.toString(),
    tables: [...modes].map(([table, mode]) => ({ table, mode })),
    statements: statements.map(({ sql }) => sql),
  })),
});

export const fenceCommand = command({
  name: 'fence',
  words: 'CAPABILITY [--observe | --enforce | --off]',
  summary:
    'Triggers on the captured tables of both sides: note who writes, refuse where the side does not own.',
  help: `
Without a mode it shows what is in place. With one it prints the SQL that would run; --execute runs it.
  banyan fence reviews --observe --execute     notes who writes ("banyan writers reviews"); refuses nothing
  banyan fence reviews --enforce --execute     refuses writes on the side that does not own, and during a change
  banyan fence reviews --off --execute         takes the triggers away
--execute needs accounts that may make triggers with another definer, in the URLs; for the stack that "npm start" runs,
its own are used. A table in use is waited for a second at a time, and tried again. Each new trigger is in place before
the old one goes. docs/fence.md says what is noted and what it costs.`,
  options: {
    ...actingOptions,
    observe: { type: 'flag', help: 'Note who writes; refuse nothing.' },
    enforce: { type: 'flag', help: 'Note who writes, and refuse what the fence row does not allow.' },
    off: { type: 'flag', help: 'Take the triggers away. Refused while the service owns.' },
    execute: { type: 'flag', help: 'Do it; without it the SQL is printed, and nothing is changed.' },
    wait: {
      type: 'integer',
      default: 60,
      min: 1,
      max: 86_400,
      help: 'For how many seconds a table in use is tried again.',
    },
    override: { type: 'list', help: `"${ownerGate}": --off although the service owns; needs --reason.` },
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const { name } = capability;
    const mode = modeAsked(values);
    checkWords(mode, values);
    const legacy = await connectAs('legacy', 'banyan_cli', values);
    const service = await connectAs('services', 'banyan_cli', values);
    try {
      const before = await readState({ legacy, service }, config, capability, mode);
      const owning = before.some(({ fence }) => fence.owner === 'service');
      if (mode === 'off' && owning && !values.override.includes(ownerGate))
        throw new CommandError(
          `the service owns ${name}: without the triggers legacy would take writes that nobody brings over. Go back first ("banyan rollback ${name}"), or answer for it: --override ${ownerGate} --reason "…"`,
        );
      for (const state of before) for (const line of described(state)) output.say(line);
      const due = before.filter(({ statements, since }) => statements.length + since.length > 0);
      if (mode === undefined || !values.execute || due.length === 0) {
        for (const state of due) for (const line of printed(state)) output.say(line);
        if (mode !== undefined)
          output.say(due.length > 0 ? '\nnothing was changed: --execute does it' : 'nothing to do');
        return { result: resultOf(name, before, false) };
      }
      const progress = (line: string) => output.progress(line, true);
      // A URL that is missing is said before anything is done.
      const runs = due.map((state) => ({
        state,
        url: adminUrl(serverOf(state.place.side), values, makingTriggers),
      }));
      await withControl(values, async (control) => {
        const detail = { mode, sides: runs.map(({ state }) => state.place.side), override: values.override };
        await record(control, name, {
          actor: actorOf(values.actor),
          action: 'fence',
          reason: values.reason,
          detail,
        });
      });
      for (const { state, url } of runs) await runOn(state, mode, url, values.wait * 1_000, progress);
      const after = await readState({ legacy, service }, config, capability, mode);
      for (const { place } of due)
        output.say(`${serverOf(place.side)}: ${mode} on ${place.tables.join(', ')}`);
      return { result: resultOf(name, after, true) };
    } finally {
      legacy.destroy();
      service.destroy();
    }
  },
});
