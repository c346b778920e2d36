// A command that changes the owner, as a process: it can stand still, go on, or die; and by which words of its statements its steps
// are known.
import type { ChildProcess } from 'node:child_process';
import { steps } from '../story/owner-steps.ts';
import type { Cli } from '../story/stack.ts';

export type Command = {
  readonly pid: number;
  readonly ended: Promise<Cli>;
  hasEnded(): boolean;
  /** SIGSTOP. */
  stop(): void;
  /** SIGCONT. */
  go(): void;
  /** kill -9. */
  kill(): void;
};

export type Step = (typeof steps)[number]['step'];

/** Its statement is on its way, and stays there. */
export type Stopped = Command & {
  /** The server gets it now, whatever has become of the command. */
  release(): void;
};

export type ChangeOptions = {
  readonly move?: 'cutover' | 'rollback';
  /** Of a mutant. */
  readonly env?: NodeJS.ProcessEnv;
  /** Besides. */
  readonly words?: readonly string[];
};

export const stepOf = (step: Step) => steps.find((each) => each.step === step) ?? steps[0];

/** Follows a process of the CLI to its end. */
export function started(child: ChildProcess): Command {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Cli>((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    stop: () => void child.kill('SIGSTOP'),
    go: () => void child.kill('SIGCONT'),
    kill: () => void child.kill('SIGKILL'),
  };
}
