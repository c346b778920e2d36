// `npm run bench -- SUITE [--json] [--size SHARE]`: our figures beside their peers' of the same run.
import { type Declaration, OptionsError, parseOptions } from '../capability/options.ts';
import { benchBackfill } from './backfill.ts';
import { benchDecode } from './decode.ts';
import { benchFacade } from './facade.ts';
import { benchFence } from './fence.ts';
import { type Measured, print } from './measure.ts';
import { benchPause } from './pause.ts';
import { benchStream } from './stream.ts';
import { benchVerify } from './verify.ts';

const options = {
  json: { type: 'flag', help: 'One line of JSON on standard output.' },
  size: {
    type: 'number',
    default: 1,
    min: 0.001,
    max: 10,
    help: 'A share of the full size: 0.1 is a tenth of the rows.',
  },
} as const satisfies Declaration;

const suites: Readonly<Record<string, (size: number) => Promise<Measured[]>>> = {
  backfill: benchBackfill,
  decode: benchDecode,
  facade: benchFacade,
  fence: benchFence,
  pause: benchPause,
  stream: benchStream,
  verify: benchVerify,
};

try {
  const { values, words } = parseOptions(options, process.argv.slice(2), process.env);
  const suite = suites[words[0] ?? ''];
  if (!suite || words.length > 1)
    throw new OptionsError([`name one suite: ${Object.keys(suites).join(', ')}`]);
  const rows = await suite(values.size);
  print(rows, values.json);
  process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1;
} catch (error) {
  if (!(error instanceof OptionsError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
