import type { BanyanConfig, Side } from '../capability/capability.ts';
import type { Finding } from '../sync/preflight/finding.ts';
import { preflight } from '../sync/preflight.ts';
import { accountGrants, type Grant, grantSql } from './accounts.ts';
import {
  accountUrl,
  CommandError,
  command,
  commonOptions,
  configOf,
  connectAs,
  connectionOptions,
  connectTo,
  type ServerValues,
  serverOptions,
  serverUrl,
} from './command.ts';
import { readStack } from './stack.ts';

const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');

/** A URL with a user is for looking; the worker's accounts have passwords of their own. */
function withoutUsers(values: ServerValues): ServerValues {
  const plain = (text: string | undefined) => {
    if (text === undefined || !URL.canParse(text)) return text;
    const url = new URL(text);
    url.username = '';
    url.password = '';
    return url.href;
  };
  return {
    ...values,
    legacyUrl: plain(values.legacyUrl),
    servicesUrl: plain(values.servicesUrl),
    controlUrl: plain(values.controlUrl),
  };
}

/** An account that sees everything: the URL's own, or that of the stack that `npm start` runs. */
function lookerUrl(side: Side, values: ServerValues): URL | undefined {
  const server = serverOf(side);
  const stack = readStack(values.folder);
  const url = serverUrl(server, values, stack);
  if (url.username !== '') return url;
  const own = stack && new URL(stack.databases[server]);
  return own?.host === url.host ? own : undefined;
}

function printedGrants(grants: readonly Grant[], host: string): string {
  const lines = [
    '-- What Banyan\'s accounts need. "banyan install --print" has the accounts and the schema, too.',
  ];
  for (const server of ['control', 'legacy', 'services'] as const) {
    lines.push('', `-- On the ${server} server`);
    for (const grant of grants.filter((each) => each.server === server))
      lines.push(
        `-- ${grant.account}: ${grant.why}`,
        ...grantSql(grant, host).map((statement) => `${statement};`),
      );
  }
  return lines.join('\n');
}

const described = ({ code, severity, server, capability, object, what, remedy }: Finding) =>
  `${severity === 'refuse' ? 'REFUSE' : 'warn'}  ${server}${capability === undefined ? '' : `, ${capability}`}  ${object}  [${code}]\n    ${what}\n    remedy: ${remedy}`;

/** Every finding, by the accounts at hand. @throws CommandError when a server goes away meanwhile */
export async function lookAround(config: BanyanConfig, values: ServerValues): Promise<Finding[]> {
  const plain = withoutUsers(values);
  const lookers = { legacy: lookerUrl('legacy', values), service: lookerUrl('service', values) };
  const looking = preflight({
    config,
    connect: async (side, role) => connectAs(serverOf(side), `banyan_${role}`, plain),
    connection: (side) => connectionOptions(accountUrl(serverOf(side), 'banyan_read', plain)),
    look: (side) => {
      const url = lookers[side];
      if (!url) return undefined;
      url.pathname = '/';
      return connectTo(serverOf(side), url);
    },
    control: async () => connectAs('control', 'banyan_cli', plain),
  });
  return looking.catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new CommandError(`a server broke the look off: ${error.message}. Ask again`, { cause: error });
  });
}

export const doctorCommand = command({
  name: 'doctor',
  words: '[--grants]',
  summary: 'Everything that would break, at once, each with its remedy. Changes nothing.',
  help: `
Looks at both servers' settings, tables, rights and accounts, and at the control store. Exit code 1 when something
refuses, 0 when there are warnings at the most. docs/doctor.md explains each finding by its code.
Give URLs with an account that sees everything (mysql://ADMIN:PASSWORD@HOST:PORT), before "banyan install" or after:
with the accounts of Banyan alone it says what it could not see. What the worker may do is proven with the worker's
own accounts, by statements that change no row and by writes that are rolled back.
With --grants it connects to nothing and prints the rights that Banyan's accounts need, as SQL.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    accountHost: { type: 'text', default: '%', help: 'The host part of the accounts, for --grants.' },
    grants: { type: 'flag', help: 'Print the grants as SQL and do nothing.' },
  },
  async run({ values, words, output }) {
    if (words.length > 0)
      throw new CommandError(`doctor looks at everything: what is "${words.join(' ')}"?`, { exitCode: 2 });
    const config = await configOf(values);
    if (values.grants) {
      const sql = printedGrants(accountGrants(config), values.accountHost);
      output.say(sql);
      return { result: { sql } };
    }
    const findings = await lookAround(config, values);
    for (const finding of findings) output.say(described(finding));
    const refuse = findings.filter(({ severity }) => severity === 'refuse').length;
    const warn = findings.length - refuse;
    output.say(findings.length === 0 ? 'nothing stands in the way' : `${refuse} refuse, ${warn} warn`);
    return { result: { ok: refuse === 0, refuse, warn, findings }, exitCode: refuse === 0 ? 0 : 1 };
  },
});
