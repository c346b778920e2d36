// The shop's nightly batch, which writes to legacy's database itself: done while legacy owns, refused by the fence from then on.
import { runNightly } from '../test/story/stack.ts';

export type BatchRun = {
  readonly is: 'done' | 'refused' | 'failed';
  /** Reviews that it has hidden. */
  readonly hidden: number;
  readonly detail: string;
};

export async function runBatch(databaseUrl: string): Promise<BatchRun> {
  const { code, stdout, stderr } = await runNightly(databaseUrl);
  if (code === 0) return { is: 'done', hidden: Number(JSON.parse(stdout).hidden), detail: stdout.trim() };
  return { is: /banyan: refused/.test(stderr) ? 'refused' : 'failed', hidden: 0, detail: stderr.trim() };
}
