import { type Capability, isMirrored, readFlag, shadowFlag } from '../capability/capability.ts';
import { leaveLease } from '../capability/change-store.ts';
import { readStandings } from '../capability/control-store.ts';
import { readRound } from '../capability/read-shift.ts';
import { holderNamed, takeLease } from './change-lease.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  type Done,
  withControl,
} from './command.ts';
import { adminOptions, adminToken } from './facade-admin.ts';
import { type FlagPlace, flagPlaceOf } from './flag-place.ts';
import { verdictLines } from './gated.ts';
import { mayMoveReads } from './move-reads.ts';
import { everyText, parseEvery, parseSteps, stepsLeft } from './ramp-plan.ts';
import { overridable, type RampOutcome, takeSteps } from './ramp-steps.ts';

const exitCodes: Readonly<Record<RampOutcome, number>> = {
  done: 0,
  'no-data': 3,
  returned: 4,
  'not-followed': 5,
  superseded: 6,
};

/** Without mirrored reads no step could pass: said before the first one. */
async function parityFault(
  { name, routes }: Capability,
  place: FlagPlace,
  override: readonly string[],
): Promise<string | undefined> {
  const isMirroring = ((await place.percentOf(shadowFlag(name))) ?? 1) > 0;
  return routes.some(isMirrored) && !isMirroring && !override.includes('parity')
    ? `no read of ${name} is mirrored, so nobody will know whether both sides answer alike: run "banyan shift ${name} --shadow 100" first (or --override parity --reason TEXT)`
    : undefined;
}

export const rampCommand = command({
  name: 'ramp',
  words: 'CAPABILITY --steps PERCENT,… --every TIME',
  summary: 'Moves the reads to the service step by step, each step judged by what the one before has shown.',
  help: `
In each step errors, latency and parity of the service are compared with legacy's in the same window, over all facades. A step that
the service fails puts the reads back on legacy; one with too few reads to say anything ends the ramp where it is. While reads move
the facades themselves watch the service: one that fails has its reads back on legacy within seconds, whether or not this command
still runs. Run again, it goes on from the percentage at which the reads are. docs/ramp.md says more.
  banyan ramp reviews --steps 1,5,25,50,100 --every 60s              shows what it would do
  banyan ramp reviews --steps 1,5,25,50,100 --every 60s --execute    does it`,
  options: {
    ...actingOptions,
    ...adminOptions,
    steps: { type: 'list', help: 'Percentages of the clients, each above the one before.' },
    every: { type: 'text', default: '60s', help: 'How long each step is watched: 30s, 5m, 1h.' },
    execute: { type: 'flag', help: 'Do it; without it the plan is shown, and nothing is changed.' },
    override: {
      type: 'list',
      help: `CHECK,…: of ${overridable.join(', ')}, what you answer for; needs --reason.`,
    },
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }): Promise<Done> {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const { name } = capability;
    const [all, everyMs] = [parseSteps(values.steps), parseEvery(values.every)];
    const unknown = values.override.find((each) => !overridable.some((check) => check === each));
    if (unknown !== undefined)
      throw new CommandError(`--override: "${unknown}" is none of ${overridable.join(', ')}`, {
        exitCode: 2,
      });
    if (values.override.length > 0 && !values.reason)
      throw new CommandError('--override needs a --reason: whoever reads the audit will ask', {
        exitCode: 2,
      });
    const place = flagPlaceOf(values, config);
    const token = adminToken(values);
    if (!token)
      throw new CommandError('the facades must be asked: give --admin-token or BANYAN_ADMIN_TOKEN', {
        exitCode: 2,
      });
    return withControl(values, async (control) => {
      const { evidence, current } = await mayMoveReads(control, name, all[0] ?? 0);
      const reads = (await readStandings(control)).get(name)?.reads;
      // Whom a failing service has given back begins anew.
      const percent = reads?.returned ? 0 : await place.percentOf(readFlag(name));
      const steps = stepsLeft(all, percent);
      output.say(
        `${name}: ${current.phase}, reads at ${percent ?? '?'} %, on a verification recorded at ${evidence?.recordedAt.slice(0, 19)}Z`,
      );
      if (reads?.returned)
        output.say(`  they went back to legacy at ${reads.returned.at}: ${reads.returned.why}`);
      for (const step of steps) output.say(`  ${String(step).padStart(3)} % for ${everyText(everyMs)}`);
      if (steps.length === 0) output.say('  they are past every step');
      const fault = await parityFault(capability, place, values.override);
      if (fault !== undefined) output.say(`  FAIL  parity  ${fault}`);
      const plan = { capability: name, executed: false, percent: percent ?? null, steps, everyMs };
      if (!values.execute || fault !== undefined || steps.length === 0)
        return {
          result: { ...plan, ok: fault === undefined, reason: fault ?? null },
          exitCode: fault === undefined ? 0 : 3,
        };
      const actor = actorOf(values.actor);
      const holder = holderNamed(actor, 'ramp');
      const heldBy = await takeLease(control, {
        capability: name,
        holder,
        mayWait: () => false,
        tell: (line) => output.progress(line, true),
      });
      if (heldBy !== undefined) {
        output.say(heldBy);
        return { result: { ...plan, ok: false, heldBy }, exitCode: 7 };
      }
      try {
        const end = await takeSteps(
          {
            control,
            capability,
            place,
            token,
            steps,
            everyMs,
            override: values.override,
            holder,
            round: await readRound(control, name),
            deed: { actor, reason: values.reason },
            tell: (line) => output.say(line),
            progress: (line) => output.progress(line),
          },
          ({ verdicts }) => {
            for (const line of verdictLines(verdicts)) output.say(`  ${line}`);
          },
        );
        output.progress('', true);
        output.say(`${end.outcome === 'done' ? 'done' : end.outcome.toUpperCase()}: ${end.reason}`);
        const ok = end.outcome === 'done';
        return {
          result: { capability: name, executed: true, ok, everyMs, ...end },
          exitCode: exitCodes[end.outcome],
        };
      } finally {
        await leaveLease(control, name, holder);
      }
    });
  },
});
