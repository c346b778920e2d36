import { readAudit } from '../capability/control-store.ts';
import { capabilityNamed, command, commonOptions, configOf, serverOptions, withControl } from './command.ts';

export const auditCommand = command({
  name: 'audit',
  words: '[CAPABILITY]',
  summary: 'Who did what to which capability, when and why; newest first.',
  help: 'The audit is append-only: the database refuses to change or delete a row of it.',
  options: {
    ...commonOptions,
    ...serverOptions,
    rowsMax: { type: 'integer', default: 20, min: 1, max: 10_000, help: 'How many rows at the most.' },
  },
  async run({ values, words, output }) {
    const capability = words.length > 0 ? capabilityNamed(await configOf(values), words).name : undefined;
    const audit = await withControl(values, (sql) => readAudit(sql, { capability, rowsMax: values.rowsMax }));
    for (const { at, actor, capability: of, action, reason, detail } of audit)
      output.say(
        `${at.slice(0, 19)}Z  ${of ?? '-'}  ${action}  by ${actor}${reason ? `  because: ${reason}` : ''}  ${JSON.stringify(detail)}`,
      );
    if (audit.length === 0) output.say('nothing has been done yet');
    return { result: { audit } };
  },
});
