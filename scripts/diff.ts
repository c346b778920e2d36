import { usualLimits } from '../capability/gate.ts';
import { type PathParity, parityMinutesMax, parityShare, type RouteParity } from '../capability/parity.ts';
import { readReplicas } from '../capability/replicas.ts';
import {
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  serverOptions,
  withControl,
} from './command.ts';
import { adminOptions, adminToken } from './facade-admin.ts';
import { ageText } from './gated.ts';
import { readParity } from './parity.ts';

/** Never rounded up to 100. */
const percentOf = (share: number) => Math.floor(share * 100_000) / 1_000;

function pathLines({ path, kind, count, noise, counted, example }: PathParity): string[] {
  const noted = noise > 0 ? `, ${counted} above noise (legacy differs from itself there ${noise} times)` : '';
  return [
    `    ${kind.padEnd(8)} ${path}  ${count} times${noted}`,
    ...(example
      ? [
          `             legacy: ${example.legacy} · service: ${example.service} · ${example.asked || 'no query'} · ${ageText(example.ageMs)} ago`,
        ]
      : []),
  ];
}

function routeLines(route: RouteParity): string[] {
  const { compared, different, repeated, noisy, notCompared, newestAgeMs, paths } = route;
  const noise =
    repeated === 0 ? 'not measured' : `${percentOf(noisy / repeated)} % of ${repeated} repeats on legacy`;
  return [
    `  ${route.route}`,
    compared === 0
      ? '    nothing was compared'
      : `    ${percentOf(parityShare(route))} % of ${compared} alike, ${different} different; noise ${noise}; the newest ${ageText(newestAgeMs ?? 0)} ago`,
    ...(notCompared > 0 ? [`    ${notCompared} could not be compared`] : []),
    ...paths.flatMap(pathLines),
  ];
}

export const diffCommand = command({
  name: 'diff',
  words: 'CAPABILITY',
  summary: 'How alike both sides answer the reads that were mirrored, and where they do not.',
  help: `
Reads are mirrored by "banyan shift CAPABILITY --shadow PERCENT". What differs is looked at again before it counts, since the
stream may be behind; and it counts only above the noise, that is, above how often legacy differs from itself. Values are
never shown, only what they look like, unless the route declares them (docs/shadow.md).`,
  options: {
    ...commonOptions,
    ...serverOptions,
    ...adminOptions,
    minutes: {
      type: 'integer',
      min: 1,
      max: parityMinutesMax,
      help: 'Of the last so many minutes; by default as the gate "parity" looks at it.',
    },
  },
  async run({ values, words, output }) {
    const { name, gates } = capabilityNamed(await configOf(values), words);
    const token = adminToken(values);
    if (!token)
      throw new CommandError('the facades must be asked: give --admin-token or BANYAN_ADMIN_TOKEN', {
        exitCode: 2,
      });
    const minutes = values.minutes ?? gates?.parityMinutes ?? usualLimits.parityMinutes;
    const rows = await withControl(values, readReplicas);
    const { epoch, routes, heard, unheard } = await readParity(rows, token, name, minutes);
    if (heard.length === 0)
      throw new CommandError(
        rows.length === 0
          ? 'no facade is registered: start one'
          : `none of the ${rows.length} facades that are registered answers`,
      );
    const sum = (of: (route: RouteParity) => number) => routes.reduce((total, each) => total + of(each), 0);
    const compared = sum((route) => route.compared);
    const different = sum((route) => route.different);
    const equalPercent = compared === 0 ? null : percentOf(parityShare({ compared, different }));
    output.say(
      compared === 0
        ? `${name}: nothing was compared in the last ${minutes} min; "banyan shift ${name} --shadow 100" mirrors reads`
        : `${name}: ${equalPercent} % of ${compared} mirrored reads were answered alike in the last ${minutes} min (epoch ${epoch}, ${heard.length} facades)`,
    );
    for (const route of routes) for (const line of routeLines(route)) output.say(line);
    if (unheard.length > 0) output.say(`not answered: ${unheard.join(', ')}`);
    return {
      result: {
        capability: name,
        minutes,
        epoch,
        facades: heard,
        unheard,
        compared,
        different,
        equalPercent,
        routes: routes.map((route) => ({
          ...route,
          equalPercent: route.compared === 0 ? null : percentOf(parityShare(route)),
          noisePercent: route.repeated === 0 ? null : percentOf(route.noisy / route.repeated),
        })),
      },
    };
  },
});
