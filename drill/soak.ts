// `npm run soak -- --minutes 30 [--seed N] [--json]`: the drill's house under half its load for long; nothing may grow.
import { join } from 'node:path';
import { type Declaration, describeOptions, OptionsError, parseOptions } from '../capability/options.ts';
import { table } from './soak-figures.ts';
import { type Soaked, soak } from './soak-run.ts';

const perSecond = { type: 'integer', min: 1, max: 1_000 } as const;
const options = {
  minutes: {
    type: 'integer',
    min: 1,
    max: 10_000,
    default: 30,
    help: 'How long. A process is judged once it has lived for five of them.',
  },
  writes: {
    ...perSecond,
    default: 50,
    help: "A second, of all clients: by default half of what this project's benchmark has.",
  },
  reads: { ...perSecond, default: 200, help: 'The same for reads.' },
  seed: {
    type: 'integer',
    min: 0,
    max: 2 ** 31 - 1,
    help: 'Fixes what is written and what is killed when; by the clock when it is not given.',
  },
  json: { type: 'flag', help: 'One line of JSON on standard output; all else on standard error.' },
  help: { type: 'flag', help: 'This.' },
} as const satisfies Declaration;

const folder = join(import.meta.dirname, '..', 'var', 'soak');
const reasonsShown = 20;

function report({ total, changes, verdicts, ok }: Soaked, head: object, say: (line: string) => void): object {
  for (const line of table(verdicts)) say(line);
  for (const reason of total.reasons.slice(0, reasonsShown)) console.error(reason);
  if (total.reasons.length > reasonsShown)
    console.error(`and ${total.reasons.length - reasonsShown} more of that kind`);
  const { acknowledged, lost, doubled, differences, clientErrors, staleReads, faults } = total;
  const { explained = 0, ...also } = total.also;
  const kills = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const errors = { explained, unexplained: clientErrors + staleReads };
  const counts = { changes, kills, acknowledged, lost, doubled, differences, staleReads, ...also };
  const words = Object.entries({ ...errors, ...counts }).map(([name, count]) => `${name} ${count}`);
  say(`${ok ? 'ok' : 'FAILED'}: ${words.join(', ')}`);
  return { ...head, ...counts, faults, errors, series: verdicts, ok };
}

/** @returns the exit code: 0 only when nothing is wrong and nothing has grown */
async function play(argv: readonly string[]): Promise<number> {
  // None of them comes from the environment.
  const { values, words } = parseOptions(options, argv, {});
  if (values.help) {
    console.log(`npm run soak\n${describeOptions(options)}`);
    return 0;
  }
  if (words.length > 0) throw new OptionsError([`it takes options only: what is "${words.join(' ')}"?`]);
  if (process.platform !== 'linux')
    throw new OptionsError(['what a process uses is read from /proc, which only Linux has']);
  const { minutes, writes, reads, json } = values;
  const seed = values.seed ?? Date.now() % 1_000_000_000;
  const say = (line: string) => (json ? console.error(line) : console.log(line));
  say(`soak --minutes ${minutes} --writes ${writes} --reads ${reads} --seed ${seed}`);
  const soaked = await soak({
    ...{ minutes, seed, folder, say },
    writesPerSecond: writes,
    readsPerSecond: reads,
  });
  const told = report(soaked, { minutes, seed }, say);
  if (!soaked.ok) console.error(`logs, binlogs and all samples are in ${join(folder, String(seed))}`);
  if (json) console.log(JSON.stringify(told));
  return soaked.ok ? 0 : 1;
}

try {
  process.exitCode = await play(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof OptionsError)) throw error;
  console.error(`soak: ${error.message}`);
  process.exitCode = 2;
}
