// `npm start`: the whole sample on this machine, with a little traffic. Says where everything is and what to
// try; starts again what ends by itself; stops all of it on SIGTERM or Ctrl-C.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../capability/load-config.ts';
import { describeOptions, OptionsError, parseOptions } from '../capability/options.ts';
import { CommandError } from './command.ts';
import { PrivateServerError } from './private-server.ts';
import { claimRunFolder, RunFolderBusyError } from './run-folder.ts';
import { startSample } from './sample.ts';
import { popularProducts } from './sample-databases.ts';
import { sampleOptions } from './sample-input.ts';
import { removeStack, type Stack, writeStack } from './stack.ts';

import { storyPace, tellStory } from './story.ts';
import { ProcessError } from './supervise.ts';
import { startTraffic } from './traffic.ts';

const guide = (stack: Stack, folder: string, product: number) => `
The shop is at ${stack.facade} (behind it the monolith at ${stack.legacy}).

${stack.facades.map(({ url, admin }) => `  facade         ${url}\n  admin          ${admin}   curl -H "Authorization: Bearer ${stack.token}" ${admin}/api/status`).join('\n')}
  reviews        ${stack.services.reviews}   the extracted service
  wishlist       ${stack.services.wishlist}   another
  worker         ${stack.worker}   ${stack.worker}/api/status
  legacy DB      mysql://${new URL(stack.databases.legacy).host}   passwords are in ${folder}/secrets and ${folder}/databases/*/root-password
  services' DB   mysql://${new URL(stack.databases.services).host}
  logs           ${folder}/run/*.log

Try, in another terminal:

  curl "${stack.facade}/api/review/list.do?prdNo=${product}"
  npx banyan status
  npx banyan backfill reviews              the service gets the data, and follows
  npx banyan verify reviews                and it is the same, row for row
  npx banyan shift reviews --reads 50      half of the clients read from it, within a second
  npx banyan status
  npx banyan shift reviews --reads 0       and back
  LEGACY_DATABASE_URL='${stack.batch}' node legacy-monolith/batch/nightly.ts
                                           what cron runs at four in the morning, past the facade
  open ${stack.facade}/products/${product}   log in as member1, password shop1234

Ctrl-C stops all of it.`;

/** A story begins anew, beside a stack that may be running. */
const storyPlace = (folder: string) => ({
  folder: join(folder, 'story'),
  fresh: true,
  port: 0,
  adminPort: 0,
  legacyPort: 0,
  reviewsPort: 0,
  wishlistPort: 0,
  workerPort: 0,
  legacyDatabasePort: 0,
  servicesDatabasePort: 0,
});

async function main(argv: readonly string[]): Promise<void> {
  const { values: given, words } = parseOptions(sampleOptions, argv, process.env);
  const values = given.story ? { ...given, ...storyPlace(given.folder) } : given;
  if (values.help) {
    console.log(
      `npm start -- [OPTION ...]\n\nRuns the whole sample on this machine.\n\nOptions:\n${describeOptions(sampleOptions)}`,
    );
    return;
  }
  if (words.length > 0) throw new CommandError(`npm start takes options only: what is "${words.join(' ')}"?`);
  if (values.import && !existsSync(values.import))
    throw new CommandError(`--import: there is no file ${values.import}`);
  const runFolder = await claimRunFolder(resolve(values.folder, 'run'));
  for (const file of readdirSync(runFolder.path).filter((name) => name.endsWith('.log')))
    rmSync(join(runFolder.path, file));
  if (values.fresh)
    for (const name of ['databases', 'uploads', 'flags.json'])
      rmSync(join(values.folder, name), { recursive: true, force: true });

  const asked = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => asked.resolve());
  const warn = (line: string) => void process.stderr.write(`${line}\n`);
  const say = (line: string) => (values.json ? undefined : warn(line));
  const started: { stop(): Promise<void> }[] = [];
  const running = async () => {
    const stack = await startSample({
      values,
      runFolder,
      started,
      say,
      warn,
      giveUp: (message) => asked.reject(new ProcessError(message)),
    });
    const products = await popularProducts(stack.databases.legacy);
    writeStack(values.folder, stack);
    if (values.story) {
      const traffic = startTraffic(
        stack.facades.map(({ url }) => url),
        products,
        storyPace,
      );
      started.push(traffic);
      const { config, folder } = values;
      const isWell = await tellStory({ stack, config, folder, traffic, say: (line) => console.log(line) });
      process.exitCode = isWell ? 0 : 1;
      return asked.resolve();
    }
    if (!values.quiet)
      started.push(
        startTraffic(
          stack.facades.map(({ url }) => url),
          products,
        ),
      );
    console.log(values.json ? JSON.stringify(stack) : guide(stack, values.folder, products[0] ?? 1));
  };
  try {
    await Promise.race([running(), asked.promise]);
    await asked.promise;
    say('stopping …');
  } finally {
    removeStack(values.folder);
    for (let each = started.pop(); each; each = started.pop()) await each.stop();
    // Asked to stop while still starting: what was on its way is remembered, too.
    await runFolder.endChildren();
  }
}

/** Failures that say what to do; anything else is a defect and shows its stack. */
const explained = [
  CommandError,
  ConfigError,
  OptionsError,
  PrivateServerError,
  ProcessError,
  RunFolderBusyError,
];

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Error) || !explained.some((kind) => error instanceof kind)) throw error;
  const advice =
    error instanceof RunFolderBusyError ? ': stop it first, or give another --folder and ports' : '';
  process.stderr.write(`npm start: ${error.message}${advice}\n`);
  process.exitCode = 1;
}
process.exit();
