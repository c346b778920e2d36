// The drill of the whole with somebody who takes an acknowledged review from its owner past the binlog: a program of its own,
// because its exit code is what is tested.
import { drillCommand } from '../../drill/command.ts';

process.exitCode = await drillCommand(process.argv.slice(2), process.env, {
  // After the first round the service owns.
  meddle: async (_round, { service }) => {
    await service.query(
      "SET sql_log_bin = 0; DELETE FROM reviews.review WHERE author_id LIKE 'shopper%' ORDER BY id LIMIT 1; SET sql_log_bin = 1",
    );
  },
});
