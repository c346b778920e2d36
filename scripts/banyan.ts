// The `banyan` command line: finds the command, parses its options, prints its result or its error.

import { ControlStoreError } from '../capability/control-store.ts';
import { FlagFileError } from '../capability/flag-file.ts';
import { ConfigError } from '../capability/load-config.ts';
import { describeOptions, OptionsError } from '../capability/options.ts';
import { SyncError } from '../sync/errors.ts';
import { advanceCommand } from './advance.ts';
import { auditCommand } from './audit.ts';
import { backfillCommand } from './backfill.ts';
import { CommandError, isLostConnection, type Output, ServerAwayError, type Startable } from './command.ts';
import { cutoverCommand } from './cutover.ts';
import { diffCommand } from './diff.ts';
import { doctorCommand } from './doctor.ts';
import { fenceCommand } from './fence.ts';
import { installCommand } from './install.ts';
import { openCommand } from './open.ts';
import { planCommand } from './plan.ts';
import { quarantineCommand } from './quarantine.ts';
import { rampCommand } from './ramp.ts';
import { resumeCommand } from './resume.ts';
import { retireCommand } from './retire.ts';
import { rollbackCommand } from './rollback.ts';
import { shiftCommand } from './shift.ts';
import { statusCommand } from './status.ts';
import { stopCommand } from './stop.ts';
import { verifyCommand } from './verify.ts';
import { workerCommand } from './worker.ts';
import { writersCommand } from './writers.ts';

const commands: readonly Startable[] = [
  installCommand,
  workerCommand,
  planCommand,
  advanceCommand,
  backfillCommand,
  verifyCommand,
  shiftCommand,
  rampCommand,
  fenceCommand,
  writersCommand,
  cutoverCommand,
  rollbackCommand,
  retireCommand,
  stopCommand,
  resumeCommand,
  openCommand,
  statusCommand,
  diffCommand,
  quarantineCommand,
  auditCommand,
  doctorCommand,
];

const overview =
  () => `banyan: moves a capability out of a MySQL/MariaDB monolith, live, step by step, each step reversible.

  banyan COMMAND [OPTION ...]

  facade                       Runs the facade: the routing proxy in front of the monolith and the services.
${commands.map(({ name, words, summary }) => `  ${`${name} ${words}`.trim().padEnd(28)} ${summary}`).join('\n')}

The way of a capability: install, worker, backfill, verify, fence --observe, ramp, fence --enforce, cutover;
"banyan plan CAPABILITY" says what is next, and "banyan status" where each stands. "banyan COMMAND --help" says more.`;

const helpOf = ({ name, words, summary, help, options }: Startable) =>
  `banyan ${name} ${words}\n\n${summary}\n\n${help.trim()}\n\nOptions:\n${describeOptions(options)}`;

function outputFor(json: boolean): Output {
  let open = false;
  return {
    json,
    say: (line) => {
      if (!json) console.log(line);
    },
    progress: (line, last = false) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}${last ? '\n' : ''}`);
      else if (last || !open) process.stderr.write(`${line}\n`);
      open = !last;
    },
  };
}

/** Failures that say what to do; anything else is a defect and shows its stack. */
const isExplained = (error: unknown): error is Error =>
  [CommandError, ConfigError, ControlStoreError, SyncError, FlagFileError, OptionsError].some(
    (kind) => error instanceof kind,
  );

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  const command = commands.find((each) => each.name === name);
  const json = rest.includes('--json');
  try {
    if (!command)
      throw new CommandError(
        `there is no command "${name}"; there are ${commands.map((each) => each.name).join(', ')}`,
        { exitCode: 2 },
      );
    if (rest.includes('--help') || rest.includes('-h')) {
      console.log(helpOf(command));
      return 0;
    }
    const { result, exitCode = 0 } = await command.start(rest, process.env, outputFor(json));
    if (json) console.log(JSON.stringify(result));
    return exitCode;
  } catch (raised) {
    const error = isLostConnection(raised)
      ? new ServerAwayError(
          `the connection to a database server was lost: ${raised.message}. What was begun is safe: run the same command again`,
          { cause: raised },
        )
      : raised;
    if (!isExplained(error)) throw error;
    if (json) console.log(JSON.stringify({ error: { name: error.name, message: error.message } }));
    process.stderr.write(`banyan${command ? ` ${command.name}` : ''}: ${error.message}\n`);
    if (error instanceof OptionsError && command)
      process.stderr.write(`"banyan ${command.name} --help" lists its options\n`);
    return error instanceof OptionsError || (error instanceof CommandError && error.exitCode === 2) ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
