import { readFlag } from '../capability/capability.ts';
import { change, evidenceInForce, record } from '../capability/control-store.ts';
import { readFlagFile, rolloutPercent, setReadPercent } from '../capability/flag-file.ts';
import type { Phase } from '../capability/phase.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  standingOf,
  withControl,
} from './command.ts';
import { adminOptions } from './facade-admin.ts';
import { describeFollowed, exitCodeOf, flagFileOf, untilFollowed } from './move-flag.ts';
import { shadowPercentIn, shiftShadow } from './shadow.ts';

/** The phase that a percentage of reads means; a shadow goes on without them. */
const phaseFor = (percent: number, isShadowed: boolean): Phase =>
  percent === 0 ? (isShadowed ? 'shadow' : 'synced') : percent === 100 ? 'reads' : 'canary';

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
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const capability = capabilityNamed(await configOf(values), words);
    const percent = values.reads;
    if ((percent === undefined) === (values.shadow === undefined))
      throw new CommandError('say how many: --reads 0 to --reads 100, or --shadow 0 to --shadow 100', {
        exitCode: 2,
      });
    if (values.shadow !== undefined) return shiftShadow(capability, values.shadow, values, output);
    if (percent === undefined) throw new Error('one of the two was given');
    const file = flagFileOf(readFlag(capability.name), values);
    const flag = readFlagFile(file).features.find(({ name }) => name === readFlag(capability.name));
    const was = rolloutPercent(flag);
    return withControl(values, async (control) => {
      const current = await standingOf(control, capability.name);
      if (current.phase === 'owned' || current.phase === 'retired')
        throw new CommandError(
          `${capability.name} is in ${current.phase}: the service owns it, and its reads are not for a percentage`,
        );
      const evidence = await evidenceInForce(control, capability.name, 'verified');
      if (percent > 0 && !evidence) {
        const isBackfilled = await evidenceInForce(control, capability.name, 'backfilled');
        throw new CommandError(
          isBackfilled
            ? `nothing says that the data of ${capability.name} is the same on both sides: run "banyan verify ${capability.name}" first`
            : `nothing says that the service has the data of ${capability.name}: run "banyan backfill ${capability.name}", then "banyan verify ${capability.name}" first`,
        );
      }
      const isShadowed = (shadowPercentIn(file, capability.name) ?? 1) > 0;
      const to = percent === 0 && current.phase === 'legacy' ? 'legacy' : phaseFor(percent, isShadowed);
      const deed = {
        actor: actorOf(values.actor),
        action: 'shift',
        reason: values.reason,
        detail: { reads: percent, was: was ?? 'a flag of another kind' },
      };
      // Forward the phase opens before the flag asks; back the flag lets go before the phase closes.
      const movePhase = async () => {
        if (to === current.phase) await record(control, capability.name, deed);
        else await change(control, { capability: capability.name, from: current, to, deed });
      };
      const moveFlag = () => setReadPercent(file, capability.name, percent);
      if (percent > (was ?? 100)) {
        await movePhase();
        moveFlag();
      } else {
        moveFlag();
        await movePhase();
      }
      output.say(
        `${capability.name}: reads ${was ?? '?'} % → ${percent} %, phase ${current.phase} → ${to}${evidence ? `, on a verification recorded at ${evidence.recordedAt.slice(0, 19)}Z` : ''}`,
      );
      const followed = await untilFollowed(
        values,
        capability.name,
        ({ effectivePercent }) => effectivePercent === percent,
      );
      output.say(describeFollowed(followed));
      return {
        result: {
          capability: capability.name,
          reads: percent,
          was: was ?? null,
          phase: to,
          confirmedMs: followed.ms ?? null,
        },
        exitCode: exitCodeOf(followed),
      };
    });
  },
});
