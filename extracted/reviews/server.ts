// The reviews service as a process. Standard output gets one line, when it listens; the log goes to stderr.
import { StartError } from './errors.ts';
import { readOptions } from './options.ts';
import { createReviewsService } from './service.ts';

try {
  const options = readOptions(process.env);
  const { app, stop } = await createReviewsService(options);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
  try {
    const listening = await app.listen({ host: options.host, port: options.port });
    process.stdout.write(`${JSON.stringify({ listening })}\n`);
    if (options.identity === 'off')
      app.log.warn('REVIEWS_IDENTITY=off: whoever reaches this port may write as any member');
  } catch (cause) {
    await stop();
    throw new StartError(
      `cannot listen on ${options.host}:${options.port} (${cause instanceof Error ? cause.message : String(cause)}):` +
        ' stop what listens there, or set REVIEWS_PORT',
      { cause },
    );
  }
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`reviews: ${error.message.replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
