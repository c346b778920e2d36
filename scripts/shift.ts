import { type Capability, readFlag } from '../capability/capability.ts';
import { type Cohort, CohortError, cohortText, parseCohorts } from '../capability/cohort.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  withControl,
} from './command.ts';
import { adminOptions } from './facade-admin.ts';
import { flagPlaceOf } from './flag-place.ts';
import { describeFollowed, exitCodeOf, untilFollowed } from './move-flag.ts';
import { moveReads } from './move-reads.ts';
import { shiftShadow } from './shadow.ts';

/** @throws CommandError @returns undefined: those who are named stay */
function cohortsFrom(text: string | undefined, { context }: Capability): Cohort[] | undefined {
  if (text === undefined) return undefined;
  try {
    return parseCohorts(text, context);
  } catch (error) {
    if (!(error instanceof CohortError)) throw error;
    throw new CommandError(`--cohort: ${error.message}`, { exitCode: 2, cause: error });
  }
}

const notOff = (name: string, cause: unknown) =>
  new CommandError(
    `${name} is read from legacy again, by its phase; but the flag "${readFlag(name)}" could not be put to 0: ${cause instanceof Error ? cause.message : String(cause)}. Run this again when that is mended`,
    { cause },
  );

export const shiftCommand = command({
  name: 'shift',
  words: 'CAPABILITY --reads PERCENT | --shadow PERCENT',
  summary: "Moves a percentage of a capability's reads to its service, or back.",
  help: `
Needs evidence that the service has the data and that it is right (banyan backfill, banyan verify). Who is moved stays moved while the percentage
grows; at 0 everybody reads from legacy again. Writes are never shifted: they follow the owner.
  banyan shift reviews --reads 5        a first few
  banyan shift reviews --reads 100      everybody
  banyan shift reviews --reads 0        back, at once, from any percentage
  banyan shift reviews --reads 0 --cohort "member=member1,member2;beta=1"
                                        nobody but two members, and those who ask for the beta by a header
  banyan shift reviews --shadow 10      mirrors the reads of some clients to the other side; "banyan diff" says how alike both are`,
  options: {
    ...actingOptions,
    ...adminOptions,
    reads: {
      type: 'integer',
      min: 0,
      max: 100,
      help: "The percentage of the clients' reads that the service answers.",
    },
    shadow: {
      type: 'integer',
      min: 0,
      max: 100,
      help: 'Instead: the percentage of the clients whose reads are mirrored once they are answered.',
    },
    cohort: {
      type: 'text',
      help: 'Beside the percentage: NAME=VALUE,…[&NAME=VALUE][;…] of the properties that the configuration declares; "none" for nobody.',
    },
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const percent = values.reads;
    if ((percent === undefined) === (values.shadow === undefined))
      throw new CommandError('say how many: --reads 0 to --reads 100, or --shadow 0 to --shadow 100', {
        exitCode: 2,
      });
    if (values.cohort !== undefined && percent === undefined)
      throw new CommandError('--cohort belongs to --reads', { exitCode: 2 });
    const place = flagPlaceOf(values, config);
    if (values.shadow !== undefined) return shiftShadow(capability, values.shadow, place, values, output);
    if (percent === undefined) throw new Error('one of the two was given');
    const cohorts = cohortsFrom(values.cohort, capability);
    // Flags that cannot be had stop the way forward before anything is moved.
    if (percent > 0) await place.percentOf(readFlag(capability.name));
    return withControl(values, async (control) => {
      const { was, from, to, evidence, flagFault } = await moveReads(control, place, {
        name: capability.name,
        percent,
        cohorts,
        guarded: false,
        deed: { actor: actorOf(values.actor), action: 'shift', reason: values.reason },
      });
      output.say(
        `${capability.name}: reads ${was ?? '?'} % → ${percent} %, phase ${from} → ${to}${evidence ? `, on a verification recorded at ${evidence.recordedAt.slice(0, 19)}Z` : ''}`,
      );
      const followed = await untilFollowed(
        values,
        capability.name,
        ({ effectivePercent }) =>
          effectivePercent === percent || (percent === 0 && effectivePercent === null),
      );
      output.say(describeFollowed(followed));
      if (flagFault !== undefined) throw notOff(capability.name, flagFault);
      return {
        result: {
          capability: capability.name,
          reads: percent,
          was: was ?? null,
          ...(cohorts && { cohorts: cohorts.map(cohortText) }),
          phase: to,
          confirmedMs: followed.ms ?? null,
        },
        exitCode: exitCodeOf(followed),
      };
    });
  },
});
