// The drill with somebody who changes one row of the service past the binlog, so that no stream can ever mend it: a
// program of its own, because its exit code is what is tested.
import { drillCommand } from '../../drill/command.ts';

process.exitCode = await drillCommand(process.argv.slice(2), process.env, {
  // Nobody writes this review: nothing comes that would put it right.
  meddle: async (round, { service }) => {
    if (round !== 2) return;
    await service.query(
      'SET sql_log_bin = 0; UPDATE reviews.review SET view_count = view_count + 1 WHERE id = 10; SET sql_log_bin = 1',
    );
  },
});
