import { readFlag } from '../capability/capability.ts';
import { evidenceInForce, readCapability } from '../capability/control-store.ts';
import { type Flag, readFlagFile, rolloutPercent } from '../capability/flag-file.ts';
import { readInterlock } from '../capability/phase.ts';
import { command, commonOptions, configOf, serverOptions, withControl } from './command.ts';
import { adminOptions, facadeStatus, flagFile, onFacade } from './facade-admin.ts';

const percent = (value: number | null | undefined) =>
  value === null || value === undefined ? '?' : `${value} %`;

/** `copied at 2026-11-20 10:00:00Z, 100,043 rows` */
function evidenceLine(facts: unknown): string {
  const { copiedAt, rows } =
    typeof facts === 'object' && facts !== null ? (facts as { copiedAt?: unknown; rows?: unknown }) : {};
  return `copied at ${String(copiedAt).slice(0, 19)}Z, ${Number(rows).toLocaleString('en-US')} rows`;
}

export const statusCommand = command({
  name: 'status',
  words: '',
  summary: 'Where each capability stands: phase, evidence, flag, and what a facade really serves.',
  help: `
Until there is a change stream the service has what the last copy gave it: "copied at …" says from when it is.
"proposed" is what the flag asks for, "effective" what the facade serves after the interlock.`,
  options: { ...commonOptions, ...serverOptions, ...adminOptions },
  async run({ values, output }) {
    const config = await configOf(values);
    const file = values.unleashUrl ? undefined : flagFile(values);
    const flags: readonly Flag[] | undefined = file ? readFlagFile(file).features : undefined;
    const facade = await facadeStatus(values);
    const capabilities = await withControl(values, async (control) => {
      const found = [];
      for (const { name, team } of config.capabilities) {
        const row = await readCapability(control, name);
        const copied = await evidenceInForce(control, name, 'copied');
        const interlock = readInterlock(row && { phase: row.phase, ready: copied !== undefined });
        const served = onFacade(facade, name);
        found.push({
          name,
          team,
          phase: row?.phase ?? null,
          changedAt: row?.changedAt ?? null,
          copied: copied ? { recordedAt: copied.recordedAt, facts: copied.facts } : null,
          proposedPercent: flags
            ? (rolloutPercent(flags.find((flag) => flag.name === readFlag(name))) ?? null)
            : (served?.proposedPercent ?? null),
          effectivePercent: served?.effectivePercent ?? null,
          interlock: interlock.open ? null : interlock.why,
          readsLastMinute: served?.readsLastMinute ?? null,
        });
      }
      return found;
    });
    for (const each of capabilities) {
      output.say(
        `${each.name} (team ${each.team}): ${each.phase ?? 'not installed: run "banyan install"'}${each.changedAt ? ` since ${each.changedAt.slice(0, 19)}Z` : ''}`,
      );
      output.say(
        `  evidence   ${each.copied ? evidenceLine(each.copied.facts) : 'none: run "banyan copy"'}; legacy writes since then are not in it`,
      );
      output.say(
        `  reads      proposed ${percent(each.proposedPercent)}, effective ${percent(each.effectivePercent)}${each.interlock ? ` (held at legacy: ${each.interlock})` : ''}`,
      );
      if (each.readsLastMinute)
        output.say(
          `  last minute  ${each.readsLastMinute.service} reads from the service, ${each.readsLastMinute.legacy} from legacy`,
        );
    }
    output.say(
      facade === undefined
        ? 'facade: none is known; give --admin-url and BANYAN_ADMIN_TOKEN'
        : `facade: ${facade.url} ${facade.reachable ? 'answers' : `does not answer (${facade.error})`}`,
    );
    return {
      result: { capabilities, facade: facade ? { url: facade.url, reachable: facade.reachable } : null },
    };
  },
});
