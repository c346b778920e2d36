import { change, evidenceInForce, readCapability } from '../capability/control-store.ts';
import { type CopyProgress, copyCapability } from '../sync/copy.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  connectAs,
  serverOptions,
  withControl,
} from './command.ts';

/** `12,345` */
const number = (value: number) => value.toLocaleString('en-US');

/** A line with rate and time left, at most five a second on a terminal. */
function progressLine(): (progress: CopyProgress) => string | undefined {
  const start = performance.now();
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ table, rowsDone, rowsTotal }) => {
    const now = performance.now();
    if (now - lastMs < 200 && rowsDone < rowsTotal) return undefined;
    lastMs = now;
    const rowsPerSecond = rowsDone / Math.max(0.001, (now - start) / 1000);
    const secondsLeft = Math.ceil((rowsTotal - rowsDone) / Math.max(1, rowsPerSecond));
    return `${table}: ${number(rowsDone)} of ${number(rowsTotal)} rows, ${number(Math.round(rowsPerSecond))} rows/s, ${secondsLeft} s left`;
  };
}

export const copyCommand = command({
  name: 'copy',
  words: 'CAPABILITY',
  summary: "Copies a capability's rows to its service, through the translators, as they are at one moment.",
  help: `
Reads one consistent snapshot of the capability's tables and of the reference rows that the service needs,
empties the service's tables and fills them. The monolith goes on meanwhile; what it writes after the snapshot
is not in the copy, so the evidence says "copied at …". Only then may reads be shifted. Copying again is
possible while no reads are served by the service (banyan shift CAPABILITY --reads 0).
Exit code 1 when a row was refused by a translator: it is named, and no evidence is recorded.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    ...actorOption,
    chunkRows: {
      type: 'integer',
      default: 2_000,
      min: 1,
      max: 50_000,
      help: 'Rows read and written at a time.',
    },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const actor = actorOf(values.actor);
    return withControl(values, async (control) => {
      const [lock] = (
        await control.query('SELECT GET_LOCK(?, 0) AS taken', [`banyan copy ${capability.name}`])
      )[0] as { taken: unknown }[];
      if (Number(lock?.taken) !== 1)
        throw new CommandError(`${capability.name} is being copied by another process: wait for it`);
      const before = await readCapability(control, capability.name);
      if (!before)
        throw new CommandError(`${capability.name} is not in the control store: run "banyan install"`);
      if (before.phase !== 'legacy' && before.phase !== 'synced')
        throw new CommandError(
          `${capability.name} is in ${before.phase}: its service is answering reads, and a copy empties its tables first. Run "banyan shift ${capability.name} --reads 0", then copy`,
        );
      // From here on the service's tables are not what any earlier evidence says.
      await change(control, {
        capability: capability.name,
        from: before,
        to: 'legacy',
        withdraw: ['copied'],
        deed: { actor, action: 'copy-begin' },
      });
      const [legacy, service] = await Promise.all([
        connectAs('legacy', 'banyan_read', values),
        connectAs('services', 'banyan_apply', values),
      ]);
      const start = performance.now();
      const line = progressLine();
      try {
        const facts = await copyCapability({
          capability,
          legacy,
          legacyDatabase: config.legacy.database,
          service,
          chunkRows: values.chunkRows,
          onProgress: (progress) => {
            const text = line(progress);
            if (text && !values.json) output.progress(text, progress.rowsDone === progress.rowsTotal);
          },
        });
        const seconds = Math.round((performance.now() - start) / 10) / 100;
        for (const { table, copied, refused } of facts.tables)
          output.say(
            `${table}: ${number(copied)} rows copied${refused > 0 ? `, ${number(refused)} refused` : ''}`,
          );
        for (const { table, key, field, reason } of facts.refusals)
          output.say(`  refused: ${table} ${JSON.stringify(key)} ${field}: ${reason}`);
        const now = await readCapability(control, capability.name);
        if (!now)
          throw new CommandError(
            `${capability.name} has gone from the control store during the copy: run "banyan install"`,
          );
        const ok = facts.refused === 0;
        await change(control, {
          capability: capability.name,
          from: now,
          to: ok ? 'synced' : 'legacy',
          ...(ok ? { evidence: { kind: 'copied', facts } } : {}),
          deed: {
            actor,
            action: ok ? 'copy' : 'copy-refused',
            detail: { rows: facts.rows, refused: facts.refused, seconds, copiedAt: facts.copiedAt },
          },
        });
        output.say(
          ok
            ? `${number(facts.rows)} rows in ${seconds} s, as they were at ${facts.copiedAt}. Next: banyan shift ${capability.name} --reads 1`
            : `${number(facts.refused)} rows were refused by their translators: mend the rows or the translator, then copy again. Reads stay on legacy`,
        );
        const inForce = await evidenceInForce(control, capability.name, 'copied');
        return {
          result: {
            capability: capability.name,
            ok,
            seconds,
            recordedAt: inForce?.recordedAt ?? null,
            ...facts,
          },
          exitCode: ok ? 0 : 1,
        };
      } finally {
        legacy.destroy();
        service.destroy();
      }
    });
  },
});
