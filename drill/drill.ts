// The drill's program.
import { drillCommand } from './command.ts';

process.exitCode = await drillCommand(process.argv.slice(2), process.env);
