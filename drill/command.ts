// `npm run drill -- [--only sync] [--rounds N] [--seed N] [--json]`: kills, freezes and cuts off, and counts what was lost.
import { join } from 'node:path';
import { type Declaration, describeOptions, OptionsError, parseOptions } from '../capability/options.ts';
import { type Drill, type DrillOptions, isClean } from './outcome.ts';
import { syncDrill } from './sync.ts';
import { wholeDrill } from './whole.ts';

const options = {
  only: {
    type: 'text',
    help: 'What is drilled: sync, the change stream and its backfills; by default the whole, with changes of owner.',
  },
  rounds: {
    type: 'integer',
    min: 1,
    max: 10_000,
    help: 'Of sync (50): how often both sides are compared. Of the whole (30): how often the owner changes.',
  },
  seed: {
    type: 'integer',
    min: 0,
    max: 2 ** 31 - 1,
    help: 'Fixes what is written and what is killed when; by the clock when it is not given.',
  },
  faults: {
    type: 'list',
    help: 'FAULT,…: only these strike the whole ("worker killed"); all of them by default.',
  },
  json: { type: 'flag', help: 'One line of JSON on standard output; the rounds on standard error.' },
  help: { type: 'flag', help: 'This.' },
} as const satisfies Declaration;

const whole = { drill: wholeDrill, words: '', usualRounds: 30 };
const drills: Readonly<Record<string, { drill: Drill; words: string; usualRounds: number }>> = {
  sync: { drill: syncDrill, words: '--only sync ', usualRounds: 50 },
};

const folder = join(import.meta.dirname, '..', 'var', 'drill');

/** @returns the exit code: 0 only when nothing is wrong, 2 for wrong words */
async function play(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  meddle: Pick<DrillOptions, 'meddle'>,
): Promise<number> {
  const { values, words } = parseOptions(options, argv, env);
  if (values.help) {
    console.log(`npm run drill -- [--only sync]\n${describeOptions(options)}`);
    return 0;
  }
  const chosen = values.only === undefined ? whole : drills[values.only];
  if (!chosen || words.length > 0)
    throw new OptionsError([`what is drilled is the whole, or --only ${Object.keys(drills).join('|')}`]);
  const { faults: only } = values;
  if (only.length > 0 && chosen !== whole) throw new OptionsError(['--faults: of the whole only']);
  const asked = values.rounds ?? chosen.usualRounds;
  const seed = values.seed ?? Date.now() % 1_000_000_000;
  const say = (line: string) => (values.json ? console.error(line) : console.log(line));
  say(`drill ${chosen.words}--rounds ${asked} --seed ${seed}`);
  const { reasons, ...outcome } = await chosen.drill({
    seed,
    rounds: asked,
    faults: only,
    folder,
    say,
    ...meddle,
  });
  const ok = isClean({ reasons, ...outcome });
  for (const reason of reasons) console.error(reason);
  if (!ok) console.error(`logs and binlogs are in ${join(folder, String(seed))}`);
  const { rounds, acknowledged, lost, doubled, differences, clientErrors, staleReads, faults, also } =
    outcome;
  const counts = { rounds, acknowledged, lost, doubled, differences, clientErrors, staleReads, ...also };
  if (values.json) console.log(JSON.stringify({ seed, ...counts, faults, ok }));
  else
    console.log(
      `${ok ? 'ok' : 'FAILED'}: ${Object.entries(counts)
        .map(([name, count]) => `${name} ${count}`)
        .join(', ')}; ${Object.values(faults).reduce((sum, count) => sum + count, 0)} faults`,
    );
  return ok ? 0 : 1;
}

/** @returns the exit code */
export async function drillCommand(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  meddle: Pick<DrillOptions, 'meddle'> = {},
): Promise<number> {
  try {
    return await play(argv, env, meddle);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`drill: ${error.message}`);
    return 2;
  }
}
