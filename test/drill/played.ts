// A drill as users run it, and its one line.
import { execFile } from 'node:child_process';
import { join } from 'node:path';

export type Played = {
  readonly code: number;
  /** Its line on standard output. */
  readonly said: Readonly<Record<string, unknown>>;
  /** A line a round. */
  readonly rounds: readonly string[];
};

const root = join(import.meta.dirname, '..', '..');

/** @param program below the project's folder */
export async function played(
  program: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Played> {
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(
        process.execPath,
        [join(root, program), '--json', ...words],
        { cwd: root, env: { ...process.env, ...env }, maxBuffer: 2 ** 26 },
        (error, stdout, stderr) => {
          resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr });
        },
      );
    },
  );
  console.log(stderr);
  if (!/^\{.*\}\n$/.test(stdout)) throw new Error(`not one line of JSON: ${stdout}`);
  return {
    code,
    said: JSON.parse(stdout),
    rounds: stderr.split('\n').filter((line) => /^round \d/.test(line)),
  };
}
