// The wishlist service as a process. Standard output gets one line, when it listens; the log goes to stderr.
import { StartError } from './errors.ts';
import { readOptions } from './options.ts';
import { createWishlistService } from './service.ts';

try {
  const options = readOptions(process.env);
  const { app, stop } = await createWishlistService(options);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
  try {
    const listening = await app.listen({ host: options.host, port: options.port });
    process.stdout.write(`${JSON.stringify({ listening })}\n`);
  } catch (cause) {
    await stop();
    throw new StartError(
      `cannot listen on ${options.host}:${options.port} (${cause instanceof Error ? cause.message : String(cause)}):` +
        ' stop what listens there, or set WISHLIST_PORT',
      { cause },
    );
  }
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`wishlist: ${error.message.replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
